//! Reading: streams in constant memory.

use std::collections::HashMap;
use std::sync::Arc;

use ef_model::{
    BoxStream, Digest, Identity, JudgeIdentity, Payload, RecordFilter, RunId, RunStatus, RunSummary, StoreError,
    StoredRecord,
};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::de::DeserializeOwned;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::record_rows::{self, JUDGMENT_FIRST};
use crate::store::SqliteStore;

pub(crate) async fn run(store: &SqliteStore, run: &RunId) -> Result<Option<RunSummary>, StoreError> {
    sqlx::query("SELECT head, status, result FROM runs WHERE run_id = ?")
        .bind(run.as_str())
        .fetch_optional(&store.readers)
        .await
        .map_err(|error| store.failed(&error))?
        .map(|row| summary(store, &row))
        .transpose()
}

pub(crate) async fn runs(store: &SqliteStore, prefix: &str, limit: u32) -> Result<Vec<RunSummary>, StoreError> {
    sqlx::query(
        "SELECT head, status, result FROM runs WHERE substr(run_id, 1, length(?1)) = ?1
         ORDER BY started_at_us DESC, run_id DESC LIMIT ?2",
    )
    .bind(prefix)
    .bind(limit)
    .fetch_all(&store.readers)
    .await
    .map_err(|error| store.failed(&error))?
    .iter()
    .map(|row| summary(store, row))
    .collect()
}

fn summary(store: &SqliteStore, row: &SqliteRow) -> Result<RunSummary, StoreError> {
    let status = match row.get::<&str, _>(1) {
        "running" => RunStatus::Running,
        "awaiting" => RunStatus::Awaiting,
        "aborted" => RunStatus::Aborted,
        "completed" => RunStatus::Completed,
        _ => return Err(store.damaged("a run of an unknown status")),
    };
    let result = row.get::<Option<&str>, _>(2).map(|text| parse(store, text, "a run's result")).transpose()?;
    Ok(RunSummary { head: parse(store, row.get(0), "a run's head")?, status, result })
}

fn parse<T: DeserializeOwned>(store: &SqliteStore, text: &str, what: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|_| store.damaged(format!("{what} cannot be read")))
}

pub(crate) async fn payloads(store: &SqliteStore, digests: &[Digest]) -> Result<Vec<Option<Payload>>, StoreError> {
    let mut payloads = Vec::with_capacity(digests.len());
    let mut connection = store.readers.acquire().await.map_err(|error| store.failed(&error))?;
    for digest in digests {
        let content: Option<String> = sqlx::query_scalar("SELECT content FROM payloads WHERE sha256 = ?")
            .bind(digest.as_bytes().to_vec())
            .fetch_optional(&mut *connection)
            .await
            .map_err(|error| store.failed(&error))?;
        let payload = content.map(Payload::from_checked);
        if payload.as_ref().is_some_and(|payload| payload.digest() != *digest) {
            return Err(store.damaged(format!("the payload {digest} has other content than its digest says")));
        }
        payloads.push(payload);
    }
    Ok(payloads)
}

macro_rules! records_sql {
    ($condition:literal) => {
        concat!(
            "SELECT t.run, t.row, t.repeat, t.revision, t.item_id, t.evaluator, t.status, t.attempts, t.started_at_us,
                    t.duration_us, t.input, t.reference_output, t.item_metadata, t.output, t.output_metadata, t.error,
                    t.fault, t.leaf,
                    j.judge, j.status, j.attempts, j.started_at_us, j.duration_us, j.score, j.rationale, j.cost_usd,
                    j.error
             FROM traces t LEFT JOIN judgments j
                  ON j.run = t.run AND j.row = t.row AND j.repeat = t.repeat AND j.revision = t.revision
             WHERE t.run = (SELECT id FROM runs WHERE run_id = ?1) AND (?2 IS NULL OR t.status = ?2)",
            $condition,
            " ORDER BY t.run, t.row, t.repeat, t.revision, j.position"
        )
    };
}

