//! One task: an item's trace and its judgments.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ef_metrics::ExactSum;
use ef_model::{
    CallError, ComponentId, DatasetRow, Digest, ErrorKind, ErrorRecord, EvalItem, Evaluator, EvaluatorOutput, Identity,
    ItemId, Judgment, JudgmentResult, Payload, RowFault, TaskCommit, TaskRecord, Trace, TraceOutcome, Usage,
};
use ef_spec::Runtime;
use futures_util::future::join_all;
use tokio::sync::Semaphore;
use tracing::{Instrument as _, Span};

use crate::budget::Budget;
use crate::cache::{self, Cache, Lookup};
use crate::call::{Abandoned, Called, Caller, now_us};
use crate::callee::{Evaluation, Judging, judgment_result};
use crate::event::EventSender;
use crate::retries::Retries;
use crate::spans::{self, Telling};
use crate::{Plan, RunJudge, StopCause, Stopper, log, seed};

/// One task that is to be done.
pub(crate) struct Task {
    /// Its place in the order in which tasks are started, from 0.
    pub(crate) place: u64,
    pub(crate) row: DatasetRow,
    pub(crate) repeat: u32,
    pub(crate) revision: u32,
    /// What is taken over of the same task in another run: seldom, so that other tasks are small.
    pub(crate) recorded: Option<Box<Recorded>>,
}

/// What a task takes over of the same task in another run: its trace, and the judgments of those judges that are not asked
/// again.
pub(crate) struct Recorded {
    pub(crate) trace: Trace,
    /// The output, where the trace has one.
    pub(crate) output: Option<EvaluatorOutput>,
    /// All judgments, in the order of the spec.
    pub(crate) judgments: Vec<Judgment>,
}

/// A judge as tasks call it.
struct TaskJudge {
    judge: RunJudge,
    limit: Option<Semaphore>,
    /// Whether its judgments may be reused.
    is_cached: bool,
}

/// A judgment that was made, reused or kept.
struct Judged {
    judgment: Judgment,
    /// The payload that it refers to, where that is new.
    kept: Option<Payload>,
    /// By which it can be found again.
    key: Option<Digest>,
}

impl Judged {
    /// A judgment that is in the store already.
    const fn earlier(judgment: Judgment) -> Self {
        Self { judgment, kept: None, key: None }
    }
}

/// What all tasks of a run share.
pub(crate) struct Tasks {
    evaluator: Arc<dyn Evaluator>,
    evaluator_identity: Arc<Identity>,
    evaluator_limit: Option<Semaphore>,
    judges: Vec<TaskJudge>,
    /// Where judgments that need not be made again are looked for.
    cache: Option<Cache>,
    runtime: Runtime,
    timeout: Duration,
    budget: Option<Arc<Budget>>,
    /// What was spent on tasks that were cut off.
    unrecorded: Mutex<Option<ExactSum>>,
    events: EventSender,
    stopper: Stopper,
    telling: Telling,
    retries: Retries,
}

impl Tasks {
    /// With `reuse`, judgments of costly judges are looked for in the store before they are made.
    pub(crate) fn new(
        plan: &mut Plan,
        reuse: bool,
        budget: Option<Arc<Budget>>,
        events: EventSender,
        stopper: Stopper,
        telling: Telling,
    ) -> Self {
        let limit = |limit: Option<u32>| limit.map(|limit| Semaphore::new(limit as usize));
        // A replay may ask fewer judges than the spec has.
        let task_judge = |judge: RunJudge| {
            let named = plan.spec.judges.iter().find(|named| named.name == judge.identity.name);
            let is_cached = reuse && cache::is_cached(&judge, named);
            TaskJudge { limit: limit(named.and_then(|named| named.max_concurrent)), is_cached, judge }
        };
        let judges: Vec<_> = std::mem::take(&mut plan.judges).into_iter().map(task_judge).collect();
        let cache = judges
            .iter()
            .any(|judge| judge.is_cached)
            .then(|| Cache::new(Arc::clone(&plan.store), plan.spec.runtime.seed));
        Self {
            evaluator: Arc::clone(&plan.evaluator),
            evaluator_identity: Arc::clone(&plan.head.evaluator),
            evaluator_limit: limit(plan.spec.evaluator.max_concurrent),
            judges,
            cache,
            timeout: Duration::from_secs_f64(plan.spec.runtime.task_timeout_seconds),
            runtime: plan.spec.runtime.clone(),
            budget,
            unrecorded: Mutex::default(),
            events,
            stopper,
            retries: Retries::new(telling.instruments.meters.clone()),
            telling,
        }
    }

