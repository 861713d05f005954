//! Writing: one transaction a batch.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use ef_model::{Digest, RunHead, RunId, RunResult, RunStatus, StoreError, TaskCommit, TaskRecord, canonical};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};
use serde::Serialize;

use crate::insert::Insert;
use crate::judgment_keys;
use crate::known::Known;
use crate::run_lock::RunLocks;
use crate::store::SqliteStore;
use crate::trace_row::{self, TraceRow};
use crate::writer::Writer;

/// Why nothing was written.
enum Refusal {
    /// The store says so.
    Store(StoreError),
    /// SQLite says so.
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Refusal {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Writer {
    /// Does what needs a connection.
    fn with<T>(&mut self, work: impl FnOnce(&mut Connection) -> Result<T, Refusal>) -> Result<T, StoreError> {
        work(self.connection()?).map_err(|refusal| match refusal {
            Refusal::Store(error) => error,
            Refusal::Sqlite(error) => self.failed(&error),
        })
    }

    /// One transaction.
    fn transaction<T>(&mut self, work: impl FnOnce(&Transaction<'_>) -> Result<T, Refusal>) -> Result<T, StoreError> {
        self.with(|connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        })
    }

    /// One transaction by someone who wants to know what is stored. What it learns is kept if it is committed.
    fn transaction_with_known(
        &mut self,
        work: impl FnOnce(&Transaction<'_>, &mut Known) -> Result<(), Refusal>,
    ) -> Result<(), StoreError> {
        let before = self.known.take();
        let known = self.transaction(|transaction| {
            let mut known = Known::refresh(before, transaction)?;
            work(transaction, &mut known)?;
            Ok(known)
        })?;
        self.known = Some(known);
        Ok(())
    }
}

pub(crate) async fn begin(store: &SqliteStore, head: &RunHead) -> Result<(), StoreError> {
    let (run, started_at_us, head) = (head.run_id.clone(), head.started_at_us, json(head));
    let insert = move |writer: &mut Writer, locks: &RunLocks| {
        let path = writer.path.clone();
        let begun = writer.transaction(|transaction| {
            let inserted = transaction.execute(
                "INSERT INTO runs (run_id, started_at_us, status, head) VALUES (?, ?, ?, ?)
                 ON CONFLICT (run_id) DO NOTHING",
                (run.as_str(), started_at_us, RunStatus::Running.as_str(), head),
            )?;
            if inserted == 0 {
                return Err(StoreError::RunExists(run.clone()).into());
            }
            // Before anybody else can see the run.
            Ok(locks.take(&path, &run)?)
        });
        if begun.is_err() && !matches!(begun, Err(StoreError::RunExists(_))) {
            locks.release(&run);
        }
        begun
    };
    store.writer.run(insert).await
}

pub(crate) async fn resume(store: &SqliteStore, run: &RunId) -> Result<(), StoreError> {
    let run = run.clone();
    let take_up = move |writer: &mut Writer, locks: &RunLocks| {
        writer.with(|connection| open_run(connection, &run))?;
        locks.take(&writer.path, &run)?;
        // The one who had the lock may have completed the run meanwhile.
        let still_open = writer.with(|connection| open_run(connection, &run));
        if still_open.is_err() {
            locks.release(&run);
        }
        still_open.map(|_| ())
    };
    store.writer.run(take_up).await
}

pub(crate) async fn finish(store: &SqliteStore, result: &RunResult) -> Result<(), StoreError> {
    let (run, status, result) = (result.head.run_id.clone(), result.status, json(result));
    let update = move |writer: &mut Writer, locks: &RunLocks| {
        writer.transaction(|transaction| {
            let OpenRun { id, .. } = open_run(transaction, &run)?;
            transaction
                .execute("UPDATE runs SET status = ?, result = ? WHERE id = ?", (status.as_str(), result, id))?;
            Ok(())
        })?;
        locks.release(&run);
        Ok(())
    };
    store.writer.run(update).await
}

pub(crate) async fn append(store: &SqliteStore, run: &RunId, batch: Arc<[TaskCommit]>) -> Result<(), StoreError> {
    if batch.is_empty() {
        return Ok(());
    }
    let run = run.clone();
    let insert = move |transaction: &Transaction<'_>, known: &mut Known| {
        let OpenRun { id: run, is_running } = open_run(transaction, &run)?;
        if !is_running {
            transaction.execute("UPDATE runs SET status = 'running', result = NULL WHERE id = ?", [run])?;
        }
        let components = Components::of_batch(&mut known.components, transaction, &batch)?;
        known.insert(batch.iter().flat_map(TaskCommit::payloads), transaction)?;
        let inserted =
            Insert::or_ignore("traces", &trace_row::COLUMNS).run(transaction, &batch, |values, commit| {
                TraceRow::new(run, commit, |id| components.id(id), |id| components.id(id)).bind(values)
            })?;
        if inserted < batch.len() {
            check_known(transaction, run, &batch)?;
        }
        Ok(judgment_keys::insert(transaction, run, &batch)?)
    };
    store.writer.run(|writer, _| writer.transaction_with_known(insert)).await
}

/// A run that takes records.
struct OpenRun {
    id: i64,
    is_running: bool,
}

/// The run, if it takes records.
fn open_run(connection: &Connection, run: &RunId) -> Result<OpenRun, Refusal> {
    let row = connection
        .prepare_cached("SELECT id, status FROM runs WHERE run_id = ?")?
        .query_row([run.as_str()], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)))
        .optional()?;
    match row {
        None => Err(StoreError::RunNotFound(run.clone()).into()),
        Some((_, status)) if status == RunStatus::Completed.as_str() => Err(StoreError::RunClosed(run.clone()).into()),
        Some((id, status)) => Ok(OpenRun { id, is_running: status == RunStatus::Running.as_str() }),
    }
}

