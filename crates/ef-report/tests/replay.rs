//! What people see of judgments that were made again, tried, or reused.

#[allow(dead_code, reason = "each file of tests uses a part of the samples")]
mod sample;

use ef_metrics::replay::{
    ContractVerdict, DriftedItem, JudgeDrift, JudgeTrial, NotCompared, OutputDrift, ReplayDrift, Said, TrialReport,
};
use ef_model::{
    Counts, Determinism, ItemId, JudgmentResult, RunHead, RunId, RunPurpose, RunResult, RunSource, Score, Usage,
};
use ef_report::{Style, judge_trial, judge_trial_json, record_detail, replay, replay_json, summary};
use insta::assert_snapshot;
use serde_json::json;

const PLAIN: Style = Style { color: false, width: None };
const TERMINAL: Style = Style { color: false, width: Some(80) };
const COLOR: Style = Style { color: true, width: Some(100) };

fn replayed(purpose: RunPurpose) -> RunHead {
    let source = sample::head();
    RunHead {
        run_id: RunId::new("0199a2b3-replay").expect("an id"),
        source: Some(RunSource { run_id: source.run_id.clone(), purpose }),
        ..source
    }
}

fn judge(name: &str, determinism: Determinism, compared: u64, drifted: u64, verdict: ContractVerdict) -> JudgeDrift {
    JudgeDrift {
        judge: name.to_owned(),
        determinism,
        compared,
        drifted,
        rate: (compared > 0).then(|| drifted as f64 / compared as f64),
        tolerance: ef_metrics::replay::tolerance(determinism),
        ks_statistic: None,
        ks_p_value: None,
        not_compared: NotCompared::default(),
        verdict,
    }
}

fn drift() -> ReplayDrift {
    let score = |value: serde_json::Value| serde_json::from_value::<Score>(value).expect("a score");
    let item = |id: &str, row, repeat, source, replay| DriftedItem {
        judge: "exact".to_owned(),
        item_id: ItemId::new(id).expect("an id"),
        row,
        repeat,
        source,
        replay,
        same_rationale: row == 4,
    };
    let mut tone = judge("tone", Determinism::Stochastic, 1_300, 840, ContractVerdict::NoContract);
    (tone.ks_statistic, tone.ks_p_value) = (Some(0.118_2), Some(0.000_031_4));
    let mut seeded = judge("seeded", Determinism::SamplingDeterministic, 1_290, 7, ContractVerdict::Kept);
    seeded.not_compared = NotCompared { error_in_source: 2, error_in_replay: 8, error_in_both: 1, other_output: 18 };
    ReplayDrift {
        outputs: OutputDrift { same: 1_301, other: 17, only_source: 1, only_replay: 0, neither: 3 },
        judges: vec![
            judge("exact", Determinism::Deterministic, 1_301, 3, ContractVerdict::Broken),
            seeded,
            tone,
            judge("silent", Determinism::Deterministic, 0, 0, ContractVerdict::NothingCompared),
        ],
        items: vec![
            item("dev:4", 4, 0, Said::Scored { score: true.into() }, Said::Scored { score: false.into() }),
            item(
                "dev:9\u{202e}",
                9,
                1,
                Said::Scored {
                    score: score(json!({"score": 0.5, "tone": "a\u{1b}[31mred\u{7f} tone with very many words"})),
                },
                Said::Unscored,
            ),
        ],
    }
}

#[test]
fn a_replay_says_what_has_to_be_known_before_any_number() {
    let notes = ["the judge exact is not the one of the source: it was a\u{1b}[2J".to_owned()];
    let text = replay(&sample::head(), &replayed(RunPurpose::ReplayAll), &notes, &drift(), PLAIN);
    assert_snapshot!(text);
    assert!(!text.contains('\u{1b}'));
    let json = replay_json(&sample::head(), &replayed(RunPurpose::ReplayAll), &notes, &drift());
    let value: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&value["broken"], &value["judges"][2]["ks_p_value"]), (&true.into(), &json!(0.000_031_4)));
    assert_eq!(value["items"][1]["replay"], json!({"status": "unscored"}));
}

#[test]
fn a_replay_fits_a_terminal_and_is_coloured_on_request_alone() {
    let seen = |style| replay(&sample::head(), &replayed(RunPurpose::ReplayJudges), &[], &drift(), style);
    assert_snapshot!(seen(TERMINAL));
    assert!(seen(COLOR).contains("\u{1b}[31mBROKEN"));
}

#[test]
fn a_trial_says_what_it_found_and_when_it_found_nothing() {
    let scored = |number| JudgmentResult::Scored { score: Score::number(number).expect("finite"), rationale: None };
    let report = |determinism, second: f64| {
        let mut trial = JudgeTrial::new(determinism);
        trial.observe(&[scored(1.0), scored(second)]);
        TrialReport {
            judge: "tone\u{202e}".to_owned(),
            times: 2,
            rows: 3,
            skipped: 1,
            without_output: 1,
            variance: trial.finish(),
            varied_items: if second > 1.0 { vec![ItemId::new("dev:1").expect("an id")] } else { Vec::new() },
        }
    };
    let cases = [
        report(Determinism::Deterministic, 2.0),
        report(Determinism::SamplingDeterministic, 1.0),
        report(Determinism::Stochastic, 1.0),
        report(Determinism::Stochastic, 3.0),
    ];
    let text: Vec<_> = cases.iter().map(|report| judge_trial(report, TERMINAL)).collect();
    assert_snapshot!(text.join("\n"));
    let value: serde_json::Value = serde_json::from_str(&judge_trial_json(&cases[0])).expect("JSON");
    assert_eq!((&value["verdict"], &value["varied_items"]), (&"broken".into(), &json!(["dev:1"])));
}

#[test]
fn a_run_says_how_many_judgments_were_reused_and_a_judgment_whose_it_is() {
    let counts = Counts { reused: 1_200, ..sample::completed().counts };
    let result = RunResult { counts, head: replayed(RunPurpose::Retry), ..sample::completed() };
    let mut judgment = sample::judgment("exact", JudgmentResult::Scored { score: true.into(), rationale: None });
    judgment.usage = Usage::cost(0.0);
    (judgment.reused_from, judgment.attempts) = (Some(RunId::new("0199a2b3-first").expect("an id")), 0);
    let record = record_detail(&sample::stored("dev:1", 1, sample::ok(), vec![judgment]), None, PLAIN);
    let (_, judged) = record.split_once("judgment by").expect("there is a judgment");
    assert_snapshot!(format!("{}\njudgment by{judged}", summary(&result, PLAIN)));
}
