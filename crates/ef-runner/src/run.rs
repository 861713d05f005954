//! The run: rows in, records out, a result at the end.

use std::sync::Arc;

use ef_model::telemetry::{Instruments, Load};
use ef_model::{Counts, Digest, ItemSource, RunId, RunPurpose, RunResult, RunSource, SourceError, StoreError, Usage};
use ef_spec::OnFailure;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;
use tracing::{Instrument as _, Span};

use crate::backlog;
use crate::budget::{self, Budget};
use crate::check::{Check, Checked};
use crate::done::Done;
use crate::ending::{Ending, both};
use crate::event::EventSender;
use crate::feed::{self, Fed, Feed, Rows};
use crate::ledger::{self, Ledger};
use crate::replay::{Broken, Source};
use crate::run_error::failed;
use crate::schedule::{Fate, Scheduler, Supply};
use crate::spans::{self, Telling};
use crate::tally::{self, Tally};
use crate::task::Tasks;
use crate::writer::Writer;
use crate::{Events, Plan, RunError, RunEvent, StopCause, Stopper, log, takeover};

/// What is to be done in a run.
struct Work {
    supply: Supply,
    /// What is done already, in a run that was taken up again.
    done: Option<Arc<Done>>,
    /// Resolves when what is done has been checked, to what it has cost.
    checked: Option<oneshot::Receiver<Option<f64>>>,
    /// What the run's records say that it has cost, where that matters for its budget.
    spent_usd: f64,
    tally: Tally,
}

/// What has been done.
struct Worked {
    fate: Fate,
    counts: Counts,
    tally: Tally,
    failure: Option<StoreError>,
}

/// Runs one evaluation.
pub struct Runner {
    plan: Plan,
    events: EventSender,
    stopper: Stopper,
    reuse: bool,
    /// What was spent on calls that left no record, where any such cost is known.
    unrecorded_usd: Option<f64>,
    telling: Telling,
}

impl Runner {
    /// A runner of this plan, and the events that it will send. Drop the events if nobody reads them.
    #[must_use]
    pub fn new(plan: Plan) -> (Self, Events) {
        let (sender, events) = EventSender::channel();
        let runner = Self {
            plan,
            events: sender,
            stopper: Stopper::new(),
            reuse: true,
            unrecorded_usd: None,
            telling: Telling { run: Span::none(), instruments: Instruments::default() },
        };
        (runner, events)
    }

    /// Tells there how the run goes on. Spans and log lines are told to the `tracing` subscriber in any case.
    #[must_use]
    pub fn with_instruments(mut self, instruments: Instruments) -> Self {
        self.telling.instruments = instruments;
        self
    }

    /// Has every judgment made, also those of costly judges that an earlier run of the store has.
    #[must_use]
    pub fn without_reuse(self) -> Self {
        Self { reuse: false, ..self }
    }

    /// Ends the run gently when asked to.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Runs to the end of the dataset. Dropping the future cancels what is in flight; what was committed stays.
    ///
    /// A result is that of a completed run; or its status is [`RunStatus::Awaiting`](ef_model::RunStatus::Awaiting), when
    /// all is done but for verdicts by people: it has counts and no metrics, and [`answer`](crate::answer) completes it.
    ///
    /// # Errors
    ///
    /// When the run cannot begin, ends early, or the store fails. There is no partial result.
    pub async fn run(self, source: Box<dyn ItemSource>) -> Result<RunResult, RunError> {
        self.told(|runner| runner.begin(source)).await
    }

    /// Does something for the run within its span, and tells how it ended.
    async fn told<W>(mut self, work: impl FnOnce(Self) -> W) -> Result<RunResult, RunError>
    where
        W: Future<Output = Result<RunResult, RunError>>,
    {
        let span = spans::of_run(&self.plan.head.run_id);
        spans::begun(&span, &self.plan.head);
        self.telling.run = span.clone();
        let work = work(self);
        let told = async {
            let ended = work.await;
            log::ended(&ended);
            ended
        };
        let ended = told.instrument(span.clone()).await;
        let (status, error) = match &ended {
            Ok(result) => (result.status.as_str(), None),
            Err(error) => {
                let (status, code) = error.told();
                (status, Some(code))
            }
        };
        spans::ended(&span, status, error);
        ended
    }

