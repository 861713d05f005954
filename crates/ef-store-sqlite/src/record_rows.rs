//! A record as rows, and rows as a record.

use std::sync::Arc;

use ef_model::{
    Digest, ErrorRecord, Identity, JudgeIdentity, Judgment, JudgmentResult, RowFault, TaskCommit, TaskRecord, Trace,
    TraceOutcome,
};
use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteRow};
use sqlx::{Row, ValueRef};

use crate::write::{integer, json};

type Statement<'q> = Query<'q, Sqlite, SqliteArguments>;

/// The columns of `traces`, in the order in which [`TraceRow::bind`] binds them and [`trace`] reads them.
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

/// The columns of `judgments`, in the order in which [`JudgmentRow::bind`] binds them and [`judgment`] reads them.
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
        let (status, score, rationale, error) = match &judgment.result {
            JudgmentResult::Scored { score, rationale, .. } => ("scored", Some(json(score)), *rationale, None),
            JudgmentResult::Unscored { rationale, .. } => ("unscored", None, *rationale, None),
            JudgmentResult::Error { error } => ("error", None, None, Some(json(error))),
        };
        statement
            .bind(self.run)
            .bind(integer(record.row))
            .bind(i64::from(record.repeat))
            .bind(i64::from(record.revision))
            .bind(self.position)
            .bind(self.judge)
            .bind(status)
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

/// A row that cannot be understood.
pub(crate) type Fault = String;

/// Reads a record without its judgments and its leaf, from a row that begins with [`TRACE_COLUMNS`].
pub(crate) fn trace(row: &SqliteRow, evaluator: Arc<Identity>) -> Result<(TaskRecord, Digest), Fault> {
    let outcome = match text(row, 6)? {
        "ok" => TraceOutcome::Ok { output: required(digest(row, 13)?, 13)?, output_metadata: digest(row, 14)? },
        "timeout" => TraceOutcome::Timeout { error: from_json::<ErrorRecord>(row, 15)? },
        "error" => TraceOutcome::Error { error: from_json::<ErrorRecord>(row, 15)? },
        "skipped" => TraceOutcome::Skipped { fault: from_json::<RowFault>(row, 16)? },
        _ => return Err(unexpected(6)),
    };
    let record = TaskRecord {
        row: number(row, 1)?,
        repeat: number(row, 2)?,
        revision: number(row, 3)?,
        item_id: text(row, 4)?.parse().map_err(|_| unexpected(4))?,
        trace: Trace {
            evaluator,
            attempts: number(row, 7)?,
            started_at_us: number(row, 8)?,
            duration_us: number(row, 9)?,
            input: digest(row, 10)?,
            reference_output: digest(row, 11)?,
            item_metadata: digest(row, 12)?,
            outcome,
        },
        judgments: Vec::new(),
    };
    Ok((record, required(digest(row, 17)?, 17)?))
}

/// The columns of a judgment as [`judgment`] reads them, after those of its trace.
pub(crate) const JUDGMENT_FIRST: usize = TRACE_COLUMNS.len();

/// Reads a judgment from the columns after a trace's, which begin with `judge`.
pub(crate) fn judgment(row: &SqliteRow, judge: Arc<JudgeIdentity>) -> Result<Judgment, Fault> {
    let column = |offset: usize| JUDGMENT_FIRST + offset;
    let cost_usd: Option<f64> = row.try_get(column(7)).map_err(|_| unexpected(column(7)))?;
    let result = match text(row, column(1))? {
        "scored" => {
            JudgmentResult::Scored { score: from_json(row, column(5))?, rationale: digest(row, column(6))?, cost_usd }
        }
        "unscored" => JudgmentResult::Unscored { rationale: digest(row, column(6))?, cost_usd },
        "error" => JudgmentResult::Error { error: from_json(row, column(8))? },
        _ => return Err(unexpected(column(1))),
    };
    Ok(Judgment {
        judge,
        attempts: number(row, column(2))?,
        started_at_us: number(row, column(3))?,
        duration_us: number(row, column(4))?,
        result,
    })
}

fn unexpected(column: usize) -> Fault {
    let name = TRACE_COLUMNS.get(column).or_else(|| JUDGMENT_COLUMNS.get(column - JUDGMENT_FIRST + 5));
    format!("an unexpected value in column {}", name.copied().unwrap_or("?"))
}

fn number<T: TryFrom<i64>>(row: &SqliteRow, column: usize) -> Result<T, Fault> {
    let value: i64 = row.try_get(column).map_err(|_| unexpected(column))?;
    T::try_from(value).map_err(|_| unexpected(column))
}

fn text(row: &SqliteRow, column: usize) -> Result<&str, Fault> {
    row.try_get(column).map_err(|_| unexpected(column))
}

fn digest(row: &SqliteRow, column: usize) -> Result<Option<Digest>, Fault> {
    if row.try_get_raw(column).map_err(|_| unexpected(column))?.is_null() {
        return Ok(None);
    }
    let bytes: &[u8] = row.try_get(column).map_err(|_| unexpected(column))?;
    bytes.try_into().map(|bytes| Some(Digest::from_bytes(bytes))).map_err(|_| unexpected(column))
}

fn required<T>(value: Option<T>, column: usize) -> Result<T, Fault> {
    value.ok_or_else(|| unexpected(column))
}

fn from_json<T: serde::de::DeserializeOwned>(row: &SqliteRow, column: usize) -> Result<T, Fault> {
    serde_json::from_str(text(row, column)?).map_err(|_| unexpected(column))
}
