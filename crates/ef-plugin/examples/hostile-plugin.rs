//! A plugin for tests of the host. It speaks the protocol with the standard library and serde_json alone, and misbehaves
//! when it is told to: by its first argument at its start, by an item's input in its judge `toy.obey`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program of its own")]
#![allow(clippy::zombie_processes, reason = "what it leaves behind is for the host to end")]

use std::io::{BufRead as _, Write as _};
use std::process::{Command, Stdio, exit};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{sleep, spawn};
use std::time::Duration;

use serde_json::{Value, json};

static CANCELLED: AtomicU64 = AtomicU64::new(0);
static NOW: AtomicU64 = AtomicU64::new(0);
static MOST: AtomicU64 = AtomicU64::new(0);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mode = arguments.first().map_or("good", String::as_str);
    let argument = arguments.get(1).map_or("", String::as_str);
    match mode {
        "exit" => {
            eprintln!("loading\nImportError: no module named acme\n");
            exit(3);
        }
        "speak-first" => println!("Hello, I am a plugin"),
        "silent" => sleep(Duration::from_secs(3600)),
        "slow-start" => sleep(Duration::from_millis(argument.parse().expect("milliseconds"))),
        _ => {}
    }
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("UTF-8");
        if mode == "record" {
            let mut file = std::fs::File::options().create(true).append(true).open(argument).expect("a file");
            writeln!(file, "{line}").expect("written");
        }
        let request: Value = serde_json::from_str(&line).expect("JSON");
        let (id, params) = (request["id"].clone(), request["params"].clone());
        match request["method"].as_str() {
            Some("initialize") => result(&id, &describe(mode, argument)),
            Some("create") if params["config"]["fail"] == "config" => {
                let data = json!({"kind": "config", "problems": [{"pointer": "/fail", "message": "asked to", "hint": "do not"}]});
                say(&json!({"jsonrpc": "2.0", "id": id, "error": {"code": 1, "message": "config", "data": data}}));
            }
            Some("create") if params["config"]["fail"] == "broken" => {
                say(&json!({"jsonrpc": "2.0", "id": id, "error": {"code": 1, "message": "there is no model"}}));
            }
            Some("create") if params["config"]["fail"] == "never" => {}
            Some("create") => result(&id, &json!({"model": "model-1"})),
            Some("evaluate") => evaluate(&line_of(&request), &id),
            Some("judge") => judge(&id, &params),
            Some("cancel") => {
                CANCELLED.fetch_add(1, Ordering::SeqCst);
            }
            Some("shutdown") => {
                eprintln!("good bye");
                result(&id, &Value::Null);
            }
            _ => exit(64),
        }
    }
}

fn line_of(request: &Value) -> String {
    request["params"]["item"]["input"].to_string()
}

fn describe(mode: &str, argument: &str) -> Value {
    let version = if mode == "changing" { format!("1.0.{}", std::process::id()) } else { "1.0.0".to_owned() };
    let schema = json!({"type": "object", "properties": {"fail": {"type": "string", "description": "How to fail."}}, "additionalProperties": false});
    json!({
        "protocol_version": 1,
        "plugin": {"name": "hostile-plugin", "version": version},
        "max_in_flight": argument.parse::<u32>().ok().filter(|_| mode == "max-in-flight"),
        "evaluators": [{"id": "toy.echo", "version": version, "summary": "Gives back its input."}],
        "judges": [
            {"id": "toy.obey", "version": version, "determinism": "deterministic", "summary": "Does what the input says.", "config_schema": schema},
            {"id": "toy.priced", "version": version, "determinism": "stochastic", "is_costly": true, "pricing": {"most_usd": 0.25}},
        ],
    })
}

fn evaluate(input: &str, id: &Value) {
    raw(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"output": {input} ,"metadata":{{ "n":1.10 }},"usage":{{"input_tokens":7}}}}}}"#).as_bytes());
    raw(b"\n");
}

/// Does what the item's input says.
fn judge(id: &Value, params: &Value) {
    let order = params["item"]["input"].as_str().unwrap_or_default().to_owned();
    let good = json!({"score": 1});
    match order.as_str() {
        "params" => result(id, &json!({"score": true, "rationale": params})),
        "pid" => result(id, &json!({"score": 1, "rationale": std::process::id()})),
        "never" => {}
        "twice" => {
            result(id, &good);
            result(id, &good);
        }
        "flood" => (0..200_000).for_each(|_| raw(b"progress: 1 of 200000\n")),
        "endless" => (0..1024).for_each(|_| raw(&[b'x'; 1 << 20])),
        "long" => result(id, &json!({"score": 1, "rationale": "x".repeat(2 << 20)})),
        "exit" => exit(3),
        "print" => raw(b"loading the model\n"),
        "foreign" => result(&json!(999_999), &good),
        "nan" => raw(format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{\"score\":NaN}}}}\n").as_bytes()),
        "huge" => raw(format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{\"score\":1e400}}}}\n").as_bytes()),
        "utf8" => raw(&[format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":\"").as_bytes(), b"\xff\"}\n"].concat()),
        "scoreless" => result(id, &json!({"rationale": "forgot"})),
        "wrong" => result(id, &json!([1, 2])),
        "half" => {
            raw(format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{\"sco").as_bytes());
            exit(0);
        }
        "fork" => {
            let child = Command::new("sleep").arg("300").stdin(Stdio::null()).spawn().expect("sleep");
            result(id, &json!({"score": 1, "rationale": child.id()}));
        }
        "cancelled?" => result(id, &json!({"score": CANCELLED.load(Ordering::SeqCst)})),
        "most?" => result(id, &json!({"score": MOST.load(Ordering::SeqCst)})),
        "slow" => {
            let id = id.clone();
            spawn(move || {
                MOST.fetch_max(NOW.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                sleep(Duration::from_millis(100));
                NOW.fetch_sub(1, Ordering::SeqCst);
                result(&id, &json!({"score": 1}));
            });
        }
        "busy" => {
            let data = json!({"kind": "transient", "code": "model_busy", "retry_after_ms": 250, "detail": {"secret": "Alice"}});
            say(&json!({"jsonrpc": "2.0", "id": id, "error": {"code": 1, "message": "Alice", "data": data}}));
        }
        "stderr" => {
            eprintln!("{}", "noise ".repeat(100_000));
            result(id, &good);
        }
        _ => result(id, &good),
    }
}

fn result(id: &Value, result: &Value) {
    say(&json!({"jsonrpc": "2.0", "id": id, "result": result}));
}

fn say(message: &Value) {
    raw(format!("{message}\n").as_bytes());
}

fn raw(bytes: &[u8]) {
    let mut stdout = std::io::stdout().lock();
    if stdout.write_all(bytes).and_then(|()| stdout.flush()).is_err() {
        exit(1);
    }
}
