//! Drives the plugin as ef does.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use serde_json::{json, Value};

struct Plugin {
    process: Child,
    answers: BufReader<std::process::ChildStdout>,
}

impl Plugin {
    fn start() -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_{{name}}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let answers = BufReader::new(process.stdout.take().expect("a pipe"));
        Self { process, answers }
    }

    fn call(&mut self, method: &str, params: Value) -> Value {
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        writeln!(self.process.stdin.as_mut().expect("a pipe"), "{request}").expect("it listens");
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("it answers");
        serde_json::from_str(&line).expect("JSON")
    }

    fn judge(&mut self, reference: Value, text: &str) -> Value {
        let item = json!({ "item_id": "1", "row": 0, "input": "?", "reference_output": reference });
        self.call("judge", json!({ "instance": 1, "item": item, "output": { "output": text } }))["result"].clone()
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

#[test]
fn an_output_that_mentions_the_reference_passes() {
    let mut plugin = Plugin::start();
    let provided = plugin.call("initialize", json!({ "protocol_version": 1 }));
    assert_eq!(provided["result"]["judges"][0]["id"], "{{module}}.mentions");
    plugin.call("create", json!({ "instance": 1, "kind": "judge", "id": "{{module}}.mentions", "config": {} }));
    assert_eq!(plugin.judge(json!("Paris"), "It is PARIS.")["score"], json!(true));
    assert_eq!(plugin.judge(json!("Paris"), "I do not know.")["score"], json!(false));
    assert_eq!(plugin.judge(Value::Null, "It is Paris.")["score"], Value::Null);
    assert_eq!(plugin.call("shutdown", json!({}))["result"], Value::Null);
}
