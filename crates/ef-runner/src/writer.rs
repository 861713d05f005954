//! Group commit: finished tasks are collected and written in one transaction, and only then are they complete.

use std::sync::Arc;

use ef_model::{Counts, JudgmentResult, RunId, StoreError, TaskCommit, TraceStatus, TraceStore};
use tokio::sync::Semaphore;

use crate::backlog::{BacklogReceiver, Room};
use crate::event::EventSender;
use crate::{RunEvent, StopCause, Stopper, TaskNote};

/// The one who writes.
pub(crate) struct Writer {
    pub(crate) store: Arc<dyn TraceStore>,
    pub(crate) run_id: RunId,
    pub(crate) events: EventSender,
    pub(crate) stopper: Stopper,
    /// The permits of the tasks in flight, to tell their number.
    pub(crate) permits: Arc<Semaphore>,
    pub(crate) max_concurrent: usize,
    pub(crate) max_cost_usd: Option<f64>,
}

/// What the writer has done when it ends.
pub(crate) struct Written {
    /// All that is durable.
    pub(crate) counts: Counts,
    /// Why it ended, unless all was written.
    pub(crate) failure: Option<StoreError>,
}

impl Writer {
    /// Writes until no more tasks can come or the store fails.
    ///
    /// A batch is whatever has finished while the one before it was written, so it grows with the load by itself.
    pub(crate) async fn run(self, mut queue: BacklogReceiver) -> Written {
        let mut counts = Counts::default();
        let mut cost_usd = 0.0;
        let mut refusal = None;
        loop {
            let batch = queue.next_batch().await;
            if batch.is_empty() {
                return Written { counts, failure: refusal };
            }
            let room = Room::of(&batch);
            let (durable, failure) = self.append(batch).await;
            for commit in durable.iter() {
                counts.add(commit.record());
                cost_usd += commit.record().judgments.iter().filter_map(|j| j.result.cost_usd()).sum::<f64>();
            }
            let tasks = durable.iter().map(note).collect();
            queue.release(room);
            if let Some(failure) = failure {
                self.stopper.stop_for(StopCause::Store);
                if !matches!(failure, StoreError::Conflict { .. }) {
                    return Written { counts, failure: Some(failure) };
                }
                // The store works: whatever else was done is kept.
                refusal.get_or_insert(failure);
            }
            if self.max_cost_usd.is_some_and(|budget| cost_usd >= budget) {
                self.stopper.stop_for(StopCause::BudgetSpent { cost_usd });
            }
            let in_flight = self.max_concurrent.saturating_sub(self.permits.available_permits());
            self.events.send(RunEvent::Committed { tasks, counts, in_flight }).await;
        }
    }

    /// Appends a batch. Returns what is durable: all of it, or all but the records that are in conflict, or nothing.
    async fn append(&self, batch: Vec<TaskCommit>) -> (Arc<[TaskCommit]>, Option<StoreError>) {
        let mut refusal = None;
        let mut batch: Arc<[TaskCommit]> = batch.into();
        loop {
            match self.store.append(&self.run_id, Arc::clone(&batch)).await {
                Ok(()) => return (batch, refusal),
                Err(StoreError::Conflict { item_id, row, existing_row }) => {
                    let accepted =
                        |commit: &&TaskCommit| commit.record().item_id != item_id || commit.record().row != row;
                    let others: Arc<[TaskCommit]> = batch.iter().filter(accepted).cloned().collect();
                    let in_vain = others.len() == batch.len();
                    refusal.get_or_insert(StoreError::Conflict { item_id, row, existing_row });
                    if in_vain {
                        return (Arc::default(), refusal);
                    }
                    batch = others;
                }
                Err(error) => return (Arc::default(), Some(error)),
            }
        }
    }
}

fn note(commit: &TaskCommit) -> TaskNote {
    let record = commit.record();
    TaskNote {
        item_id: record.item_id.clone(),
        row: record.row,
        status: record.trace.status(),
        judge_errors: judge_errors(commit),
    }
}

fn judge_errors(commit: &TaskCommit) -> usize {
    let is_error = |result: &JudgmentResult| matches!(result, JudgmentResult::Error { .. });
    commit.record().judgments.iter().filter(|judgment| is_error(&judgment.result)).count()
}

/// Whether `on_failure: abort` ends the run for this task.
pub(crate) fn is_failure(commit: &TaskCommit) -> bool {
    commit.record().trace.status() != TraceStatus::Ok || judge_errors(commit) > 0
}
