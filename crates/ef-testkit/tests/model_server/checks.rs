//! A client that sends what the documentation does not allow is told so, as the providers tell it.

use ef_testkit::model_server::{ModelServer, Reply, Script};
use serde_json::{Value, json};

use crate::raw::{JSON, Raw, VERSION, anthropic, complete, exchange, message, openai};

fn server() -> ModelServer {
    ModelServer::start(Script::always(Reply::text("fine")))
}

#[test]
fn chat_completions_that_openai_refuses_are_refused() {
    let server = server();
    let open = json!({"type": "object", "properties": {}});
    let refused = [
        json!({"model": null}),
        json!({"model": ""}),
        json!({"messages": null}),
        json!({"messages": []}),
        json!({"messages": "Hello"}),
        json!({"messages": [{"role": "robot", "content": "Hello"}]}),
        json!({"messages": [{"role": "user"}]}),
        json!({"messages": [{"role": "user", "content": {"text": "Hello"}}]}),
        json!({"messages": [{"role": "user", "content": [{"text": "Hello"}]}]}),
        json!({"temperature": 2.5}),
        json!({"temperature": "warm"}),
        json!({"max_tokens": 0}),
        json!({"max_tokens": 1.5}),
        json!({"max_tokens": 5, "max_completion_tokens": 5}),
        json!({"seed": u64::MAX}),
        json!({"stream": "yes"}),
        json!({"stream_options": {"include_usage": true}}),
        json!({"top_k": 5}),
        json!({"tools": [{"name": "judge"}]}),
        json!({"tool_choice": "required"}),
        json!({"response_format": {"type": "json_schema", "schema": {}}}),
        json!({"response_format": {"type": "json_schema", "json_schema": {"name": "a b", "schema": {}}}}),
        json!({"response_format": {"type": "json_schema", "json_schema": {"name": "a", "strict": true, "schema": open}}}),
    ];
    for more in refused {
        let reply = complete(&server, &more);
        assert_eq!(reply.status, 400, "{more}");
        let error = &reply.json()["error"];
        assert_eq!(error["type"], "invalid_request_error", "{more}");
        assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{more}");
    }
    let taken = [
        json!({}),
        json!({"temperature": 2, "top_p": 1.0, "seed": i64::MAX, "max_completion_tokens": 1, "stop": ["x"], "n": 1}),
        json!({"messages": [{"role": "developer", "content": "Hello"}, {"role": "assistant", "content": null}]}),
        json!({"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": open}}}),
    ];
    for more in taken {
        assert_eq!(complete(&server, &more).status, 200, "{more}");
    }
}

#[test]
fn messages_that_anthropic_refuses_are_refused() {
    let server = server();
    let bounded = json!({"type": "object", "properties": {"score": {"type": "number", "minimum": 0}},
        "required": ["score"], "additionalProperties": false});
    let refused = [
        json!({"max_tokens": null}),
        json!({"messages": [{"role": "system", "content": "Hello"}]}),
        json!({"messages": [{"role": "user", "content": ""}]}),
        json!({"temperature": 1.5}),
        json!({"frequency_penalty": 0.0, "seed": 1}),
        json!({"output_format": {"type": "json_schema", "schema": {"type": "object", "additionalProperties": false}}}),
        json!({"output_config": {"format": {"type": "json_schema", "schema": bounded}}}),
        json!({"output_config": {"format": {"type": "json"}}}),
        json!({"tools": [{"name": "judge"}]}),
        json!({"tools": [{"name": "a", "input_schema": {"type": "object"}}], "tool_choice": {"type": "tool", "name": "b"}}),
    ];
    for more in refused {
        let reply = message(&server, &more);
        assert_eq!(reply.status, 400, "{more}");
        let body = reply.json();
        assert_eq!(
            (&body["type"], &body["error"]["type"]),
            (&json!("error"), &json!("invalid_request_error")),
            "{more}"
        );
    }
    assert_eq!(message(&server, &json!({"system": "Be brief.", "top_k": 5, "temperature": 1})).status, 200);
    let reply = exchange(&server, "/v1/messages", &[JSON], &anthropic(&json!({})));
    assert_eq!(reply.status, 400, "without its version");
    let format =
        json!({"output_format": {"type": "json_schema", "schema": {"type": "object", "additionalProperties": false}}});
    let beta = [JSON, VERSION, ("anthropic-beta", "structured-outputs-2025-11-13")];
    assert_eq!(exchange(&server, "/v1/messages", &beta, &anthropic(&format)).status, 200);
}

#[test]
fn a_compatible_server_takes_parameters_that_openai_does_not_have() {
    let server = ModelServer::start(Script::echo().taking_unknown_parameters());
    assert_eq!(complete(&server, &json!({"top_k": 5})).status, 200);
}

#[test]
fn what_is_no_json_is_refused() {
    let server = server();
    for body in ["", "{", "[]", "7", r#"{"model": "a", "model": "b", "messages": []}"#] {
        let mut raw = Raw::connect(&server);
        raw.post("/v1/chat/completions", &[JSON], body.as_bytes());
        assert_eq!(raw.reply().status, 400, "{body}");
    }
    let reply = exchange(&server, "/v1/chat/completions", &[("content-type", "text/plain")], &openai(&json!({})));
    assert_eq!(reply.status, 415);
}

#[test]
fn a_key_is_checked_as_each_api_wants_it() {
    let server = ModelServer::start(Script::echo().with_key("sk-right"));
    let bearer = ("authorization", "Bearer sk-right");
    let own = ("x-api-key", "sk-right");
    let wrong = ("authorization", "Bearer sk-wrong");
    let status = |path: &str, headers: &[(&str, &str)], body: &Value| exchange(&server, path, headers, body).status;
    assert_eq!(status("/v1/chat/completions", &[JSON, bearer], &openai(&json!({}))), 200);
    assert_eq!(status("/v1/chat/completions", &[JSON, own], &openai(&json!({}))), 401);
    assert_eq!(status("/v1/messages", &[JSON, VERSION, own], &anthropic(&json!({}))), 200);
    assert_eq!(status("/v1/messages", &[JSON, VERSION, bearer], &anthropic(&json!({}))), 401);
    assert_eq!(status("/echo", &[JSON, bearer], &json!({})), 200);
    assert_eq!(status("/echo", &[JSON], &json!({})), 401);
    let reply = exchange(&server, "/v1/chat/completions", &[JSON, wrong], &openai(&json!({})));
    assert_eq!(reply.json()["error"]["code"], "invalid_api_key");
    let reply = exchange(&server, "/v1/messages", &[JSON, VERSION], &anthropic(&json!({})));
    assert_eq!(reply.json()["error"]["type"], "authentication_error");
}

#[test]
fn other_paths_and_methods_are_refused() {
    let server = server();
    assert_eq!(exchange(&server, "/chat/completions", &[JSON], &openai(&json!({}))).status, 404);
    let mut raw = Raw::connect(&server);
    raw.send("GET /v1/chat/completions HTTP/1.1\r\nhost: test\r\n\r\n");
    assert_eq!(raw.reply().status, 405);
}
