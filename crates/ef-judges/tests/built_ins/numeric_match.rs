//! `eval_fabric.numeric_match`.

use serde_json::json;

use super::*;

fn numeric(config: &Value) -> Bench {
    Bench::new("numeric_match", config)
}

#[test]
fn equal_numbers_match_however_they_are_written() {
    let judge = numeric(&json!({}));
    for text in [
        "18",
        "18.0",
        "18.",
        "18.00",
        "+18",
        "1.8e1",
        "$18",
        "18%",
        "18 dollars",
        "It is 18.",
        "**18**",
        "\\boxed{18}",
        "x=18",
        "7, then 18",
        "018",
        "5-18",
        "(18)",
        "1800E-2",
        "#18",
        "€18.00.",
        "20 - $18",
        "1,18",
    ] {
        assert!(judge.holds_of_text(text, "18"), "{text}");
    }
    for text in ["19", "-18", "- -18", "−18", "-$18", "$-18", "18.01", "18 of 20", "181", "1.8", "", "eighteen"] {
        assert!(!judge.holds_of_text(text, "18"), "{text}");
    }
    assert!(judge.holds("18", "\"18\"") && judge.holds("[3, 18]", "18.0"), "any JSON has a text");
}

#[test]
fn commas_separate_thousands_only_where_they_can() {
    let judge = numeric(&json!({}));
    for (text, number) in [
        ("1,234,567", "1234567"),
        ("1,234.5", "1234.5"),
        ("12,345", "12345"),
        ("1,2", "2"),
        ("1234,567", "567"),
        ("1,2345", "2345"),
        ("0,123", "123"),
        ("1,234,56", "56"),
        (".5", "0.5"),
        ("-.5", "-0.5"),
        ("1.5.", "1.5"),
        ("a.b 3", "3"),
        ("-1,234.5e6", "-1234500000"),
        ("2e", "2"),
        ("3e+", "3"),
        ("16-3", "3"),
        ("x -3", "-3"),
    ] {
        assert!(judge.holds_of_text(text, number), "{text}");
    }
    let first = numeric(&json!({"take": "first"}));
    assert!(first.holds_of_text("1,2 and 3", "1") && first.holds_of_text("1,234,56", "1234"));
}

#[test]
fn numbers_beyond_a_doubles_precision_are_told_apart() {
    let judge = numeric(&json!({}));
    assert!(!judge.holds_of_text("9007199254740993", "9007199254740992"));
    assert!(!judge.holds_of_text("0.10000000000000000001", "0.1"));
    assert!(judge.holds_of_text("123456789012345678901234567890.50", "123,456,789,012,345,678,901,234,567,890.5"));
}

#[test]
fn a_pattern_selects_the_part_that_holds_the_number() {
    let judge = numeric(&json!({"pattern": "A:(.*)"}));
    assert!(judge.holds_of_text("A: 5\nNo.\nA: $1,200 (for 3 days: 18)\n 7", "A:18"));
    assert!(!judge.holds_of_text("18\nA: none", "A: 18"), "what is not selected does not count");
    assert!(!judge.holds_of_text("18", "A: 18"));
    assert!(numeric(&json!({"pattern": "A:.*", "take": "first"})).holds_of_text("A: 1 of 2\nA: 3", "A: 1"));
    let groups = numeric(&json!({"pattern": "A:(.*)|#### (.*)", "reference_pattern": "= (.*)"}));
    assert!(groups.holds_of_text("#### 4", "5 = 4") && groups.holds_of_text("A: 4", "5 = 4"));
}

#[test]
fn a_tolerance_is_held_to_exactly() {
    let near = numeric(&json!({"tolerance": 0.1}));
    assert!(
        near.holds_of_text("0.4", "0.3") && near.holds_of_text("0.2", "0.3") && near.holds_of_text("-0.05", "0.05")
    );
    assert!(!near.holds_of_text("0.4000000000000000001", "0.3") && !near.holds_of_text("-0.3", "0.3"));
    let share = numeric(&json!({"relative_tolerance": 0.01}));
    assert!(
        share.holds_of_text("101", "100") && share.holds_of_text("-99", "-100") && !share.holds_of_text("101.1", "100")
    );
    assert!(!share.holds_of_text("0.001", "0") && share.holds_of_text("0", "0.0"));
    let either = numeric(&json!({"tolerance": 1, "relative_tolerance": 0.1}));
    assert!(
        either.holds_of_text("2", "1") && either.holds_of_text("110", "100") && !either.holds_of_text("112", "100")
    );
}