/// Some records of the batch were there already, or twice in it. With the same content that is nothing; anything else
/// is a conflict.
fn check_known(connection: &Connection, run_row: i64, batch: &[TaskCommit]) -> Result<(), Refusal> {
    const BY_ITEM: &str = "SELECT row, leaf FROM traces WHERE run = ? AND item_id = ? AND repeat = ? AND revision = ?";
    const BY_ROW: &str = "SELECT row, leaf FROM traces WHERE run = ? AND row = ? AND repeat = ? AND revision = ?";
    let mut by_item = connection.prepare_cached(BY_ITEM)?;
    let mut by_row = connection.prepare_cached(BY_ROW)?;
    let columns = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, [u8; 32]>(1)?));
    for commit in batch {
        let record = commit.record();
        let (repeat, revision) = (record.repeat, record.revision);
        let known = [
            by_item.query_row((run_row, record.item_id.as_str(), repeat, revision), columns).optional()?,
            by_row.query_row((run_row, integer(record.row), repeat, revision), columns).optional()?,
        ];
        for (row, leaf) in known.into_iter().flatten() {
            if leaf != *commit.leaf().as_bytes() {
                return Err(conflict(record, row).into());
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
}

impl Components {
    fn of_batch(
        stored: &mut HashMap<Digest, i64>,
        connection: &Connection,
        batch: &[TaskCommit],
    ) -> rusqlite::Result<Self> {
        let mut components = Self { ids: HashMap::new() };
        for record in batch.iter().map(TaskCommit::record) {
            components.add(stored, connection, &record.trace.evaluator)?;
            for judgment in &record.judgments {
                components.add(stored, connection, &judgment.judge)?;
            }
        }
        Ok(components)
    }

    fn add<T: Serialize>(
        &mut self,
        stored: &mut HashMap<Digest, i64>,
        connection: &Connection,
        identity: &Arc<T>,
    ) -> rusqlite::Result<()> {
        let Entry::Vacant(unknown) = self.ids.entry(Arc::as_ptr(identity).addr()) else { return Ok(()) };
        let digest = canonical::digest(&**identity);
        let id = match stored.entry(digest) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => *new.insert(insert_component(connection, digest, &**identity)?),
        };
        unknown.insert(id);
        Ok(())
    }

    fn id<T>(&self, identity: &Arc<T>) -> i64 {
        self.ids[&Arc::as_ptr(identity).addr()]
    }
}

fn insert_component<T: Serialize>(connection: &Connection, digest: Digest, identity: &T) -> rusqlite::Result<i64> {
    connection.execute(
        "INSERT INTO components (sha256, identity) VALUES (?, ?) ON CONFLICT (sha256) DO NOTHING",
        (digest.as_bytes(), json(identity)),
    )?;
    connection.query_row("SELECT id FROM components WHERE sha256 = ?", [digest.as_bytes()], |row| row.get(0))
}

pub(crate) fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("records serialise to JSON")
}

/// SQLite's integers are signed; row numbers stay far below 2^63.
pub(crate) fn integer(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