    async fn begin(mut self, source: Box<dyn ItemSource>) -> Result<RunResult, RunError> {
        self.check_priced()?;
        let store = Arc::clone(&self.plan.store);
        let (first, rows) = self.first_row(source, Rows::All).await?;
        store.begin(&self.plan.head).await.map_err(failed)?;
        log::started(&self.plan);
        self.events.send(RunEvent::Started { run_id: self.plan.head.run_id.clone() }).await;
        let tally = Tally::new(&self.plan.spec);
        let supply = Supply::Dataset { first, rows };
        let work = Work { supply, done: None, checked: None, spent_usd: 0.0, tally };
        let Worked { fate, counts, tally, failure } = self.work(work).await;
        if let Some(error) = failure {
            return Err(self.refused(error, counts, &tally).await);
        }
        self.conclude(fate, counts, tally).await
    }

    /// Goes on with a run of the store that ended early: tasks that have a record are not done again. With
    /// `retry_errors`, those of them that failed are, as the next revision. What waits for people waits on.
    ///
    /// The plan's head is the one that the store has. `source` and `check` both deliver the run's dataset from its
    /// begin: one for the rows that are to be done, the other to compare the rows that are done with their records.
    /// Nothing is written before all of those have been found unchanged.
    ///
    /// # Errors
    ///
    /// As [`Runner::run`]; [`RunError::DatasetChanged`] when a row that is done differs, and [`RunError::Store`] with
    /// [`StoreError::RunBusy`] when somebody else writes the run.
    pub async fn resume(
        self,
        source: Box<dyn ItemSource>,
        check: Box<dyn ItemSource>,
        retry_errors: bool,
    ) -> Result<RunResult, RunError> {
        self.told(|runner| runner.go_on(source, check, retry_errors)).await
    }

    async fn go_on(
        mut self,
        source: Box<dyn ItemSource>,
        check: Box<dyn ItemSource>,
        retry_errors: bool,
    ) -> Result<RunResult, RunError> {
        self.check_priced()?;
        self.plan.store.resume(&self.plan.head.run_id).await.map_err(failed)?;
        let ended = self.plan.store.run(&self.plan.head.run_id).await.map_err(failed)?.and_then(|run| run.result);
        self.unrecorded_usd = ended.and_then(|ended| ended.usage.unrecorded_usd);
        self.take_up(source, check, retry_errors, false).await
    }