    /// The span that tasks are part of.
    pub(crate) const fn run_span(&self) -> &Span {
        &self.telling.run
    }

    /// Tells what has not been told yet of attempts that were made again.
    pub(crate) fn tell_retries(&self) {
        self.retries.tell_rest();
    }

    /// Runs one task, within a span of its own. `None` when there is nothing to record: the run stops, and the task is as if
    /// never started.
    pub(crate) async fn run(&self, task: Task) -> Option<TaskCommit> {
        let Task { row, repeat, revision, recorded, .. } = task;
        let (DatasetRow::Item(EvalItem { item_id, .. }) | DatasetRow::Faulty { item_id, .. }) = &row;
        let (is_recorded, evaluator) = match &recorded {
            Some(recorded) => (true, &recorded.trace.evaluator),
            None => (false, &self.evaluator_identity),
        };
        let span = spans::of_task(self.run_span(), evaluator, item_id, repeat);
        let done = async {
            match (row, recorded) {
                (row, Some(recorded)) => self.judge_again(&row, repeat, revision, recorded).await,
                (DatasetRow::Item(item), None) => self.run_item(&item, repeat, revision).await,
                (DatasetRow::Faulty { item_id, row, fault }, None) => Ok(self.skip(item_id, row, revision, fault)),
            }
        };
        // Where telemetry cannot keep up, a task may have no span: what is below it is then part of the run.
        let within = if span.is_disabled() { self.run_span() } else { &span };
        let done = done.instrument(within.clone()).await;
        match &done {
            Ok(commit) => {
                let record = commit.record();
                spans::traced(&span, &record.trace, if is_recorded { 0 } else { record.trace.attempts });
                log::failures(record);
            }
            Err(_) => spans::abandoned(&span),
        }
        done.map_err(|Abandoned { usage }| {
            if let Some(cost) = usage.cost_usd {
                let mut unrecorded = self.unrecorded.lock().unwrap_or_else(PoisonError::into_inner);
                unrecorded.get_or_insert_default().add(cost);
            }
        })
        .ok()
    }

    /// What was spent on tasks that were cut off, in US dollars, where any cost is known.
    pub(crate) fn unrecorded_usd(&self) -> Option<f64> {
        self.unrecorded.lock().unwrap_or_else(PoisonError::into_inner).as_ref().map(ExactSum::get)
    }

    /// Takes a trace over as it is, and has its output judged again.
    async fn judge_again(
        &self,
        row: &DatasetRow,
        repeat: u32,
        revision: u32,
        recorded: Box<Recorded>,
    ) -> Result<TaskCommit, Abandoned> {
        let Recorded { trace, output, judgments: earlier } = *recorded;
        let mut payloads = Vec::new();
        let mut judgments = Vec::new();
        let item_id = match row {
            DatasetRow::Item(item) => {
                payloads.extend(item.payloads().cloned());
                if let Some(output) = &output {
                    let asked = earlier.into_iter().map(|judgment| self.judge_or_keep(judgment, item, output, repeat));
                    for Judged { judgment, kept, .. } in all(join_all(asked).await)? {
                        judgments.push(judgment);
                        payloads.extend(kept);
                    }
                    payloads.push(output.output.clone());
                    payloads.extend(output.metadata.clone());
                }
                &item.item_id
            }
            DatasetRow::Faulty { item_id, .. } => item_id,
        };
        let record = TaskRecord { item_id: item_id.clone(), row: row.row(), repeat, revision, trace, judgments };
        Ok(TaskCommit::new(record, payloads))
    }

