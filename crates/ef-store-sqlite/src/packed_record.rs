//! Many records as one text: SQLite puts a page of them together, and the driver's cost a row is paid once a page.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use ef_model::{
    Digest, Identity, ItemId, JudgeIdentity, Judgment, JudgmentResult, StoredRecord, TaskRecord, Trace, TraceOutcome,
};
use serde::Deserialize;
use serde::de::DeserializeOwned;

macro_rules! page_sql {
    ($condition:literal) => {
        concat!(
            "SELECT json_group_array(json_array(
                t.row, t.repeat, t.revision, t.item_id, t.evaluator, t.status, t.attempts, t.started_at_us,
                t.duration_us, hex(t.input), hex(t.reference_output), hex(t.item_metadata), hex(t.output),
                hex(t.output_metadata), t.error, t.fault, hex(t.leaf),
                json((SELECT json_group_array(json_array(
                    j.judge, j.status, j.attempts, j.started_at_us, j.duration_us, j.score, hex(j.rationale),
                    iif(j.cost_usd IS NULL, NULL, format('%!.17g', j.cost_usd)), j.error) ORDER BY j.position)
                 FROM judgments j
                 WHERE j.run = t.run AND j.row = t.row AND j.repeat = t.repeat AND j.revision = t.revision))))
             FROM (SELECT * FROM traces
                   WHERE run = (SELECT id FROM runs WHERE run_id = ?1) AND row >= ?2
                         AND (row, repeat, revision) > (?2, ?3, ?4) AND (?5 IS NULL OR status = ?5)",
            $condition,
            " ORDER BY run, row, repeat, revision LIMIT ?6) t"
        )
    };
}

/// A page of a run's records. Parameters: run id; row, repeat and revision of the record before the page; status or null;
/// how many; and for [`ITEM_PAGE`] the item's id. Doubles are written with the 17 digits that give them back exactly.
pub(crate) const PAGE: &str = page_sql!("");
/// A page of an item's records.
pub(crate) const ITEM_PAGE: &str = page_sql!(" AND item_id = ?7");

/// What cannot be understood.
pub(crate) type Fault = String;

/// A record as [`PAGE`] packs it.
#[derive(Deserialize)]
pub(crate) struct PackedRecord<'p>(
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
    #[serde(borrow)] Vec<PackedJudgment<'p>>,
);

/// A judgment as [`PAGE`] packs it.
#[derive(Deserialize)]
struct PackedJudgment<'p>(
    i64,
    &'p str,
    i64,
    i64,
    i64,
    #[serde(borrow)] Option<Cow<'p, str>>,
    &'p str,
    Option<&'p str>,
    #[serde(borrow)] Option<Cow<'p, str>>,
);

/// Takes a page apart.
pub(crate) fn parse(page: &str) -> Result<Vec<PackedRecord<'_>>, Fault> {
    serde_json::from_str(page).map_err(|_| "a page of records holds a value of an unexpected kind".to_owned())
}

impl PackedRecord<'_> {
    /// Row, repeat and revision.
    pub(crate) const fn key(&self) -> [i64; 3] {
        [self.0, self.1, self.2]
    }

    /// The evaluator's row id.
    pub(crate) const fn evaluator(&self) -> i64 {
        self.4
    }

    /// The judges' row ids.
    pub(crate) fn judges(&self) -> impl Iterator<Item = i64> {
        self.17.iter().map(|judgment| judgment.0)
    }

    /// The record and its leaf. The maps know every evaluator and judge that it names.
    pub(crate) fn unpack(
        &self,
        evaluators: &HashMap<i64, Arc<Identity>>,
        judges: &HashMap<i64, Arc<JudgeIdentity>>,
    ) -> Result<StoredRecord, Fault> {
        let Self(row, repeat, revision, item_id, evaluator, status, attempts, started_at_us, duration_us, ..) = self;
        let Self(.., input, reference_output, item_metadata, output, output_metadata, error, fault, leaf, judgments) =
            self;
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
                outcome,
            },
            judgments: judgments.iter().map(|judgment| judgment.unpack(judges)).collect::<Result<_, Fault>>()?,
        };
        Ok(StoredRecord { record, leaf: digest(leaf, "leaf")?.ok_or_else(|| unexpected("leaf"))? })
    }
}

impl PackedJudgment<'_> {
    fn unpack(&self, judges: &HashMap<i64, Arc<JudgeIdentity>>) -> Result<Judgment, Fault> {
        let Self(judge, status, attempts, started_at_us, duration_us, score, rationale, cost_usd, error) = self;
        let rationale = digest(rationale, "rationale")?;
        let cost_usd = cost_usd.map(|cost| cost.parse().map_err(|_| unexpected("cost_usd"))).transpose()?;
        let result = match *status {
            "scored" => JudgmentResult::Scored { score: json(score.as_deref(), "score")?, rationale, cost_usd },
            "unscored" => JudgmentResult::Unscored { rationale, cost_usd },
            "error" => JudgmentResult::Error { error: json(error.as_deref(), "error")? },
            _ => return Err(unexpected("status")),
        };
        Ok(Judgment {
            judge: Arc::clone(judges.get(judge).ok_or_else(|| unexpected("judge"))?),
            attempts: number(*attempts, "attempts")?,
            started_at_us: *started_at_us,
            duration_us: number(*duration_us, "duration_us")?,
            result,
        })
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
