//! Where records are kept.

use std::sync::Arc;

use crate::{
    BoxFuture, BoxStream, Digest, ItemId, Payload, RunHead, RunId, RunResult, RunStatus, TaskCommit, TaskRecord,
    TraceStatus,
};

/// Keeps runs, records and payloads durably.
///
/// There is no update and no delete. What `append` returned from is durable; a record is there whole or not at all.
/// One process may write a run while others read it.
pub trait TraceStore: Send + Sync {
    /// Begins a run. Until [`TraceStore::finish`], or until this store is dropped or its process ends in whatever way,
    /// nobody else can write the run.
    ///
    /// # Errors
    ///
    /// [`StoreError::RunExists`] when there is a run of that id.
    fn begin<'a>(&'a self, head: &'a RunHead) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Takes up a run that is not completed, as its only writer. Nothing is written yet.
    ///
    /// # Errors
    ///
    /// [`StoreError::RunNotFound`], [`StoreError::RunClosed`] when it is completed, [`StoreError::RunBusy`] when somebody
    /// else writes it.
    fn resume<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Adds records in one transaction. Adding a record that is there already, with the same leaf, does nothing. The batch
    /// is shared, so that a store may work on parts of it at the same time. A run that was
    /// aborted is running again with the first batch that it takes.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] when an item id is there from another row, or the same record with another content;
    /// [`StoreError::RunClosed`] when the run is completed. Nothing of the batch is added then.
    fn append<'a>(&'a self, run: &'a RunId, batch: Arc<[TaskCommit]>) -> BoxFuture<'a, Result<(), StoreError>>;

    /// Ends a run with its result. A completed run takes no more.
    ///
    /// # Errors
    ///
    /// [`StoreError::RunNotFound`], or [`StoreError::RunClosed`] when it is completed already.
    fn finish<'a>(&'a self, result: &'a RunResult) -> BoxFuture<'a, Result<(), StoreError>>;

    /// One run, if it is there.
    fn run<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<Option<RunSummary>, StoreError>>;

    /// The runs whose id starts with `prefix` (all of them for an empty one), the latest begun first, at most `limit`.
    fn runs<'a>(&'a self, prefix: &'a str, limit: u32) -> BoxFuture<'a, Result<Vec<RunSummary>, StoreError>>;

    /// A run's records in `(row, repeat, revision)` order, all revisions, in constant memory.
    fn records<'a>(&'a self, run: &'a RunId, filter: &RecordFilter) -> BoxStream<'a, Result<StoredRecord, StoreError>>;

    /// The keys of a run's records, all revisions, in no particular order: many a second, as resuming waits for them.
    fn keys<'a>(&'a self, run: &'a RunId) -> BoxStream<'a, Result<RecordKey, StoreError>>;

    /// Payloads by their digests, in the order asked for; `None` where there is none.
    fn payloads<'a>(&'a self, digests: &'a [Digest]) -> BoxFuture<'a, Result<Vec<Option<Payload>>, StoreError>>;

    /// Judgments by the keys that came with their records (see [`TaskCommit::cache_keys`]), in the order asked for; of
    /// several with the same key the one that was added first. A store that keeps no keys finds none.
    fn judgments<'a>(&'a self, keys: &'a [Digest]) -> BoxFuture<'a, Result<Vec<Option<FoundJudgment>>, StoreError>> {
        Box::pin(std::future::ready(Ok(vec![None; keys.len()])))
    }

    /// Lets go of files, connections and runs, after what was asked for before; nothing can be written afterwards. A store
    /// that is dropped lets go of them too, a little later.
    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// A judgment that was found by its key.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundJudgment {
    /// The run that it is part of.
    pub run_id: RunId,
    /// The record that it is part of.
    pub stored: StoredRecord,
    /// Its place among the record's judgments.
    pub judgment: usize,
}

/// Which record of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordKey {
    /// The dataset row, from 1.
    pub row: u64,
    /// Which repeat of the item, from 0.
    pub repeat: u32,
    /// Which revision, from 0.
    pub revision: u32,
}

/// Which records to read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RecordFilter {
    /// Only those of this item.
    pub item_id: Option<ItemId>,
    /// Only those with this status.
    pub status: Option<TraceStatus>,
}

/// A record as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredRecord {
    /// The record.
    pub record: TaskRecord,
    /// The leaf digest that was stored with it.
    pub leaf: Digest,
}

/// A run as a store knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct RunSummary {
    /// What began.
    pub head: RunHead,
    /// Where it stands.
    pub status: RunStatus,
    /// How it ended, once it has.
    pub result: Option<RunResult>,
}

/// Why a store could not do what it was asked. No message holds a payload or a password.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, opened, read or written.
    #[error("the trace store {store} is unavailable: {reason}")]
    Unavailable {
        /// The store's URI, without a password.
        store: String,
        /// What the backend says.
        reason: String,
    },
    /// It was made for another version of the schema.
    #[error("the trace store {store} has schema version {found}, and this ef works with version {supported}")]
    SchemaVersion {
        /// The store's URI, without a password.
        store: String,
        /// The version that it has.
        found: i64,
        /// The version that this build works with.
        supported: i64,
    },
    /// It is not a trace store.
    #[error("{store} is not a trace store: {reason}")]
    NotAStore {
        /// The URI, without a password.
        store: String,
        /// What it seems to be.
        reason: String,
    },
    /// What it holds cannot be understood.
    #[error("the trace store {store} is damaged: {reason}")]
    Damaged {
        /// The store's URI, without a password.
        store: String,
        /// What was found.
        reason: String,
    },
    /// The same item from two rows, or the same record twice with different content.
    #[error(
        "row {row} has the item id {item_id:?}, which row {existing_row} has already{}",
        if row == existing_row { " with another content" } else { "" }
    )]
    Conflict {
        /// The item's id.
        item_id: ItemId,
        /// The row of the refused record.
        row: u64,
        /// The row of the record that was there first.
        existing_row: u64,
    },
    /// There is a run of that id.
    #[error("there is already a run {0}")]
    RunExists(RunId),
    /// There is no run of that id.
    #[error("there is no run {0}")]
    RunNotFound(RunId),
    /// Another writer has it.
    #[error("the run {0} is being written by another process")]
    RunBusy(RunId),
    /// The run is completed and takes no more.
    #[error("the run {0} is completed and takes no more records")]
    RunClosed(RunId),
}