    /// Judges again where the judge is one of this run's; else the earlier judgment stands.
    async fn judge_or_keep(
        &self,
        earlier: Judgment,
        item: &EvalItem,
        output: &EvaluatorOutput,
        repeat: u32,
    ) -> Result<Judged, Abandoned> {
        match self.judges.iter().find(|asked| asked.judge.identity.name == earlier.judge.name) {
            Some(asked) => self.judge(asked, item, output, repeat).await,
            None => Ok(Judged::earlier(earlier)),
        }
    }

    /// Has an output judged by all judges, side by side, but for what has been judged already.
    async fn judge_all(
        &self,
        item: &EvalItem,
        output: &EvaluatorOutput,
        repeat: u32,
    ) -> Result<Vec<Judged>, Abandoned> {
        let mut lookups = Vec::new();
        if let Some(cache) = &self.cache {
            let judges = self.judges.iter().map(|asked| (&asked.judge, asked.is_cached));
            lookups = cache.look_up(judges, item, output, repeat).await;
        }
        lookups.resize_with(self.judges.len(), || Lookup::Make);
        let judging = self.judges.iter().zip(lookups).map(async |(asked, lookup)| match lookup {
            Lookup::Made(judgment) => {
                spans::judged(&spans::of_judge(&judgment.judge), &judgment);
                Ok(Judged::earlier(judgment))
            }
            Lookup::Make => self.judge(asked, item, output, repeat).await,
            Lookup::MakeAs(key) => {
                let judged = self.judge(asked, item, output, repeat).await?;
                let is_said =
                    matches!(judged.judgment.result, JudgmentResult::Scored { .. } | JudgmentResult::Unscored { .. });
                Ok(Judged { key: is_said.then_some(key), ..judged })
            }
        });
        all(join_all(judging).await)
    }

    fn skip(&self, item_id: ItemId, row: u64, revision: u32, fault: RowFault) -> TaskCommit {
        let trace = Trace {
            evaluator: Arc::clone(&self.evaluator_identity),
            attempts: 0,
            started_at_us: now_us(),
            duration_us: 0,
            input: None,
            reference_output: None,
            item_metadata: None,
            usage: Usage::UNKNOWN,
            outcome: TraceOutcome::Skipped { fault },
        };
        let record = TaskRecord { item_id, row, repeat: 0, revision, trace, judgments: Vec::new() };
        TaskCommit::new(record, Vec::new())
    }

    async fn run_item(&self, item: &EvalItem, repeat: u32, revision: u32) -> Result<TaskCommit, Abandoned> {
        let evaluated = self
            .caller(item, repeat, &self.evaluator_identity.id, None, self.evaluator_limit.as_ref())
            .call(&Evaluation { evaluator: self.evaluator.as_ref(), item })
            .await?;
        let usage = evaluated.usage;
        let mut payloads: Vec<Payload> = item.payloads().cloned().collect();
        let mut judgments = Vec::new();
        let mut cache_keys = Vec::new();
        let outcome = match &evaluated.result {
            Ok(output) => {
                let judged = self.judge_all(item, output, repeat).await;
                let judged = judged.map_err(|abandoned| Abandoned { usage: usage.and(abandoned.usage) })?;
                for Judged { judgment, kept, key } in judged {
                    cache_keys.extend(key.map(|key| (judgments.len(), key)));
                    judgments.push(judgment);
                    payloads.extend(kept);
                }
                payloads.push(output.output.clone());
                payloads.extend(output.metadata.clone());
                let output_metadata = output.metadata.as_ref().map(Payload::digest);
                TraceOutcome::Ok { output: output.output.digest(), output_metadata }
            }
            Err(error) => {
                self.check_quota(error, None, usage)?;
                payloads.extend(error.detail.clone());
                let record = ErrorRecord::from(error);
                match error.kind {
                    ErrorKind::Timeout => TraceOutcome::Timeout { error: record },
                    _ => TraceOutcome::Error { error: record },
                }
            }
        };
        let trace = Trace {
            evaluator: Arc::clone(&self.evaluator_identity),
            attempts: evaluated.attempts,
            started_at_us: evaluated.started_at_us,
            duration_us: evaluated.duration_us,
            input: Some(item.input.digest()),
            reference_output: item.reference_output.as_ref().map(Payload::digest),
            item_metadata: item.metadata.as_ref().map(Payload::digest),
            usage,
            outcome,
        };
        let record = TaskRecord { item_id: item.item_id.clone(), row: item.row, repeat, revision, trace, judgments };
        Ok(TaskCommit::new(record, payloads).with_cache_keys(cache_keys))
    }

