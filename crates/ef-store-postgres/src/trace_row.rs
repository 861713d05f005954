//! A row of `traces`, as it is read.

use std::collections::HashMap;
use std::sync::Arc;

use ef_model::{
    Digest, Identity, ItemId, JudgeIdentity, RecordKey, StoreError, StoredRecord, TaskRecord, Trace, TraceOutcome,
    Usage,
};
use serde::de::DeserializeOwned;
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use crate::store::PostgresStore;
use crate::stored_judgment::StoredJudgment;

/// The columns of `traces t` that a [`TraceRow`] is made of, in the order in which it takes them.
macro_rules! trace_columns {
    () => {
        "t.row, t.repeat, t.revision, t.item_id, t.evaluator, t.status, t.attempts, t.started_at_us, t.duration_us,
         t.input, t.reference_output, t.item_metadata, t.cost_usd, t.input_tokens, t.output_tokens, t.output,
         t.output_metadata, t.error, t.fault, t.judgments, t.leaf"
    };
}
pub(crate) use trace_columns;

/// What cannot be understood.
type Fault = String;

/// A record that still names its evaluator and judges by their row ids.
pub(crate) struct TraceRow {
    pub(crate) key: RecordKey,
    pub(crate) evaluator: i64,
    row: PgRow,
    judgments: Vec<StoredJudgment>,
}

impl TraceRow {
    /// Takes a row whose first columns are [`trace_columns`].
    pub(crate) fn of(store: &PostgresStore, row: PgRow) -> Result<Self, StoreError> {
        let columns = Columns(&row);
        let key = || -> Result<_, Fault> {
            Ok(RecordKey { row: columns.number(0)?, repeat: columns.number(1)?, revision: columns.number(2)? })
        };
        let key = key().map_err(|fault| store.damaged(fault))?;
        let parts = || -> Result<_, Fault> { Ok((columns.number(4)?, columns.json(19)?)) };
        let (evaluator, judgments) = parts().map_err(|fault| store.damaged(at(key, &fault)))?;
        Ok(Self { key, evaluator, row, judgments })
    }

    /// The judges' row ids.
    pub(crate) fn judges(&self) -> impl Iterator<Item = i64> {
        self.judgments.iter().map(StoredJudgment::judge)
    }

    /// The record and its leaf. The maps know every evaluator and judge that it names.
    pub(crate) fn unpack(
        self,
        evaluators: &HashMap<i64, Arc<Identity>>,
        judges: &HashMap<i64, Arc<JudgeIdentity>>,
    ) -> Result<StoredRecord, Fault> {
        let key = self.key;
        self.try_unpack(evaluators, judges).map_err(|fault| at(key, &fault))
    }

    fn try_unpack(
        self,
        evaluators: &HashMap<i64, Arc<Identity>>,
        judges: &HashMap<i64, Arc<JudgeIdentity>>,
    ) -> Result<StoredRecord, Fault> {
        let row = Columns(&self.row);
        let outcome = match row.text(5)? {
            "ok" => TraceOutcome::Ok { output: row.required_digest(15)?, output_metadata: row.digest(16)? },
            "timeout" => TraceOutcome::Timeout { error: row.json(17)? },
            "error" => TraceOutcome::Error { error: row.json(17)? },
            "skipped" => TraceOutcome::Skipped { fault: row.json(18)? },
            _ => return Err(unexpected("status")),
        };
        let trace = Trace {
            evaluator: evaluators.get(&self.evaluator).map(Arc::clone).ok_or_else(|| unexpected("evaluator"))?,
            attempts: row.number(6)?,
            started_at_us: row.number(7)?,
            duration_us: row.number(8)?,
            input: row.digest(9)?,
            reference_output: row.digest(10)?,
            item_metadata: row.digest(11)?,
            usage: Usage {
                cost_usd: row.get(12)?,
                input_tokens: row.maybe_number(13)?,
                output_tokens: row.maybe_number(14)?,
            },
            outcome,
        };
        let unpack = |judgment: StoredJudgment| judgment.unpack(judges).ok_or_else(|| unexpected("judgments"));
        let record = TaskRecord {
            item_id: ItemId::new(row.text(3)?).map_err(|_| unexpected("item_id"))?,
            row: self.key.row,
            repeat: self.key.repeat,
            revision: self.key.revision,
            trace,
            judgments: self.judgments.into_iter().map(unpack).collect::<Result<_, Fault>>()?,
        };
        Ok(StoredRecord { record, leaf: row.required_digest(20)? })
    }
}

fn at(key: RecordKey, fault: &str) -> Fault {
    format!("row {}: {fault}", key.row)
}

fn unexpected(column: &str) -> Fault {
    format!("an unexpected value in column {column}")
}

/// A row's values by their places.
struct Columns<'r>(&'r PgRow);

impl<'r> Columns<'r> {
    fn get<T>(&self, place: usize) -> Result<T, Fault>
    where
        T: sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        self.0.try_get(place).map_err(|_| self.unexpected(place))
    }

    fn unexpected(&self, place: usize) -> Fault {
        let column = self.0.columns().get(place).map_or("of an unknown name", sqlx::Column::name);
        unexpected(column)
    }

    fn text(&self, place: usize) -> Result<&'r str, Fault> {
        self.get(place)
    }

    fn number<T: TryFrom<i64>>(&self, place: usize) -> Result<T, Fault> {
        T::try_from(self.get(place)?).map_err(|_| self.unexpected(place))
    }

    fn maybe_number<T: TryFrom<i64>>(&self, place: usize) -> Result<Option<T>, Fault> {
        let value: Option<i64> = self.get(place)?;
        value.map(T::try_from).transpose().map_err(|_| self.unexpected(place))
    }

    fn digest(&self, place: usize) -> Result<Option<Digest>, Fault> {
        let bytes: Option<&[u8]> = self.get(place)?;
        bytes.map(|bytes| bytes.try_into().map(Digest::from_bytes)).transpose().map_err(|_| self.unexpected(place))
    }

    fn required_digest(&self, place: usize) -> Result<Digest, Fault> {
        self.digest(place)?.ok_or_else(|| self.unexpected(place))
    }

    fn json<T: DeserializeOwned>(&self, place: usize) -> Result<T, Fault> {
        let text: Option<&str> = self.get(place)?;
        text.and_then(|text| serde_json::from_str(text).ok()).ok_or_else(|| self.unexpected(place))
    }
}
