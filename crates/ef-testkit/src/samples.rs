//! Small, valid records to test with.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ef_model::{
    CallContext, Counts, DatasetRef, Determinism, Digest, ErrorKind, ErrorRecord, EvalItem, Identity, ItemId,
    JudgeIdentity, Judgment, JudgmentResult, Payload, RowFault, RowFaultKind, RunHead, RunId, RunResult, RunStatus,
    RunUsage, Score, TaskCommit, TaskRecord, Trace, TraceOutcome, Usage,
};

/// The identity of a fake evaluator.
#[must_use]
pub fn evaluator_identity() -> Arc<Identity> {
    Arc::new(Identity::builtin("test.evaluator", "1.0.0", "ef-testkit", "0"))
}

/// The identity of a fake judge of this name.
#[must_use]
pub fn judge_identity(name: &str) -> Arc<JudgeIdentity> {
    Arc::new(JudgeIdentity {
        name: name.to_owned(),
        identity: Identity::builtin("test.judge", "1.0.0", "ef-testkit", "0"),
        determinism: Determinism::Deterministic,
        config_digest: Digest::of(b"{}"),
    })
}

/// The head of a run of this id, begun at `started_at_us`.
///
/// # Panics
///
/// When the text is not a run id.
#[must_use]
pub fn head(run_id: &str, started_at_us: i64) -> RunHead {
    let spec = serde_json::json!({"schema_version": "1", "id": "test/spec"});
    RunHead {
        run_id: RunId::new(run_id).expect("a run id"),
        started_at_us,
        ef_version: "0.0.0".to_owned(),
        spec_id: "test/spec".to_owned(),
        spec_version: "1.0.0".to_owned(),
        spec_digest: ef_model::canonical::digest(&spec),
        spec,
        dataset: DatasetRef { path: "data.jsonl".to_owned(), format: "jsonl".to_owned(), fields: BTreeMap::new() },
        evaluator: evaluator_identity(),
        judges: vec![judge_identity("judge")],
        source: None,
    }
}

/// The result of a run that ended in this way, without metrics.
#[must_use]
pub fn result(head: &RunHead, status: RunStatus) -> RunResult {
    RunResult {
        format_version: RunResult::FORMAT_VERSION,
        head: head.clone(),
        status,
        abort_reason: None,
        finished_at_us: head.started_at_us + 1_000_000,
        dataset_digest: None,
        counts: Counts::default(),
        usage: RunUsage::default(),
        metrics: Vec::new(),
        records_root: None,
        root_digest: None,
    }
}

/// An item of this row, named `item-<row>`, whose input is its row number as a text.
///
/// # Panics
///
/// Never.
#[must_use]
pub fn item(row: u64) -> EvalItem {
    EvalItem {
        item_id: ItemId::new(format!("item-{row}")).expect("an item id"),
        row,
        input: Payload::from_text(&format!("input {row}")),
        reference_output: None,
        metadata: None,
    }
}

/// The context of a call that has a minute: its first attempt, for the first repeat of an item, with the seed 42.
#[must_use]
pub fn context() -> CallContext {
    CallContext::new(Instant::now() + Duration::from_secs(60), 1, 0, 42)
}

/// A record of that item with a correct output and one score of 1.5.
#[must_use]
pub fn record(row: u64) -> TaskRecord {
    let item = item(row);
    TaskRecord {
        item_id: item.item_id,
        row,
        repeat: 0,
        revision: 0,
        trace: Trace {
            evaluator: evaluator_identity(),
            attempts: 1,
            started_at_us: 1_700_000_000_000_000,
            duration_us: 1234,
            input: Some(item.input.digest()),
            reference_output: None,
            item_metadata: None,
            usage: Usage::UNKNOWN,
            outcome: TraceOutcome::Ok { output: item.input.digest(), output_metadata: None },
        },
        judgments: vec![Judgment {
            judge: judge_identity("judge"),
            attempts: 1,
            started_at_us: 1_700_000_000_001_234,
            duration_us: 5,
            reused_from: None,
            usage: Usage::cost(0.1 + 0.2),
            result: JudgmentResult::Scored { score: ef_model::Score::number(1.5).expect("finite"), rationale: None },
        }],
    }
}

/// That record with its payload.
#[must_use]
pub fn commit(row: u64) -> TaskCommit {
    TaskCommit::new(record(row), vec![item(row).input])
}

/// One record of each kind of outcome.
pub(crate) fn outcomes() -> Vec<TaskRecord> {
    let error = |kind| ErrorRecord {
        kind,
        code: "http_503".to_owned(),
        message: "the endpoint is \"overloaded\" — é\u{1f600}".to_owned(),
        detail: Some(Payload::from_text("a body").digest()),
    };
    let fault = RowFault {
        kind: RowFaultKind::Oversized,
        message: "data.jsonl, row 4".to_owned(),
        bytes: 9_007_199_254_740_991,
        sha256: Digest::of(b"row"),
    };
    let mut records: Vec<_> = (1..=9).map(record).collect();
    let [timeout, failed, skipped, judged @ ..] = records.as_mut_slice() else { unreachable!("there are nine") };
    timeout.trace.outcome = TraceOutcome::Timeout { error: error(ErrorKind::Timeout) };
    failed.trace.outcome = TraceOutcome::Error { error: error(ErrorKind::InvalidOutput) };
    skipped.trace.outcome = TraceOutcome::Skipped { fault };
    skipped.trace.input = None;
    for record in [timeout, failed, skipped] {
        record.judgments.clear();
    }
    let results = [
        JudgmentResult::Error { error: error(ErrorKind::Permanent) },
        JudgmentResult::Pending,
        JudgmentResult::Unscored { rationale: Some(Payload::from_text("why").digest()) },
        JudgmentResult::Scored { score: true.into(), rationale: None },
        JudgmentResult::Scored {
            score: serde_json::from_str::<Score>(r#"{"score":0.1,"tone":"kind é","safe":false}"#).expect("a score"),
            rationale: Some(Payload::from_text("why").digest()),
        },
        JudgmentResult::Scored { score: Score::number(f64::MIN_POSITIVE).expect("finite"), rationale: None },
    ];
    let usages = [
        Usage::cost(0.1 + 0.7),
        Usage { cost_usd: Some(1e-9), input_tokens: Some(9_007_199_254_740_991), output_tokens: Some(0) },
        Usage { output_tokens: Some(7), ..Usage::UNKNOWN },
        Usage::cost(0.0),
        Usage::UNKNOWN,
        Usage { input_tokens: Some(1), ..Usage::UNKNOWN },
    ];
    for ((record, result), usage) in judged.iter_mut().zip(results).zip(usages) {
        record.trace.usage = usage;
        let mut second = record.judgments[0].clone();
        second.judge = judge_identity("second");
        second.result = result;
        second.usage = usage;
        record.judgments.push(second);
    }
    records
}
