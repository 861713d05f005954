//! Group commit: finished tasks are collected and written in one transaction, and only then are they complete.

use std::sync::Arc;

use ef_model::{RunId, StoreError, TaskCommit, TraceStore};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesOrdered;
use tokio::sync::{mpsc, oneshot};

use crate::backlog::{BacklogReceiver, Batch, Room};
use crate::ledger::Entry;
use crate::{StopCause, Stopper};

/// The one who writes.
pub(crate) struct Writer {
    pub(crate) store: Arc<dyn TraceStore>,
    pub(crate) run_id: RunId,
    pub(crate) stopper: Stopper,
    /// Who is told what has become durable.
    pub(crate) ledger: mpsc::Sender<Entry>,
    /// Before it is known that a taken up run's dataset is unchanged nothing is written.
    pub(crate) checked: Option<oneshot::Receiver<Option<f64>>>,
}

/// Batches that are handed to the store at the same time: while one is written, the store can prepare the next.
const AT_ONCE: usize = 2;
/// Tasks that have to wait before a batch is handed over beside another: fewer would rather be a part of a larger one.
const WORTH_PREPARING: usize = 512;

/// A batch that the store has answered.
struct Answered {
    places: Vec<u64>,
    room: Room,
    /// What is durable: all of the batch, or all but the records that are in conflict, or nothing.
    durable: Arc<[TaskCommit]>,
    failure: Option<StoreError>,
}

impl Writer {
    /// Writes until no more tasks can come or the store fails. Returns the failure, if not all was written.
    ///
    /// A batch is whatever has finished while others were written, so it grows with the load by itself.
    pub(crate) async fn run(mut self, mut queue: BacklogReceiver) -> Option<StoreError> {
        if let Some(checked) = self.checked.take() {
            // Without an answer the run is over.
            let cost_usd = checked.await.ok()?;
            let _ = self.ledger.send(Entry::Earlier { cost_usd }).await;
        }
        let mut failure = None;
        let mut appending = FuturesOrdered::new();
        let mut open = true;
        loop {
            let at_least = if appending.is_empty() { 1 } else { WORTH_PREPARING };
            tokio::select! {
                biased;
                Some(answered) = appending.next() => {
                    let Answered { places, room, durable, failure: failed } = answered;
                    queue.release(room);
                    // A ledger that is gone has panicked, which its join tells.
                    let _ = self.ledger.send(Entry::Durable { places, commits: durable }).await;
                    if let Some(failed) = failed {
                        self.stopper.stop_for(StopCause::Store);
                        // After a mere conflict the store works: whatever else was done is kept.
                        open &= matches!(failed, StoreError::Conflict { .. });
                        failure.get_or_insert(failed);
                    }
                }
                batch = queue.next_batch(at_least), if open && appending.len() < AT_ONCE => {
                    open = !batch.commits.is_empty();
                    if open {
                        appending.push_back(self.append(batch));
                    }
                }
                else => return failure,
            }
        }
    }

    /// Appends a batch, or what of it is not in conflict.
    async fn append(&self, Batch { places, commits, room }: Batch) -> Answered {
        let mut refusal = None;
        let mut batch: Arc<[TaskCommit]> = commits.into();
        loop {
            let (durable, failure) = match self.store.append(&self.run_id, Arc::clone(&batch)).await {
                Ok(()) => (batch, refusal),
                Err(StoreError::Conflict { item_id, row, existing_row }) => {
                    let accepted =
                        |commit: &&TaskCommit| commit.record().item_id != item_id || commit.record().row != row;
                    let others: Arc<[TaskCommit]> = batch.iter().filter(accepted).cloned().collect();
                    let in_vain = others.len() == batch.len();
                    refusal.get_or_insert(StoreError::Conflict { item_id, row, existing_row });
                    if !in_vain {
                        batch = others;
                        continue;
                    }
                    (Arc::default(), refusal)
                }
                Err(error) => (Arc::default(), Some(error)),
            };
            return Answered { places, room, durable, failure };
        }
    }
}
