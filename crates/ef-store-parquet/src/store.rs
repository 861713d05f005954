//! The store itself.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ef_model::{
    BoxFuture, BoxStream, Digest, Environment, Payload, RecordFilter, RecordKey, RunHead, RunId, RunResult, RunSummary,
    StoreError, StoredRecord, TaskCommit, TraceStore,
};

use crate::blobs::Blobs;
use crate::lookup::Lookup;
use crate::segment::Columns;
use crate::uri::Location;
use crate::writer::{RunWriter, blocking};
use crate::{connect, marker, read};

/// A trace store of Parquet files.
///
/// What [`TraceStore::append`] returned from is durable: on disk it survives a power loss, in object storage it is
/// acknowledged. It works in any task of a Tokio runtime with a timer; dropping a future of `append` stops nothing
/// half-way.
#[derive(Clone)]
pub struct ParquetStore {
    shared: Arc<Shared>,
}

struct Shared {
    blobs: Blobs,
    lease: Duration,
    writers: Mutex<HashMap<RunId, Writer>>,
    lookup: Lookup,
}

/// Whoever writes a run, one at a time. Empty before it is taken up, and after it was lost.
type Writer = Arc<tokio::sync::Mutex<Option<RunWriter>>>;

impl std::fmt::Debug for ParquetStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParquetStore").field("store", &self.shared.blobs.name()).finish_non_exhaustive()
    }
}

impl ParquetStore {
    /// Opens a store that is there. Credentials come from `environment`: see the README.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when there is none, or it cannot be reached; [`StoreError::NotAStore`] when there is
    /// something else; [`StoreError::SchemaVersion`] when another version made it. Nothing is written.
    pub async fn open(location: &Location, environment: &Environment) -> Result<Self, StoreError> {
        let blobs = connect::blobs(location, environment)?;
        marker::check(&blobs).await?;
        Ok(Self::of(blobs, location.lease))
    }

    /// Opens a store, and makes it first where there is nothing: on disk readable by its owner alone.
    ///
    /// # Errors
    ///
    /// As [`ParquetStore::open`], and when it cannot be made.
    pub async fn open_or_create(location: &Location, environment: &Environment) -> Result<Self, StoreError> {
        let blobs = connect::blobs(location, environment)?;
        marker::create(&blobs).await?;
        Ok(Self::of(blobs, location.lease))
    }

    fn of(blobs: Blobs, lease: Duration) -> Self {
        let lookup = Lookup::new(&blobs);
        Self { shared: Arc::new(Shared { blobs, lease, writers: Mutex::default(), lookup }) }
    }
}

impl Shared {
    fn writers(&self) -> MutexGuard<'_, HashMap<RunId, Writer>> {
        self.writers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn writer(&self, run: &RunId) -> Writer {
        Arc::clone(self.writers().entry(run.clone()).or_default())
    }

    /// Gives back the runs that it writes, so that others can take them up at once.
    async fn close(&self) {
        let writers: Vec<_> = self.writers().drain().map(|(_, writer)| writer).collect();
        for writer in writers {
            if let Some(writer) = writer.lock().await.take() {
                writer.release().await;
            }
        }
    }

    async fn begin(&self, head: &RunHead) -> Result<(), StoreError> {
        let run = &head.run_id;
        let place = self.writer(run);
        let mut place = place.lock().await;
        let begun = RunWriter::begin(&self.blobs, head, self.lease).await;
        self.keep(run, &mut place, begun)
    }

    /// Makes sure that this store writes the run.
    async fn take_up(&self, run: &RunId, place: &mut Option<RunWriter>) -> Result<(), StoreError> {
        if place.is_some() {
            return Ok(());
        }
        let taken = RunWriter::resume(&self.blobs, run, self.lease).await;
        self.keep(run, place, taken)
    }

    fn keep(
        &self,
        run: &RunId,
        place: &mut Option<RunWriter>,
        writer: Result<RunWriter, StoreError>,
    ) -> Result<(), StoreError> {
        match writer {
            Ok(writer) => {
                *place = Some(writer);
                self.lookup.note(run);
                Ok(())
            }
            Err(error) => {
                if place.is_none() {
                    self.writers().remove(run);
                }
                Err(error)
            }
        }
    }

