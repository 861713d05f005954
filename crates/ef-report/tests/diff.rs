//! What people see of a comparison, as snapshots.

use ef_metrics::diff::{
    Change, Changes, DeltaMethod, Flip, FlipKind, JudgeCounts, MetricDelta, Outcome, PairCounts, Pairing, Part,
    PartChanges, Scores, Sides, Subject,
};
use ef_model::{Finite, ItemId, RunId, RunStatus, Scalar};
use ef_report::{Style, diff, diff_json};
use insta::assert_snapshot;
use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr;

const PLAIN: Style = Style { color: false, width: None };
const TERMINAL: Style = Style { color: false, width: Some(80) };

fn subject(id: &str, version: &str, status: RunStatus) -> Subject {
    Subject {
        run_id: RunId::new(id).expect("an id"),
        spec_id: "support/answers".to_owned(),
        spec_version: version.to_owned(),
        status,
    }
}

fn change(field: &str, baseline: Value, run: Value) -> Change {
    let some = |value: Value| Some(value).filter(|value| !value.is_null());
    Change { field: field.to_owned(), baseline: some(baseline), run: some(run) }
}

fn changes() -> Changes {
    let prompt = |end: &str| format!("You are a helpful assistant who never makes anything up. Answer in {end}.");
    let fields = [
        vec![
            change("/judges/0/config/prompt", prompt("one word").into(), prompt("one sentence").into()),
            change("/runtime/seed", 42.into(), 43.into()),
            change("/scoring/metrics/1", Value::Null, json!({"name": "tone", "from": "style.tone"})),
        ],
        vec![change("path", "monday.jsonl".into(), "tuesday.jsonl".into())],
        vec![],
        vec![change("right.config", "ab".repeat(32).into(), "cd".repeat(32).into())],
        vec![],
    ];
    Changes {
        run: subject("019ab7c2-51f0-7cc3-98c4-dc0c0c07398f", "1.1.0", RunStatus::Completed),
        baseline: subject("019ab7c1-0000-7cc3-98c4-dc0c0c07398f", "1.0.0", RunStatus::Aborted),
        notes: vec![
            "the judge right is not the same in both runs: numbers may have moved because the judge did, not what was \
             judged"
                .to_owned(),
            "the baseline is aborted, not completed: only what it has so far is compared".to_owned(),
        ],
        judges_that_differ: vec!["right".to_owned()],
        parts: Part::ALL.into_iter().zip(fields).map(|(part, fields)| PartChanges { part, fields }).collect(),
    }
}

fn scored(score: Scalar) -> Outcome {
    Outcome::Scored { score }
}

fn number(value: f64) -> Outcome {
    scored(Scalar::Number(Finite::new(value).expect("finite")))
}

fn flip(kind: FlipKind, item: &str, judge: (&str, Option<&str>), baseline: Outcome, run: Outcome) -> Flip {
    Flip {
        kind,
        item_id: ItemId::new(item).expect("an id"),
        row: 17,
        repeat: u32::from(kind == FlipKind::Improved),
        judge: judge.0.to_owned(),
        key: judge.1.map(str::to_owned),
        baseline,
        run,
        same_output: (kind != FlipKind::NotComparable).then_some(kind == FlipKind::Worsened),
    }
}

