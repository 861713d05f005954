//! `eval_fabric.contains` and `eval_fabric.regex`.

use serde_json::json;

use super::*;

fn contains(config: &Value) -> Bench {
    Bench::new("contains", config)
}

fn regex(config: &Value) -> Bench {
    Bench::new("regex", config)
}

#[test]
fn the_text_of_a_string_is_its_content_and_of_anything_else_its_json() {
    assert!(truth(contains(&json!({"expected": "a\"é"})).judge(r#""xa\"\u00e9""#, None)));
    assert!(!truth(contains(&json!({"expected": "\""})).judge("\"quoted\"", None)));
    assert!(truth(contains(&json!({"expected": "{\"a\":"})).judge(" {\"a\": 1.50}", None)));
    assert!(truth(regex(&json!({"pattern": "^1\\.50$"})).judge(" 1.50 ", None)));
}

#[test]
fn all_or_any_of_several_strings_are_looked_for() {
    let all = contains(&json!({"expected": ["red", "blue"]}));
    let any = contains(&json!({"expected": ["red", "blue"], "mode": "any"}));
    for (text, has_all, has_any) in [("red, blue", true, true), ("red", false, true), ("Red", false, false)] {
        assert_eq!(all.holds_of_text(text, ""), has_all, "{text}");
        assert_eq!(any.holds_of_text(text, ""), has_any, "{text}");
    }
    assert!(contains(&json!({"expected": ["ROT", "grün"], "ignore_case": true})).holds_of_text("Rot, GRÜN", ""));
}

#[test]
fn without_expected_the_reference_is_looked_for() {
    let judge = contains(&json!({}));
    assert!(judge.holds("\"the answer is 42.\"", "\"42\"") && judge.holds("\"the answer is 42.\"", "42"));
    assert!(judge.holds("\"a b\"", r#"["a", "b"]"#) && !judge.holds("\"a c\"", r#"["a", "b"]"#));
    assert!(judge.holds("\"see [1, 2]\"", "[1, 2]"), "a list of other things is looked for as it is written");
    assert_error(judge.judge("\"secret\"", None), ErrorKind::Permanent, "reference_missing", &["secret"]);
    for empty in ["\"\"", "[]", r#"["a", ""]"#] {
        assert_error(judge.judge("\"secret\"", Some(empty)), ErrorKind::Permanent, "reference_empty", &["secret"]);
    }
}

#[test]
fn a_pattern_matches_a_part_or_the_whole() {
    assert!(regex(&json!({"pattern": "b+"})).holds_of_text("abbc", ""));
    assert!(!regex(&json!({"pattern": "b+", "full_match": true})).holds_of_text("abbc", ""));
    for (pattern, text) in [("a|ab", "ab"), ("b+", "bb"), ("(?x) b b # comment", "bb"), ("", ""), ("(?s).*", "a\nb")] {
        assert!(regex(&json!({"pattern": pattern, "full_match": true})).holds_of_text(text, ""), "{pattern}");
    }
    assert!(!regex(&json!({"pattern": "a$", "full_match": true})).holds_of_text("a\n", ""));
    assert!(regex(&json!({"pattern": "école", "ignore_case": true})).holds_of_text("L'ÉCOLE", ""));
}

proptest! {
    #[test]
    fn a_text_contains_each_of_its_parts(before in "\\PC{0,9}", part in "\\PC{1,9}", after in "\\PC{0,9}") {
        let text = format!("{before}{part}{after}");
        let (exact, folded) = (contains(&json!({})), contains(&json!({"ignore_case": true})));
        prop_assert!(exact.holds_of_text(&text, &part));
        prop_assert!(folded.holds_of_text(&text.to_uppercase(), &part.to_uppercase()));
    }
}