    /// Goes on with a run that is held, or begins one that has a source.
    async fn take_up(
        mut self,
        source: Box<dyn ItemSource>,
        check: Box<dyn ItemSource>,
        retry_errors: bool,
        is_new: bool,
    ) -> Result<RunResult, RunError> {
        let store = Arc::clone(&self.plan.store);
        let run_id = self.plan.head.run_id.clone();
        let retried = match &self.plan.head.source {
            Some(RunSource { run_id, purpose: RunPurpose::Retry }) => Some(run_id.clone()),
            _ => None,
        };
        let check = match &retried {
            // The source has all rows, and records of it are to be written at once: they are checked before.
            Some(from) => Check::Passed { digest: self.checked_against(from, check).await? },
            None => Check::Beside(check),
        };
        if is_new {
            store.begin(&self.plan.head).await.map_err(failed)?;
        }
        if let Some(from) = &retried {
            // Also when it was begun and killed before it had them all: those that are there do no harm.
            takeover::take_over(store.as_ref(), from, &run_id).await.map_err(failed)?;
        }
        let repeats = self.plan.spec.runtime.repeats;
        let done = Done::of(store.as_ref(), &run_id, repeats, retry_errors).await.map_err(failed)?;
        let done = Arc::new(done);
        log::resumed(&self.plan, done.tasks());
        self.events.send(RunEvent::Resumed { run_id: run_id.clone(), done: done.tasks() }).await;
        let spent_usd = self.spent_usd().await.map_err(failed)?;
        let tally = Tally::of_resumed(&self.plan.spec);
        let (first, rows) = match self.first_row(source, Rows::Open(Arc::clone(&done))).await {
            // What was taken over is written.
            Err(RunError::NotBegun { cause, source_error }) if retried.is_some() => {
                let result = self.abort(&cause, Counts::default(), &tally).await.map_err(failed)?;
                return Err(RunError::Unfinished { cause, source_error, result: Box::new(result) });
            }
            first => first?,
        };

        let (passed, checked) = oneshot::channel();
        let stopper = self.stopper.clone();
        let checking = check.finish(Arc::clone(&store), run_id, Arc::clone(&done));
        let checking = async move {
            let outcome = checking.await;
            match &outcome {
                Ok(checked) => drop(passed.send(checked.cost_usd)),
                // The writer is told by what it is not given.
                Err(_) => stopper.stop_for(StopCause::Dataset("it is not what the run began with".to_owned())),
            }
            outcome
        };
        // A set of one: dropping the run ends the check too.
        let mut check = JoinSet::new();
        check.spawn(checking.instrument(self.telling.run.clone()));
        let supply = Supply::Dataset { first, rows };
        let work = Work { supply, done: Some(done), checked: Some(checked), spent_usd, tally };
        let Worked { fate, counts, tally, failure } = self.work(work).await;
        let checked = check.join_next().await.expect("the check was started").expect("the check does not panic");
        let Checked { digest, .. } = checked?;
        if let Some(error) = failure {
            return Err(self.refused(error, counts, &tally).await);
        }
        let fate = if let Fate::Whole { .. } = fate { Fate::Whole { digest } } else { fate };
        self.conclude(fate, counts, tally).await
    }

    /// Compares the dataset with the records of a run that has them all, and returns its digest.
    async fn checked_against(&self, run: &RunId, check: Box<dyn ItemSource>) -> Result<Option<Digest>, RunError> {
        let store = Arc::clone(&self.plan.store);
        let recorded = Done::of(store.as_ref(), run, self.plan.spec.runtime.repeats, false).await.map_err(failed)?;
        let checking = Check::Beside(check).finish(store, run.clone(), Arc::new(recorded));
        tokio::select! {
            biased;
            () = self.stopper.stopped() => {
                Err(RunError::NotBegun { cause: StopCause::Interrupted, source_error: None })
            }
            checked = checking => Ok(checked?.digest),
        }
    }

    /// Begins a run that takes over the good records of the run which the plan's head names as its source, and does the
    /// failed tasks again. For `source` and `check` see [`Runner::resume`]; here the whole dataset is checked first, and a
    /// run is begun only where it is unchanged.
    ///
    /// # Errors
    ///
    /// As [`Runner::resume`].
    pub async fn retry(self, source: Box<dyn ItemSource>, check: Box<dyn ItemSource>) -> Result<RunResult, RunError> {
        self.told(async |runner| {
            runner.check_priced()?;
            runner.take_up(source, check, false, true).await
        })
        .await
    }

    /// Replays the completed run of the store that the plan's head names as its source. By the source's purpose its items
    /// are evaluated and judged again, or its traces are taken over as they are and their outputs judged again; then the
    /// judgments of judges that the plan does not have are taken over too. Of each task the latest revision is replayed.
    /// No dataset is needed: the store has everything. What is taken over costs nothing in the new run. A judge that asks
    /// people is asked again like any other, and leaves the run waiting for them.
    ///
    /// # Errors
    ///
    /// As [`Runner::run`]; with [`StopCause::Source`] where the source cannot be replayed, or a record or a payload of it is
    /// not as it was recorded: nothing is judged on other data.
    pub async fn replay(self) -> Result<RunResult, RunError> {
        self.told(Self::replay_source).await
    }

