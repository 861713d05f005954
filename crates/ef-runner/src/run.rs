//! The run: rows in, records out, a result at the end.

use std::sync::Arc;

use ef_model::{Counts, Digest, ItemSource, RunResult, RunStatus, SourceError, StoreError, TraceStore};
use ef_spec::OnFailure;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::backlog;
use crate::call::now_us;
use crate::event::EventSender;
use crate::feed::{self, Fed, Feed};
use crate::ledger::{self, Ledger};
use crate::schedule::{Fate, Scheduler};
use crate::tally::{self, Tally};
use crate::task::Tasks;
use crate::writer::Writer;
use crate::{Events, Plan, RunEvent, StopCause, Stopper};

/// Why there is no completed result.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The run did not begin: there is nothing of it in the store.
    #[error("the run did not begin: {cause}")]
    NotBegun {
        /// Why.
        cause: StopCause,
        /// The dataset's own error, where that is the cause.
        source_error: Option<SourceError>,
    },
    /// The run ended early. Everything that was reported as committed is durable.
    #[error("the run ended early: {cause}")]
    Unfinished {
        /// Why.
        cause: StopCause,
        /// The dataset's own error, where that is the cause.
        source_error: Option<SourceError>,
        /// What there is: status `aborted`, counts, and no metrics.
        result: Box<RunResult>,
    },
    /// The store failed or refused a record. Everything that was reported as committed is durable.
    #[error("{error}")]
    Store {
        /// How.
        error: StoreError,
        /// What has become durable in this run.
        counts: Box<Counts>,
    },
}

/// Runs one evaluation.
pub struct Runner {
    plan: Plan,
    events: EventSender,
    stopper: Stopper,
}

impl Runner {
    /// A runner of this plan, and the events that it will send. Drop the events if nobody reads them.
    #[must_use]
    pub fn new(plan: Plan) -> (Self, Events) {
        let (sender, events) = EventSender::channel();
        (Self { plan, events: sender, stopper: Stopper::new() }, events)
    }

    /// Ends the run gently when asked to.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Runs to the end of the dataset. Dropping the future cancels what is in flight; what was committed stays.
    ///
    /// # Errors
    ///
    /// When the run cannot begin, ends early, or the store fails. There is no partial result.
    pub async fn run(mut self, source: Box<dyn ItemSource>) -> Result<RunResult, RunError> {
        let store = Arc::clone(&self.plan.store);
        let (first, rows) = self.first_row(source).await?;
        store.begin(&self.plan.head).await.map_err(|error| RunError::Store { error, counts: Box::default() })?;
        self.events.send(RunEvent::Started { run_id: self.plan.head.run_id.clone() }).await;

        let runtime = &self.plan.spec.runtime;
        let max_concurrent = runtime.max_concurrent as usize;
        let permits = Arc::new(Semaphore::new(max_concurrent));
        let (backlog, queue) = backlog::channel();
        let (account, entries) = ledger::channel();
        let writer = Writer {
            store: Arc::clone(&store),
            run_id: self.plan.head.run_id.clone(),
            stopper: self.stopper.clone(),
            ledger: account,
        };
        let ledger = Ledger {
            events: self.events.clone(),
            stopper: self.stopper.clone(),
            permits: Arc::clone(&permits),
            max_concurrent,
            max_cost_usd: runtime.max_cost_usd,
            tally: Tally::new(&self.plan.spec),
        };
        let (repeats, abort_on_failure) = (runtime.repeats, runtime.on_failure == OnFailure::Abort);
        let scheduler = Scheduler {
            tasks: Arc::new(Tasks::new(&mut self.plan, self.events.clone(), self.stopper.clone())),
            permits,
            backlog,
            events: self.events.clone(),
            stopper: self.stopper.clone(),
            repeats,
            abort_on_failure,
        };
        // Sets of one: dropping the run ends writer and ledger too.
        let (mut writing, mut accounting) = (JoinSet::new(), JoinSet::new());
        writing.spawn(writer.run(queue));
        accounting.spawn(ledger.run(entries));
        let fate = scheduler.drive(first, rows).await;
        let failure = writing.join_next().await.expect("the writer was started").expect("the writer does not panic");
        let (counts, tally) =
            accounting.join_next().await.expect("the ledger was started").expect("the ledger does not panic");
        if let Some(error) = failure {
            return Err(self.refused(store.as_ref(), error, counts).await);
        }
        self.conclude(store.as_ref(), fate, counts, tally).await
    }

