//! Runs and records to report on.

use std::collections::BTreeMap;
use std::sync::Arc;

use ef_model::{
    ComponentId, Counts, DatasetRef, Determinism, Digest, ErrorKind, ErrorRecord, Finite, Identity, IntervalMethod,
    ItemId, JudgeIdentity, Judgment, JudgmentResult, Metric, RowFault, RowFaultKind, RunHead, RunId, RunResult,
    RunStatus, RunUsage, Scalar, Score, StoredRecord, TaskRecord, Trace, TraceOutcome, Usage,
};

/// 2026-11-22 13:05:09 UTC.
pub(crate) const BEGAN: i64 = 1_795_352_709_000_000;

pub(crate) fn head() -> RunHead {
    let spec = serde_json::json!({"id": "gsm8k/175b_verification", "version": "1.0.0"});
    RunHead {
        run_id: RunId::new("019ab7c2-51f0-7cc3-98c4-dc0c0c07398f").expect("an id"),
        started_at_us: BEGAN,
        ef_version: "0.1.0".to_owned(),
        spec_id: "gsm8k/175b_verification".to_owned(),
        spec_version: "1.0.0".to_owned(),
        spec_digest: ef_model::canonical::digest(&spec),
        spec,
        dataset: DatasetRef {
            path: "model_solutions.jsonl".to_owned(),
            format: "jsonl".to_owned(),
            fields: BTreeMap::new(),
        },
        evaluator: Arc::new(evaluator()),
        judges: vec![judge("numeric_match"), judge("style")],
        source: None,
    }
}

pub(crate) fn evaluator() -> Identity {
    Identity::builtin("eval_fabric.recorded", "1", "ef-evaluators", "0.1.0")
}

pub(crate) fn judge(name: &str) -> Arc<JudgeIdentity> {
    Arc::new(JudgeIdentity {
        name: name.to_owned(),
        identity: Identity {
            id: ComponentId::new("eval_fabric.numeric_match").expect("an id"),
            version: "1".to_owned(),
            source: "builtin".to_owned(),
            digest: Digest::of(name.as_bytes()),
        },
        determinism: Determinism::Deterministic,
        config_digest: Digest::of(b"{}"),
    })
}

pub(crate) fn metric(name: &str, value: f64) -> Metric {
    Metric {
        name: name.to_owned(),
        aggregator: "mean".to_owned(),
        from: Some("numeric_match".to_owned()),
        value: Some(value),
        standard_error: Some(0.013_661),
        ci_low: Some(value - 0.026_9),
        ci_high: Some(value + 0.026_6),
        ci_method: Some(IntervalMethod::Wilson),
        p_value: None,
        n: 1_319,
        n_error: 0,
        n_unscored: 0,
    }
}

pub(crate) fn completed() -> RunResult {
    RunResult {
        format_version: RunResult::FORMAT_VERSION,
        head: head(),
        status: RunStatus::Completed,
        abort_reason: None,
        finished_at_us: BEGAN + 103_400,
        dataset_digest: Some(Digest::of(b"dataset")),
        counts: Counts { ok: 1_319, scored: 1_319, ..Counts::default() },
        usage: RunUsage::default(),
        metrics: vec![metric("accuracy", 0.562_547_4)],
        records_root: Some(Digest::of(b"records")),
        root_digest: Some(Digest::of(b"root")),
    }
}

/// A run of everything that a metric table can show: failures, a count, a test, a metric without data.
pub(crate) fn troubled() -> RunResult {
    let mut accuracy = metric("accuracy", 0.021_683);
    (accuracy.n, accuracy.n_error, accuracy.n_unscored) = (1_204, 102, 13);
    let mut answers = metric("answers_with_a_score", 2_408.0);
    answers.aggregator = "count".to_owned();
    (answers.from, answers.standard_error, answers.ci_low, answers.ci_high) = (None, None, None, None);
    answers.ci_method = None;
    let mut drift = answers.clone();
    drift.name = "drift".to_owned();
    drift.aggregator = "ks_test".to_owned();
    (drift.value, drift.p_value) = (Some(0.118_2), Some(0.000_031_4));
    let mut nothing = drift.clone();
    nothing.name = "politeness".to_owned();
    (nothing.value, nothing.p_value, nothing.n, nothing.n_error) = (None, None, 0, 1_319);
    RunResult {
        counts: Counts {
            ok: 1_204,
            error: 97,
            timeout: 5,
            skipped: 13,
            scored: 2_395,
            unscored: 8,
            judge_error: 5,
            ..Counts::default()
        },
        metrics: vec![accuracy, answers, drift, nothing],
        finished_at_us: BEGAN + 754_000_000,
        ..completed()
    }
}