    /// Has an output judged, within a span of its own.
    async fn judge(
        &self,
        asked: &TaskJudge,
        item: &EvalItem,
        output: &EvaluatorOutput,
        repeat: u32,
    ) -> Result<Judged, Abandoned> {
        let span = spans::of_judge(&asked.judge.identity);
        let judged = self.ask(asked, item, output, repeat).instrument(span.clone()).await;
        match &judged {
            Ok(judged) => spans::judged(&span, &judged.judgment),
            Err(_) => spans::abandoned(&span),
        }
        judged
    }

    async fn ask(
        &self,
        TaskJudge { judge, limit, .. }: &TaskJudge,
        item: &EvalItem,
        output: &EvaluatorOutput,
        repeat: u32,
    ) -> Result<Judged, Abandoned> {
        let name = judge.identity.name.as_str();
        let Called { result, usage, attempts, started_at_us, duration_us } = self
            .caller(item, repeat, &judge.identity.identity.id, Some(name), limit.as_ref())
            .call(&Judging { judge: judge.judge.as_ref(), item, output })
            .await?;
        if let Err(error) = &result {
            self.check_quota(error, Some(name), usage)?;
        }
        let (result, kept) = judgment_result(result);
        let judge = Arc::clone(&judge.identity);
        let judgment = Judgment { judge, attempts, started_at_us, duration_us, reused_from: None, usage, result };
        Ok(Judged { judgment, kept, key: None })
    }

    /// An exhausted quota says nothing of the item: the run stops and the task is not recorded.
    fn check_quota(&self, error: &CallError, judge: Option<&str>, usage: Usage) -> Result<(), Abandoned> {
        if error.kind != ErrorKind::QuotaExhausted {
            return Ok(());
        }
        self.stopper.stop_for(StopCause::QuotaExhausted { judge: judge.map(str::to_owned) });
        Err(Abandoned { usage })
    }

    fn caller<'a>(
        &'a self,
        item: &'a EvalItem,
        repeat: u32,
        component: &'a ComponentId,
        judge: Option<&'a str>,
        limit: Option<&'a Semaphore>,
    ) -> Caller<'a> {
        Caller {
            item_id: &item.item_id,
            component,
            judge,
            repeat,
            seed: seed::of_call(self.runtime.seed, repeat, judge.unwrap_or_default(), &item.item_id),
            timeout: self.timeout,
            max_retries: self.runtime.max_retries,
            limit,
            budget: self.budget.as_deref(),
            events: &self.events,
            stopper: &self.stopper,
            retries: &self.retries,
            propagator: self.telling.instruments.propagator.as_ref(),
        }
    }
}

/// All judgments; where one was abandoned, what all of them used.
fn all(judged: Vec<Result<Judged, Abandoned>>) -> Result<Vec<Judged>, Abandoned> {
    if judged.iter().any(Result::is_err) {
        let used = judged.iter().map(|judged| match judged {
            Ok(judged) => judged.judgment.usage,
            Err(abandoned) => abandoned.usage,
        });
        return Err(Abandoned { usage: used.fold(Usage::UNKNOWN, Usage::and) });
    }
    judged.into_iter().collect()
}
