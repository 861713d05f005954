//! A record as a row of `traces`.

use std::sync::Arc;

use ef_model::{Digest, Identity, JudgeIdentity, TaskCommit, TaskRecord, TraceOutcome};

use crate::statements::Statement;
use crate::stored_judgment;
use crate::write::{integer, json};

/// The columns of `traces`, in the order in which [`TraceRow::bind`] binds them.
pub(crate) const COLUMNS: [&str; 19] = [
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
    "judgments",
    "leaf",
];

/// One row of `traces`, ready to be bound.
pub(crate) struct TraceRow<'r> {
    run: i64,
    evaluator: i64,
    judgments: String,
    record: &'r TaskRecord,
    leaf: Digest,
}

impl<'r> TraceRow<'r> {
    /// The row of a record. The functions give the row ids of its evaluator and judges.
    pub(crate) fn new(
        run: i64,
        commit: &'r TaskCommit,
        evaluator: impl Fn(&Arc<Identity>) -> i64,
        judge: impl Fn(&Arc<JudgeIdentity>) -> i64,
    ) -> Self {
        let record = commit.record();
        Self {
            run,
            evaluator: evaluator(&record.trace.evaluator),
            judgments: stored_judgment::column(record, judge),
            record,
            leaf: commit.leaf(),
        }
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
            .bind(self.judgments.clone())
            .bind(blob(self.leaf))
    }
}

fn blob(digest: Digest) -> Vec<u8> {
    digest.as_bytes().to_vec()
}
