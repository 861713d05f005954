//! A trace store in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use ef_model::{
    BoxFuture, BoxStream, Digest, FoundJudgment, ItemId, Payload, RecordFilter, RecordKey, RunHead, RunId, RunResult,
    RunStatus, RunSummary, StoreError, StoredRecord, TaskCommit, TraceStore,
};
use futures_util::{StreamExt, stream};

type Key = (u64, u32, u32);

/// Keeps everything in memory. Clones share it, so that a test can look at what a run wrote; together they are one
/// writer.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
    /// Alive as long as this writer is.
    writer: Arc<()>,
}

#[derive(Debug, Default)]
struct State {
    runs: HashMap<RunId, StoredRun>,
    writers: HashMap<RunId, Weak<()>>,
    payloads: HashMap<Digest, Payload>,
    judgments: HashMap<Digest, FoundJudgment>,
    batches: Vec<usize>,
    appends_until_failure: Option<usize>,
}

#[derive(Debug)]
struct StoredRun {
    summary: RunSummary,
    records: BTreeMap<Key, StoredRecord>,
    /// Which record an item's repeat and revision is.
    items: HashMap<(ItemId, u32, u32), Key>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same store for another writer, as another process would open it.
    #[must_use]
    pub fn reopened(&self) -> Self {
        Self { state: Arc::clone(&self.state), writer: Arc::default() }
    }

    /// Lets this many appends through and fails all after them, as a store that lost its disk.
    pub fn fail_after(&self, appends: usize) {
        self.lock().appends_until_failure = Some(appends);
    }

    /// How many records each append had.
    #[must_use]
    pub fn batches(&self) -> Vec<usize> {
        self.lock().batches.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// A run that takes records.
    fn open_run(&mut self, run: &RunId) -> Result<&mut StoredRun, StoreError> {
        match self.runs.get_mut(run) {
            None => Err(StoreError::RunNotFound(run.clone())),
            Some(stored) if stored.summary.status == RunStatus::Completed => Err(StoreError::RunClosed(run.clone())),
            Some(stored) => Ok(stored),
        }
    }

    fn append(&mut self, run: &RunId, batch: &[TaskCommit]) -> Result<(), StoreError> {
        if let Some(left) = &mut self.appends_until_failure {
            *left = left.checked_sub(1).ok_or_else(|| StoreError::Unavailable {
                store: "memory://".to_owned(),
                reason: "told to fail".to_owned(),
            })?;
        }
        let stored = self.open_run(run)?;
        let mut added = Vec::new();
        for commit in batch {
            match stored.add(commit) {
                Ok(key) => added.extend(key),
                Err(error) => {
                    added.into_iter().for_each(|key| stored.remove(key));
                    return Err(error);
                }
            }
        }
        if !batch.is_empty() {
            stored.summary.status = RunStatus::Running;
            stored.summary.result = None;
        }
        self.batches.push(batch.len());
        for commit in batch {
            let stored = StoredRecord { record: commit.record().clone(), leaf: commit.leaf() };
            for &(judgment, key) in commit.cache_keys() {
                let found = || FoundJudgment { run_id: run.clone(), stored: stored.clone(), judgment };
                self.judgments.entry(key).or_insert_with(found);
            }
        }
        let payloads = batch.iter().flat_map(TaskCommit::payloads);
        self.payloads.extend(payloads.map(|payload| (payload.digest(), payload.clone())));
        Ok(())
    }
}

impl StoredRun {
    /// Adds a record and returns its key, or nothing if it is there already.
    fn add(&mut self, commit: &TaskCommit) -> Result<Option<Key>, StoreError> {
        let new = commit.record();
        let key = (new.row, new.repeat, new.revision);
        let item = (new.item_id.clone(), new.repeat, new.revision);
        match self.records.get(self.items.get(&item).unwrap_or(&key)) {
            Some(known) if known.leaf == commit.leaf() => Ok(None),
            Some(known) => {
                Err(StoreError::Conflict { item_id: new.item_id.clone(), row: new.row, existing_row: known.record.row })
            }
            None => {
                self.items.insert(item, key);
                self.records.insert(key, StoredRecord { record: new.clone(), leaf: commit.leaf() });
                Ok(Some(key))
            }
        }
    }

