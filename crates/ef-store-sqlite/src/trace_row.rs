//! A record as a row of `traces`.

use std::sync::Arc;

use ef_model::{Digest, Identity, JudgeIdentity, TaskCommit, TaskRecord, TraceOutcome};

use sqlx::Arguments;
use sqlx::error::BoxDynError;
use sqlx::sqlite::SqliteArguments;

use crate::stored_judgment;
use crate::write::{integer, json};

/// The columns of `traces`, in the order in which [`TraceRow::add_to`] adds their values.
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

    /// Adds the columns' values.
    pub(crate) fn add_to(&self, arguments: &mut SqliteArguments) -> Result<(), BoxDynError> {
        let Self { record, .. } = self;
        let trace = &record.trace;
        let (output, output_metadata, error, fault) = match &trace.outcome {
            TraceOutcome::Ok { output, output_metadata } => (Some(*output), *output_metadata, None, None),
            TraceOutcome::Timeout { error } | TraceOutcome::Error { error } => (None, None, Some(json(error)), None),
            TraceOutcome::Skipped { fault } => (None, None, None, Some(json(fault))),
        };
        arguments.add(self.run)?;
        arguments.add(integer(record.row))?;
        arguments.add(i64::from(record.repeat))?;
        arguments.add(i64::from(record.revision))?;
        arguments.add(record.item_id.as_str())?;
        arguments.add(self.evaluator)?;
        arguments.add(trace.status().as_str())?;
        arguments.add(i64::from(trace.attempts))?;
        arguments.add(trace.started_at_us)?;
        arguments.add(integer(trace.duration_us))?;
        for digest in [trace.input, trace.reference_output, trace.item_metadata, output, output_metadata] {
            arguments.add(digest.map(blob))?;
        }
        arguments.add(error)?;
        arguments.add(fault)?;
        arguments.add(&self.judgments)?;
        arguments.add(blob(self.leaf))
    }
}

fn blob(digest: Digest) -> Vec<u8> {
    digest.as_bytes().to_vec()
}
