//! Writing: one transaction a batch.

use std::collections::HashMap;
use std::sync::Arc;

use ef_model::{Digest, RunHead, RunId, RunResult, RunStatus, StoreError, TaskCommit, TaskRecord, canonical};
use serde::Serialize;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Row, SqliteConnection};

use crate::payloads;
use crate::store::{SqliteStore, Writing};
use crate::trace_row::TraceRow;

pub(crate) async fn begin(store: &SqliteStore, head: &RunHead) -> Result<(), StoreError> {
    let inserted = sqlx::query(
        "INSERT INTO runs (run_id, started_at_us, status, head) VALUES (?, ?, ?, ?) ON CONFLICT (run_id) DO NOTHING",
    )
    .bind(head.run_id.as_str())
    .bind(head.started_at_us)
    .bind(RunStatus::Running.as_str())
    .bind(json(head))
    .execute(&store.writer)
    .await
    .map_err(|error| store.failed(&error))?;
    match inserted.rows_affected() {
        0 => Err(StoreError::RunExists(head.run_id.clone())),
        _ => Ok(()),
    }
}

pub(crate) async fn finish(store: &SqliteStore, result: &RunResult) -> Result<(), StoreError> {
    let run = &result.head.run_id;
    let updated = sqlx::query("UPDATE runs SET status = ?, result = ? WHERE run_id = ? AND status <> 'completed'")
        .bind(result.status.as_str())
        .bind(json(result))
        .bind(run.as_str())
        .execute(&store.writer)
        .await
        .map_err(|error| store.failed(&error))?;
    if updated.rows_affected() == 1 {
        return Ok(());
    }
    let known: Option<i64> = sqlx::query_scalar("SELECT id FROM runs WHERE run_id = ?")
        .bind(run.as_str())
        .fetch_optional(&store.writer)
        .await
        .map_err(|error| store.failed(&error))?;
    Err(if known.is_some() { StoreError::RunClosed(run.clone()) } else { StoreError::RunNotFound(run.clone()) })
}

pub(crate) async fn append(store: &SqliteStore, run: &RunId, batch: Arc<[TaskCommit]>) -> Result<(), StoreError> {
    if batch.is_empty() {
        return Ok(());
    }
    let failed = |error: sqlx::Error| store.failed(&error);
    let payloads = payloads::distinct(&batch);
    // One batch after the other, in the order in which they came; what is above is done while the one before is written.
    let mut writing = store.writing.lock().await;
    let Writing { components, known_keys } = &mut *writing;
    let mut transaction = store.writer.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
    let connection = &mut *transaction;
    let run_row = open_run(store, connection, run).await?;
    let known = Components::of_batch(store, components, connection, &batch).await?;
    payloads::insert(&store.payloads, known_keys, connection, payloads).await.map_err(failed)?;
    let row = |arguments: &mut SqliteArguments, commit: &TaskCommit| {
        TraceRow::new(run_row, commit, |id| known.id(id), |id| known.id(id)).add_to(arguments)
    };
    let inserted = store.insert_traces.run(connection, &batch, row).await.map_err(failed)?;
    if inserted < batch.len() as u64 {
        check_known(store, connection, run_row, &batch).await?;
    }
    transaction.commit().await.map_err(failed)?;
    // What a rolled-back transaction inserted is not there, so these are remembered only now.
    components.extend(known.new);
    Ok(())
}

/// The run's row id, if it takes records.
async fn open_run(store: &SqliteStore, connection: &mut SqliteConnection, run: &RunId) -> Result<i64, StoreError> {
    let row = sqlx::query("SELECT id, status = 'completed' FROM runs WHERE run_id = ?")
        .bind(run.as_str())
        .fetch_optional(connection)
        .await
        .map_err(|error| store.failed(&error))?;
    match row {
        None => Err(StoreError::RunNotFound(run.clone())),
        Some(row) if row.get::<bool, _>(1) => Err(StoreError::RunClosed(run.clone())),
        Some(row) => Ok(row.get(0)),
    }
}