fn scores() -> Scores {
    let right = JudgeCounts {
        judge: "right".to_owned(),
        improved: 31,
        worsened: 12,
        unchanged: 1_270,
        error: Sides { run: 4, baseline: 1, both: 0 },
        moved_with_same_output: 9,
        ..JudgeCounts::default()
    };
    let tone = JudgeCounts {
        judge: "style".to_owned(),
        key: Some("tone".to_owned()),
        changed: 2,
        unchanged: 1_313,
        unscored: Sides { run: 0, baseline: 0, both: 3 },
        ..JudgeCounts::default()
    };
    let accuracy = MetricDelta {
        name: "accuracy".to_owned(),
        aggregator: "mean".to_owned(),
        from: Some("right".to_owned()),
        baseline: Some(0.5625),
        run: Some(0.577),
        delta: Some(0.0145),
        standard_error: Some(0.005),
        ci_low: Some(0.0047),
        ci_high: Some(0.0248),
        ci_method: Some(DeltaMethod::Newcombe),
        p_value: Some(0.0053),
        n: Some(1_313),
        units: Some(1_313),
    };
    let answered = MetricDelta {
        name: "answered".to_owned(),
        aggregator: "count".to_owned(),
        baseline: None,
        run: Some(1_322.0),
        delta: None,
        standard_error: None,
        ci_low: None,
        ci_high: None,
        ci_method: None,
        p_value: None,
        n: None,
        units: None,
        ..accuracy.clone()
    };
    let truth = |value| scored(Scalar::Bool(value));
    let label = |text: &str| scored(Scalar::Label(text.to_owned()));
    let hostile = "dev\u{202e}:7\u{feff}";
    let flips = vec![
        flip(FlipKind::Worsened, "dev:412", ("right", None), truth(true), truth(false)),
        flip(FlipKind::NotComparable, "dev:9", ("right", None), number(0.123_456_78), Outcome::Error),
        flip(FlipKind::Changed, hostile, ("style", Some("tone")), label("kind"), label("\u{1b}[2Jrude")),
        flip(FlipKind::Improved, "dev:1", ("right", None), number(0.25), number(1.0)),
    ];
    Scores {
        pairing: Pairing::ItemMean,
        pairs: PairCounts { paired: 1_318, appeared: 4, vanished: 0, other_content: 2 },
        judges: vec![right, tone],
        metrics: vec![accuracy, answered],
        flips: Some(flips),
    }
}

#[test]
fn a_comparison_says_that_the_judge_differs_before_any_number() {
    let text = diff(&changes(), &scores(), PLAIN);
    assert_snapshot!(text);
    assert!(text.find("numbers may have moved") < text.find("1,318"));
}

#[test]
fn a_comparison_fits_into_eighty_columns() {
    let text = diff(&changes(), &scores(), TERMINAL);
    assert_snapshot!(text);
    assert!(text.lines().all(|line| line.width() <= 80), "{text}");
}

#[test]
fn a_comparison_without_flips_or_judges_says_so() {
    let mut scores = scores();
    scores.judges.clear();
    scores.metrics.clear();
    scores.flips = Some(Vec::new());
    let text = diff(&Changes { notes: Vec::new(), ..changes() }, &scores, PLAIN);
    assert!(text.contains("no judge is in both runs") && text.contains("no flips"), "{text}");
    scores.metrics = self::scores().metrics;
    scores.metrics[0].p_value = Some(0.0);
    assert!(diff(&changes(), &scores, PLAIN).contains("  < 1e-300  "));
    scores.flips = None;
    assert!(!diff(&changes(), &scores, PLAIN).contains("flip"));
}

#[test]
fn a_long_list_of_changes_is_cut_and_says_so() {
    let mut changes = changes();
    changes.parts[0].fields = (0..100).map(|index| change(&format!("/a/{index}"), 1.into(), 2.into())).collect();
    let text = diff(&changes, &scores(), PLAIN);
    assert!(text.contains("/a/29 ") && !text.contains("/a/30 ") && text.contains("and 70 more"), "{text}");
    assert!(diff_json(&changes, &scores()).contains("/a/99"));
}

#[test]
fn colour_comes_only_when_asked_for_and_hostile_texts_do_nothing() {
    let mut hostile = changes();
    hostile.run.spec_id = "x\u{1b}[2J\u{202e}".to_owned();
    hostile.parts[1].fields.push(change("\u{1b}", "\u{9b}1A".into(), json!({"\u{2028}": "\u{feff}"})));
    let is_quiet = |text: &str| !text.chars().any(|c| c.is_control() && c != '\n');
    for width in [None, Some(80), Some(40)] {
        assert!(is_quiet(&diff(&hostile, &scores(), Style { color: false, width })));
    }
    assert!(diff(&changes(), &scores(), Style { color: true, width: None }).contains("\u{1b}[1m"));
}

#[test]
fn the_json_has_everything_and_notes_before_numbers() {
    assert_snapshot!(diff_json(&changes(), &scores()));
}
