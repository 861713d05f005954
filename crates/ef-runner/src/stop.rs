//! Ending a run before its dataset ends.

use std::fmt;
use std::sync::Arc;

use ef_model::ItemId;
use tokio::sync::watch;

/// Why a run ends early.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum StopCause {
    /// Somebody asked for it.
    Interrupted,
    /// A task failed, and the spec says `on_failure: abort`.
    TaskFailed {
        /// The item.
        item_id: ItemId,
        /// Its row.
        row: u64,
    },
    /// The evaluator or a judge has no quota left.
    QuotaExhausted {
        /// The judge's name, or `None` for the evaluator.
        judge: Option<String>,
    },
    /// The calls have cost `runtime.max_cost_usd`.
    BudgetSpent {
        /// What they have cost, in US dollars.
        cost_usd: f64,
    },
    /// The dataset cannot be read on.
    Dataset(
        /// What went wrong, and where; without content.
        String,
    ),
    /// The run that is replayed cannot be, or is not as it was recorded.
    Source(
        /// Which record, and what of it; without content.
        String,
    ),
    /// The store failed.
    Store,
}

impl fmt::Display for StopCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interrupted => f.write_str("interrupted"),
            Self::TaskFailed { item_id, row } => {
                write!(f, "item {item_id} (row {row}) failed, and the spec says on_failure: abort")
            }
            Self::QuotaExhausted { judge: None } => f.write_str("the evaluator's quota is exhausted"),
            Self::QuotaExhausted { judge: Some(judge) } => write!(f, "the quota of judge {judge} is exhausted"),
            Self::BudgetSpent { cost_usd } => write!(f, "the budget is spent: calls have cost ${cost_usd:.4}"),
            Self::Dataset(message) => write!(f, "the dataset cannot be read on: {message}"),
            Self::Source(message) => write!(f, "the run cannot be replayed: {message}"),
            Self::Store => f.write_str("the trace store failed"),
        }
    }
}

/// Ends a run gently: nothing new is started, calls in flight are finished or time out, and what they made is kept.
#[derive(Debug, Clone)]
pub struct Stopper(Arc<watch::Sender<Option<StopCause>>>);

impl Stopper {
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }

    /// Asks the run to stop.
    pub fn stop(&self) {
        self.stop_for(StopCause::Interrupted);
    }

    /// The first cause counts.
    pub(crate) fn stop_for(&self, cause: StopCause) {
        self.0.send_if_modified(|current| {
            let first = current.is_none();
            if first {
                *current = Some(cause);
            }
            first
        });
    }

    pub(crate) fn cause(&self) -> Option<StopCause> {
        self.0.borrow().clone()
    }

    /// Returns once the run is asked to stop.
    pub(crate) async fn stopped(&self) {
        let mut receiver = self.0.subscribe();
        // The sender is part of self, so it cannot be gone.
        let _ = receiver.wait_for(Option::is_some).await;
    }
}
