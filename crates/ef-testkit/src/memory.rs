//! A trace store in memory.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ef_model::{
    BoxFuture, BoxStream, Digest, ItemId, Payload, RecordFilter, RunHead, RunId, RunResult, RunStatus, RunSummary,
    StoreError, StoredRecord, TaskCommit, TraceStore,
};
use futures_util::{StreamExt, stream};

type Key = (u64, u32, u32);

/// Keeps everything in memory. Clones share it, so that a test can look at what a run wrote.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    runs: HashMap<RunId, StoredRun>,
    payloads: HashMap<Digest, Payload>,
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
    fn append(&mut self, run: &RunId, batch: &[TaskCommit]) -> Result<(), StoreError> {
        if let Some(left) = &mut self.appends_until_failure {
            *left = left.checked_sub(1).ok_or_else(|| StoreError::Unavailable {
                store: "memory://".to_owned(),
                reason: "told to fail".to_owned(),
            })?;
        }
        let stored = self.runs.get_mut(run).ok_or_else(|| StoreError::RunNotFound(run.clone()))?;
        if stored.summary.status == RunStatus::Completed {
            return Err(StoreError::RunClosed(run.clone()));
        }
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
        self.batches.push(batch.len());
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
            Ok(())
        };
        Box::pin(std::future::ready(result))
    }

    fn append<'a>(&'a self, run: &'a RunId, batch: Arc<[TaskCommit]>) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move { self.lock().append(run, &batch) })
    }

    fn finish<'a>(&'a self, result: &'a RunResult) -> BoxFuture<'a, Result<(), StoreError>> {
        let run = &result.head.run_id;
        let outcome = match self.lock().runs.get_mut(run) {
            None => Err(StoreError::RunNotFound(run.clone())),
            Some(stored) if stored.summary.status == RunStatus::Completed => Err(StoreError::RunClosed(run.clone())),
            Some(stored) => {
                stored.summary.status = result.status;
                stored.summary.result = Some(result.clone());
                Ok(())
            }
        };
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

    fn payloads<'a>(&'a self, digests: &'a [Digest]) -> BoxFuture<'a, Result<Vec<Option<Payload>>, StoreError>> {
        let state = self.lock();
        let payloads = digests.iter().map(|digest| state.payloads.get(digest).cloned()).collect();
        Box::pin(std::future::ready(Ok(payloads)))
    }
}
