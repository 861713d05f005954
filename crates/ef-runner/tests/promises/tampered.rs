//! A store of which somebody changed what is in it.

use std::sync::Arc;

use ef_model::{
    BoxFuture, BoxStream, Digest, Payload, RecordFilter, RecordKey, RunHead, RunId, RunResult, RunSummary, StoreError,
    StoredRecord, TaskCommit, TaskRecord, TraceStore, Verification,
};
use ef_runner::verify;
use ef_testkit::MemoryStore;
use futures_util::{StreamExt, stream};

use crate::plans::{records, run_id};

/// A store of which a test changes what is read.
#[derive(Clone)]
pub(crate) struct Tampered {
    pub(crate) store: MemoryStore,
    pub(crate) summary: RunSummary,
    pub(crate) records: Vec<StoredRecord>,
    /// The record before which the records cannot be read on.
    pub(crate) broken_at: Option<usize>,
    pub(crate) lost: Vec<Digest>,
    pub(crate) damaged: Vec<Digest>,
}

impl Tampered {
    pub(crate) async fn new(store: &MemoryStore) -> Self {
        let summary = store.run(&run_id()).await.expect("readable").expect("there");
        let records = records(store).await;
        Self { store: store.clone(), summary, records, broken_at: None, lost: Vec::new(), damaged: Vec::new() }
    }

    /// Changes a record, and leaves the leaf that was stored with it.
    pub(crate) fn record(mut self, index: usize, change: impl FnOnce(&mut TaskRecord)) -> Self {
        change(&mut self.records[index].record);
        self
    }

    /// Makes every leaf that of its record.
    pub(crate) fn with_new_leaves(mut self) -> Self {
        self.records.iter_mut().for_each(|stored| stored.leaf = stored.record.leaf());
        self
    }

    pub(crate) fn result(mut self, change: impl FnOnce(&mut RunResult)) -> Self {
        change(self.summary.result.as_mut().expect("a result"));
        self
    }

    pub(crate) fn head(mut self, change: impl Fn(&mut RunHead)) -> Self {
        change(&mut self.summary.head);
        self.result(|result| change(&mut result.head))
    }

    pub(crate) async fn verified(&self) -> Verification {
        verify(self, &run_id()).await.expect("it can be verified")
    }
}

fn damaged() -> StoreError {
    StoreError::Damaged { store: "memory://".to_owned(), reason: "told to be damaged".to_owned() }
}

impl TraceStore for Tampered {
    fn begin<'a>(&'a self, head: &'a RunHead) -> BoxFuture<'a, Result<(), StoreError>> {
        self.store.begin(head)
    }

    fn resume<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<(), StoreError>> {
        self.store.resume(run)
    }

    fn append<'a>(&'a self, run: &'a RunId, batch: Arc<[TaskCommit]>) -> BoxFuture<'a, Result<(), StoreError>> {
        self.store.append(run, batch)
    }

    fn finish<'a>(&'a self, result: &'a RunResult) -> BoxFuture<'a, Result<(), StoreError>> {
        self.store.finish(result)
    }

    fn run<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<Option<RunSummary>, StoreError>> {
        if *run != run_id() {
            return self.store.run(run);
        }
        Box::pin(std::future::ready(Ok(Some(self.summary.clone()))))
    }

    fn runs<'a>(&'a self, prefix: &'a str, limit: u32) -> BoxFuture<'a, Result<Vec<RunSummary>, StoreError>> {
        self.store.runs(prefix, limit)
    }

    fn records<'a>(&'a self, run: &'a RunId, filter: &RecordFilter) -> BoxStream<'a, Result<StoredRecord, StoreError>> {
        if *run != run_id() {
            return self.store.records(run, filter);
        }
        let mut records: Vec<_> = self.records.iter().cloned().map(Ok).collect();
        if let Some(index) = self.broken_at {
            records.truncate(index);
            records.push(Err(damaged()));
        }
        stream::iter(records).boxed()
    }

    fn keys<'a>(&'a self, run: &'a RunId) -> BoxStream<'a, Result<RecordKey, StoreError>> {
        self.store.keys(run)
    }

    fn payloads<'a>(&'a self, digests: &'a [Digest]) -> BoxFuture<'a, Result<Vec<Option<Payload>>, StoreError>> {
        Box::pin(async {
            if digests.iter().any(|digest| self.damaged.contains(digest)) {
                return Err(damaged());
            }
            let found = self.store.payloads(digests).await?;
            let lost = |digest: &Digest| self.lost.contains(digest);
            Ok(digests.iter().zip(found).map(|(digest, payload)| payload.filter(|_| !lost(digest))).collect())
        })
    }
}
