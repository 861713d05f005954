//! A record as a row of `traces`.

use std::sync::Arc;

use ef_model::{Digest, Identity, JudgeIdentity, TaskCommit, TaskRecord, TraceOutcome};

use crate::insert::Values;
use crate::stored_judgment;
use crate::write::{integer, json};

/// The columns of `traces`, in the order in which [`TraceRow::bind`] binds their values.
pub(crate) const COLUMNS: [&str; 20] = [
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
    "usage",
    "judgments",
    "leaf",
];

/// One row of `traces`.
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

    /// Binds the columns' values.
    pub(crate) fn bind(&self, values: &mut Values<'_, '_>) -> rusqlite::Result<()> {
        let Self { record, .. } = self;
        let trace = &record.trace;
        let (output, output_metadata, error, fault) = match &trace.outcome {
            TraceOutcome::Ok { output, output_metadata } => (Some(*output), *output_metadata, None, None),
            TraceOutcome::Timeout { error } | TraceOutcome::Error { error } => (None, None, Some(json(error)), None),
            TraceOutcome::Skipped { fault } => (None, None, None, Some(json(fault))),
        };
        values.bind(self.run)?;
        values.bind(integer(record.row))?;
        values.bind(record.repeat)?;
        values.bind(record.revision)?;
        values.bind(record.item_id.as_str())?;
        values.bind(self.evaluator)?;
        values.bind(trace.status().as_str())?;
        values.bind(trace.attempts)?;
        values.bind(trace.started_at_us)?;
        values.bind(integer(trace.duration_us))?;
        for digest in [trace.input, trace.reference_output, trace.item_metadata, output, output_metadata] {
            values.bind(digest.as_ref().map(Digest::as_bytes))?;
        }
        values.bind(error)?;
        values.bind(fault)?;
        values.bind((!trace.usage.is_unknown()).then(|| json(&trace.usage)))?;
        values.bind(&self.judgments)?;
        values.bind(self.leaf.as_bytes())
    }
}
