//! The writer of one run: each append is one entry in its journal.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use ef_model::{RunHead, RunId, RunResult, RunStatus, StoreError, TaskCommit};

use crate::blobs::{BlobError, Blobs};
use crate::index::RunIndex;
use crate::lease::{self, Lease};
use crate::manifest::Manifest;
use crate::segment::{Columns, ReadError};
use crate::tail::Tail;
use crate::{layout, publish};

/// How long a run that somebody else holds is looked at again: its holder may just be giving it back.
const PATIENCE: Duration = Duration::from_millis(600);

/// Writes one run.
pub(crate) struct RunWriter {
    blobs: Blobs,
    run: RunId,
    lease_length: Duration,
    manifest: Manifest,
    index: RunIndex,
    tail: Tail,
    /// Whether an entry's outcome is unknown: the journal has to be read again first.
    stale: bool,
    lease: Lease,
}

/// Why an entry was not made.
enum Refusal {
    /// There is another of its number.
    Taken,
    Store(StoreError),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl RunWriter {
    /// Begins a run.
    pub(crate) async fn begin(blobs: &Blobs, head: &RunHead, lease_length: Duration) -> Result<Self, StoreError> {
        let run = &head.run_id;
        let manifest = Manifest {
            entry: 1,
            nonce: nonce(),
            claim: 1,
            claims: vec![1],
            leased_until_us: lease::until(lease_length),
            status: RunStatus::Running,
            result: None,
            head: Some(head.clone()),
            segments: Vec::new(),
            tables: None,
        };
        match commit(blobs, run, &manifest, Vec::new()).await {
            Ok(()) => Ok(Self::new(blobs, run, lease_length, manifest, RunIndex::default())),
            Err(Refusal::Taken) => Err(StoreError::RunExists(run.clone())),
            Err(Refusal::Store(error)) => Err(error),
        }
    }

    /// Takes up a run.
    pub(crate) async fn resume(blobs: &Blobs, run: &RunId, lease_length: Duration) -> Result<Self, StoreError> {
        let give_up = tokio::time::Instant::now() + PATIENCE.min(lease_length);
        loop {
            let newest = Manifest::newest(blobs, run).await?.ok_or_else(|| StoreError::RunNotFound(run.clone()))?;
            let held = lease::is_held(blobs, run, &newest).await?;
            if newest.status == RunStatus::Completed {
                if newest.tables.is_none() && !held {
                    // Whoever completed it did not live to write the tables.
                    publish::again(blobs, run, newest).await?;
                }
                return Err(StoreError::RunClosed(run.clone()));
            }
            if !held {
                match Self::claim(blobs, run, lease_length, newest).await {
                    // Somebody else was faster, and holds it now.
                    Err(Refusal::Taken) => {}
                    Err(Refusal::Store(error)) => return Err(error),
                    Ok(writer) => return Ok(writer),
                }
            }
            if tokio::time::Instant::now() >= give_up {
                return Err(StoreError::RunBusy(run.clone()));
            }
            tokio::time::sleep(PATIENCE / 6).await;
        }
    }

    async fn claim(blobs: &Blobs, run: &RunId, lease_length: Duration, newest: Manifest) -> Result<Self, Refusal> {
        let entry = newest.entry + 1;
        let mut manifest = Manifest {
            entry,
            nonce: nonce(),
            claim: entry,
            leased_until_us: lease::until(lease_length),
            head: None,
            ..newest
        };
        manifest.claims.push(entry);
        commit(blobs, run, &manifest, Vec::new()).await?;
        let mut writer = Self::new(blobs, run, lease_length, manifest, RunIndex::default());
        writer.load().await?;
        writer.remove_orphans().await;
        Ok(writer)
    }

    fn new(blobs: &Blobs, run: &RunId, lease_length: Duration, manifest: Manifest, index: RunIndex) -> Self {
        let lease = Lease::hold(blobs, run, manifest.claim, lease_length);
        let (blobs, run) = (blobs.clone(), run.clone());
        Self { blobs, run, lease_length, manifest, index, tail: Tail::default(), stale: false, lease }
    }

    async fn load(&mut self) -> Result<(), StoreError> {
        self.tail = Tail::default();
        self.index = match RunIndex::load(&self.blobs, &self.run, &self.manifest.segments).await {
            Ok(index) => index,
            Err(ReadError::Store(error)) => return Err(error),
            // Only a later writer does without a segment.
            Err(ReadError::Gone) => return Err(StoreError::RunBusy(self.run.clone())),
        };
        self.stale = false;
        Ok(())
    }

    /// Finds out what became of an entry whose outcome is unknown.
    async fn refresh(&mut self) -> Result<(), StoreError> {
        if !self.stale {
            return Ok(());
        }
        let newest = Manifest::newest(&self.blobs, &self.run).await?;
        match newest {
            Some(newest) if newest.claim == self.manifest.claim => {
                self.manifest = Manifest { head: None, ..newest };
                self.load().await
            }
            _ => Err(StoreError::RunBusy(self.run.clone())),
        }
    }

    /// The manifest after the present one.
    fn next(&self) -> Manifest {
        Manifest {
            entry: self.manifest.entry + 1,
            nonce: nonce(),
            leased_until_us: lease::until(self.lease_length),
            head: None,
            ..self.manifest.clone()
        }
    }

    /// Makes the next entry. Afterwards either it is the present one, or nothing is certain.
    async fn commit(&mut self, manifest: Manifest, body: Vec<Bytes>) -> Result<(), Refusal> {
        self.stale = true;
        commit(&self.blobs, &self.run, &manifest, body).await?;
        self.manifest = manifest;
        self.stale = false;
        Ok(())
    }

    /// Adds a batch. `columns` are those of the whole batch, made beforehand.
    pub(crate) async fn append(&mut self, batch: &Arc<[TaskCommit]>, columns: Columns) -> Result<(), StoreError> {
        let mut columns = Some(columns);
        loop {
            self.refresh().await?;
            if self.manifest.status == RunStatus::Completed {
                return Err(StoreError::RunClosed(self.run.clone()));
            }
            let new = self.index.add(batch)?;
            if new.is_empty() && self.manifest.status == RunStatus::Running {
                return Ok(());
            }
            let columns = if new.len() == batch.len() { columns.take() } else { None };
            match self.append_new(batch, new, columns).await {
                Ok(()) => return Ok(()),
                // An entry of this writer's that it did not hear of, or the end of its hold on the run: refreshing tells.
                Err(Refusal::Taken) => {}
                Err(Refusal::Store(error)) => return Err(error),
            }
        }
    }

    /// Adds those records of a batch.
    async fn append_new(
        &mut self,
        batch: &Arc<[TaskCommit]>,
        new: Vec<usize>,
        columns: Option<Columns>,
    ) -> Result<(), Refusal> {
        let mut manifest = self.next();
        (manifest.status, manifest.result) = (RunStatus::Running, None);
        // Whatever goes wrong from here on, the index is ahead of the journal.
        self.stale = true;
        let mut payloads = Vec::new();
        for payload in new.iter().flat_map(|&place| batch[place].payloads()) {
            if self.index.add_payload(payload.digest()) {
                payloads.push(payload.clone());
            }
        }
        let (entry, commits, stored) = (manifest.entry, Arc::clone(batch), payloads.clone());
        let places = new.clone();
        let made = blocking(&self.blobs, move || {
            let columns = columns.or_else(|| Columns::of(places.iter().map(|&place| &commits[place]).collect()));
            columns.map(|columns| columns.with_payloads(entry, &stored.iter().collect::<Vec<_>>()))
        });
        let (segment, body) = made.await?.unzip();
        manifest.segments.extend(segment);
        let body = body.unwrap_or_default();
        let bytes = body.iter().map(|piece| piece.len() as u64).sum();
        self.commit(manifest, body).await?;
        self.tail.push((entry, bytes), batch, &new, payloads);
        if self.tail.is_worth_merging() {
            // The records are durable already. What went wrong is found out by whoever writes next.
            let _ = self.merge_tail().await;
        }
        Ok(())
    }

    /// Makes one segment of the small ones that came last.
    async fn merge_tail(&mut self) -> Result<(), Refusal> {
        let mut manifest = self.next();
        let tail = std::mem::take(&mut self.tail);
        let entry = manifest.entry;
        let (tail, made) = blocking(&self.blobs, move || {
            let made = Columns::of(tail.commits().collect());
            let made = made.map(|columns| columns.with_payloads(entry, &tail.payloads().collect::<Vec<_>>()));
            (tail, made)
        })
        .await?;
        let Some((segment, body)) = made else { return Ok(()) };
        let merged = tail.entries().to_vec();
        manifest.segments.retain(|segment| !merged.contains(&segment.entry));
        manifest.segments.push(segment);
        self.commit(manifest, body).await?;
        self.tail = tail.merged(entry);
        self.remove_soon(merged);
        Ok(())
    }

    /// Ends the run.
    pub(crate) async fn finish(&mut self, result: &RunResult) -> Result<(), StoreError> {
        loop {
            self.refresh().await?;
            if self.manifest.status == RunStatus::Completed {
                if self.manifest.result.as_ref() == Some(result) {
                    // An entry of this writer's that it did not hear of.
                    break;
                }
                return Err(StoreError::RunClosed(self.run.clone()));
            }
            let mut manifest = self.next();
            (manifest.status, manifest.result) = (result.status, Some(result.clone()));
            if result.status != RunStatus::Completed {
                manifest.leased_until_us = 0;
            }
            match self.commit(manifest, Vec::new()).await {
                Ok(()) => break,
                Err(Refusal::Taken) => {}
                Err(Refusal::Store(error)) => return Err(error),
            }
        }
        if result.status == RunStatus::Completed && self.manifest.tables.is_none() {
            self.index.forget_records();
            publish::publish(&self.blobs, &self.run, &self.manifest, &self.index).await?;
        }
        Ok(())
    }

    /// Whether the run takes no more, as far as is known.
    pub(crate) fn is_completed(&self) -> bool {
        self.manifest.status == RunStatus::Completed
    }

    /// Gives the run back.
    pub(crate) async fn release(self) {
        self.lease.release().await;
    }

    /// Removes what a writer that was killed left behind: entries that no manifest names any more.
    async fn remove_orphans(&self) {
        let Ok(keys) = self.blobs.list(&layout::journal(&self.run)).await else { return };
        let needed = |entry: &u64| {
            *entry >= self.manifest.entry
                || self.manifest.claims.contains(entry)
                || self.manifest.segments.iter().any(|segment| segment.entry == *entry)
        };
        let orphans = keys.iter().filter_map(|(key, _)| layout::entry_number(key)).filter(|entry| !needed(entry));
        self.remove_soon(orphans.collect());
    }

    fn remove_soon(&self, entries: Vec<u64>) {
        let (blobs, run) = (self.blobs.clone(), self.run.clone());
        tokio::spawn(async move {
            for entry in entries {
                // What cannot be removed is no data all the same.
                let _ = blobs.remove(&layout::entry(&run, entry)).await;
            }
        });
    }
}

/// Makes an entry.
async fn commit(blobs: &Blobs, run: &RunId, manifest: &Manifest, mut body: Vec<Bytes>) -> Result<(), Refusal> {
    body.push(manifest.to_bytes());
    match blobs.create(&layout::entry(run, manifest.entry), body).await {
        Ok(()) => Ok(()),
        Err(BlobError::Exists) => match Manifest::read(blobs, run, manifest.entry).await? {
            // Written by an attempt whose answer was lost.
            Some(there) if there.nonce == manifest.nonce => Ok(()),
            _ => Err(Refusal::Taken),
        },
        Err(error) => Err(blobs.failed(&error).into()),
    }
}

/// Makes the entry that names a completed run's tables.
pub(crate) async fn commit_tables(blobs: &Blobs, run: &RunId, manifest: &Manifest) -> Result<(), StoreError> {
    match commit(blobs, run, manifest, Vec::new()).await {
        // Somebody else has written the same tables.
        Ok(()) | Err(Refusal::Taken) => Ok(()),
        Err(Refusal::Store(error)) => Err(error),
    }
}

pub(crate) fn nonce() -> String {
    uuid::Uuid::now_v7().to_string()
}

/// Does what takes a processor for a while.
pub(crate) async fn blocking<T: Send + 'static>(
    blobs: &Blobs,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| blobs.unavailable("the program is ending"))
}
