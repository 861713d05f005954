//! `eval_fabric.json_schema`.

use serde_json::json;

use super::*;

fn schema(schema: &Value) -> Bench {
    Bench::new("json_schema", &json!({"schema": schema}))
}

#[test]
fn an_output_is_valid_or_not() {
    let judge =
        schema(&json!({"type": "object", "required": ["a"], "properties": {"a": {"type": "integer", "minimum": 2}}}));
    for (output, valid) in [(r#"{"a": 2}"#, true), (r#"{"a": 1}"#, false), ("{}", false), ("[]", false), ("3", false)] {
        assert_eq!(truth(judge.judge(output, None)), valid, "{output}");
    }
    assert!(truth(schema(&json!(true)).judge("1", None)) && !truth(schema(&json!(false)).judge("1", None)));
}

#[test]
fn the_json_in_a_string_is_what_is_judged() {
    let judge = schema(&json!({"type": "object"}));
    for (text, valid) in [
        (" {\"a\": [1]}\n", true),
        ("[]", false),
        ("", false),
        ("Sure! {}", false),
        ("{} {}", false),
        ("{\"a\":1,\"a\":2}", false),
        ("1e999", false),
        (&"[".repeat(100_000), false),
    ] {
        assert_eq!(judge.holds_of_text(text, ""), valid, "{}", text.len());
    }
    let as_it_is =
        Bench::new("json_schema", &json!({"schema": {"type": "string", "maxLength": 3}, "parse_text": false}));
    assert!(
        as_it_is.holds_of_text("abc", "") && !as_it_is.holds_of_text("abcd", "") && !truth(as_it_is.judge("1", None))
    );
}

#[test]
fn every_draft_is_judged_by_its_own_rules() {
    let draft_4 = json!({"$schema": "http://json-schema.org/draft-04/schema#", "minimum": 1, "exclusiveMinimum": true});
    assert!(!truth(schema(&draft_4).judge("1", None)));
    let draft_7 = json!({"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "integer"}], "additionalItems": false});
    assert!(!truth(schema(&draft_7).judge("[1, 2]", None)) && truth(schema(&draft_7).judge("[1]", None)));
    let latest = json!({"prefixItems": [{"type": "integer"}], "items": false, "unevaluatedItems": false});
    assert!(!truth(schema(&latest).judge("[1, 2]", None)) && truth(schema(&latest).judge("[1]", None)));
}

#[test]
fn references_reach_what_is_in_the_schema_and_nothing_else() {
    let judge = schema(&json!({"$defs": {"n": {"type": "integer"}}, "items": {"$ref": "#/$defs/n"}}));
    assert!(truth(judge.judge("[1]", None)) && !truth(judge.judge("[\"a\"]", None)));
    let tree = schema(&json!({"type": "object", "additionalProperties": {"$ref": "#"}}));
    assert!(truth(tree.judge(r#"{"a": {"b": {}}}"#, None)) && !truth(tree.judge(r#"{"a": {"b": 1}}"#, None)));
}

#[test]
fn a_schema_that_only_refers_to_itself_ends() {
    for schema_of_itself in [
        json!({"$ref": "#"}),
        json!({"allOf": [{"$ref": "#"}]}),
        json!({"not": {"$ref": "#"}}),
        json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}),
        json!({"$ref": "#/$defs/a", "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/b"}]}, "b": {"if": {"$ref": "#/$defs/a"}}}}),
    ] {
        if let Ok(judge) = create("json_schema", &json!({"schema": schema_of_itself})) {
            let _ = Bench(judge).judge(r#"{"a": [1]}"#, None);
        }
    }
}
