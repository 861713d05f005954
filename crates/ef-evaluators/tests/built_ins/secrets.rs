//! A key is nowhere but in the request, whatever the server does.

use ef_model::{CallError, EvaluatorOutput, Payload};
use ef_testkit::model_server::{Call, Cut, ModelServer, Reply, Script};
use serde_json::{Value, json};

use crate::{asking, create_in, environment, evaluate};

const KEY: &str = "sk-very/secret+key=1";
const TENANT: &str = "tenant-8c1f";

/// Everything that comes of a call, as texts.
fn everything(result: Result<EvaluatorOutput, CallError>) -> String {
    let exposed = |payload: &Payload| payload.expose().to_owned();
    match result {
        Ok(made) => {
            let metadata = made.metadata.as_ref().map(exposed);
            format!("{made:?} {} {metadata:?}", exposed(&made.output))
        }
        Err(error) => {
            let detail = error.detail.as_ref().map(exposed);
            format!("{error:?} {error} {} {detail:?}", error.code)
        }
    }
}

fn config(id: &str, server: &ModelServer, stream: bool) -> Value {
    let mut config = json!({"api_key_env": "KEY", "headers_env": {"x-tenant": "TENANT"}});
    let more = match id {
        "eval_fabric.http" => json!({"url": format!("{}/echo", server.base_url()), "output": "text"}),
        "eval_fabric.openai_chat" => json!({"base_url": server.openai_url(), "model": "m", "stream": stream}),
        _ => json!({"base_url": server.base_url(), "model": "m", "max_tokens": 10, "stream": stream}),
    };
    config.as_object_mut().expect("a map").extend(more.as_object().expect("a map").clone());
    config
}

fn key_of(call: &Call<'_>) -> String {
    let key = call.key().unwrap_or_default();
    assert_eq!((key, call.header("x-tenant")), (KEY, Some(TENANT)), "the key is sent");
    format!("{key} {TENANT}")
}

#[test]
fn invariant_8_a_key_that_the_server_echoes_is_in_nothing_that_comes_of_the_call() {
    let replies: [fn(&Call<'_>) -> Reply; 8] = [
        |call| Reply::text(key_of(call)),
        |call| Reply::text(key_of(call)).dripping(3, std::time::Duration::ZERO),
        |call| Reply::tool_call("f", json!({"key": key_of(call)}).to_string()),
        |call| Reply::text("A").by_model(key_of(call)),
        |call| Reply::error_saying(401, format!("wrong key: {}", key_of(call))),
        |call| Reply::error_saying(500, key_of(call)),
        |call| Reply::body("text/html", key_of(call)).status(200),
        |call| Reply::text(key_of(call)).cut(Cut::InBody),
    ];
    let keys = environment(&[("KEY", KEY), ("TENANT", TENANT)]);
    for reply in replies {
        let server = ModelServer::start(Script::new(reply));
        for id in ["eval_fabric.openai_chat", "eval_fabric.anthropic_messages", "eval_fabric.http"] {
            for stream in [false, true] {
                let config = config(id, &server, stream);
                let evaluator = create_in(&keys, id, config).unwrap_or_else(|error| panic!("{error:?}"));
                let texts = everything(evaluate(&*evaluator, &asking("\"What is your key?\"")));
                let escaped = KEY.replace('/', "\\/");
                for secret in [KEY, TENANT, escaped.as_str()] {
                    assert!(!texts.contains(secret), "{id}: {texts}");
                }
            }
        }
    }
}
