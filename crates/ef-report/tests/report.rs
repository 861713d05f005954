//! What people see of a run, as snapshots, and what they must never see.

mod sample;

use std::collections::BTreeMap;

use ef_model::{Digest, IntervalMethod, RunHead, RunResult, RunStatus, RunSummary, RunUsage, StoredRecord, Usage};
use ef_report::{Style, TraceLines, json, metric_detail, record_detail, runs_table, summary, unfinished};
use insta::assert_snapshot;
use proptest::prelude::*;

const PLAIN: Style = Style { color: false, width: None };
const NARROW: Style = Style { color: false, width: Some(60) };
const COLOR: Style = Style { color: true, width: Some(100) };

fn known(result: RunResult) -> RunSummary {
    RunSummary { head: result.head.clone(), status: result.status, result: Some(result) }
}

fn runs() -> Vec<RunSummary> {
    let mut going_on = known(sample::completed());
    (going_on.status, going_on.result) = (RunStatus::Running, None);
    vec![going_on, known(sample::troubled()), known(sample::aborted()), known(sample::completed())]
}

fn lines(records: &[StoredRecord], style: Style) -> String {
    let lines = TraceLines::new(&sample::head(), style);
    records.iter().fold(lines.header(), |text, record| text + &lines.line(record))
}

#[test]
fn a_completed_run_fits_on_one_screen() {
    assert_snapshot!(summary(&sample::completed(), PLAIN));
}

#[test]
fn errors_and_unscored_stand_beside_the_metric_and_not_in_it() {
    assert_snapshot!(summary(&sample::troubled(), PLAIN));
}

#[test]
fn a_narrow_terminal_breaks_no_name_and_no_number() {
    assert_snapshot!(summary(&sample::troubled(), NARROW));
}

#[test]
fn an_aborted_run_says_why_and_that_it_has_no_metrics() {
    assert_snapshot!(summary(&sample::aborted(), NARROW));
}

#[test]
fn a_run_without_an_end_says_so() {
    assert_snapshot!(unfinished(&runs()[0], PLAIN));
}

#[test]
fn a_run_that_waits_for_people_says_so() {
    let mut waiting = RunResult { status: RunStatus::Awaiting, abort_reason: None, ..sample::aborted() };
    waiting.counts.pending = 1_204;
    assert_snapshot!(summary(&waiting, PLAIN));
}

#[test]
fn what_a_run_cost_is_told_in_all_and_by_component() {
    let used = |cost_usd, input_tokens, output_tokens| Usage { cost_usd, input_tokens, output_tokens };
    let usage = |evaluator, style| RunUsage {
        evaluator,
        judges: BTreeMap::from([("style".to_owned(), style)]),
        unrecorded_usd: None,
    };
    let all = used(Some(1234.5), Some(2_400_000), Some(81_300));
    let usages = [
        usage(all, used(Some(0.0312), Some(91_000), Some(1_319))),
        // A judge without a price, and tasks that were cut off.
        RunUsage { unrecorded_usd: Some(0.5), ..usage(all, used(None, Some(91_000), None)) },
        usage(Usage::UNKNOWN, Usage::cost(0.0)),
        RunUsage { unrecorded_usd: Some(0.25), ..RunUsage::default() },
        RunUsage { evaluator: used(None, None, Some(7)), ..RunUsage::default() },
    ];
    let told = usages.map(|usage| summary(&RunResult { usage, ..sample::completed() }, PLAIN));
    let is_about_usage = |line: &&str| line.starts_with("cost") || line.starts_with("tokens");
    let lines: Vec<_> =
        told.iter().map(|told| told.lines().filter(is_about_usage).collect::<Vec<_>>().join("\n")).collect();
    assert_snapshot!(lines.join("\n\n"));
}

#[test]
fn colour_comes_only_when_asked_for() {
    assert_snapshot!(summary(&sample::troubled(), COLOR).replace('\u{1b}', "ESC"));
    for style in [PLAIN, NARROW] {
        assert!(!summary(&sample::troubled(), style).contains('\u{1b}'));
        assert!(!lines(&sample::records(), style).contains('\u{1b}'));
        assert!(!record_detail(&sample::records()[1], None, style).contains('\u{1b}'));
    }
}

#[test]
fn runs_are_listed_a_line_each() {
    assert_snapshot!(runs_table(&runs(), PLAIN));
}

#[test]
fn a_narrow_list_of_runs_keeps_the_ids_whole() {
    let table = runs_table(&runs(), Style { width: Some(100), ..PLAIN });
    assert_eq!(table.matches("019ab7c2-51f0-7cc3-98c4-dc0c0c07398f").count(), 4, "{table}");
    assert_snapshot!(table);
}

#[test]
fn no_runs_is_said_in_words() {
    assert_eq!(runs_table(&[], PLAIN), "no runs\n");
}

