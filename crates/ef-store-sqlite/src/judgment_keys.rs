//! Judgments by the keys that came with their records.

use ef_model::{Digest, FoundJudgment, RecordKey, RunId, StoreError, TaskCommit};
use rusqlite::Connection;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::insert::Insert;
use crate::read::{self, Identities};
use crate::store::SqliteStore;
use crate::write::integer;

const COLUMNS: [&str; 6] = ["key", "run", "row", "repeat", "revision", "judgment"];

/// Keeps the keys of a batch; of several judgments with one key the first stays. The batch is a part of the transaction.
pub(crate) fn insert(connection: &Connection, run: i64, batch: &[TaskCommit]) -> rusqlite::Result<()> {
    let of_commit = |commit: &'_ TaskCommit| {
        let place = commit.record().key();
        commit.cache_keys().iter().map(move |&(judgment, key)| (key, place, judgment)).collect::<Vec<_>>()
    };
    let keys: Vec<_> = batch.iter().flat_map(of_commit).collect();
    if keys.is_empty() {
        return Ok(());
    }
    Insert::or_ignore("judgment_keys", &COLUMNS).run(connection, &keys, |values, (key, place, judgment)| {
        values.bind(key.as_bytes())?;
        values.bind(run)?;
        values.bind(integer(place.row))?;
        values.bind(place.repeat)?;
        values.bind(place.revision)?;
        values.bind(integer(*judgment as u64))
    })?;
    Ok(())
}

pub(crate) async fn get(store: &SqliteStore, keys: &[Digest]) -> Result<Vec<Option<FoundJudgment>>, StoreError> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let mut snapshot = store.readers.begin().await.map_err(|error| store.failed(&error))?;
    let mut identities = Identities::default();
    let mut found = Vec::with_capacity(keys.len());
    for key in keys {
        let row = sqlx::query(
            "SELECT runs.run_id, k.row, k.repeat, k.revision, k.judgment
             FROM judgment_keys k JOIN runs ON runs.id = k.run WHERE k.key = ?",
        )
        .bind(key.as_bytes().as_slice())
        .fetch_optional(&mut *snapshot)
        .await
        .map_err(|error| store.failed(&error))?;
        let Some(row) = row else {
            found.push(None);
            continue;
        };
        let (run_id, place, judgment) =
            location(&row).ok_or_else(|| store.damaged("an unexpected value in table judgment_keys"))?;
        let stored = read::record(store, &mut snapshot, &mut identities, &run_id, place).await?;
        found.push(stored.map(|stored| FoundJudgment { run_id, stored, judgment }));
    }
    Ok(found)
}

/// Run, place of the record in it, and place of the judgment in that.
fn location(row: &SqliteRow) -> Option<(RunId, RecordKey, usize)> {
    let integer = |column: usize| row.try_get::<i64, _>(column).ok();
    let place = RecordKey {
        row: u64::try_from(integer(1)?).ok()?,
        repeat: u32::try_from(integer(2)?).ok()?,
        revision: u32::try_from(integer(3)?).ok()?,
    };
    let run_id = RunId::new(row.try_get::<&str, _>(0).ok()?).ok()?;
    Some((run_id, place, usize::try_from(integer(4)?).ok()?))
}
