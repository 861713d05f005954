//! The account of what is durable: told to whoever listens, and counted.

use std::sync::Arc;

use ef_model::telemetry::Meters;
use ef_model::{Counts, JudgmentResult, TaskCommit, TaskRecord, TraceStatus, Usage};
use tokio::sync::{Semaphore, mpsc};

use crate::budget::Budget;
use crate::event::EventSender;
use crate::tally::Tally;
use crate::{RunEvent, TaskNote};

/// Batches that may wait for the account before the writer waits for it.
const BATCHES: usize = 2;

/// What goes into the account.
pub(crate) enum Entry {
    /// What the run's records say that it has cost before it was taken up again.
    Earlier {
        /// In US dollars, where any cost is known.
        cost_usd: Option<f64>,
    },
    /// Tasks that have become durable together.
    Durable {
        /// The places of the batch's tasks.
        places: Vec<u64>,
        /// Their records; fewer than places where some were refused.
        commits: Arc<[TaskCommit]>,
    },
}

/// The one who keeps the account.
pub(crate) struct Ledger {
    pub(crate) events: EventSender,
    /// The permits of the tasks in flight, to tell their number.
    pub(crate) permits: Arc<Semaphore>,
    pub(crate) max_concurrent: usize,
    pub(crate) budget: Option<Arc<Budget>>,
    /// What the run had cost before, as far as that is known.
    pub(crate) earlier: Usage,
    pub(crate) tally: Tally,
    /// Who keeps the run's numbers.
    pub(crate) meters: Option<Arc<dyn Meters>>,
}

/// The way into the account.
pub(crate) fn channel() -> (mpsc::Sender<Entry>, mpsc::Receiver<Entry>) {
    mpsc::channel(BATCHES)
}

impl Ledger {
    /// Keeps the account until nothing more can become durable.
    pub(crate) async fn run(mut self, mut entries: mpsc::Receiver<Entry>) -> (Counts, Tally) {
        let mut counts = Counts::default();
        while let Some(entry) = entries.recv().await {
            let (places, commits) = match entry {
                Entry::Earlier { cost_usd } => {
                    self.earlier = self.earlier.and(Usage { cost_usd, ..Usage::UNKNOWN });
                    continue;
                }
                Entry::Durable { places, commits } => (places, commits),
            };
            for commit in commits.iter() {
                counts.add(commit.record());
                if let Some(meters) = &self.meters {
                    meters.committed(commit.record());
                }
            }
            self.tally.enter(&places, &commits);
            let tasks = commits.iter().map(note).collect();
            let in_flight = self.max_concurrent.saturating_sub(self.permits.available_permits());
            let now = Usage { cost_usd: self.tally.usage().cost_usd(), ..Usage::UNKNOWN };
            let spent_usd = self.earlier.and(now).cost_usd;
            let waiting_for_budget = self.budget.as_ref().map_or(0, |budget| budget.waiting());
            self.events.send(RunEvent::Committed { tasks, counts, in_flight, spent_usd, waiting_for_budget }).await;
        }
        (counts, self.tally)
    }
}

fn note(commit: &TaskCommit) -> TaskNote {
    let record = commit.record();
    TaskNote {
        item_id: record.item_id.clone(),
        row: record.row,
        status: record.trace.status(),
        judge_errors: judge_errors(record),
    }
}

fn judge_errors(record: &TaskRecord) -> usize {
    let is_error = |result: &JudgmentResult| matches!(result, JudgmentResult::Error { .. });
    record.judgments.iter().filter(|judgment| is_error(&judgment.result)).count()
}

/// Whether `on_failure: abort` ends the run for this task.
pub(crate) fn ends_run(record: &TaskRecord) -> bool {
    record.trace.status() != TraceStatus::Ok || judge_errors(record) > 0
}

/// Whether it makes sense to do this task again: its evaluator or a judge failed. A row that cannot be used stays so.
pub(crate) fn is_failed(record: &TaskRecord) -> bool {
    matches!(record.trace.status(), TraceStatus::Error | TraceStatus::Timeout) || judge_errors(record) > 0
}
