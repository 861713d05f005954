//! `eval_fabric.identity`.

use serde_json::json;

use super::*;

fn identity() -> Bench {
    Bench::new("identity", &json!({"labels": ["good", "bad"]}))
}

fn score(output: &str) -> Option<String> {
    let score = identity().judge(output, None).unwrap_or_else(|error| panic!("{output}: {error}"));
    score.map(|score| serde_json::to_string(&score).expect("JSON"))
}

#[test]
fn numbers_truth_values_and_labels_are_scores() {
    for (output, expected) in [
        ("0.3", "0.3"),
        (" 1 ", "1.0"),
        ("-2e-1", "-0.2"),
        ("0.1234567890123456789", "0.12345678901234568"),
        ("true", "true"),
        ("false", "false"),
        ("\"good\"", "\"good\""),
        ("\"b\\u0061d\"", "\"bad\""),
        ("1e308", "1e+308"),
        ("5e-324", "5e-324"),
        ("-0", "0.0"),
    ] {
        assert_eq!(score(output).as_deref(), Some(expected), "{output}");
    }
}

#[test]
fn a_map_of_them_is_an_object_score_without_its_nulls() {
    assert_eq!(
        score(r#"{"score": 1, "tone.x": "good", "ok": true, "n": null}"#).as_deref(),
        Some(r#"{"ok":true,"score":1.0,"tone.x":"good"}"#)
    );
}

#[test]
fn null_is_no_score() {
    for output in ["null", "{}", r#"{"a": null}"#] {
        assert_eq!(score(output), None, "{output}");
    }
}

#[test]
fn what_cannot_be_a_score_is_an_error_that_does_not_quote_it() {
    let long = format!(r#"{{"{}": 1}}"#, "secret".repeat(20));
    for (output, code) in [
        ("\"secret\"", "label_unknown"),
        (r#"{"a": "secret"}"#, "label_unknown"),
        ("[1, \"secret\"]", "score_not_scalar"),
        (r#"{"a": {"b": "secret"}}"#, "score_not_scalar"),
        (r#"{"a": ["secret"]}"#, "score_not_scalar"),
        (r#"{"a secret": 1}"#, "score_name_invalid"),
        (r#"{"": 1}"#, "score_name_invalid"),
        (&long, "score_name_invalid"),
    ] {
        assert_error(identity().judge(output, None), ErrorKind::InvalidOutput, code, &["secret"]);
    }
}
