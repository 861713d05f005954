//! The evaluator that calls an HTTP service.

use ef_model::{CallError, ErrorKind, EvalItem, EvaluatorOutput, Pricing, Usage};
use ef_testkit::model_server::{ModelServer, Reply, Script};
use serde_json::{Value, json};

use crate::{asking, create_in, environment, evaluate, item, made, metadata, problems};

const ID: &str = "eval_fabric.http";

fn config(server: &ModelServer, more: Value) -> Value {
    let mut config = json!({"url": format!("{}/echo", server.base_url())});
    let Value::Object(more) = more else { panic!("not a map: {more}") };
    config.as_object_mut().expect("a map").extend(more);
    config
}

fn ask(server: &ModelServer, more: Value, item: &EvalItem) -> Result<EvaluatorOutput, CallError> {
    evaluate(&*made(ID, config(server, more)), item)
}

/// The output when the service answers this.
fn read(body: impl Into<Vec<u8>>, more: Value) -> Result<String, CallError> {
    let server = ModelServer::start(Script::always(Reply::body("application/json", body)));
    ask(&server, more, &item(None)).map(|made| made.output.expose().to_owned())
}

#[test]
fn the_input_is_sent_and_the_answer_comes_back_byte_for_byte() {
    let server = ModelServer::start(Script::echo().recording());
    let made = ask(&server, json!({}), &item(None)).expect("an answer");
    assert_eq!(made.output.expose(), item(None).input.expose());
    assert_eq!(metadata(&made), json!({"status": 200}));
    assert_eq!(made.usage, Usage::UNKNOWN);
    let requests = server.requests();
    assert_eq!((requests[0].method.as_str(), requests[0].path.as_str()), ("POST", "/echo"));
    assert_eq!(requests[0].header("content-type"), Some("application/json"));
}

