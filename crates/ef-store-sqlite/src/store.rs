//! The store itself: one writing connection and a few reading ones.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ef_model::{
    BoxFuture, BoxStream, Digest, FoundJudgment, Payload, RecordFilter, RecordKey, RunHead, RunId, RunResult,
    RunSummary, StoreError, StoredRecord, TaskCommit, TraceStore,
};
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions};
use tokio::sync::Mutex;

use crate::tail::Tail;
use crate::writer::WriterHandle;
use crate::{fault, judgment_keys, keys, open, payloads, read, write};

/// A trace store in one SQLite file, in WAL mode with `synchronous=FULL`: what [`TraceStore::append`] returned from
/// survives a power loss, and readers never wait for the writer.
#[derive(Debug)]
pub struct SqliteStore {
    pub(crate) path: PathBuf,
    pub(crate) writer: WriterHandle,
    pub(crate) readers: SqlitePool,
    /// What whoever looks payloads up has read of those that are not in the index yet.
    pub(crate) tail: Mutex<Tail>,
}

impl SqliteStore {
    /// Opens a store that is there.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when there is no such file or it cannot be read, [`StoreError::NotAStore`] when it is
    /// something else, [`StoreError::SchemaVersion`] when another version of the schema made it. Nothing is written.
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        open::check(path.as_ref()).await?;
        Self::connect(path.as_ref())
    }

    /// Opens a store, and makes it first where there is none: the file is readable by its owner alone.
    ///
    /// # Errors
    ///
    /// As [`SqliteStore::open`], and when the file cannot be made.
    pub async fn open_or_create(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        open::create(path.as_ref()).await?;
        Self::connect(path.as_ref())
    }

    fn connect(path: &Path) -> Result<Self, StoreError> {
        let readers = SqlitePoolOptions::new()
            .max_connections(3)
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(open::reader_options(path));
        Ok(Self { path: path.to_owned(), writer: WriterHandle::start(path)?, readers, tail: Mutex::default() })
    }

    /// Closes the file: the write-ahead log is copied into the database where no other process has it open.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }

    pub(crate) fn failed(&self, error: &sqlx::Error) -> StoreError {
        fault::of(&self.path, error)
    }

    pub(crate) fn damaged(&self, reason: impl Into<String>) -> StoreError {
        fault::damaged(&self.path, reason)
    }
}

impl TraceStore for SqliteStore {
    fn begin<'a>(&'a self, head: &'a RunHead) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(write::begin(self, head))
    }

    fn resume<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(write::resume(self, run))
    }

    fn append<'a>(&'a self, run: &'a RunId, batch: Arc<[TaskCommit]>) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(write::append(self, run, batch))
    }

    fn finish<'a>(&'a self, result: &'a RunResult) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(write::finish(self, result))
    }

    fn run<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<Option<RunSummary>, StoreError>> {
        Box::pin(read::run(self, run))
    }

    fn runs<'a>(&'a self, prefix: &'a str, limit: u32) -> BoxFuture<'a, Result<Vec<RunSummary>, StoreError>> {
        Box::pin(read::runs(self, prefix, limit))
    }

    fn records<'a>(&'a self, run: &'a RunId, filter: &RecordFilter) -> BoxStream<'a, Result<StoredRecord, StoreError>> {
        read::records(self, run, filter)
    }

    fn keys<'a>(&'a self, run: &'a RunId) -> BoxStream<'a, Result<RecordKey, StoreError>> {
        keys::keys(self, run)
    }

    fn payloads<'a>(&'a self, digests: &'a [Digest]) -> BoxFuture<'a, Result<Vec<Option<Payload>>, StoreError>> {
        Box::pin(payloads::get(self, digests))
    }

    fn judgments<'a>(&'a self, keys: &'a [Digest]) -> BoxFuture<'a, Result<Vec<Option<FoundJudgment>>, StoreError>> {
        Box::pin(judgment_keys::get(self, keys))
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(Self::close(self))
    }
}
