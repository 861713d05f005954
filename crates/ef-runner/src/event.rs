//! What a run tells while it goes on.

use std::time::Duration;

use ef_model::{Counts, ErrorKind, ItemId, RunId, TraceStatus};
use tokio::sync::mpsc;

use crate::StopCause;

/// How many events wait for a reader before the run waits for it.
const BUFFER: usize = 1024;

/// Something that happened in a run. No event holds a payload.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum RunEvent {
    /// The run is in the store.
    Started {
        /// Its id.
        run_id: RunId,
    },
    /// A run that was begun earlier goes on.
    Resumed {
        /// Its id.
        run_id: RunId,
        /// How many of its tasks are done already.
        done: u64,
    },
    /// These tasks are durable.
    Committed {
        /// The tasks of this commit.
        tasks: Vec<TaskNote>,
        /// All that has become durable since the run was begun or taken up.
        counts: Counts,
        /// Tasks in flight.
        in_flight: usize,
        /// What all that is durable has cost in US dollars, earlier lives of the run included; `None` where no cost is
        /// known.
        spent_usd: Option<f64>,
        /// Attempts that wait until others have ended, as together they could cross the budget.
        waiting_for_budget: usize,
    },
    /// A call failed and will be tried again.
    Retrying {
        /// The item.
        item_id: ItemId,
        /// The judge's name, or `None` for the evaluator.
        judge: Option<String>,
        /// The attempt that failed, from 1.
        attempt: u32,
        /// How it failed.
        kind: ErrorKind,
        /// A short name for the cause.
        code: String,
        /// How long the run waits before the next attempt.
        wait: Duration,
    },
    /// Nothing new is started any more; what is in flight is finished.
    Stopping {
        /// Why.
        cause: StopCause,
    },
    /// All tasks are done; metrics and digests are being computed.
    Finishing,
}

/// A task that has become durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskNote {
    /// The item.
    pub item_id: ItemId,
    /// Its row.
    pub row: u64,
    /// The trace's status.
    pub status: TraceStatus,
    /// How many of its judges failed.
    pub judge_errors: usize,
}

/// The events of a run, in order. Either read them or drop this: a run waits for a reader that is there and does not
/// read.
#[derive(Debug)]
pub struct Events(mpsc::Receiver<RunEvent>);

impl Events {
    /// The next event, or `None` when the run is over.
    pub async fn next(&mut self) -> Option<RunEvent> {
        self.0.recv().await
    }
}

/// The runner's end.
#[derive(Debug, Clone)]
pub(crate) struct EventSender(mpsc::Sender<RunEvent>);

impl EventSender {
    pub(crate) fn channel() -> (Self, Events) {
        let (sender, receiver) = mpsc::channel(BUFFER);
        (Self(sender), Events(receiver))
    }

    /// Sends an event. That nobody listens is no fault.
    pub(crate) async fn send(&self, event: RunEvent) {
        let _ = self.0.send(event).await;
    }
}
