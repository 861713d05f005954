//! The keys of a run's records, many a second.

use ef_model::{BoxStream, RecordKey, RunId, StoreError};
use futures_util::{StreamExt, TryStreamExt, stream};
use sqlx::Row;
use tokio::task::JoinHandle;

use crate::store::SqliteStore;

/// Keys that are read at once.
const PAGE: usize = 1 << 15;

/// A page of keys and the item of the last, from the index by item, which holds nothing else and so is a tenth of the
/// table. Parameters: run id; item id, repeat and revision of the record before the page; how many.
const SELECT: &str = "SELECT json_group_array(json_array(row, repeat, revision)), max(item_id)
    FROM (SELECT row, repeat, revision, item_id FROM traces
          WHERE run = (SELECT id FROM runs WHERE run_id = ?1) AND (item_id, repeat, revision) > (?2, ?3, ?4)
          ORDER BY item_id, repeat, revision LIMIT ?5)";

/// Where a page begins: after the record of this item, repeat and revision.
type After = (String, u32, u32);

/// A key as a page has it: row, repeat and revision.
type Key = (u64, u32, u32);

/// A page being fetched: its keys and the item of the last; nothing behind the last record.
type Fetch = JoinHandle<Result<Option<(String, String)>, sqlx::Error>>;

pub(crate) fn keys<'a>(store: &'a SqliteStore, run: &'a RunId) -> BoxStream<'a, Result<RecordKey, StoreError>> {
    let first = fetch(store, run, (String::new(), 0, 0));
    stream::try_unfold(Some(first), move |fetching| async move {
        let Some(fetching) = fetching else { return Ok(None) };
        let (keys, next) = page(store, run, fetching).await?;
        Ok(Some((stream::iter(keys.into_iter().map(Ok)), next)))
    })
    .try_flatten()
    .boxed()
}

/// Begins to fetch the page behind a record.
fn fetch(store: &SqliteStore, run: &RunId, after: After) -> Fetch {
    let (readers, run) = (store.readers.clone(), run.clone());
    tokio::spawn(async move {
        let (item, repeat, revision) = after;
        let row = sqlx::query(SELECT)
            .bind(run.as_str())
            .bind(item)
            .bind(repeat)
            .bind(revision)
            .bind(i64::try_from(PAGE).expect("a page is small"))
            .fetch_one(&readers)
            .await?;
        let last_item: Option<String> = row.try_get(1)?;
        Ok(last_item.map(|last_item| (row.get(0), last_item)))
    })
}

/// A page, and the next, which is being fetched while this one is taken apart.
async fn page(
    store: &SqliteStore,
    run: &RunId,
    fetching: Fetch,
) -> Result<(Vec<RecordKey>, Option<Fetch>), StoreError> {
    let fetched = fetching.await.expect("fetching a page does not panic").map_err(|error| store.failed(&error))?;
    let Some((page, last_item)) = fetched else { return Ok((Vec::new(), None)) };
    let damaged = |_| store.damaged("the key of a record is no number");
    let last = page.rfind('[').map_or("", |begin| page[begin..].trim_end_matches(']'));
    let (_, repeat, revision): Key = serde_json::from_str(&format!("{last}]")).map_err(damaged)?;
    let next = fetch(store, run, (last_item, repeat, revision));
    let keys: Vec<Key> = serde_json::from_str(&page).map_err(damaged)?;
    let keys = keys.into_iter().map(|(row, repeat, revision)| RecordKey { row, repeat, revision }).collect();
    Ok((keys, Some(next)))
}
