//! Starting tasks: never too many, never while the store lags, never after a stop.

use std::sync::Arc;

use ef_model::{DatasetRow, Digest, SourceError, StoreError};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::backlog::{BacklogSender, Finished};
use crate::done::Done;
use crate::event::EventSender;
use crate::feed::{self, Fed, Feed};
use crate::ledger::ends_run;
use crate::replay::{Broken, Replayed, Replaying};
use crate::task::{Task, Tasks};
use crate::{RunEvent, StopCause, Stopper, log, spans};

/// The one who starts tasks.
pub(crate) struct Scheduler {
    pub(crate) tasks: Arc<Tasks>,
    /// One for each task that may be in flight.
    pub(crate) permits: Arc<Semaphore>,
    pub(crate) backlog: BacklogSender,
    pub(crate) events: EventSender,
    pub(crate) stopper: Stopper,
    pub(crate) repeats: u32,
    /// Tasks that are not to be done, in a run that was taken up again.
    pub(crate) done: Option<Arc<Done>>,
    pub(crate) abort_on_failure: bool,
}

/// Where tasks come from.
pub(crate) enum Supply {
    /// From the rows of a dataset.
    Dataset { first: Fed, rows: Feed },
    /// From a stored run.
    Run { first: Option<Box<Result<Replayed, Broken>>>, tasks: Replaying, dataset_digest: Option<Digest> },
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
    /// The store of the run that is replayed cannot be read on.
    Unreadable(StoreError),
}

impl Scheduler {
    /// Works through the rows and returns when no task is in flight any more.
    pub(crate) async fn drive(self, supply: Supply) -> Fate {
        let mut in_flight = JoinSet::new();
        let fate = {
            let work = self.start_all(supply, &mut in_flight);
            tokio::select! {
                biased;
                () = self.stopper.stopped() => Fate::Partly,
                fate = work => fate,
            }
        };
        if let Some(cause) = self.stopper.cause() {
            log::stopping(&cause);
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
            biased;
            () = ended => whole,
            () = self.backlog.closed() => {
                in_flight.shutdown().await;
                false
            }
        }
    }

    async fn start_all(&self, supply: Supply, in_flight: &mut JoinSet<bool>) -> Fate {
        match supply {
            Supply::Dataset { first, mut rows } => self.start_rows(first, &mut rows, in_flight).await,
            Supply::Run { first, tasks, dataset_digest } => match self.start_replayed(first, tasks, in_flight).await {
                Ok(true) => Fate::Whole { digest: dataset_digest },
                Ok(false) => Fate::Partly,
                Err(Broken::Damaged(what)) => {
                    self.stopper.stop_for(StopCause::Source(what));
                    Fate::Partly
                }
                Err(Broken::Store(error)) => Fate::Unreadable(error),
            },
        }
    }

    /// Starts the tasks of a stored run again; whether those that have ended have each made a record.
    async fn start_replayed(
        &self,
        first: Option<Box<Result<Replayed, Broken>>>,
        mut tasks: Replaying,
        in_flight: &mut JoinSet<bool>,
    ) -> Result<bool, Broken> {
        let mut whole = true;
        let mut place = 0;
        let mut rows = 0;
        let mut next = first.map(|first| *first);
        while let Some(replayed) = next {
            let Replayed { row, repeat, recorded } = replayed?;
            rows = row.row();
            self.start(Task { place, row, repeat, revision: 0, recorded }, in_flight).await;
            place += 1;
            while let Some(ended) = in_flight.try_join_next() {
                whole &= ended.unwrap_or(false);
            }
            next = tasks.next().await;
        }
        spans::dataset_read(self.tasks.run_span(), rows);
        Ok(whole)
    }

    async fn start_rows(&self, first: Fed, rows: &mut Feed, in_flight: &mut JoinSet<bool>) -> Fate {
        let mut fed = Some(first);
        let mut whole = true;
        let mut place = 0;
        // Rows with a record may not be delivered.
        let mut last_row = self.done.as_ref().map_or(0, |done| done.last_row());
        loop {
            match fed {
                Some(Fed::Row(row)) => {
                    last_row = last_row.max(row.row());
                    let repeats = if matches!(row, DatasetRow::Item(_)) { self.repeats } else { 1 };
                    for repeat in 0..repeats {
                        let revision = self.done.as_ref().map_or(Some(0), |done| done.revision(row.row(), repeat));
                        let Some(revision) = revision else { continue };
                        let task = Task { place, row: row.clone(), repeat, revision, recorded: None };
                        place += 1;
                        self.start(task, in_flight).await;
                    }
                }
                Some(Fed::End { digest }) => {
                    spans::dataset_read(self.tasks.run_span(), last_row);
                    return if whole { Fate::Whole { digest } } else { Fate::Partly };
                }
                Some(Fed::Failed(error)) => return Fate::Failed(error),
                None => return Fate::Failed(feed::broken()),
            }
            while let Some(ended) = in_flight.try_join_next() {
                whole &= ended.unwrap_or(false);
            }
            fed = rows.next().await;
        }
    }

    /// Starts a task as soon as it may be; its permit is held until its calls are over.
    async fn start(&self, task: Task, in_flight: &mut JoinSet<bool>) {
        self.backlog.admit().await;
        let permit = Arc::clone(&self.permits).acquire_owned().await.expect("the permits are never closed");
        if self.stopper.cause().is_some() {
            // Whoever drives this sees the stop too, and drops it.
            return std::future::pending().await;
        }
        let (tasks, backlog) = (Arc::clone(&self.tasks), self.backlog.clone());
        let stopper = self.abort_on_failure.then(|| self.stopper.clone());
        // The runtime moves what it is given several times, and this is large.
        in_flight.spawn(Box::pin(async move {
            let place = task.place;
            let done = tasks.run(task).await;
            let recorded = done.is_some();
            if let Some(commit) = done {
                if let Some(stopper) = stopper.filter(|_| ends_run(commit.record())) {
                    let record = commit.record();
                    stopper.stop_for(StopCause::TaskFailed { item_id: record.item_id.clone(), row: record.row });
                }
                backlog.push(Finished { place, commit });
            }
            drop(permit);
            recorded
        }));
    }
}
