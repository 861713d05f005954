//! Judgments by the keys that came with their records.

use std::collections::{BTreeMap, HashMap};

use ef_model::{Digest, FoundJudgment, RunId, StoreError, TaskCommit};
use sqlx::{PgConnection, Row as _};

use crate::fault::Refusal;
use crate::identities::Identities;
use crate::store::PostgresStore;
use crate::trace_columns::integer;
use crate::trace_row::{TraceRow, trace_columns};

/// Keys that are looked up at once.
const LOOK_UP: usize = 512;

/// Keeps the keys of a batch, in their order; of several judgments with one key the first stays.
pub(crate) async fn insert(run: i64, batch: &[TaskCommit], connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let mut places = BTreeMap::new();
    for commit in batch {
        for (judgment, key) in commit.cache_keys() {
            places.entry(*key).or_insert((commit.record().key(), integer(*judgment as u64)));
        }
    }
    if places.is_empty() {
        return Ok(());
    }
    sqlx::query(
        "INSERT INTO judgment_keys (key, run, row, repeat, revision, judgment)
         SELECT k.key, $1, k.nr, k.repeat, k.revision, k.judgment
         FROM unnest($2::bytea[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[])
              AS k (key, nr, repeat, revision, judgment)
         ON CONFLICT (key) DO NOTHING",
    )
    .bind(run)
    .bind(places.keys().map(|key| *key.as_bytes()).collect::<Vec<_>>())
    .bind(places.values().map(|(key, _)| integer(key.row)).collect::<Vec<_>>())
    .bind(places.values().map(|(key, _)| i64::from(key.repeat)).collect::<Vec<_>>())
    .bind(places.values().map(|(key, _)| i64::from(key.revision)).collect::<Vec<_>>())
    .bind(places.values().map(|(_, judgment)| *judgment).collect::<Vec<_>>())
    .execute(connection)
    .await
    .map(drop)
}

pub(crate) async fn get(store: &PostgresStore, keys: &[Digest]) -> Result<Vec<Option<FoundJudgment>>, StoreError> {
    let mut found = HashMap::new();
    for keys in keys.chunks(LOOK_UP) {
        found.extend(store.read(|| find(store, keys)).await?);
    }
    Ok(keys.iter().map(|key| found.get(key).cloned()).collect())
}

async fn find(store: &PostgresStore, keys: &[Digest]) -> Result<HashMap<Digest, FoundJudgment>, Refusal> {
    let mut connection = store.reader().await?;
    let rows = sqlx::query(concat!(
        "SELECT ",
        trace_columns!(),
        ", k.key, r.run_id, k.judgment
         FROM judgment_keys k
              JOIN traces t ON (t.run, t.row, t.repeat, t.revision) = (k.run, k.row, k.repeat, k.revision)
              JOIN runs r ON r.id = k.run
         WHERE k.key = ANY($1)"
    ))
    .bind(keys.iter().map(|key| *key.as_bytes()).collect::<Vec<_>>())
    .fetch_all(&mut *connection)
    .await?;
    let mut identities = Identities::default();
    let mut found = HashMap::new();
    for row in rows {
        let (key, run, judgment): (Vec<u8>, String, i64) =
            (row.try_get("key")?, row.try_get("run_id")?, row.try_get("judgment")?);
        let unexpected = || store.damaged("an unexpected value in table judgment_keys");
        let key = <[u8; 32]>::try_from(key).map(Digest::from_bytes).map_err(|_| unexpected())?;
        let run_id = RunId::new(run).map_err(|_| unexpected())?;
        let judgment = usize::try_from(judgment).map_err(|_| unexpected())?;
        let trace = TraceRow::of(store, row)?;
        identities.learn(store, &mut connection, &trace).await?;
        let stored = identities.unpack(store, trace)?;
        found.insert(key, FoundJudgment { run_id, stored, judgment });
    }
    Ok(found)
}
