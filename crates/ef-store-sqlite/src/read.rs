//! Reading: streams in constant memory.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use ef_model::{
    BoxStream, Identity, JudgeIdentity, RecordFilter, RecordKey, RunId, RunStatus, RunSummary, StoreError, StoredRecord,
};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::de::DeserializeOwned;
use sqlx::sqlite::{Sqlite, SqliteRow};
use sqlx::{Row, SqliteConnection, Transaction};
use tokio::task::JoinHandle;

use crate::packed_record::{self, PackedRecord};
use crate::store::SqliteStore;
use crate::write::integer;

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
    let failed = |error: sqlx::Error| store.failed(&error);
    let status = match row.try_get(1).map_err(failed)? {
        "running" => RunStatus::Running,
        "awaiting" => RunStatus::Awaiting,
        "aborted" => RunStatus::Aborted,
        "completed" => RunStatus::Completed,
        _ => return Err(store.damaged("a run of an unknown status")),
    };
    let result: Option<&str> = row.try_get(2).map_err(failed)?;
    let result = result.map(|text| parse(store, text, "a run's result")).transpose()?;
    Ok(RunSummary { head: parse(store, row.try_get(0).map_err(failed)?, "a run's head")?, status, result })
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
    let query = PageQuery {
        run: run.clone(),
        item_id: filter.item_id.as_ref().map(|id| id.as_str().to_owned()),
        status: filter.status.map(ef_model::TraceStatus::as_str),
        after: [0, -1, -1],
    };
    let reader = Reader { store, query, fetching: None, identities: Identities::default() };
    stream::try_unfold(Some(reader), |reader| async move {
        let Some(mut reader) = reader else { return Ok(None) };
        let page = reader.page().await?;
        let next = reader.fetching.is_some().then_some(reader);
        Ok(Some((stream::iter(page.into_iter().map(Ok)), next)))
    })
    .try_flatten()
    .boxed()
}

/// The record at a place.
pub(crate) async fn record(
    store: &SqliteStore,
    connection: &mut SqliteConnection,
    identities: &mut Identities,
    run: &RunId,
    place: RecordKey,
) -> Result<Option<StoredRecord>, StoreError> {
    let RecordKey { row, repeat, revision } = place;
    let key = [integer(row), i64::from(repeat), i64::from(revision)];
    // A page of one, after the record before it.
    let page: String = sqlx::query_scalar(packed_record::PAGE)
        .bind(run.as_str())
        .bind(key[0])
        .bind(key[1])
        .bind(key[2] - 1)
        .bind(None::<&str>)
        .bind(1)
        .fetch_one(&mut *connection)
        .await
        .map_err(|error| store.failed(&error))?;
    let packed = packed_record::parse(&page).map_err(|reason| store.damaged(reason))?;
    let Some(record) = packed.into_iter().next().filter(|record| record.key() == key) else { return Ok(None) };
    identities.learn(store, connection, &record).await?;
    let Identities { evaluators, judges } = identities;
    record.unpack(evaluators, judges).map(Some).map_err(|reason| store.damaged(reason))
}

/// Which page of which records.
#[derive(Clone)]
struct PageQuery {
    run: RunId,
    item_id: Option<String>,
    status: Option<&'static str>,
    /// The row, repeat and revision of the record before the page.
    after: [i64; 3],
}

/// What a page is read from: one snapshot of the database for all of them.
type Snapshot = Transaction<'static, Sqlite>;

impl PageQuery {
    async fn fetch(self, mut snapshot: Snapshot) -> Result<(Snapshot, String), sqlx::Error> {
        let sql = if self.item_id.is_some() { packed_record::ITEM_PAGE } else { packed_record::PAGE };
        let page = sqlx::query_scalar(sql)
            .bind(self.run.as_str())
            .bind(self.after[0])
            .bind(self.after[1])
            .bind(self.after[2])
            .bind(self.status)
            .bind(PAGE)
            .bind(&self.item_id)
            .fetch_one(&mut *snapshot)
            .await?;
        Ok((snapshot, page))
    }
}

/// Reads a run's records page by page; while one page is taken apart and used, the next is fetched.
struct Reader<'a> {
    store: &'a SqliteStore,
    query: PageQuery,
    fetching: Option<JoinHandle<Result<(Snapshot, String), sqlx::Error>>>,
    identities: Identities,
}

impl Reader<'_> {
    /// The next page. Afterwards nothing is being fetched if it was the last.
    async fn page(&mut self) -> Result<Vec<StoredRecord>, StoreError> {
        let failed = |error: sqlx::Error| self.store.failed(&error);
        let fetched = match self.fetching.take() {
            Some(fetching) => fetching.await.expect("fetching a page does not panic"),
            None => self.query.clone().fetch(self.store.readers.begin().await.map_err(failed)?).await,
        };
        let (mut snapshot, page) = fetched.map_err(failed)?;
        let packed = packed_record::parse(&page).map_err(|reason| self.store.damaged(reason))?;
        for record in &packed {
            let key = record.key();
            if key <= self.query.after {
                return Err(self.store.damaged("records are not in the order of their keys"));
            }
            self.query.after = key;
            self.identities.learn(self.store, &mut snapshot, record).await?;
        }
        // A page that is not full is the last.
        if packed.len() == PAGE as usize {
            self.fetching = Some(tokio::spawn(self.query.clone().fetch(snapshot)));
        }
        let Identities { evaluators, judges } = &self.identities;
        packed
            .into_iter()
            .map(|record| record.unpack(evaluators, judges).map_err(|reason| self.store.damaged(reason)))
            .collect()
    }
}

/// The evaluators and judges met so far, shared by all records that name them.
#[derive(Default)]
pub(crate) struct Identities {
    evaluators: HashMap<i64, Arc<Identity>>,
    judges: HashMap<i64, Arc<JudgeIdentity>>,
}

impl Identities {
    /// Makes sure that those which a record names are known.
    async fn learn(
        &mut self,
        store: &SqliteStore,
        connection: &mut SqliteConnection,
        record: &PackedRecord<'_>,
    ) -> Result<(), StoreError> {
        if let Entry::Vacant(unknown) = self.evaluators.entry(record.evaluator()) {
            let identity = component(store, connection, *unknown.key()).await?;
            unknown.insert(Arc::new(identity));
        }
        for judge in record.judges() {
            if let Entry::Vacant(unknown) = self.judges.entry(judge) {
                let identity = component(store, connection, *unknown.key()).await?;
                unknown.insert(Arc::new(identity));
            }
        }
        Ok(())
    }
}

async fn component<T: DeserializeOwned>(
    store: &SqliteStore,
    connection: &mut SqliteConnection,
    id: i64,
) -> Result<T, StoreError> {
    let identity: Option<String> = sqlx::query_scalar("SELECT identity FROM components WHERE id = ?")
        .bind(id)
        .fetch_optional(connection)
        .await
        .map_err(|error| store.failed(&error))?;
    match identity {
        Some(identity) => parse(store, &identity, "an evaluator's or judge's identity"),
        None => Err(store.damaged("a record names an evaluator or judge that is not there")),
    }
}