pub(crate) fn records<'a>(
    store: &'a SqliteStore,
    run: &'a RunId,
    filter: &RecordFilter,
) -> BoxStream<'a, Result<StoredRecord, StoreError>> {
    let sql = if filter.item_id.is_some() { records_sql!(" AND t.item_id = ?3") } else { records_sql!("") };
    let item_id = filter.item_id.as_ref().map(|id| id.as_str().to_owned());
    let query =
        sqlx::query(sql).bind(run.as_str()).bind(filter.status.map(ef_model::TraceStatus::as_str)).bind(item_id);
    let rows = query.fetch(&store.readers).map_err(|error| store.failed(&error));
    let reader = Reader { store, rows, identities: Identities::default(), pending: None, ended: false };
    stream::unfold(reader, |mut reader| async move {
        let next = reader.next().await.transpose()?;
        reader.ended |= next.is_err();
        Some((next, reader))
    })
    .boxed()
}

/// Puts the joined rows of a record together.
struct Reader<'a, S> {
    store: &'a SqliteStore,
    rows: S,
    identities: Identities,
    /// The record whose rows are being read.
    pending: Option<StoredRecord>,
    ended: bool,
}

impl<S: stream::Stream<Item = Result<SqliteRow, StoreError>> + Unpin> Reader<'_, S> {
    async fn next(&mut self) -> Result<Option<StoredRecord>, StoreError> {
        while !self.ended {
            let Some(row) = self.rows.try_next().await? else {
                self.ended = true;
                return Ok(self.pending.take());
            };
            let complete = self.add(&row).await?;
            if complete.is_some() {
                return Ok(complete);
            }
        }
        Ok(None)
    }

    /// Adds a row to the pending record, or begins a new one and returns the one before it.
    async fn add(&mut self, row: &SqliteRow) -> Result<Option<StoredRecord>, StoreError> {
        let damaged = |reason| self.store.damaged(reason);
        let key: [i64; 3] = [row.get(1), row.get(2), row.get(3)];
        let same = self.pending.as_ref().is_some_and(|StoredRecord { record, .. }| {
            [i64::try_from(record.row).unwrap_or(-1), record.repeat.into(), record.revision.into()] == key
        });
        let mut complete = None;
        if !same {
            let evaluator = self.identities.evaluator(self.store, row.get(5)).await?;
            let (record, leaf) = record_rows::trace(row, evaluator).map_err(damaged)?;
            complete = self.pending.replace(StoredRecord { record, leaf });
        }
        if let Some(judge) = row.get::<Option<i64>, _>(JUDGMENT_FIRST) {
            let judge = self.identities.judge(self.store, judge).await?;
            let judgment = record_rows::judgment(row, judge).map_err(damaged)?;
            self.pending.as_mut().expect("a record was just begun").record.judgments.push(judgment);
        }
        Ok(complete)
    }
}

/// The evaluators and judges met so far, shared by all records that name them.
#[derive(Default)]
struct Identities {
    evaluators: HashMap<i64, Arc<Identity>>,
    judges: HashMap<i64, Arc<JudgeIdentity>>,
}

impl Identities {
    async fn evaluator(&mut self, store: &SqliteStore, id: i64) -> Result<Arc<Identity>, StoreError> {
        if let Some(known) = self.evaluators.get(&id) {
            return Ok(Arc::clone(known));
        }
        let identity = Arc::new(component(store, id).await?);
        self.evaluators.insert(id, Arc::clone(&identity));
        Ok(identity)
    }

    async fn judge(&mut self, store: &SqliteStore, id: i64) -> Result<Arc<JudgeIdentity>, StoreError> {
        if let Some(known) = self.judges.get(&id) {
            return Ok(Arc::clone(known));
        }
        let identity = Arc::new(component(store, id).await?);
        self.judges.insert(id, Arc::clone(&identity));
        Ok(identity)
    }
}

async fn component<T: DeserializeOwned>(store: &SqliteStore, id: i64) -> Result<T, StoreError> {
    let identity: Option<String> = sqlx::query_scalar("SELECT identity FROM components WHERE id = ?")
        .bind(id)
        .fetch_optional(&store.readers)
        .await
        .map_err(|error| store.failed(&error))?;
    match identity {
        Some(identity) => parse(store, &identity, "an evaluator's or judge's identity"),
        None => Err(store.damaged("a record names an evaluator or judge that is not there")),
    }
}
