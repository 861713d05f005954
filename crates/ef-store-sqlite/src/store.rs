//! The store itself: one writing connection and a few reading ones.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ef_model::{
    BoxFuture, BoxStream, Digest, Payload, RecordFilter, RunHead, RunId, RunResult, RunSummary, StoreError,
    StoredRecord, TaskCommit, TraceStore,
};
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions};
use tokio::sync::Mutex;

use crate::known_keys::KnownKeys;
use crate::statements::Insert;
use crate::{fault, open, payloads, read, trace_row, write};

/// A trace store in one SQLite file, in WAL mode with `synchronous=FULL`: what [`TraceStore::append`] returned from
/// survives a power loss, and readers never wait for the writer.
#[derive(Debug)]
pub struct SqliteStore {
    pub(crate) path: PathBuf,
    pub(crate) writer: SqlitePool,
    pub(crate) readers: SqlitePool,
    pub(crate) writing: Mutex<Writing>,
    pub(crate) payloads: payloads::Statements,
    pub(crate) insert_traces: Insert,
}

/// What whoever appends knows of the file; held while a batch is appended.
#[derive(Debug, Default)]
pub(crate) struct Writing {
    /// Row ids of the components that are stored already, by the digests of their identities.
    pub(crate) components: HashMap<Digest, i64>,
    pub(crate) known_keys: KnownKeys,
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
        Ok(Self::connect(path.as_ref()))
    }

    /// Opens a store, and makes it first where there is none: the file is readable by its owner alone.
    ///
    /// # Errors
    ///
    /// As [`SqliteStore::open`], and when the file cannot be made.
    pub async fn open_or_create(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        open::create(path.as_ref()).await?;
        Ok(Self::connect(path.as_ref()))
    }

    fn connect(path: &Path) -> Self {
        let pool = |connections, options| {
            SqlitePoolOptions::new()
                .max_connections(connections)
                .test_before_acquire(false)
                .idle_timeout(None)
                .max_lifetime(None)
                .connect_lazy_with(options)
        };
        Self {
            path: path.to_owned(),
            writer: pool(1, open::writer_options(path)),
            readers: pool(3, open::reader_options(path)),
            writing: Mutex::default(),
            payloads: payloads::Statements::new(),
            insert_traces: Insert::new("traces", &trace_row::COLUMNS),
        }
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

    fn payloads<'a>(&'a self, digests: &'a [Digest]) -> BoxFuture<'a, Result<Vec<Option<Payload>>, StoreError>> {
        Box::pin(payloads::get(self, digests))
    }
}