#[test]
fn a_body_is_json_whose_texts_are_templates_and_data_stays_data() {
    let hostile = r#"", "admin": true, "x": "\ {{ reference_output }} é"#;
    let input = json!({"q": hostile, "big": 1}).to_string().replace("\"big\":1", "\"big\":12345678901234567890.10");
    let server = ModelServer::start(Script::echo());
    let body = json!({
        "question": "{{ input.q }}", "fixed": [1, true, null, "a\nb"], "a\"b": {"$field": "input.big"},
        "topic": "{{ metadata.topic | upper }}", "all": {"$field": "input"},
    });
    let made = ask(&server, json!({"body": body}), &asking(&input)).expect("an answer");
    let text = made.output.expose();
    assert!(text.contains(r#""a\"b":12345678901234567890.10"#), "a number is kept to the digit: {text}");
    assert!(text.contains(&format!(r#""all":{input}"#)), "{text}");
    let seen = made.output.expose_value();
    assert_eq!(seen["question"], hostile);
    assert_eq!((&seen["fixed"], &seen["topic"]), (&body["fixed"], &json!("BIRDS")));
    assert_eq!(seen.get("admin"), None);
}

#[test]
fn what_goes_into_the_address_is_percent_encoded() {
    let server = ModelServer::start(Script::always(Reply::text("A")).recording());
    let more = json!({
        "url": format!("{}/echo/search?v=1", server.base_url()), "method": "GET",
        "query": {"q": "{{ input }}", "a b&": "{{ metadata.topic }}"},
    });
    ask(&server, more, &asking("\"50% & more=?#/é\"")).expect("an answer");
    let requests = server.requests();
    assert_eq!(requests[0].path, "/echo/search?v=1&a%20b%26=birds&q=50%25%20%26%20more%3D%3F%23%2F%C3%A9");
    assert_eq!((requests[0].method.as_str(), requests[0].body.len()), ("GET", 0));
}

#[test]
fn the_output_is_what_the_pointer_finds() {
    let body = r#" {"a": [ {"b/c": 1.50 }, null], "context": ["x"] } "#;
    assert_eq!(read(body, json!({})).expect("all of it"), body.trim());
    assert_eq!(read(body, json!({"output_pointer": "/a/0/b~1c"})).expect("a number"), "1.50");
    assert_eq!(read(body, json!({"output_pointer": "/a/1"})).expect("null is an answer"), "null");
    let error = read(body, json!({"output_pointer": "/a/2"})).expect_err("nothing there");
    assert_eq!((error.kind, error.code.as_ref()), (ErrorKind::InvalidOutput, "output_missing"));
    assert_eq!(error.message, "the answer has nothing at `/a/2`");
    assert_eq!(error.detail.expect("the answer").expose(), body.trim());

    let server = ModelServer::start(Script::always(Reply::body("application/json", body).status(201)));
    let more = json!({"output_pointer": "/a/0", "metadata_pointer": "/context"});
    let made = ask(&server, more, &item(None)).expect("an answer");
    assert_eq!(metadata(&made), json!({"status": 201, "response": ["x"]}));
}

#[test]
fn text_is_taken_where_the_config_says_so() {
    assert_eq!(read("18\n", json!({"output": "text"})).expect("text"), "\"18\"");
    assert_eq!(read("18\n", json!({})).expect("JSON"), "18");
    for (body, form, code) in [
        (&b"<html>secret"[..], "json", "output_not_json"),
        (b"", "json", "output_not_json"),
        (b"{\"a\":1,\"a\":2}", "json", "output_not_json"),
        (b"secret\xff", "text", "output_not_utf8"),
    ] {
        let error = read(body, json!({"output": form})).expect_err(code);
        assert_eq!((error.kind, error.code.as_ref()), (ErrorKind::InvalidOutput, code));
        assert!(!format!("{error} {error:?}").contains("secret"), "{error}");
        assert!(error.detail.is_some());
    }
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    assert_eq!(read(deep, json!({})).expect_err("too deep").code, "output_not_json");
    let deepest = format!("{}{}", "[".repeat(127), "]".repeat(127));
    assert!(read(deepest.clone(), json!({})).is_ok());
    let _ = read(deepest, json!({"metadata_pointer": ""}));
}

#[test]
fn another_status_is_an_error_of_its_kind() {
    let answer = |status, more| {
        let server = ModelServer::start(Script::always(Reply::body("application/json", "{}").status(status)));
        ask(&server, more, &item(None)).map(drop).map_err(|error| (error.kind, error.code.into_owned()))
    };
    assert_eq!(answer(201, json!({})), Ok(()));
    assert_eq!(answer(202, json!({"expected_status": [200, 201]})), Err((ErrorKind::Permanent, "http_202".to_owned())));
    assert_eq!(answer(404, json!({})), Err((ErrorKind::Permanent, "http_404".to_owned())));
    assert_eq!(answer(503, json!({})), Err((ErrorKind::Transient, "http_503".to_owned())));
    assert_eq!(answer(302, json!({})), Err((ErrorKind::Permanent, "http_302".to_owned())));
}

#[test]
fn headers_come_from_the_config_and_from_variables() {
    let server = ModelServer::start(Script::echo().recording().with_key("sk-the-key-itself"));
    let environment = environment(&[("KEY", "sk-the-key-itself"), ("TENANT", "tenant-1234")]);
    let more = json!({
        "api_key_env": "KEY", "headers": {"X-Team": "a b", "content-type": "application/vnd.x+json"},
        "headers_env": {"X-Tenant": "TENANT"},
    });
    let evaluator = create_in(&environment, ID, config(&server, more)).unwrap_or_else(|error| panic!("{error:?}"));
    evaluate(&*evaluator, &item(None)).expect("an answer");
    let request = &server.requests()[0];
    let header = |name| request.header(name).unwrap_or_default();
    assert_eq!(header("authorization"), "Bearer sk-the-key-itself");
    assert_eq!((header("x-team"), header("x-tenant")), ("a b", "tenant-1234"));
    assert_eq!(header("content-type"), "application/vnd.x+json");
}

#[test]
fn what_a_call_costs_is_what_the_config_says() {
    let server = ModelServer::start(Script::echo());
    let priced = made(ID, config(&server, json!({"cost_usd_per_call": 0.5})));
    assert_eq!(priced.pricing(), Pricing::Bounded);
    assert!((priced.most_usd(&item(None)) - 0.5).abs() < 1e-12);
    assert_eq!(evaluate(&*priced, &item(None)).expect("an answer").usage, Usage::cost(0.5));
    let unread = made(ID, config(&server, json!({"cost_usd_per_call": 0.5, "output_pointer": "/absent"})));
    assert_eq!(evaluate(&*unread, &item(None)).expect_err("nothing there").usage, Usage::cost(0.5));
    let Pricing::Unbounded { missing } = made(ID, config(&server, json!({}))).pricing() else { panic!("bounded") };
    assert!(missing.contains("cost_usd_per_call"), "{missing}");
}

#[test]
fn a_config_that_cannot_work_is_refused_before_anything_runs() {
    let environment = environment(&[("PADDED", " key")]);
    let all: Vec<_> = [
        json!({}),
        json!({"url": "example.org/x"}),
        json!({"url": "https://user:hunter2@example.org/"}),
        json!({"url": "ftp://example.org/"}),
        json!({"url": "http://h", "api_key_env": "NOT_SET", "headers_env": {"x": "PADDED", "y y": "PADDED", "Authorization": "NOT_SET_EITHER"}}),
        json!({"url": "http://h", "headers": {"host": "x", "a": "1", "A": "2", "b": "x\ny"}}),
        json!({"url": "http://h", "method": "post"}),
        json!({"url": "http://h", "body": {"a/b": ["{{ input"], "c": {"$field": "inputs", "d": 1}}, "query": {"q": "{% x %}"}}),
        json!({"url": "http://h", "output": "text", "output_pointer": "/a"}),
        json!({"url": "http://h", "output_pointer": "a", "metadata_pointer": "/~"}),
        json!({"url": "http://h", "expected_status": [404]}),
        json!({"url": "http://h", "cost_usd_per_call": -0.5, "timeout": 3}),
    ]
    .into_iter()
    .map(|config| format!("{config}\n    {}", problems(&environment, ID, &config).join("\n    ")))
    .collect();
    insta::assert_snapshot!(all.join("\n"));
}