#[test]
fn expected_stands_in_for_the_reference() {
    let judge = numeric(&json!({"expected": 9_007_199_254_740_993_u64}));
    assert!(truth(judge.judge("9007199254740993", None)) && !truth(judge.judge("9007199254740992", None)));
    assert!(truth(numeric(&json!({"expected": -0.5})).judge("\"-1/2 = -.5\"", None)));
}

#[test]
fn no_number_in_the_output_is_a_bad_score_and_none_in_the_reference_an_error() {
    let judge = numeric(&json!({"pattern": "A:(.*)"}));
    assert!(!judge.holds_of_text("A: I cannot say", "A: 1"));
    for reference in ["\"secret 5\"", "\"A: secret\"", "[]", "\"\""] {
        let result = judge.judge("\"A: 5 secret\"", Some(reference));
        assert_error(result, ErrorKind::Permanent, "reference_without_number", &["secret"]);
    }
    assert_error(judge.judge("\"A: 5\"", None), ErrorKind::Permanent, "reference_missing", &[]);
}

#[test]
fn gsm8k_is_judged_to_the_item_as_its_authors_did() {
    let Some(path) = ef_testkit::public_data("gsm8k/model_solutions.jsonl") else { return };
    let text = std::fs::read_to_string(path).expect("a text");
    let judge = numeric(&json!({"pattern": "A:(.*)"}));
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    for (system, correct) in
        [("6b_finetuning", 286), ("6b_verification", 515), ("175b_finetuning", 458), ("175b_verification", 742)]
    {
        let mut count = 0;
        for (at, row) in rows.iter().enumerate() {
            let output = Payload::from_value(&row[system]["solution"]);
            let holds = truth(judge.judge_payloads(output, Some(Payload::from_value(&row["ground_truth"]))));
            assert_eq!(Some(holds), row[system]["is_correct"].as_bool(), "{system}, row {}", at + 1);
            count += u32::from(holds);
        }
        assert_eq!((count, rows.len()), (correct, 1319), "{system}");
    }
}

proptest! {
    #[test]
    fn a_number_is_found_again_however_it_was_formatted(
        whole in 0..=u64::MAX, fraction in "[0-9]{0,6}", negative in any::<bool>(), separated in any::<bool>(),
        currency in prop::sample::select(vec!["", "$", "€"]),
        before in prop::sample::select(vec!["", "so ", "= ", "7 and ", "A: ", "(", "**", "é"]),
        after in prop::sample::select(vec!["", ".", "%", " dollars", ")", "**", "\n", ",", "!"]),
    ) {
        let negative = negative && before != "é";
        let sign = if negative { "-" } else { "" };
        let point = if fraction.is_empty() { "" } else { "." };
        let digits = whole.to_string();
        let shown = if separated { with_separators(&digits) } else { digits.clone() };
        let text = format!("{before}{sign}{currency}{shown}{point}{fraction}{after}");
        let plain = format!("{sign}{digits}{point}{fraction}");
        let judge = numeric(&json!({}));
        prop_assert!(judge.holds_of_text(&text, &plain), "{}", text);
        let next = format!("{sign}{digits}.{fraction}1");
        prop_assert!(!judge.holds_of_text(&text, &next), "{} is not {}", text, next);
    }

    #[test]
    fn a_distance_of_integers_is_theirs(a in -1_000_000_i64..1_000_000, b in -1_000_000_i64..1_000_000, t in 0..2_000_000_u32, scale in -30..30_i32) {
        let expected = a.abs_diff(b) <= u64::from(t);
        let judge = numeric(&json!({"tolerance": t}));
        prop_assert_eq!(judge.holds_of_text(&format!("{a}"), &format!("{b}")), expected);
        let tolerance: f64 = format!("{t}e{scale}").parse().expect("a double");
        let scaled = numeric(&json!({"tolerance": tolerance}));
        prop_assert_eq!(scaled.holds_of_text(&format!("{a}e{scale}"), &format!("{b}e{scale}")), expected);
    }

    #[test]
    fn a_share_of_an_integer_is_exact(b in 1_i64..1_000_000, percent in 0..200_u32, beyond in any::<bool>()) {
        // b + b·p/100, and a billionth beyond it.
        let hundredths = i128::from(b) * i128::from(100 + percent);
        let more = if beyond { "000001" } else { "" };
        let text = format!("{}.{:02}{more}", hundredths / 100, hundredths % 100);
        let judge = numeric(&json!({"relative_tolerance": f64::from(percent) / 100.0}));
        prop_assert_eq!(judge.holds_of_text(&text, &b.to_string()), !beyond, "{}", text);
    }
}

fn with_separators(digits: &str) -> String {
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
