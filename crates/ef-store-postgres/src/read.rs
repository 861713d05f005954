//! Reading: runs, and streams of records in constant memory.

use ef_model::{BoxStream, RecordFilter, RecordKey, RunId, RunStatus, RunSummary, StoreError, StoredRecord};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use serde::de::DeserializeOwned;
use sqlx::postgres::PgRow;
use sqlx::{Postgres, Row as _, Transaction};
use tokio::task::JoinHandle;

use crate::fault::{self, Refusal};
use crate::identities::Identities;
use crate::session::ATTEMPT;
use crate::store::PostgresStore;
use crate::trace_columns::integer;
use crate::trace_row::{TraceRow, trace_columns};

pub(crate) async fn run(store: &PostgresStore, run: &RunId) -> Result<Option<RunSummary>, StoreError> {
    let find = || async {
        let row = sqlx::query("SELECT head, status, result FROM runs WHERE run_id = $1")
            .bind(run.as_str())
            .fetch_optional(&mut *store.reader().await?)
            .await?;
        row.map(|row| summary(store, &row)).transpose()
    };
    store.read(find).await
}

pub(crate) async fn runs(store: &PostgresStore, prefix: &str, limit: u32) -> Result<Vec<RunSummary>, StoreError> {
    let find = || async {
        let rows = sqlx::query(
            "SELECT head, status, result FROM runs WHERE starts_with(run_id, $1)
             ORDER BY started_at_us DESC, run_id DESC LIMIT $2",
        )
        .bind(prefix)
        .bind(i64::from(limit))
        .fetch_all(&mut *store.reader().await?)
        .await?;
        rows.iter().map(|row| summary(store, row)).collect()
    };
    store.read(find).await
}

fn summary(store: &PostgresStore, row: &PgRow) -> Result<RunSummary, Refusal> {
    let status = match row.try_get(1)? {
        "running" => RunStatus::Running,
        "awaiting" => RunStatus::Awaiting,
        "aborted" => RunStatus::Aborted,
        "completed" => RunStatus::Completed,
        _ => return Err(store.damaged("a run of an unknown status").into()),
    };
    let result: Option<&str> = row.try_get(2)?;
    let result = result.map(|text| parse(store, text, "a run's result")).transpose()?;
    Ok(RunSummary { head: parse(store, row.try_get(0)?, "a run's head")?, status, result })
}

fn parse<T: DeserializeOwned>(store: &PostgresStore, text: &str, what: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|_| store.damaged(format!("{what} cannot be read")))
}

/// Records that are read at once.
const PAGE: usize = 512;

macro_rules! page_sql {
    ($condition:literal) => {
        concat!(
            "SELECT ",
            trace_columns!(),
            " FROM traces t
             WHERE t.run = (SELECT id FROM runs WHERE run_id = $1) AND (t.row, t.repeat, t.revision) > ($2, $3, $4)
                   AND ($5::text IS NULL OR t.status = $5)",
            $condition,
            " ORDER BY t.run, t.row, t.repeat, t.revision LIMIT $6"
        )
    };
}

pub(crate) fn records<'a>(
    store: &'a PostgresStore,
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

/// What pages are read from: one snapshot of the database for all of them, so that a batch that is being added is never
/// seen in part.
type Snapshot = Transaction<'static, Postgres>;

/// A page, and what it was read from.
type Page = (Snapshot, Vec<PgRow>);

/// Which page of which records.
#[derive(Clone)]
struct PageQuery {
    run: RunId,
    item_id: Option<String>,
    status: Option<&'static str>,
    /// The row, repeat and revision of the record before the page.
    after: [i64; 3],
}

impl PageQuery {
    async fn fetch(self, mut snapshot: Snapshot) -> Result<Page, sqlx::Error> {
        let sql = if self.item_id.is_some() { page_sql!(" AND t.item_id = $7") } else { page_sql!("") };
        let [row, repeat, revision] = self.after;
        let mut query = sqlx::query(sql)
            .bind(self.run.as_str())
            .bind(row)
            .bind(repeat)
            .bind(revision)
            .bind(self.status)
            .bind(integer(PAGE as u64));
        if let Some(item_id) = &self.item_id {
            query = query.bind(item_id);
        }
        let silence = |_| fault::silence(ATTEMPT.as_secs());
        let page = tokio::time::timeout(ATTEMPT, query.fetch_all(&mut *snapshot)).await.map_err(silence)??;
        Ok((snapshot, page))
    }
}

/// Reads a run's records page by page; while one page is taken apart and used, the next is fetched.
struct Reader<'a> {
    store: &'a PostgresStore,
    query: PageQuery,
    fetching: Option<JoinHandle<Result<Page, sqlx::Error>>>,
    identities: Identities,
}

impl Reader<'_> {
    /// The next page. Afterwards nothing is being fetched if it was the last.
    async fn page(&mut self) -> Result<Vec<StoredRecord>, StoreError> {
        let (mut snapshot, page) = match self.fetching.take() {
            Some(fetching) => {
                fetching.await.expect("fetching a page does not panic").map_err(|error| self.store.failed(&error))?
            }
            // A later page comes from the snapshot of the first; the first can be had again.
            None => self.store.read(|| self.first_page()).await?,
        };
        let is_last = page.len() < PAGE;
        let mut traces = Vec::with_capacity(page.len());
        for row in page {
            let trace = TraceRow::of(self.store, row)?;
            let RecordKey { row, repeat, revision } = trace.key;
            let key = [integer(row), i64::from(repeat), i64::from(revision)];
            if key <= self.query.after {
                return Err(self.store.damaged("records are not in the order of their keys"));
            }
            self.query.after = key;
            self.identities
                .learn(self.store, &mut snapshot, &trace)
                .await
                .map_err(|refusal| self.store.refused(refusal))?;
            traces.push(trace);
        }
        if !is_last {
            self.fetching = Some(tokio::spawn(self.query.clone().fetch(snapshot)));
        }
        traces.into_iter().map(|trace| self.identities.unpack(self.store, trace)).collect()
    }

    async fn first_page(&self) -> Result<Page, Refusal> {
        let snapshot = self.store.snapshot().await?;
        Ok(self.query.clone().fetch(snapshot).await?)
    }
}
