//! A record as rows.

use std::sync::Arc;

use ef_model::{Digest, Identity, JudgeIdentity, Judgment, JudgmentResult, TaskCommit, TaskRecord, TraceOutcome};
use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments};

use crate::write::{integer, json};

type Statement<'q> = Query<'q, Sqlite, SqliteArguments>;

/// The columns of `traces`, in the order in which [`TraceRow::bind`] binds them.
pub(crate) const TRACE_COLUMNS: [&str; 18] = [
    "run",
    "row",
    "repeat",
    "revision",
    "item_id",
    "evaluator",
    "status",
    "attempts",
    "started_at_us",
    "duration_us",
    "input",
    "reference_output",
    "item_metadata",
    "output",
    "output_metadata",
    "error",
    "fault",
    "leaf",
];

/// The columns of `judgments`, in the order in which [`JudgmentRow::bind`] binds them.
pub(crate) const JUDGMENT_COLUMNS: [&str; 14] = [
    "run",
    "row",
    "repeat",
    "revision",
    "position",
    "judge",
    "status",
    "attempts",
    "started_at_us",
    "duration_us",
    "score",
    "rationale",
    "cost_usd",
    "error",
];

/// One row of `traces`, ready to be bound.
pub(crate) struct TraceRow<'r> {
    run: i64,
    evaluator: i64,
    record: &'r TaskRecord,
    leaf: Digest,
}

impl<'r> TraceRow<'r> {
    pub(crate) fn new(run: i64, commit: &'r TaskCommit, id: impl Fn(&Arc<Identity>) -> i64) -> Self {
        let record = commit.record();
        Self { run, evaluator: id(&record.trace.evaluator), record, leaf: commit.leaf() }
    }

    pub(crate) fn bind<'q>(&self, statement: Statement<'q>) -> Statement<'q> {
        let Self { record, .. } = self;
        let trace = &record.trace;
        let (output, output_metadata, error, fault) = match &trace.outcome {
            TraceOutcome::Ok { output, output_metadata } => (Some(*output), *output_metadata, None, None),
            TraceOutcome::Timeout { error } | TraceOutcome::Error { error } => (None, None, Some(json(error)), None),
            TraceOutcome::Skipped { fault } => (None, None, None, Some(json(fault))),
        };
        statement
            .bind(self.run)
            .bind(integer(record.row))
            .bind(i64::from(record.repeat))
            .bind(i64::from(record.revision))
            .bind(record.item_id.as_str().to_owned())
            .bind(self.evaluator)
            .bind(trace.status().as_str())
            .bind(i64::from(trace.attempts))
            .bind(trace.started_at_us)
            .bind(integer(trace.duration_us))
            .bind(trace.input.map(blob))
            .bind(trace.reference_output.map(blob))
            .bind(trace.item_metadata.map(blob))
            .bind(output.map(blob))
            .bind(output_metadata.map(blob))
            .bind(error)
            .bind(fault)
            .bind(blob(self.leaf))
    }
}

/// One row of `judgments`, ready to be bound.
pub(crate) struct JudgmentRow<'r> {
    run: i64,
    judge: i64,
    position: i64,
    record: &'r TaskRecord,
    judgment: &'r Judgment,
}

impl<'r> JudgmentRow<'r> {
    pub(crate) fn of_record(
        run: i64,
        record: &'r TaskRecord,
        id: impl Fn(&Arc<JudgeIdentity>) -> i64,
    ) -> impl Iterator<Item = Self> {
        record.judgments.iter().zip(0..).map(move |(judgment, position)| Self {
            run,
            judge: id(&judgment.judge),
            position,
            record,
            judgment,
        })
    }

    pub(crate) fn bind<'q>(&self, statement: Statement<'q>) -> Statement<'q> {
        let Self { record, judgment, .. } = self;
        let (score, rationale, error) = match &judgment.result {
            JudgmentResult::Scored { score, rationale, .. } => (Some(json(score)), *rationale, None),
            JudgmentResult::Unscored { rationale, .. } => (None, *rationale, None),
            JudgmentResult::Error { error } => (None, None, Some(json(error))),
        };
        statement
            .bind(self.run)
            .bind(integer(record.row))
            .bind(i64::from(record.repeat))
            .bind(i64::from(record.revision))
            .bind(self.position)
            .bind(self.judge)
            .bind(judgment.result.status())
            .bind(i64::from(judgment.attempts))
            .bind(judgment.started_at_us)
            .bind(integer(judgment.duration_us))
            .bind(score)
            .bind(rationale.map(blob))
            .bind(judgment.result.cost_usd())
            .bind(error)
    }
}

fn blob(digest: Digest) -> Vec<u8> {
    digest.as_bytes().to_vec()
}
