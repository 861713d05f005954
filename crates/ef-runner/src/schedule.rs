//! Starting tasks: never too many, never while the store lags, never after a stop.

use std::sync::Arc;

use ef_model::{DatasetRow, Digest, SourceError};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::backlog::{BacklogSender, Finished};
use crate::event::EventSender;
use crate::feed::{Fed, Feed};
use crate::ledger::is_failure;
use crate::task::Tasks;
use crate::{RunEvent, StopCause, Stopper};

/// The one who starts tasks.
pub(crate) struct Scheduler {
    pub(crate) tasks: Arc<Tasks>,
    /// One for each task that may be in flight.
    pub(crate) permits: Arc<Semaphore>,
    pub(crate) backlog: BacklogSender,
    pub(crate) events: EventSender,
    pub(crate) stopper: Stopper,
    pub(crate) repeats: u32,
    pub(crate) abort_on_failure: bool,
}

/// How far the dataset was worked through.
pub(crate) enum Fate {
    /// To its end, and every task has a record.
    Whole {
        /// The dataset's digest, where all of it was read.
        digest: Option<Digest>,
    },
    /// Not to its end.
    Partly,
    /// It cannot be read on.
    Failed(SourceError),
}

impl Scheduler {
    /// Works through the rows and returns when no task is in flight any more.
    pub(crate) async fn drive(self, first: Fed, mut rows: Feed) -> Fate {
        let mut in_flight = JoinSet::new();
        let fate = {
            let work = self.start_all(first, &mut rows, &mut in_flight);
            tokio::select! {
                biased;
                () = self.stopper.stopped() => Fate::Partly,
                fate = work => fate,
            }
        };
        drop(rows);
        if let Some(cause) = self.stopper.cause() {
            self.events.send(RunEvent::Stopping { cause }).await;
        }
        let whole = self.await_all(&mut in_flight).await;
        match fate {
            Fate::Whole { .. } if !whole => Fate::Partly,
            fate => fate,
        }
    }

    /// Waits for the tasks in flight; whether each has made a record. Without a writer nothing can come of them.
    async fn await_all(&self, in_flight: &mut JoinSet<bool>) -> bool {
        let mut whole = true;
        let ended = async {
            while let Some(ended) = in_flight.join_next().await {
                whole &= ended.unwrap_or(false);
            }
        };
        tokio::select! {
            () = ended => whole,
            () = self.backlog.closed() => {
                in_flight.shutdown().await;
                false
            }
        }
    }

    async fn start_all(&self, first: Fed, rows: &mut Feed, in_flight: &mut JoinSet<bool>) -> Fate {
        let mut fed = Some(first);
        let mut whole = true;
        let mut places = 0..;
        loop {
            match fed {
                Some(Fed::Row(row)) => {
                    let repeats = if matches!(row, DatasetRow::Item(_)) { self.repeats } else { 1 };
                    for (repeat, place) in (0..repeats).zip(&mut places) {
                        self.start(place, row.clone(), repeat, in_flight).await;
                    }
                }
                Some(Fed::End { digest }) => return if whole { Fate::Whole { digest } } else { Fate::Partly },
                Some(Fed::Failed(error)) => return Fate::Failed(error),
                // The reading thread is gone without a word: it panicked.
                None => {
                    let message = "reading the dataset failed: a defect in its reader".to_owned();
                    return Fate::Failed(SourceError { message, hint: None });
                }
            }
            while let Some(ended) = in_flight.try_join_next() {
                whole &= ended.unwrap_or(false);
            }
            fed = rows.next().await;
        }
    }

    /// Starts a task as soon as it may be; its permit is held until its calls are over.
    async fn start(&self, place: u64, row: DatasetRow, repeat: u32, in_flight: &mut JoinSet<bool>) {
        self.backlog.admit().await;
        let permit = Arc::clone(&self.permits).acquire_owned().await.expect("the permits are never closed");
        if self.stopper.cause().is_some() {
            // Whoever drives this sees the stop too, and drops it.
            return std::future::pending().await;
        }
        let (tasks, backlog) = (Arc::clone(&self.tasks), self.backlog.clone());
        let stopper = self.abort_on_failure.then(|| self.stopper.clone());
        in_flight.spawn(async move {
            let done = tasks.run(row, repeat).await;
            let recorded = done.is_some();
            if let Some(commit) = done {
                if let Some(stopper) = stopper.filter(|_| is_failure(&commit)) {
                    let record = commit.record();
                    stopper.stop_for(StopCause::TaskFailed { item_id: record.item_id.clone(), row: record.row });
                }
                backlog.push(Finished { place, commit });
            }
            drop(permit);
            recorded
        });
    }
}