    async fn append(&self, run: &RunId, batch: Arc<[TaskCommit]>) -> Result<(), StoreError> {
        // Before its turn: while one batch is written, the next becomes columns.
        let commits = Arc::clone(&batch);
        let Some(columns) = blocking(&self.blobs, move || Columns::of(commits.iter().collect())).await? else {
            return Ok(());
        };
        let place = self.writer(run);
        let mut place = place.lock().await;
        self.take_up(run, &mut place).await?;
        let Some(writer) = place.as_mut() else { return Err(StoreError::RunBusy(run.clone())) };
        let appended = writer.append(&batch, columns).await;
        self.forget_if_lost(run, &mut place, &appended);
        appended
    }

    async fn finish(&self, result: &RunResult) -> Result<(), StoreError> {
        let run = &result.head.run_id;
        let place = self.writer(run);
        let mut place = place.lock().await;
        self.take_up(run, &mut place).await?;
        let Some(writer) = place.as_mut() else { return Err(StoreError::RunBusy(run.clone())) };
        let finished = writer.finish(result).await;
        if finished.is_ok() || writer.is_completed() {
            if let Some(writer) = place.take() {
                writer.release().await;
            }
            self.writers().remove(run);
        } else {
            self.forget_if_lost(run, &mut place, &finished);
        }
        finished
    }

    fn forget_if_lost(&self, run: &RunId, place: &mut Option<RunWriter>, outcome: &Result<(), StoreError>) {
        if matches!(outcome, Err(StoreError::RunBusy(_) | StoreError::RunClosed(_) | StoreError::RunNotFound(_))) {
            *place = None;
            self.writers().remove(run);
        }
    }
}

impl ParquetStore {
    /// Does something to its end, whether or not anybody waits for it.
    async fn whole<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let ended = |_| self.shared.blobs.unavailable("the program is ending");
        tokio::spawn(work).await.map_err(ended)?
    }
}

impl TraceStore for ParquetStore {
    fn begin<'a>(&'a self, head: &'a RunHead) -> BoxFuture<'a, Result<(), StoreError>> {
        let (shared, head) = (Arc::clone(&self.shared), head.clone());
        Box::pin(self.whole(async move { shared.begin(&head).await }))
    }

    fn resume<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<(), StoreError>> {
        let (shared, run) = (Arc::clone(&self.shared), run.clone());
        Box::pin(self.whole(async move {
            let place = shared.writer(&run);
            let mut place = place.lock().await;
            shared.take_up(&run, &mut place).await
        }))
    }

    fn append<'a>(&'a self, run: &'a RunId, batch: Arc<[TaskCommit]>) -> BoxFuture<'a, Result<(), StoreError>> {
        let (shared, run) = (Arc::clone(&self.shared), run.clone());
        Box::pin(self.whole(async move { shared.append(&run, batch).await }))
    }

    fn finish<'a>(&'a self, result: &'a RunResult) -> BoxFuture<'a, Result<(), StoreError>> {
        let (shared, result) = (Arc::clone(&self.shared), result.clone());
        Box::pin(self.whole(async move { shared.finish(&result).await }))
    }

    fn run<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<Option<RunSummary>, StoreError>> {
        Box::pin(read::run(&self.shared.blobs, run))
    }

    fn runs<'a>(&'a self, prefix: &'a str, limit: u32) -> BoxFuture<'a, Result<Vec<RunSummary>, StoreError>> {
        Box::pin(read::runs(&self.shared.blobs, prefix, limit))
    }

    fn records<'a>(&'a self, run: &'a RunId, filter: &RecordFilter) -> BoxStream<'a, Result<StoredRecord, StoreError>> {
        self.shared.lookup.note(run);
        read::records(&self.shared.blobs, run, filter)
    }

    fn keys<'a>(&'a self, run: &'a RunId) -> BoxStream<'a, Result<RecordKey, StoreError>> {
        read::keys(&self.shared.blobs, run)
    }

    fn payloads<'a>(&'a self, digests: &'a [Digest]) -> BoxFuture<'a, Result<Vec<Option<Payload>>, StoreError>> {
        Box::pin(self.shared.lookup.find(digests, None))
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            // A panic is told by whoever called what panicked.
            let closing = async move {
                shared.close().await;
                Ok(())
            };
            let _ = self.whole(closing).await;
        })
    }
}