    async fn replay_source(mut self) -> Result<RunResult, RunError> {
        self.check_priced()?;
        // What is to be found out is what the judges say now.
        self.reuse = false;
        let store = Arc::clone(&self.plan.store);
        let Source { dataset_digest, mut tasks } = Source::open(&self.plan).await?;
        let first = match tasks.next().await {
            Some(Err(Broken::Damaged(what))) => {
                return Err(RunError::NotBegun { cause: StopCause::Source(what), source_error: None });
            }
            Some(Err(Broken::Store(error))) => return Err(failed(error)),
            first => first.map(Box::new),
        };
        store.begin(&self.plan.head).await.map_err(failed)?;
        log::started(&self.plan);
        self.events.send(RunEvent::Started { run_id: self.plan.head.run_id.clone() }).await;
        let tally = Tally::new(&self.plan.spec);
        let supply = Supply::Run { first, tasks, dataset_digest };
        let work = Work { supply, done: None, checked: None, spent_usd: 0.0, tally };
        let Worked { fate, counts, tally, failure } = self.work(work).await;
        if let Some(error) = failure {
            return Err(self.refused(error, counts, &tally).await);
        }
        self.conclude(fate, counts, tally).await
    }

    /// Does what there is to do, and waits until it is durable.
    async fn work(&mut self, work: Work) -> Worked {
        let Work { supply, done, checked, spent_usd, tally } = work;
        let runtime = &self.plan.spec.runtime;
        let max_concurrent = runtime.max_concurrent as usize;
        let permits = Arc::new(Semaphore::new(max_concurrent));
        let (backlog, queue) = backlog::channel();
        let (account, entries) = ledger::channel();
        let spent_usd = spent_usd + self.unrecorded_usd.unwrap_or(0.0);
        let budget = runtime.max_cost_usd.map(|cap| Arc::new(Budget::new(cap, spent_usd)));
        let writer = Writer {
            store: Arc::clone(&self.plan.store),
            run_id: self.plan.head.run_id.clone(),
            stopper: self.stopper.clone(),
            ledger: account,
            checked,
        };
        let ledger = Ledger {
            events: self.events.clone(),
            permits: Arc::clone(&permits),
            max_concurrent,
            budget: budget.clone(),
            earlier: Usage { cost_usd: self.unrecorded_usd, ..Usage::UNKNOWN },
            tally,
            meters: self.telling.instruments.meters.clone(),
        };
        self.watch(&permits, backlog.depth());
        let (repeats, abort_on_failure) = (runtime.repeats, runtime.on_failure == OnFailure::Abort);
        let (events, stopper) = (self.events.clone(), self.stopper.clone());
        let tasks = Arc::new(Tasks::new(&mut self.plan, self.reuse, budget, events, stopper, self.telling.clone()));
        let scheduler = Scheduler {
            tasks: Arc::clone(&tasks),
            permits,
            backlog,
            events: self.events.clone(),
            stopper: self.stopper.clone(),
            repeats,
            done,
            abort_on_failure,
        };
        // Sets of one: dropping the run ends writer and ledger too.
        let (mut writing, mut accounting) = (JoinSet::new(), JoinSet::new());
        writing.spawn(writer.run(queue).instrument(self.telling.run.clone()));
        accounting.spawn(ledger.run(entries));
        let fate = scheduler.drive(supply).await;
        let failure = writing.join_next().await.expect("the writer was started").expect("the writer does not panic");
        let (counts, tally) =
            accounting.join_next().await.expect("the ledger was started").expect("the ledger does not panic");
        tasks.tell_retries();
        self.unrecorded_usd = both(self.unrecorded_usd, tasks.unrecorded_usd());
        Worked { fate, counts, tally, failure }
    }

    /// Lets whoever keeps numbers ask how much is going on. When the work is over, nothing is.
    fn watch(&self, permits: &Arc<Semaphore>, queue_depth: impl Fn() -> usize + Send + Sync + 'static) {
        let Some(meters) = &self.telling.instruments.meters else { return };
        let max_concurrent = self.plan.spec.runtime.max_concurrent as usize;
        let permits = Arc::downgrade(permits);
        meters.watch(Arc::new(move || {
            let in_flight = |permits: Arc<Semaphore>| max_concurrent.saturating_sub(permits.available_permits());
            Load { in_flight: permits.upgrade().map_or(0, in_flight), queue_depth: queue_depth() }
        }));
    }

