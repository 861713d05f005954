//! Many records as one text: SQLite puts a page of them together, and the driver's cost a row is paid once a page.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use ef_model::{Digest, Identity, ItemId, JudgeIdentity, StoredRecord, TaskRecord, Trace, TraceOutcome, Usage};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::stored_judgment::StoredJudgment;

macro_rules! page_sql {
    ($condition:literal) => {
        concat!(
            "SELECT json_group_array(json_array(
                t.row, t.repeat, t.revision, t.item_id, t.evaluator, t.status, t.attempts, t.started_at_us,
                t.duration_us, hex(t.input), hex(t.reference_output), hex(t.item_metadata), hex(t.output),
                hex(t.output_metadata), t.error, t.fault, hex(t.leaf),
                t.usage, t.judgments))
             FROM (SELECT * FROM traces
                   WHERE run = (SELECT id FROM runs WHERE run_id = ?1) AND row >= ?2
                         AND (row, repeat, revision) > (?2, ?3, ?4) AND (?5 IS NULL OR status = ?5)",
            $condition,
            " ORDER BY run, row, repeat, revision LIMIT ?6) t"
        )
    };
}

/// A page of a run's records. Parameters: run id; row, repeat and revision of the record before the page; status or null;
/// how many; and for [`ITEM_PAGE`] the item's id.
pub(crate) const PAGE: &str = page_sql!("");
/// A page of an item's records.
pub(crate) const ITEM_PAGE: &str = page_sql!(" AND item_id = ?7");

/// What cannot be understood.
pub(crate) type Fault = String;

/// A record as [`PAGE`] packs it.
#[derive(Deserialize)]
struct Row<'p>(
    i64,
    i64,
    i64,
    #[serde(borrow)] Cow<'p, str>,
    i64,
    &'p str,
    i64,
    i64,
    i64,
    &'p str,
    &'p str,
    &'p str,
    &'p str,
    &'p str,
    #[serde(borrow)] Option<Cow<'p, str>>,
    #[serde(borrow)] Option<Cow<'p, str>>,
    &'p str,
    #[serde(borrow)] Option<Cow<'p, str>>,
    #[serde(borrow)] Cow<'p, str>,
);

/// A record that still names its evaluator and judges by their row ids.
pub(crate) struct PackedRecord<'p> {
    row: Row<'p>,
    judgments: Vec<StoredJudgment>,
}

/// Takes a page apart.
pub(crate) fn parse(page: &str) -> Result<Vec<PackedRecord<'_>>, Fault> {
    let rows: Vec<Row<'_>> =
        serde_json::from_str(page).map_err(|_| "a page of records holds a value of an unexpected kind".to_owned())?;
    rows.into_iter()
        .map(|row| {
            let judgments = json(Some(&row.18), "judgments").map_err(|fault| format!("row {}: {fault}", row.0))?;
            Ok(PackedRecord { row, judgments })
        })
        .collect()
}

impl PackedRecord<'_> {
    /// Row, repeat and revision.
    pub(crate) const fn key(&self) -> [i64; 3] {
        [self.row.0, self.row.1, self.row.2]
    }

    /// The evaluator's row id.
    pub(crate) const fn evaluator(&self) -> i64 {
        self.row.4
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
        let row = self.row.0;
        self.try_unpack(evaluators, judges).map_err(|fault| format!("row {row}: {fault}"))
    }

    fn try_unpack(
        self,
        evaluators: &HashMap<i64, Arc<Identity>>,
        judges: &HashMap<i64, Arc<JudgeIdentity>>,
    ) -> Result<StoredRecord, Fault> {
        let Row(row, repeat, revision, item_id, evaluator, status, attempts, started_at_us, duration_us, ..) =
            &self.row;
        let Row(.., input, reference_output, item_metadata, output, output_metadata, error, fault, leaf, usage, _) =
            &self.row;
        let outcome = match *status {
            "ok" => TraceOutcome::Ok {
                output: digest(output, "output")?.ok_or_else(|| unexpected("output"))?,
                output_metadata: digest(output_metadata, "output_metadata")?,
            },
            "timeout" => TraceOutcome::Timeout { error: json(error.as_deref(), "error")? },
            "error" => TraceOutcome::Error { error: json(error.as_deref(), "error")? },
            "skipped" => TraceOutcome::Skipped { fault: json(fault.as_deref(), "fault")? },
            _ => return Err(unexpected("status")),
        };
        let record = TaskRecord {
            item_id: ItemId::new(&**item_id).map_err(|_| unexpected("item_id"))?,
            row: number(*row, "row")?,
            repeat: number(*repeat, "repeat")?,
            revision: number(*revision, "revision")?,
            trace: Trace {
                evaluator: Arc::clone(evaluators.get(evaluator).ok_or_else(|| unexpected("evaluator"))?),
                attempts: number(*attempts, "attempts")?,
                started_at_us: *started_at_us,
                duration_us: number(*duration_us, "duration_us")?,
                input: digest(input, "input")?,
                reference_output: digest(reference_output, "reference_output")?,
                item_metadata: digest(item_metadata, "item_metadata")?,
                usage: match usage {
                    Some(usage) => json(Some(usage), "usage")?,
                    None => Usage::UNKNOWN,
                },
                outcome,
            },
            judgments: self
                .judgments
                .into_iter()
                .map(|judgment| judgment.unpack(judges).ok_or_else(|| unexpected("judgments")))
                .collect::<Result<_, Fault>>()?,
        };
        Ok(StoredRecord { record, leaf: digest(leaf, "leaf")?.ok_or_else(|| unexpected("leaf"))? })
    }
}

fn unexpected(column: &str) -> Fault {
    format!("an unexpected value in column {column}")
}

fn number<T: TryFrom<i64>>(value: i64, column: &str) -> Result<T, Fault> {
    T::try_from(value).map_err(|_| unexpected(column))
}

/// A digest in hexadecimal digits; nothing stands for null.
fn digest(text: &str, column: &str) -> Result<Option<Digest>, Fault> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| unexpected(column))
}

fn json<T: DeserializeOwned>(text: Option<&str>, column: &str) -> Result<T, Fault> {
    text.and_then(|text| serde_json::from_str(text).ok()).ok_or_else(|| unexpected(column))
}
