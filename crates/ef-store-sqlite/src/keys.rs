//! The keys of a run's records, many a second.

use ef_model::{BoxStream, RecordKey, RunId, StoreError};
use futures_util::{StreamExt, TryStreamExt, stream};
use sqlx::Row;

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

pub(crate) fn keys<'a>(store: &'a SqliteStore, run: &'a RunId) -> BoxStream<'a, Result<RecordKey, StoreError>> {
    let begin: After = (String::new(), 0, 0);
    stream::try_unfold(Some(begin), move |after| async move {
        let Some(after) = after else { return Ok(None) };
        let (keys, next) = page(store, run, &after).await?;
        Ok(Some((stream::iter(keys.into_iter().map(Ok)), next)))
    })
    .try_flatten()
    .boxed()
}

/// A page, and where the next begins unless this is the last.
async fn page(
    store: &SqliteStore,
    run: &RunId,
    (item, repeat, revision): &After,
) -> Result<(Vec<RecordKey>, Option<After>), StoreError> {
    let row = sqlx::query(SELECT)
        .bind(run.as_str())
        .bind(item)
        .bind(repeat)
        .bind(revision)
        .bind(i64::try_from(PAGE).expect("a page is small"))
        .fetch_one(&store.readers)
        .await
        .map_err(|error| store.failed(&error))?;
    let keys: Vec<(u64, u32, u32)> =
        serde_json::from_str(row.get(0)).map_err(|_| store.damaged("the key of a record is no number"))?;
    let next = match keys.last() {
        Some(&(_, repeat, revision)) if keys.len() == PAGE => Some((row.get(1), repeat, revision)),
        _ => None,
    };
    let keys = keys.into_iter().map(|(row, repeat, revision)| RecordKey { row, repeat, revision }).collect();
    Ok((keys, next))
}
