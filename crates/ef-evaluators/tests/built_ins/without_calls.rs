//! The evaluators that call nothing.

use std::sync::Arc;

use ef_model::{CallError, ErrorKind, Evaluator};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{call, environment, item, made, problems};

fn recorded(config: Value) -> Arc<dyn Evaluator> {
    made("eval_fabric.recorded", config)
}

fn output(field: &str, metadata: &str) -> Result<String, CallError> {
    call(&*recorded(json!({"field": field})), &item(Some(metadata))).map(|(output, _)| output)
}

#[test]
fn the_echo_gives_the_inputs_bytes_back() {
    let echo = made("eval_fabric.examples.echo", json!({}));
    let item = item(None);
    let (output, metadata) = call(&*echo, &item).expect("an output");
    assert_eq!(output, item.input.expose());
    assert_eq!(metadata, None);
}

#[test]
fn the_echo_takes_the_time_that_it_is_told_to() {
    let echo = made("eval_fabric.examples.echo", json!({"delay_ms": 30}));
    let began = std::time::Instant::now();
    call(&*echo, &item(None)).expect("an output");
    assert!(began.elapsed() >= std::time::Duration::from_millis(30), "{:?}", began.elapsed());
}

#[test]
fn a_recorded_output_is_what_the_dataset_holds_byte_for_byte() {
    let metadata = r#"{"a": {"b" : [ 1.500, {"c":"\u00e9\/x"},[1,  2]] }, "n": 12345678901234567890.10, "s": {}}"#;
    assert_eq!(output("metadata.a.b.0", metadata).expect("there"), "1.500");
    assert_eq!(output("metadata.a.b.1.c", metadata).expect("there"), r#""\u00e9\/x""#);
    assert_eq!(output("metadata.a.b.2", metadata).expect("there"), "[1,  2]");
    assert_eq!(output("metadata.n", metadata).expect("there"), "12345678901234567890.10");
    assert_eq!(output("metadata", metadata).expect("there"), metadata);
    assert_eq!(output("input.n", metadata).expect("there"), "1.50");
    assert_eq!(output("input", metadata).expect("there"), item(None).input.expose());
    assert_eq!(output("reference_output", metadata).expect("there"), "\"the reference\"");
}

#[test]
fn a_key_with_dots_is_found_and_the_longest_wins() {
    assert_eq!(output("metadata.a.b.c", r#"{"a": {"b.c": 1}}"#).expect("there"), "1");
    assert_eq!(output("metadata.a.b.c", r#"{"a": {"b": {"c": 1}}, "a.b": {"c": 2}}"#).expect("there"), "2");
    assert_eq!(output("metadata.a.b", r#"{"a.b": 1, "a": {"b": 2}}"#).expect("there"), "1");
    assert_eq!(output("metadata.a.b", r#"{"a\u002eb": 1}"#).expect("there"), "1");
    assert_eq!(output("metadata.v1.0", r#"{"v1": "x", "v1.0": "y"}"#).expect("there"), "\"y\"");
}

#[test]
fn nothing_or_null_at_the_path_is_an_error_that_names_the_path_alone() {
    let metadata = r#"{"secret": [1, null], "a": null, "text": "secret"}"#;
    for field in [
        "metadata.b",
        "metadata.a",
        "metadata.secret.1",
        "metadata.secret.2",
        "metadata.secret.x",
        "metadata.secret.-1",
        "metadata.secret.99999999999999999999999",
        "metadata.text.0",
        "metadata.sec",
        "metadata.secret.0.x",
    ] {
        let error = output(field, metadata).expect_err(field);
        assert_eq!((error.kind, error.code.as_ref()), (ErrorKind::Permanent, "field_missing"));
        assert_eq!(error.message, format!("the item has nothing at `{field}`"));
    }
    for field in ["metadata", "metadata.a"] {
        let error = call(&*recorded(json!({"field": field})), &item(None)).expect_err("no metadata");
        assert_eq!(error.code, "field_missing");
    }
}

#[test]
fn an_outputs_metadata_is_an_object_or_absent() {
    let evaluator = recorded(json!({"field": "metadata.a", "metadata_field": "metadata.m"}));
    let metadata = |text| call(&*evaluator, &item(Some(text))).map(|(_, metadata)| metadata);
    assert_eq!(metadata(r#"{"a": 1, "m": { "t":1 }}"#).expect("there").as_deref(), Some(r#"{ "t":1 }"#));
    assert_eq!(metadata(r#"{"a": 1, "m": null}"#).expect("there"), None);
    assert_eq!(metadata(r#"{"a": 1}"#).expect("there"), None);
    let error = metadata(r#"{"a": 1, "m": "secret"}"#).expect_err("a string");
    assert_eq!(error.code, "field_not_an_object");
    assert!(!error.message.contains("secret"));
}

#[test]
fn a_config_that_does_not_fit_says_where_and_what_to_do() {
    let environment = environment(&[]);
    let all: Vec<_> = [
        ("eval_fabric.recorded", json!({})),
        ("eval_fabric.recorded", json!({"field": 3})),
        ("eval_fabric.recorded", json!({"feild": "metadata.a", "metadata_field": "metadata."})),
        ("eval_fabric.recorded", json!({"field": "answer", "metadata_field": 1})),
        ("eval_fabric.examples.echo", json!({"field": "input"})),
        ("eval_fabric.examples.echo", json!({"delay_ms": 60_001})),
        ("eval_fabric.examples.echo", json!({"delay_ms": -1})),
    ]
    .into_iter()
    .flat_map(|(id, config)| problems(&environment, id, &config))
    .collect();
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn the_recorded_solutions_of_gsm8k_are_found() {
    let Some(path) = ef_testkit::public_data("gsm8k/model_solutions.jsonl") else { return };
    let text = std::fs::read_to_string(path).expect("a text");
    let evaluator = recorded(json!({"field": "metadata.175b_verification.solution"}));
    let mut rows = 0;
    for line in text.lines() {
        let (output, _) = call(&*evaluator, &item(Some(line))).expect("a solution");
        let row: Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(serde_json::from_str::<Value>(&output).expect("JSON"), row["175b_verification"]["solution"]);
        assert!(line.contains(&output), "not byte for byte");
        rows += 1;
    }
    assert_eq!(rows, 1319);
}

proptest! {
    #[test]
    fn what_serde_json_finds_by_pointer_is_found_by_path(
        value in json_value(),
        path in prop::collection::vec("[a-c]|[0-2]", 1..4),
    ) {
        let value = json!({"a": value.clone(), "b": [value.clone(), {"c": value}]});
        let expected = value.pointer(&format!("/{}", path.join("/"))).filter(|found| !found.is_null());
        let found = output(&format!("metadata.{}", path.join(".")), &value.to_string());
        let found = found.ok().map(|text| serde_json::from_str::<Value>(&text).expect("JSON"));
        prop_assert_eq!(found.as_ref(), expected);
    }

    #[test]
    fn no_path_and_no_item_panic(path in "(metadata|input)\\.[a-c0-9.\\-é]{1,8}", value in json_value()) {
        let _ = output(&path, &value.to_string());
    }
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-c\"\\\\é]{0,4}".prop_map(Value::from)
    ];
    leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::hash_map("[a-c]", inner, 0..3).prop_map(|map| map.into_iter().collect()),
        ]
    })
}
