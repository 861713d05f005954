//! Reading a run with its payloads, and checking all of it against its digests on the way.
//!
//! Records are read on one task while the payloads of those before are fetched and hashed on others, a bounded number of
//! batches ahead of whoever takes them.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ef_model::{
    Digest, Payload, RecordFilter, RecordPlace, RunId, StoreError, StoredRecord, TaskCommit, TaskRecord, TraceStore,
};
use futures_util::TryStreamExt;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

use crate::verify::payloads_of;

/// Records of a batch, at most.
const RECORDS: usize = 2048;
/// Payloads of a batch, at first and at least. Each may be as large as the spec allows.
const FEW: usize = 32;
/// Payloads of a batch, at most.
const MANY: usize = 8192;
/// What the payloads of a batch should come to, in bytes.
const BYTES: usize = 4 << 20;
/// Batches that are being made at the same time, and those that are ready.
const AHEAD: usize = 2;

/// Why a run cannot be read to its end.
#[derive(Debug)]
pub(super) enum Broken {
    /// It is not as it was recorded: which record, and what of it.
    Damaged(String),
    /// The store fails.
    Store(StoreError),
}

impl From<StoreError> for Broken {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Damaged { reason, .. } => Self::Damaged(reason),
            error => Self::Store(error),
        }
    }
}

/// A run's records in their order, in batches. Dropping it ends the reading.
pub(super) struct Checked {
    batches: mpsc::Receiver<JoinHandle<Result<Vec<TaskCommit>, Broken>>>,
    reader: JoinSet<Result<(), Broken>>,
}

impl Checked {
    /// Starts reading.
    pub(super) fn start(store: &Arc<dyn TraceStore>, run: &RunId) -> Self {
        let (sender, batches) = mpsc::channel(AHEAD);
        let mut reader = JoinSet::new();
        reader.spawn(read(Arc::clone(store), run.clone(), sender));
        Self { batches, reader }
    }

    /// The next batch, each record with its payloads, or `None` after the last.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<TaskCommit>>, Broken> {
        match self.batches.recv().await {
            Some(batch) => batch.await.expect("checking a record does not panic").map(Some),
            None => match self.reader.join_next().await {
                Some(ended) => ended.expect("reading records does not panic").map(|()| None),
                None => Ok(None),
            },
        }
    }
}

async fn read(
    store: Arc<dyn TraceStore>,
    run: RunId,
    batches: mpsc::Sender<JoinHandle<Result<Vec<TaskCommit>, Broken>>>,
) -> Result<(), Broken> {
    let filter = RecordFilter::default();
    let mut records = store.records(&run, &filter);
    let (size, sizes) = tokio::sync::watch::channel(FEW);
    let size = Arc::new(size);
    let (mut batch, mut references) = (Vec::new(), 0);
    loop {
        let next = records.try_next().await?;
        let ended = next.is_none();
        if let Some(stored) = next {
            references += payloads_of(&stored.record).count();
            batch.push(stored);
        }
        if batch.len() >= RECORDS || references >= *sizes.borrow() || ended {
            let check = check(Arc::clone(&store), std::mem::take(&mut batch), Arc::clone(&size));
            if batches.send(tokio::spawn(check)).await.is_err() || ended {
                return Ok(());
            }
            references = 0;
        }
    }
}

/// Checks the leaves of some records, and fetches and checks their payloads. From their sizes follows how many are fetched
/// at once later.
async fn check(
    store: Arc<dyn TraceStore>,
    records: Vec<StoredRecord>,
    size: Arc<tokio::sync::watch::Sender<usize>>,
) -> Result<Vec<TaskCommit>, Broken> {
    let mut seen = HashSet::new();
    let all = records.iter().flat_map(|stored| payloads_of(&stored.record)).map(|(_, digest)| digest);
    let digests: Vec<Digest> = all.filter(|digest| seen.insert(*digest)).collect();
    let found = store.payloads(&digests).await?;
    let payloads: HashMap<Digest, Payload> =
        found.into_iter().flatten().map(|payload| (payload.digest(), payload)).collect();
    let bytes: usize = payloads.values().map(Payload::size).sum();
    size.send_replace((BYTES * payloads.len().max(1) / bytes.max(1)).clamp(FEW, MANY));
    records.into_iter().map(|stored| commit(stored, &payloads)).collect()
}

fn commit(stored: StoredRecord, payloads: &HashMap<Digest, Payload>) -> Result<TaskCommit, Broken> {
    let StoredRecord { record, leaf } = stored;
    let mut own: Vec<Payload> = Vec::new();
    for (role, digest) in payloads_of(&record) {
        let payload = payloads
            .get(&digest)
            .ok_or_else(|| damaged(&record, &format!("its {role}, the payload {digest}, is missing or another")))?;
        if own.iter().all(|known| known.digest() != digest) {
            own.push(payload.clone());
        }
    }
    let commit = TaskCommit::new(record, own);
    if commit.leaf() == leaf {
        Ok(commit)
    } else {
        Err(damaged(commit.record(), "it does not have the digest that was stored with it"))
    }
}

fn damaged(record: &TaskRecord, what: &str) -> Broken {
    Broken::Damaged(format!("{}: {what}", RecordPlace::from(record)))
}
