//! Records as the columns of `traces`, each an array.

use ef_model::{Digest, TaskCommit, TraceOutcome};
use sqlx::PgConnection;

use crate::append::address;
use crate::runs::json;
use crate::stored_judgment;

macro_rules! insert_sql {
    ($on_conflict:literal) => {
        concat!(
            "INSERT INTO traces (run, row, repeat, revision, item_id, evaluator, status, attempts, started_at_us,
                 duration_us, input, reference_output, item_metadata, cost_usd, input_tokens, output_tokens, output,
                 output_metadata, error, fault, judgments, leaf)
             SELECT $1, * FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::bigint[], $7::text[],
                 $8::bigint[], $9::bigint[], $10::bigint[], $11::bytea[], $12::bytea[], $13::bytea[], $14::float8[],
                 $15::bigint[], $16::bigint[], $17::bytea[], $18::bytea[], $19::text[], $20::text[], $21::text[],
                 $22::bytea[])",
            $on_conflict
        )
    };
}

/// The columns of a batch.
#[derive(Default)]
pub(crate) struct TraceColumns<'b> {
    row: Vec<i64>,
    repeat: Vec<i64>,
    revision: Vec<i64>,
    item_id: Vec<&'b str>,
    evaluator: Vec<i64>,
    status: Vec<&'static str>,
    attempts: Vec<i64>,
    started_at_us: Vec<i64>,
    duration_us: Vec<i64>,
    input: Vec<Option<[u8; 32]>>,
    reference_output: Vec<Option<[u8; 32]>>,
    item_metadata: Vec<Option<[u8; 32]>>,
    cost_usd: Vec<Option<f64>>,
    input_tokens: Vec<Option<i64>>,
    output_tokens: Vec<Option<i64>>,
    output: Vec<Option<[u8; 32]>>,
    output_metadata: Vec<Option<[u8; 32]>>,
    error: Vec<Option<String>>,
    fault: Vec<Option<String>>,
    judgments: Vec<String>,
    leaf: Vec<[u8; 32]>,
}

impl<'b> TraceColumns<'b> {
    /// The columns of a batch. The function gives the row ids of evaluators and judges, by the addresses of their
    /// identities.
    pub(crate) fn new(batch: &'b [TaskCommit], id: impl Fn(usize) -> i64) -> Self {
        let mut columns = Self::default();
        batch.iter().for_each(|commit| columns.add(commit, &id));
        columns
    }

    fn add(&mut self, commit: &'b TaskCommit, id: impl Fn(usize) -> i64) {
        let record = commit.record();
        let trace = &record.trace;
        let (output, output_metadata, error, fault) = match &trace.outcome {
            TraceOutcome::Ok { output, output_metadata } => (Some(*output), *output_metadata, None, None),
            TraceOutcome::Timeout { error } | TraceOutcome::Error { error } => (None, None, Some(json(error)), None),
            TraceOutcome::Skipped { fault } => (None, None, None, Some(json(fault))),
        };
        let bytes = |digest: Option<Digest>| digest.map(|digest| *digest.as_bytes());
        self.row.push(integer(record.row));
        self.repeat.push(record.repeat.into());
        self.revision.push(record.revision.into());
        self.item_id.push(record.item_id.as_str());
        self.evaluator.push(id(address(&trace.evaluator)));
        self.status.push(trace.status().as_str());
        self.attempts.push(trace.attempts.into());
        self.started_at_us.push(trace.started_at_us);
        self.duration_us.push(integer(trace.duration_us));
        self.input.push(bytes(trace.input));
        self.reference_output.push(bytes(trace.reference_output));
        self.item_metadata.push(bytes(trace.item_metadata));
        self.cost_usd.push(trace.usage.cost_usd);
        self.input_tokens.push(trace.usage.input_tokens.map(integer));
        self.output_tokens.push(trace.usage.output_tokens.map(integer));
        self.output.push(bytes(output));
        self.output_metadata.push(bytes(output_metadata));
        self.error.push(error);
        self.fault.push(fault);
        self.judgments.push(stored_judgment::column(record, |judge| id(address(judge))));
        self.leaf.push(*commit.leaf().as_bytes());
    }

    /// Inserts them, and returns how many were new.
    pub(crate) async fn insert(
        self,
        run: i64,
        known: Known,
        connection: &mut PgConnection,
    ) -> Result<u64, sqlx::Error> {
        let sql = match known {
            Known::AreRefused => insert_sql!(""),
            Known::ArePassedOver => insert_sql!(" ON CONFLICT DO NOTHING"),
        };
        let done = sqlx::query(sql)
            .bind(run)
            .bind(self.row)
            .bind(self.repeat)
            .bind(self.revision)
            .bind(self.item_id)
            .bind(self.evaluator)
            .bind(self.status)
            .bind(self.attempts)
            .bind(self.started_at_us)
            .bind(self.duration_us)
            .bind(self.input)
            .bind(self.reference_output)
            .bind(self.item_metadata)
            .bind(self.cost_usd)
            .bind(self.input_tokens)
            .bind(self.output_tokens)
            .bind(self.output)
            .bind(self.output_metadata)
            .bind(self.error)
            .bind(self.fault)
            .bind(self.judgments)
            .bind(self.leaf)
            .execute(connection)
            .await?;
        Ok(done.rows_affected())
    }
}

/// What becomes of records whose place or item is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// The statement fails. It looks for none of them beforehand, which is faster.
    AreRefused,
    /// Nothing.
    ArePassedOver,
}

/// Postgres's integers are signed; a record's stay below 2^53.
pub(crate) fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
