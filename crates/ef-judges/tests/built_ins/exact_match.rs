//! `eval_fabric.exact_match`.

use serde_json::json;

use super::*;

fn exact(config: &Value) -> Bench {
    Bench::new("exact_match", config)
}

#[test]
fn numbers_are_equal_by_their_exact_value() {
    let judge = exact(&json!({}));
    for (a, b) in [
        ("1", "1.0"),
        ("1", "1e0"),
        ("0.1", "0.10"),
        ("100", "1E+2"),
        ("-0", "0.0"),
        ("0e5", "0"),
        ("0e99999999999999999999", "0"),
        ("12345678901234567890123", "12345678901234567890123.0"),
        ("1e-400", "0.1e-399"),
        ("[1, 2.50]", "[1.0,2.5]"),
        ("123e-2", "1.23"),
    ] {
        assert!(judge.holds(a, b), "{a} and {b}");
    }
    for (a, b) in [
        ("9007199254740993", "9007199254740992"),
        ("12345678901234567890123", "12345678901234567890124"),
        ("0.1", "0.1000000000000000000001"),
        ("1", "-1"),
        ("1e-400", "0"),
        ("1e-99999999999999999999", "0"),
        ("1", "\"1\""),
        ("1", "true"),
        ("0", "null"),
        ("0", "[0]"),
    ] {
        assert!(!judge.holds(a, b), "{a} and {b}");
    }
}

#[test]
fn maps_are_equal_in_any_order_and_lists_only_in_theirs() {
    let judge = exact(&json!({}));
    assert!(judge.holds(r#"{"a":1, "b":{"c":[1,2],"d":null}}"#, r#" { "b" : {"d":null,"c":[1 , 2.0]},"a":1.0 }"#));
    assert!(judge.holds(r#"{"\u0061":1}"#, r#"{"a":1}"#));
    assert!(judge.holds("{}", " { } ") && judge.holds("[]", "[ ]") && judge.holds("[[],{}]", " [ [ ] , { } ] "));
    for (a, b) in [
        ("[1,2]", "[2,1]"),
        ("[1]", "[1,1]"),
        (r#"{"a":1}"#, r#"{"b":1}"#),
        (r#"{"a":1}"#, r#"{"a":1,"b":1}"#),
        (r#"{"a":1}"#, r#"{"A":1}"#),
        ("[]", "{}"),
        ("[[]]", "[]"),
        ("null", "false"),
    ] {
        assert!(!judge.holds(a, b), "{a} and {b}");
    }
}

#[test]
fn strings_are_equal_character_by_character_however_they_are_escaped() {
    let judge = exact(&json!({}));
    assert!(judge.holds(r#""a\u00e9\/\n""#, "\"aé/\\n\""));
    for (a, b) in [("\"a\"", "\"A\""), ("\"a\"", "\" a\""), ("\"a\"", "\"a\\n\""), ("\"e\\u0301\"", "\"é\"")] {
        assert!(!judge.holds(a, b), "{a} and {b}");
    }
}

#[test]
fn case_and_outer_whitespace_are_ignored_where_the_config_says_so() {
    let case = exact(&json!({"ignore_case": true}));
    assert!(case.holds("\"ÉCOLE\"", "\"école\"") && case.holds("[\"A\"]", "[\"a\"]"));
    assert!(!case.holds("\"a \"", "\"A\"") && !case.holds("{\"A\":1}", "{\"a\":1}"));
    let trim = exact(&json!({"trim": true}));
    assert!(
        trim.holds("\" a b\\n\"", "\"a b\"") && !trim.holds("\"a  b\"", "\"a b\"") && !trim.holds("\"A\"", "\"a\"")
    );
    assert!(exact(&json!({"trim": true, "ignore_case": true})).holds("\"\\tYes \"", "\"yes\""));
}

#[test]
fn expected_stands_in_for_the_reference_and_may_be_null() {
    let judge = exact(&json!({"expected": {"a": [1]}}));
    assert!(truth(judge.judge(r#"{"a":[1.0]}"#, None)));
    assert!(!judge.holds("1", "1"));
    assert!(truth(exact(&json!({"expected": null})).judge("null", None)));
}

#[test]
fn a_missing_reference_is_an_error_and_not_a_score() {
    let result = exact(&json!({})).judge("\"the output\"", None);
    assert_error(result, ErrorKind::Permanent, "reference_missing", &["the output"]);
}

proptest! {
    #[test]
    fn a_value_equals_itself_with_other_whitespace_and_key_order(value in json_value()) {
        let judge = exact(&json!({}));
        let compact = value.to_string();
        prop_assert!(judge.holds(&compact, &serde_json::to_string_pretty(&value).expect("JSON")));
        prop_assert!(judge.holds(&compact, &reversed(&value)));
        prop_assert!(judge.holds(&compact, &compact));
    }

    #[test]
    fn equality_is_symmetric_and_agrees_with_serde_json(a in json_value(), b in json_value()) {
        let judge = exact(&json!({}));
        let (a_text, b_text) = (a.to_string(), b.to_string());
        let equal = judge.holds(&a_text, &b_text);
        prop_assert_eq!(equal, judge.holds(&b_text, &a_text));
        if a == b {
            prop_assert!(equal);
        }
    }

    #[test]
    fn a_change_anywhere_is_seen(value in json_value(), index in any::<prop::sample::Index>()) {
        let mut changed = value.clone();
        change(&mut changed, index);
        prop_assume!(changed != value);
        let judge = exact(&json!({}));
        prop_assert!(!judge.holds(&value.to_string(), &changed.to_string()));
    }
}

/// The value's text with the keys of every map in reverse.
fn reversed(value: &Value) -> String {
    match value {
        Value::Array(list) => format!("[{}]", list.iter().map(reversed).collect::<Vec<_>>().join(" ,")),
        Value::Object(map) => {
            let entry =
                |(key, value): (&String, &Value)| format!("{}:\t{}", Value::from(key.as_str()), reversed(value));
            format!("{{{}}}", map.iter().rev().map(entry).collect::<Vec<_>>().join(","))
        }
        scalar => scalar.to_string(),
    }
}

/// Changes one place in the value.
fn change(value: &mut Value, index: prop::sample::Index) {
    match value {
        Value::Array(list) if !list.is_empty() => {
            let at = index.index(list.len());
            change(&mut list[at], index);
        }
        Value::Object(map) if !map.is_empty() => {
            let at = index.index(map.len());
            change(map.values_mut().nth(at).expect("within the map"), index);
        }
        Value::Number(number) => *value = if number.as_i64() == Some(1) { json!(2) } else { json!(1) },
        Value::String(text) => text.push('x'),
        other => *other = json!("changed"),
    }
}