    /// Waits for the first row: a dataset that cannot be read at all leaves no run behind.
    async fn first_row(&self, source: Box<dyn ItemSource>) -> Result<(Fed, Feed), RunError> {
        let not_begun = |source_error: SourceError| RunError::NotBegun {
            cause: StopCause::Dataset(source_error.message.clone()),
            source_error: Some(source_error),
        };
        let mut rows = feed::start(source).map_err(|error| {
            not_begun(SourceError { message: format!("no thread to read it: {}", error.kind()), hint: None })
        })?;
        tokio::select! {
            biased;
            () = self.stopper.stopped() => {
                Err(RunError::NotBegun { cause: StopCause::Interrupted, source_error: None })
            }
            first = rows.next() => match first {
                Some(Fed::Failed(error)) => Err(not_begun(error)),
                Some(first) => Ok((first, rows)),
                None => Err(not_begun(SourceError { message: "a defect in its reader".to_owned(), hint: None })),
            }
        }
    }

    /// After the last task: the result, or why there is none.
    async fn conclude(
        self,
        store: &dyn TraceStore,
        fate: Fate,
        counts: Counts,
        tally: Tally,
    ) -> Result<RunResult, RunError> {
        let failed = |error| RunError::Store { error, counts: Box::new(counts) };
        let stopped = self.stopper.cause();
        let (cause, source_error) = match (fate, stopped) {
            (Fate::Failed(error), _) => (StopCause::Dataset(error.message.clone()), Some(error)),
            (_, Some(cause @ StopCause::TaskFailed { .. })) => (cause, None),
            // A stop that came when everything was done has stopped nothing.
            (Fate::Whole { digest }, _) => return self.complete(store, digest, tally).await.map_err(failed),
            (Fate::Partly, cause) => (cause.unwrap_or(StopCause::Interrupted), None),
        };
        let mut result = self.result(RunStatus::Aborted, None, counts);
        result.abort_reason = Some(cause.to_string());
        store.finish(&result).await.map_err(failed)?;
        Err(RunError::Unfinished { cause, source_error, result: Box::new(result) })
    }

    async fn complete(
        self,
        store: &dyn TraceStore,
        dataset: Option<Digest>,
        tally: Tally,
    ) -> Result<RunResult, StoreError> {
        self.events.send(RunEvent::Finishing).await;
        let Plan { head, spec, .. } = &self.plan;
        let baseline = tally::baseline(store, spec).await?;
        let (sums, tree) = match tally.whole() {
            Some(whole) => whole,
            None => tally::read(store, &head.run_id, spec).await?,
        };
        let totals = sums.finish(tree, baseline).await;
        let mut result = self.result(RunStatus::Completed, dataset, totals.counts);
        result.metrics = totals.metrics;
        result.records_root = Some(totals.root);
        result.root_digest = Some(RunResult::bind(head, dataset, totals.records, totals.root));
        store.finish(&result).await?;
        Ok(result)
    }

    /// A refused record ends the run; a store that is gone cannot be told.
    async fn refused(&self, store: &dyn TraceStore, error: StoreError, counts: Counts) -> RunError {
        if matches!(error, StoreError::Conflict { .. }) {
            let mut result = self.result(RunStatus::Aborted, None, counts);
            result.abort_reason = Some(error.to_string());
            // The refusal is what matters; that its note was not kept changes nothing in the records.
            let _ = store.finish(&result).await;
        }
        RunError::Store { error, counts: Box::new(counts) }
    }

    fn result(&self, status: RunStatus, dataset_digest: Option<Digest>, counts: Counts) -> RunResult {
        RunResult {
            format_version: RunResult::FORMAT_VERSION,
            head: self.plan.head.clone(),
            status,
            abort_reason: None,
            finished_at_us: now_us(),
            dataset_digest,
            counts,
            metrics: Vec::new(),
            records_root: None,
            root_digest: None,
        }
    }
}