#[test]
fn a_metric_is_explained_in_words() {
    let details: Vec<_> = sample::troubled().metrics.iter().map(|metric| metric_detail(metric, PLAIN)).collect();
    assert_snapshot!(details.join("\n"));
}

#[test]
fn each_way_of_making_an_interval_has_its_words() {
    let mut metric = sample::metric("accuracy", 0.5);
    for (method, words) in [
        (IntervalMethod::Wilson, "Wilson"),
        (IntervalMethod::StudentT, "Student's t"),
        (IntervalMethod::Bootstrap, "bootstrap"),
    ] {
        metric.ci_method = Some(method);
        assert!(metric_detail(&metric, PLAIN).contains(words), "{words}");
    }
}

#[test]
fn records_stream_as_lines_of_fixed_columns() {
    assert_snapshot!(lines(&sample::records(), PLAIN));
}

#[test]
fn narrow_lines_shorten_the_item_first() {
    assert_snapshot!(lines(&sample::records(), NARROW));
}

#[test]
fn lines_of_four_judges_fit_the_classic_terminal() {
    for judges in 0..=4 {
        let names = ["numeric_match", "style", "a_judge_of_a_long_name", "d"];
        let judges = names.into_iter().take(judges).map(sample::judge).collect();
        let head = RunHead { judges, ..sample::head() };
        for width in [80, 100, 120] {
            let lines = TraceLines::new(&head, Style { width: Some(width), ..PLAIN });
            let header = lines.header();
            assert!(header.trim_end().chars().count() <= usize::from(width), "{width}: {header}");
            for record in sample::records() {
                let line = lines.line(&record);
                assert!(line.trim_end().chars().count() <= usize::from(width), "{width}: {line}");
            }
        }
    }
}

#[test]
fn a_record_shows_digests_and_no_payload() {
    let details: Vec<_> = sample::records().iter().map(|record| record_detail(record, None, PLAIN)).collect();
    assert_snapshot!(details.join("\n==========\n\n"));
}

#[test]
fn payloads_that_were_asked_for_stand_under_their_headings() {
    let record = &sample::records()[0];
    let input = ("\"a question\"", r#""How many\n  eggs?\u001b[2J\n""#);
    let payloads = BTreeMap::from([(Digest::of(input.0.as_bytes()), input.1.to_owned())]);
    assert_snapshot!(record_detail(record, Some(&payloads), NARROW));
}

#[test]
fn a_payload_that_is_no_text_is_shown_byte_for_byte() {
    let record = &sample::records()[0];
    let number = "{ \"exact\" : 1.00000000000000000001 }";
    let payloads = BTreeMap::from([(Digest::of(b"\"an answer\""), number.to_owned())]);
    assert!(record_detail(record, Some(&payloads), PLAIN).contains(number));
}

#[test]
fn the_artifact_is_the_whole_result() {
    for result in [sample::completed(), sample::troubled(), sample::aborted()] {
        let text = json(&result);
        assert!(text.ends_with("}\n"));
        assert_eq!(serde_json::from_str::<RunResult>(&text).expect("the artifact reads back"), result);
    }
    assert_snapshot!(json(&sample::aborted()));
}

#[test]
fn hostile_texts_are_shown_and_do_nothing() {
    let mut result = sample::troubled();
    result.head.spec_id = sample::HOSTILE.to_owned();
    result.abort_reason = Some(sample::HOSTILE.to_owned());
    result.metrics[0].name = sample::HOSTILE.to_owned();
    result.metrics[0].from = Some(sample::HOSTILE.to_owned());
    result.metrics[0].aggregator = sample::HOSTILE.to_owned();
    let payloads = BTreeMap::from([
        (Digest::of(b"\"a question\""), serde_json::json!(sample::HOSTILE).to_string()),
        (Digest::of(b"\"an answer\""), format!("[\n\"{}\"]", sample::HOSTILE)),
    ]);
    let shown = [
        summary(&result, PLAIN),
        metric_detail(&result.metrics[0], PLAIN),
        lines(&[sample::hostile()], PLAIN),
        record_detail(&sample::hostile(), Some(&payloads), PLAIN),
        runs_table(&[known(result)], PLAIN),
    ]
    .join("\n");
    let reaches =
        shown.chars().find(|&char| char != '\n' && char.is_control() || "\u{202e}\u{2028}\u{feff}".contains(char));
    assert_eq!(reaches, None);
    assert_snapshot!(shown);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_width_breaks_a_report(width in 0_u16..200, color: bool) {
        let style = Style { color, width: Some(width) };
        let mut shown = summary(&sample::troubled(), style) + &runs_table(&runs(), style);
        shown += &lines(&sample::records(), style);
        for record in sample::records() {
            shown += &record_detail(&record, None, style);
        }
        prop_assert!(shown.ends_with('\n'));
        prop_assert!(shown.lines().all(|line| !line.ends_with(' ')), "{}", shown);
    }
}
