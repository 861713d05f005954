//! Reading: streams in constant memory.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use ef_model::{
    BoxStream, Identity, JudgeIdentity, RecordFilter, RunId, RunStatus, RunSummary, StoreError, StoredRecord,
};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::de::DeserializeOwned;
use sqlx::sqlite::{Sqlite, SqliteRow};
use sqlx::{Row, Transaction};

use crate::packed_record::{self, PackedRecord};
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

/// Records that are read at once.
const PAGE: u32 = 512;

pub(crate) fn records<'a>(
    store: &'a SqliteStore,
    run: &'a RunId,
    filter: &RecordFilter,
) -> BoxStream<'a, Result<StoredRecord, StoreError>> {
    let reader = Reader {
        store,
        run,
        filter: filter.clone(),
        snapshot: None,
        after: [0, -1, -1],
        identities: Identities::default(),
    };
    stream::try_unfold(Some(reader), |reader| async move {
        let Some(mut reader) = reader else { return Ok(None) };
        let page = reader.page().await?;
        // A page that is not full is the last.
        let next = (page.len() == PAGE as usize).then_some(reader);
        Ok(Some((stream::iter(page.into_iter().map(Ok)), next)))
    })
    .try_flatten()
    .boxed()
}

/// Reads a run's records page by page, all from one snapshot of the database.
struct Reader<'a> {
    store: &'a SqliteStore,
    run: &'a RunId,
    filter: RecordFilter,
    snapshot: Option<Transaction<'static, Sqlite>>,
    /// The row, repeat and revision of the last record read.
    after: [i64; 3],
    identities: Identities,
}

impl Reader<'_> {
    async fn page(&mut self) -> Result<Vec<StoredRecord>, StoreError> {
        let failed = |error: sqlx::Error| self.store.failed(&error);
        let snapshot = match &mut self.snapshot {
            Some(snapshot) => snapshot,
            none => none.insert(self.store.readers.begin().await.map_err(failed)?),
        };
        let item_id = self.filter.item_id.as_ref().map(|id| id.as_str().to_owned());
        let sql = if item_id.is_some() { packed_record::ITEM_PAGE } else { packed_record::PAGE };
        let page: String = sqlx::query_scalar(sql)
            .bind(self.run.as_str())
            .bind(self.after[0])
            .bind(self.after[1])
            .bind(self.after[2])
            .bind(self.filter.status.map(ef_model::TraceStatus::as_str))
            .bind(PAGE)
            .bind(item_id)
            .fetch_one(&mut **snapshot)
            .await
            .map_err(failed)?;
        self.unpack(&page).await
    }

    async fn unpack(&mut self, page: &str) -> Result<Vec<StoredRecord>, StoreError> {
        let packed = packed_record::parse(page).map_err(|reason| self.store.damaged(reason))?;
        let mut records = Vec::with_capacity(packed.len());
        for record in packed {
            let key = record.key();
            if key <= self.after {
                return Err(self.store.damaged("records are not in the order of their keys"));
            }
            self.after = key;
            self.identities.learn(self.store, &record).await?;
            let record = record.unpack(&self.identities.evaluators, &self.identities.judges);
            records.push(record.map_err(|reason| self.store.damaged(reason))?);
        }
        Ok(records)
    }
}

/// The evaluators and judges met so far, shared by all records that name them.
#[derive(Default)]
struct Identities {
    evaluators: HashMap<i64, Arc<Identity>>,
    judges: HashMap<i64, Arc<JudgeIdentity>>,
}

impl Identities {
    /// Makes sure that those which a record names are known.
    async fn learn(&mut self, store: &SqliteStore, record: &PackedRecord<'_>) -> Result<(), StoreError> {
        if let Entry::Vacant(unknown) = self.evaluators.entry(record.evaluator()) {
            let identity = component(store, *unknown.key()).await?;
            unknown.insert(Arc::new(identity));
        }
        for judge in record.judges() {
            if let Entry::Vacant(unknown) = self.judges.entry(judge) {
                let identity = component(store, *unknown.key()).await?;
                unknown.insert(Arc::new(identity));
            }
        }
        Ok(())
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