    fn remove(&mut self, key: Key) {
        if let Some(StoredRecord { record, .. }) = self.records.remove(&key) {
            self.items.remove(&(record.item_id, record.repeat, record.revision));
        }
    }
}

impl TraceStore for MemoryStore {
    fn begin<'a>(&'a self, head: &'a RunHead) -> BoxFuture<'a, Result<(), StoreError>> {
        let mut state = self.lock();
        let result = if state.runs.contains_key(&head.run_id) {
            Err(StoreError::RunExists(head.run_id.clone()))
        } else {
            let summary = RunSummary { head: head.clone(), status: RunStatus::Running, result: None };
            let run = StoredRun { summary, records: BTreeMap::new(), items: HashMap::new() };
            state.runs.insert(head.run_id.clone(), run);
            state.writers.insert(head.run_id.clone(), Arc::downgrade(&self.writer));
            Ok(())
        };
        Box::pin(std::future::ready(result))
    }

    fn resume<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<(), StoreError>> {
        let mut state = self.lock();
        let result = state.open_run(run).map(|_| ()).and_then(|()| {
            let holder = state.writers.get(run).and_then(Weak::upgrade);
            if holder.is_some_and(|holder| !Arc::ptr_eq(&holder, &self.writer)) {
                return Err(StoreError::RunBusy(run.clone()));
            }
            state.writers.insert(run.clone(), Arc::downgrade(&self.writer));
            Ok(())
        });
        Box::pin(std::future::ready(result))
    }

    fn append<'a>(&'a self, run: &'a RunId, batch: Arc<[TaskCommit]>) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move { self.lock().append(run, &batch) })
    }

    fn finish<'a>(&'a self, result: &'a RunResult) -> BoxFuture<'a, Result<(), StoreError>> {
        let run = &result.head.run_id;
        let mut state = self.lock();
        let outcome = state.open_run(run).map(|stored| {
            stored.summary.status = result.status;
            stored.summary.result = Some(result.clone());
        });
        if outcome.is_ok() {
            state.writers.remove(run);
        }
        Box::pin(std::future::ready(outcome))
    }

    fn run<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<Option<RunSummary>, StoreError>> {
        let summary = self.lock().runs.get(run).map(|stored| stored.summary.clone());
        Box::pin(std::future::ready(Ok(summary)))
    }

    fn runs<'a>(&'a self, prefix: &'a str, limit: u32) -> BoxFuture<'a, Result<Vec<RunSummary>, StoreError>> {
        let state = self.lock();
        let summaries = state.runs.values().map(|stored| stored.summary.clone());
        let mut runs: Vec<_> = summaries.filter(|run| run.head.run_id.as_str().starts_with(prefix)).collect();
        runs.sort_by(|a, b| (b.head.started_at_us, &b.head.run_id).cmp(&(a.head.started_at_us, &a.head.run_id)));
        runs.truncate(limit as usize);
        Box::pin(std::future::ready(Ok(runs)))
    }

    fn records<'a>(&'a self, run: &'a RunId, filter: &RecordFilter) -> BoxStream<'a, Result<StoredRecord, StoreError>> {
        let state = self.lock();
        let records = state.runs.get(run).into_iter().flat_map(|stored| stored.records.values());
        let matching: Vec<_> = records
            .filter(|stored| filter.item_id.as_ref().is_none_or(|id| *id == stored.record.item_id))
            .filter(|stored| filter.status.is_none_or(|status| status == stored.record.trace.status()))
            .map(|stored| Ok(stored.clone()))
            .collect();
        stream::iter(matching).boxed()
    }

    fn keys<'a>(&'a self, run: &'a RunId) -> BoxStream<'a, Result<RecordKey, StoreError>> {
        let state = self.lock();
        let records = state.runs.get(run).into_iter().flat_map(|stored| stored.records.values());
        let keys: Vec<_> = records.map(|stored| Ok(stored.record.key())).collect();
        stream::iter(keys).boxed()
    }

    fn payloads<'a>(&'a self, digests: &'a [Digest]) -> BoxFuture<'a, Result<Vec<Option<Payload>>, StoreError>> {
        let state = self.lock();
        let payloads = digests.iter().map(|digest| state.payloads.get(digest).cloned()).collect();
        Box::pin(std::future::ready(Ok(payloads)))
    }

    fn judgments<'a>(&'a self, keys: &'a [Digest]) -> BoxFuture<'a, Result<Vec<Option<FoundJudgment>>, StoreError>> {
        let state = self.lock();
        let found = keys.iter().map(|key| state.judgments.get(key).cloned()).collect();
        Box::pin(std::future::ready(Ok(found)))
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.lock().writers.retain(|_, writer| !std::ptr::eq(writer.as_ptr(), Arc::as_ptr(&self.writer)));
        Box::pin(std::future::ready(()))
    }
}
