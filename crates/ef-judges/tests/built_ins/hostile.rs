//! What nobody means well with.

use std::time::{Duration, Instant};

use serde_json::json;

use super::*;

/// One of each judge.
static ALL: LazyLock<Vec<(&'static str, Bench)>> = LazyLock::new(|| {
    [
        ("exact_match", json!({"trim": true, "ignore_case": true})),
        ("contains", json!({"ignore_case": true})),
        ("regex", json!({"pattern": "(a|aa)+$|(x+x+)+y", "full_match": true})),
        ("numeric_match", json!({"tolerance": 0.5, "relative_tolerance": 1e-3})),
        ("numeric_match", json!({"pattern": "([^\n]*)", "take": "first"})),
        ("json_schema", json!({"schema": {
            "anyOf": [{"type": "array", "items": {"$ref": "#"}}, {"type": ["null", "number"]}, {"pattern": "^(a|aa)+$"}]
        }})),
        ("identity", json!({"labels": ["a"]})),
    ]
    .into_iter()
    .map(|(name, config)| (name, Bench::new(name, &config)))
    .collect()
});

#[test]
fn large_and_nested_outputs_end_quickly() {
    let size = 1 << 16;
    let nested = format!("{}{}{}", "[".repeat(127), vec!["1"; size / 2].join(","), "]".repeat(127));
    let payloads = [
        Payload::from_text(&"a".repeat(size)),
        Payload::from_text(&"x".repeat(size)),
        Payload::from_text(&"1,".repeat(size / 2)),
        Payload::from_text(&"123,".repeat(size / 4)),
        Payload::from_text(&"-$.".repeat(size / 3)),
        Payload::from_text(&"9".repeat(size)),
        Payload::from_text(&"1e999999999999 ".repeat(size / 16)),
        Payload::from_text(&"\n".repeat(size)),
        Payload::from_text(&"[".repeat(size)),
        Payload::from_text(&"\"\\".repeat(size / 2)),
        Payload::parse(format!("0.{}1", "0".repeat(size))).expect("JSON"),
        Payload::parse(nested).expect("JSON"),
    ];
    for (name, judge) in &*ALL {
        for (at, output) in payloads.iter().enumerate() {
            let reference = payloads[(at + 1) % payloads.len()].clone();
            let begun = Instant::now();
            let _ = judge.judge_payloads(output.clone(), Some(reference));
            // The slowest takes a fiftieth of this in a debug build; what is quadratic takes ten times as long.
            assert!(begun.elapsed() < Duration::from_secs(5), "{name} took {:?} for payload {at}", begun.elapsed());
        }
    }
}

#[test]
fn numbers_a_world_apart_are_compared_without_writing_them_out() {
    let judge = Bench::new("numeric_match", &json!({"tolerance": 1, "relative_tolerance": 0.5}));
    for (output, reference, near) in [
        ("1e999999999", "1", false),
        ("1", "1e999999999", false),
        ("1e-999999999", "0.5", true),
        ("1e-999999999", "1.5", false),
        ("1e999999999", "1.2e999999999", true),
        ("1e999999999999999999", "1e999999999999999998", false),
        ("1e99999999999999999999999", "1", false),
        ("1e-9223372036854775808", "1", false),
        ("-1e999999999999999999", "1e-999999999999999999", false),
    ] {
        assert_eq!(judge.holds_of_text(output, reference), near, "{output} and {reference}");
    }
}

proptest! {
    #[test]
    fn no_payload_panics_any_judge(output in json_value(), reference in json_value()) {
        for (_, judge) in &*ALL {
            let _ = judge.judge(&output.to_string(), Some(&reference.to_string()));
        }
    }

    #[test]
    fn no_text_panics_any_judge(output in "[-+$−€.,0-9eE%é()\\[\\]{}:\" \\\\]{0,24}") {
        for (_, judge) in &*ALL {
            let _ = judge.judge_payloads(Payload::from_text(&output), Some(Payload::from_text("1")));
        }
    }
}
