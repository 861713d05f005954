//! A judge for ef: does the output mention the reference?
//!
//! It speaks the plugin protocol: JSON-RPC 2.0, one message a line, on standard input and output. Standard error is free
//! for anything else. Requests are answered one after the other; a slow judge would answer from threads.

use std::collections::HashMap;
use std::io::{self, BufRead, Write};

use serde_json::{json, Value};

const ID: &str = "{{module}}.mentions";

/// One configured judge.
struct Mentions {
    ignore_case: bool,
}

impl Mentions {
    /// A score and a rationale; without a reference there is nothing to score.
    fn judge(&self, item: &Value, output: &Value) -> Value {
        let Some(wanted) = item.get("reference_output").filter(|reference| !reference.is_null()) else {
            return json!({ "score": null });
        };
        let (mut wanted, mut text) = (text_of(wanted), text_of(&output["output"]));
        if self.ignore_case {
            (wanted, text) = (wanted.to_lowercase(), text.to_lowercase());
        }
        json!({ "score": text.contains(&wanted), "rationale": format!("looked for {wanted:?}") })
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The answer to a request: its result, or an error object.
fn answer(judges: &mut HashMap<u64, Mentions>, method: &str, params: &Value) -> Result<Value, Value> {
    let instance = params["instance"].as_u64().unwrap_or_default();
    match method {
        "initialize" => Ok(json!({
            "protocol_version": 1,
            "plugin": { "name": env!("CARGO_PKG_NAME"), "version": env!("CARGO_PKG_VERSION") },
            "evaluators": [],
            "judges": [{
                "id": ID,
                // Change it whenever the same output may get another score.
                "version": env!("CARGO_PKG_VERSION"),
                "determinism": "deterministic",
                "summary": "Whether the output mentions the reference",
                "config_schema": {
                    "type": "object",
                    "properties": { "ignore_case": { "type": "boolean", "default": true } },
                    "additionalProperties": false,
                },
            }],
        })),
        "create" => {
            let ignore_case = params["config"]["ignore_case"].as_bool().unwrap_or(true);
            judges.insert(instance, Mentions { ignore_case });
            Ok(json!({}))
        }
        "judge" => match judges.get(&instance) {
            Some(judge) => Ok(judge.judge(&params["item"], &params["output"])),
            None => Err(json!({ "code": -32602, "message": "there is no such instance" })),
        },
        "shutdown" => Ok(Value::Null),
        _ => Err(json!({ "code": -32601, "message": "there is no method of that name" })),
    }
}

fn main() -> io::Result<()> {
    let (mut judges, mut stdout) = (HashMap::new(), io::stdout().lock());
    for line in io::stdin().lock().lines() {
        let request: Value = serde_json::from_str(&line?).map_err(io::Error::other)?;
        // A notification, such as `cancel`, wants no answer.
        let Some(id) = request.get("id") else { continue };
        let method = request["method"].as_str().unwrap_or_default();
        let answer = match answer(&mut judges, method, &request["params"]) {
            Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
            Err(error) => json!({ "jsonrpc": "2.0", "id": id, "error": error }),
        };
        writeln!(stdout, "{answer}")?;
        stdout.flush()?;
    }
    Ok(())
}