    /// Under a budget nothing is called of which nobody knows what it can cost.
    fn check_priced(&self) -> Result<(), RunError> {
        let Plan { spec, evaluator, judges, .. } = &self.plan;
        match spec.runtime.max_cost_usd.and_then(|_| budget::unpriced(evaluator.as_ref(), judges)) {
            Some(cause) => Err(RunError::NotBegun { cause, source_error: None }),
            None => Ok(()),
        }
    }

    /// What the run's records say that it has cost, in US dollars; nothing where there is no budget to hold it against.
    async fn spent_usd(&self) -> Result<f64, StoreError> {
        let Plan { head, spec, store, .. } = &self.plan;
        if spec.runtime.max_cost_usd.is_none() {
            return Ok(0.0);
        }
        Ok(tally::usage(store.as_ref(), &head.run_id).await?.cost_usd().unwrap_or(0.0))
    }

    /// Waits for the first row: a dataset that cannot be read at all leaves no run behind.
    async fn first_row(&self, source: Box<dyn ItemSource>, wanted: Rows) -> Result<(Fed, Feed), RunError> {
        let not_begun = |source_error: SourceError| RunError::NotBegun {
            cause: StopCause::Dataset(source_error.message.clone()),
            source_error: Some(source_error),
        };
        let mut rows = feed::start(source, wanted).map_err(|error| {
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
                None => Err(not_begun(feed::broken())),
            }
        }
    }

    /// After the last task: the result, or why there is none.
    async fn conclude(self, fate: Fate, counts: Counts, tally: Tally) -> Result<RunResult, RunError> {
        let failed = |error| RunError::Store { error, counts: Box::new(counts) };
        let stopped = self.stopper.cause();
        let (cause, source_error) = match (fate, stopped) {
            (Fate::Unreadable(error), _) => {
                // The failure is what matters; that its note was not kept changes nothing in the records.
                let _ = self.abort(&error, counts, &tally).await;
                return Err(failed(error));
            }
            (Fate::Failed(error), _) => (StopCause::Dataset(error.message.clone()), Some(error)),
            (_, Some(cause @ StopCause::TaskFailed { .. })) => (cause, None),
            // A stop that came when everything was done has stopped nothing.
            (Fate::Whole { digest }, _) => return self.complete(digest, tally).await.map_err(failed),
            (Fate::Partly, cause) => (cause.unwrap_or(StopCause::Interrupted), None),
        };
        let result = self.abort(&cause, counts, &tally).await.map_err(failed)?;
        Err(RunError::Unfinished { cause, source_error, result: Box::new(result) })
    }

    async fn complete(self, dataset: Option<Digest>, tally: Tally) -> Result<RunResult, StoreError> {
        log::finishing();
        self.events.send(RunEvent::Finishing).await;
        let Plan { head, spec, store, .. } = &self.plan;
        let whole = match tally.whole() {
            Some(whole) => whole,
            None => tally::read(store.as_ref(), &head.run_id, spec).await?,
        };
        self.ending().whole(dataset, whole).await
    }

    /// Ends the run early. `counts` are what became durable just now.
    async fn abort(&self, reason: &impl ToString, counts: Counts, tally: &Tally) -> Result<RunResult, StoreError> {
        let Plan { head, spec, store, .. } = &self.plan;
        let (counts, usage) = if tally.has_all() {
            (counts, tally.usage().get())
        } else {
            let sums = tally::read(store.as_ref(), &head.run_id, spec).await?.sums;
            (sums.counts, sums.usage.get())
        };
        self.ending().early(reason.to_string(), counts, usage).await
    }

    fn ending(&self) -> Ending<'_> {
        let Plan { head, spec, store, .. } = &self.plan;
        Ending { store: store.as_ref(), head, spec, unrecorded_usd: self.unrecorded_usd }
    }

    /// A refused record ends the run; a store that is gone cannot be told.
    async fn refused(&self, error: StoreError, counts: Counts, tally: &Tally) -> RunError {
        if matches!(error, StoreError::Conflict { .. }) {
            // The refusal is what matters; that its note was not kept changes nothing in the records.
            let _ = self.abort(&error, counts, tally).await;
        }
        RunError::Store { error, counts: Box::new(counts) }
    }
}
