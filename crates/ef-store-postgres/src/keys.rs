//! The keys of a run's records, many a second.

use std::sync::Arc;

use ef_model::{BoxStream, RecordKey, RunId, StoreError};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tokio::task::JoinHandle;

use crate::fault::Refusal;
use crate::store::{PostgresStore, Readers};
use crate::trace_columns::integer;

/// Keys that are read at once.
const PAGE: usize = 1 << 15;

/// A page of keys as three arrays: the driver's cost a row is paid once a page.
const SELECT: &str = "SELECT array_agg(k.row), array_agg(k.repeat), array_agg(k.revision)
    FROM (SELECT t.row, t.repeat, t.revision FROM traces t
          WHERE t.run = (SELECT id FROM runs WHERE run_id = $1) AND (t.row, t.repeat, t.revision) > ($2, $3, $4)
          ORDER BY t.run, t.row, t.repeat, t.revision LIMIT $5) k";

/// Row, repeat and revision.
type Key = [i64; 3];

/// A page that is being fetched.
type Fetch = JoinHandle<Result<Vec<Key>, StoreError>>;

pub(crate) fn keys<'a>(store: &'a PostgresStore, run: &'a RunId) -> BoxStream<'a, Result<RecordKey, StoreError>> {
    stream::try_unfold(Some(None), move |fetching: Option<Option<Fetch>>| async move {
        let Some(fetching) = fetching else { return Ok(None) };
        let fetching = fetching.unwrap_or_else(|| fetch(store, run, [0, -1, -1]));
        let page = fetching.await.expect("fetching a page does not panic")?;
        // A page that is not full is the last. The next is fetched while this one is used.
        let next = page.last().filter(|_| page.len() == PAGE).map(|last| Some(fetch(store, run, *last)));
        let keys =
            page.into_iter().map(|key| record_key(key).ok_or_else(|| store.damaged("a key that is out of range")));
        Ok(Some((stream::iter(keys), next)))
    })
    .try_flatten()
    .boxed()
}

fn record_key([row, repeat, revision]: Key) -> Option<RecordKey> {
    Some(RecordKey {
        row: u64::try_from(row).ok()?,
        repeat: u32::try_from(repeat).ok()?,
        revision: u32::try_from(revision).ok()?,
    })
}

/// Begins to fetch the page behind a record.
fn fetch(store: &PostgresStore, run: &RunId, after: Key) -> Fetch {
    let (readers, run) = (Arc::clone(&store.readers), run.clone());
    tokio::spawn(async move { readers.read(|| page(&readers, &run, after)).await })
}

async fn page(readers: &Readers, run: &RunId, [row, repeat, revision]: Key) -> Result<Vec<Key>, Refusal> {
    type Column = Option<Vec<i64>>;
    let columns: (Column, Column, Column) = sqlx::query_as(SELECT)
        .bind(run.as_str())
        .bind(row)
        .bind(repeat)
        .bind(revision)
        .bind(integer(PAGE as u64))
        .fetch_one(&mut *readers.connection().await?)
        .await?;
    // Of no rows there is no array.
    let [rows, repeats, revisions] = <[Column; 3]>::from(columns).map(Option::unwrap_or_default);
    Ok(rows.into_iter().zip(repeats).zip(revisions).map(|((row, repeat), revision)| [row, repeat, revision]).collect())
}