/// Some records of the batch were there already, or twice in it. With the same content that is nothing; anything else
/// is a conflict.
async fn check_known(
    store: &SqliteStore,
    connection: &mut SqliteConnection,
    run_row: i64,
    batch: &[TaskCommit],
) -> Result<(), StoreError> {
    const BY_ITEM: &str = "SELECT row, leaf FROM traces WHERE run = ? AND item_id = ? AND repeat = ? AND revision = ?";
    const BY_ROW: &str = "SELECT row, leaf FROM traces WHERE run = ? AND row = ? AND repeat = ? AND revision = ?";
    for commit in batch {
        let record = commit.record();
        let by_item = sqlx::query(BY_ITEM).bind(run_row).bind(record.item_id.as_str());
        let by_row = sqlx::query(BY_ROW).bind(run_row).bind(integer(record.row));
        for query in [by_item, by_row] {
            let known = query
                .bind(i64::from(record.repeat))
                .bind(i64::from(record.revision))
                .fetch_optional(&mut *connection)
                .await
                .map_err(|error| store.failed(&error))?;
            if let Some(known) = known
                && known.get::<&[u8], _>(1) != commit.leaf().as_bytes()
            {
                return Err(conflict(record, known.get(0)));
            }
        }
    }
    Ok(())
}

fn conflict(record: &TaskRecord, existing_row: i64) -> StoreError {
    StoreError::Conflict {
        item_id: record.item_id.clone(),
        row: record.row,
        existing_row: u64::try_from(existing_row).unwrap_or(0),
    }
}

/// The row ids of a batch's evaluators and judges.
struct Components {
    /// By the address of the shared identity: a batch has few.
    ids: HashMap<usize, i64>,
    new: Vec<(Digest, i64)>,
}

impl Components {
    async fn of_batch(
        store: &SqliteStore,
        stored: &HashMap<Digest, i64>,
        connection: &mut SqliteConnection,
        batch: &[TaskCommit],
    ) -> Result<Self, StoreError> {
        let mut components = Self { ids: HashMap::new(), new: Vec::new() };
        for record in batch.iter().map(TaskCommit::record) {
            components.add(store, stored, connection, &record.trace.evaluator).await?;
            for judgment in &record.judgments {
                components.add(store, stored, connection, &judgment.judge).await?;
            }
        }
        Ok(components)
    }

    async fn add<T: Serialize>(
        &mut self,
        store: &SqliteStore,
        stored: &HashMap<Digest, i64>,
        connection: &mut SqliteConnection,
        identity: &Arc<T>,
    ) -> Result<(), StoreError> {
        let address = Arc::as_ptr(identity).addr();
        if self.ids.contains_key(&address) {
            return Ok(());
        }
        let digest = canonical::digest(&**identity);
        let id = match stored.get(&digest) {
            Some(id) => *id,
            None => {
                let id = insert_component(connection, digest, &**identity).await.map_err(|e| store.failed(&e))?;
                self.new.push((digest, id));
                id
            }
        };
        self.ids.insert(address, id);
        Ok(())
    }

    fn id<T>(&self, identity: &Arc<T>) -> i64 {
        self.ids[&Arc::as_ptr(identity).addr()]
    }
}

async fn insert_component<T: Serialize>(
    connection: &mut SqliteConnection,
    digest: Digest,
    identity: &T,
) -> Result<i64, sqlx::Error> {
    sqlx::query("INSERT INTO components (sha256, identity) VALUES (?, ?) ON CONFLICT (sha256) DO NOTHING")
        .bind(digest.as_bytes().to_vec())
        .bind(json(identity))
        .execute(&mut *connection)
        .await?;
    sqlx::query_scalar("SELECT id FROM components WHERE sha256 = ?")
        .bind(digest.as_bytes().to_vec())
        .fetch_one(connection)
        .await
}

pub(crate) fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("records serialise to JSON")
}

/// SQLite's integers are signed; row numbers stay far below 2^63.
pub(crate) fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