pub(crate) fn aborted() -> RunResult {
    RunResult {
        status: RunStatus::Aborted,
        abort_reason: Some("item dev:412 failed (http_401: the model refused the key) and on_failure is abort".into()),
        counts: Counts { ok: 411, error: 1, scored: 411, ..Counts::default() },
        finished_at_us: BEGAN + 2_103_000,
        metrics: Vec::new(),
        dataset_digest: None,
        records_root: None,
        root_digest: None,
        ..completed()
    }
}

pub(crate) fn stored(item_id: &str, row: u64, outcome: TraceOutcome, judgments: Vec<Judgment>) -> StoredRecord {
    let skipped = matches!(outcome, TraceOutcome::Skipped { .. });
    let record = TaskRecord {
        item_id: ItemId::new(item_id).expect("an id"),
        row,
        repeat: 0,
        revision: 0,
        trace: Trace {
            evaluator: Arc::new(evaluator()),
            attempts: u32::from(!skipped),
            started_at_us: BEGAN + 1_000,
            duration_us: if skipped { 0 } else { 1_234 },
            input: (!skipped).then(|| Digest::of(b"\"a question\"")),
            reference_output: None,
            item_metadata: None,
            usage: Usage::UNKNOWN,
            outcome,
        },
        judgments,
    };
    StoredRecord { leaf: record.leaf(), record }
}

pub(crate) fn judgment(judge_name: &str, result: JudgmentResult) -> Judgment {
    Judgment {
        judge: judge(judge_name),
        attempts: 1,
        started_at_us: BEGAN + 2_000,
        duration_us: 87,
        reused_from: None,
        usage: Usage::UNKNOWN,
        result,
    }
}

pub(crate) fn ok() -> TraceOutcome {
    TraceOutcome::Ok { output: Digest::of(b"\"an answer\""), output_metadata: None }
}

pub(crate) fn failure(code: &str) -> ErrorRecord {
    ErrorRecord {
        kind: ErrorKind::Transient,
        code: code.to_owned(),
        message: "the model server is overloaded".to_owned(),
        detail: None,
    }
}

pub(crate) fn scored(score: impl Into<Score>) -> JudgmentResult {
    JudgmentResult::Scored { score: score.into(), rationale: None }
}

pub(crate) fn object(values: &[(&str, Scalar)]) -> Score {
    Score::Object(values.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect())
}

pub(crate) fn number(value: f64) -> Scalar {
    Scalar::Number(Finite::new(value).expect("finite"))
}

/// One record of every kind.
pub(crate) fn records() -> Vec<StoredRecord> {
    let style = || object(&[("brevity", number(0.25)), ("tone", Scalar::Label("kind".to_owned()))]);
    let unscored = JudgmentResult::Unscored { rationale: None };
    let broken = JudgmentResult::Error { error: failure("bad_json") };
    let mut again = stored("dev:3", 3, ok(), vec![judgment("numeric_match", scored(true))]);
    (again.record.repeat, again.record.revision) = (1, 2);
    let fault = RowFault {
        kind: RowFaultKind::Malformed,
        message: "dev.jsonl, row 6: invalid JSON at column 17".to_owned(),
        bytes: 1_204,
        sha256: Digest::of(b"row"),
    };
    vec![
        stored("dev:1", 1, ok(), vec![judgment("numeric_match", scored(true)), judgment("style", scored(style()))]),
        stored("dev:2", 2, ok(), vec![judgment("numeric_match", broken), judgment("style", unscored)]),
        again,
        stored("dev:4", 4, TraceOutcome::Timeout { error: failure("timeout") }, Vec::new()),
        stored(
            "a-rather-long-item-id/with/a/path:00000005",
            5,
            TraceOutcome::Error { error: failure("http_503") },
            Vec::new(),
        ),
        stored("dev:6", 6, TraceOutcome::Skipped { fault }, Vec::new()),
    ]
}

/// An id and texts that try to move the cursor, hide themselves and reorder the line.
pub(crate) const HOSTILE: &str = "x\u{202e}gpj.exe \u{1b}[2J\u{7}\u{9b}1A\r\nok\u{2028}\u{feff}";

/// A record whose every free text is hostile.
pub(crate) fn hostile() -> StoredRecord {
    let mut error = failure(HOSTILE);
    error.message = HOSTILE.to_owned();
    let label = Score::Scalar(Scalar::Label(HOSTILE.to_owned()));
    let values = object(&[(HOSTILE, Scalar::Label(HOSTILE.to_owned()))]);
    let judgments = vec![
        judgment("numeric_match", scored(label)),
        judgment("style", scored(values)),
        judgment(HOSTILE, JudgmentResult::Error { error }),
    ];
    let mut record = stored("dev\u{202e}:7\u{feff}", 7, ok(), judgments);
    let mut evaluator = evaluator();
    (evaluator.version, evaluator.source) = (HOSTILE.to_owned(), HOSTILE.to_owned());
    record.record.trace.evaluator = Arc::new(evaluator);
    record
}
