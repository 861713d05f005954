//! A trial of a judge: the same outputs, judged several times. Nothing is stored.

use std::sync::Arc;
use std::time::Duration;

use ef_metrics::replay::{JudgeTrial, TrialReport};
use ef_model::{
    CallError, DatasetRow, Determinism, ErrorKind, EvalItem, Evaluator, ItemId, ItemSource, JudgmentResult, SourceError,
};
use ef_spec::EvalSpec;
use futures_util::{StreamExt, stream};
use tokio::sync::Semaphore;

use crate::budget::{self, Budget};
use crate::call::{Abandoned, Called, Callee, Caller};
use crate::callee::{Evaluation, Judging, judgment_result};
use crate::event::EventSender;
use crate::feed::{self, Fed, Feed, Rows};
use crate::retries::Retries;
use crate::{RunJudge, StopCause, Stopper, seed};

/// Items that are named, at most.
const NAMED: usize = 10;

/// What a trial of a judge needs.
pub struct Trial {
    /// Limits and seeds.
    pub spec: EvalSpec,
    /// Where outputs come from: it is called once an item.
    pub evaluator: Arc<dyn Evaluator>,
    /// The judge.
    pub judge: RunJudge,
    /// How often each output is judged, at least twice.
    pub times: u32,
}

/// Why a trial came to no end.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// The dataset cannot be read on.
    #[error("{0}")]
    Dataset(SourceError),
    /// There is no quota left.
    #[error("the quota of {0} is exhausted")]
    QuotaExhausted(
        /// Whose.
        String,
    ),
    /// The spec's budget is spent, or cannot be kept.
    #[error("the trial ended early: {0}")]
    Stopped(
        /// Why.
        StopCause,
    ),
}

/// What came of one row.
enum Tried {
    Skipped,
    WithoutOutput,
    Judged(ItemId, Vec<JudgmentResult>),
}

impl Trial {
    /// Has each output judged as often as asked for, one judgment after the other, and as many items at once as the spec
    /// allows. A judge that declares to be deterministic, or so for a given seed, is called with the same seed each
    /// time, which is that of a run; a stochastic one with another each time.
    ///
    /// # Errors
    ///
    /// When the dataset cannot be read to its end, evaluator or judge have no quota left, or `runtime.max_cost_usd` is
    /// spent.
    pub async fn run(self, source: Box<dyn ItemSource>) -> Result<TrialReport, TrialError> {
        let no_thread = |error: std::io::Error| {
            TrialError::Dataset(SourceError { message: format!("no thread to read it: {}", error.kind()), hint: None })
        };
        let max_cost_usd = self.spec.runtime.max_cost_usd;
        if let Some(unpriced) = max_cost_usd.and_then(|_| budget::unpriced(self.evaluator.as_ref(), [&self.judge])) {
            return Err(TrialError::Stopped(unpriced));
        }
        let rows = feed::start(source, Rows::All).map_err(no_thread)?;
        let identity = &self.judge.identity;
        let mut report = TrialReport {
            judge: identity.name.clone(),
            times: self.times,
            rows: 0,
            skipped: 0,
            without_output: 0,
            variance: JudgeTrial::new(identity.determinism).finish(),
            varied_items: Vec::new(),
        };
        let mut trial = JudgeTrial::new(identity.determinism);
        let calls = Calls::new(&self);
        let at_once = self.spec.runtime.max_concurrent as usize;
        // In the order of the rows, so that the same judgments give the same report.
        let mut tried =
            std::pin::pin!(stream::unfold(Some(rows), next_row).map(|row| calls.try_row(row)).buffered(at_once));
        while let Some(tried) = tried.next().await {
            report.rows += 1;
            match tried? {
                Tried::Skipped => report.skipped += 1,
                Tried::WithoutOutput => report.without_output += 1,
                Tried::Judged(item_id, judgments) => {
                    if trial.observe(&judgments) == Some(true) && report.varied_items.len() < NAMED {
                        report.varied_items.push(item_id);
                    }
                }
            }
        }
        calls.retries.tell_rest();
        report.variance = trial.finish();
        Ok(report)
    }
}

async fn next_row(rows: Option<Feed>) -> Option<(Result<DatasetRow, SourceError>, Option<Feed>)> {
    let mut rows = rows?;
    match rows.next().await {
        Some(Fed::Row(row)) => Some((Ok(row), Some(rows))),
        Some(Fed::End { .. }) => None,
        Some(Fed::Failed(error)) => Some((Err(error), None)),
        None => Some((Err(feed::broken()), None)),
    }
}

/// The calls of a trial.
struct Calls<'t> {
    trial: &'t Trial,
    evaluator_limit: Option<Semaphore>,
    judge_limit: Option<Semaphore>,
    budget: Option<Budget>,
    events: EventSender,
    stopper: Stopper,
    retries: Retries,
}

impl<'t> Calls<'t> {
    fn new(trial: &'t Trial) -> Self {
        let limit = |limit: Option<u32>| limit.map(|limit| Semaphore::new(limit as usize));
        let name = &trial.judge.identity.name;
        let named = trial.spec.judges.iter().find(|judge| judge.name == *name);
        // Nobody listens to a trial.
        let (events, _) = EventSender::channel();
        Self {
            trial,
            evaluator_limit: limit(trial.spec.evaluator.max_concurrent),
            judge_limit: limit(named.and_then(|judge| judge.max_concurrent)),
            budget: trial.spec.runtime.max_cost_usd.map(|cap| Budget::new(cap, 0.0)),
            events,
            stopper: Stopper::new(),
            retries: Retries::new(None),
        }
    }

    async fn try_row(&self, row: Result<DatasetRow, SourceError>) -> Result<Tried, TrialError> {
        match row.map_err(TrialError::Dataset)? {
            DatasetRow::Faulty { .. } => Ok(Tried::Skipped),
            DatasetRow::Item(item) => self.try_item(&item).await,
        }
    }

    async fn try_item(&self, item: &EvalItem) -> Result<Tried, TrialError> {
        let Trial { evaluator, judge, times, .. } = self.trial;
        if let Some(cause) = self.stopper.cause() {
            return Err(TrialError::Stopped(cause));
        }
        let evaluation = Evaluation { evaluator: evaluator.as_ref(), item };
        let evaluated = self.call(self.caller(item, 0, None), &evaluation).await?;
        check_quota(evaluated.result.as_ref().err(), "the evaluator")?;
        let Ok(output) = evaluated.result else { return Ok(Tried::WithoutOutput) };
        let varied = judge.identity.determinism == Determinism::Stochastic;
        let judging = Judging { judge: judge.judge.as_ref(), item, output: &output };
        let mut judgments = Vec::new();
        for time in 0..*times {
            let repeat = if varied { time } else { 0 };
            let caller = self.caller(item, repeat, Some(&judge.identity.name));
            let judged = self.call(caller, &judging).await?;
            check_quota(judged.result.as_ref().err(), &judge.identity.name)?;
            judgments.push(judgment_result(judged.result).0);
        }
        Ok(Tried::Judged(item.item_id.clone(), judgments))
    }

    async fn call<C: Callee>(&self, caller: Caller<'_>, callee: &C) -> Result<Called<C::Made>, TrialError> {
        caller.call(callee).await.map_err(|Abandoned { .. }| {
            // Nobody else stops a trial.
            TrialError::Stopped(self.stopper.cause().unwrap_or(StopCause::Interrupted))
        })
    }

    fn caller<'a>(&'a self, item: &'a EvalItem, repeat: u32, judge: Option<&'a str>) -> Caller<'a> {
        let Trial { evaluator, judge: tried, .. } = self.trial;
        let runtime = &self.trial.spec.runtime;
        Caller {
            item_id: &item.item_id,
            component: if judge.is_some() { &tried.identity.identity.id } else { &evaluator.identity().id },
            judge,
            repeat,
            seed: seed::of_call(runtime.seed, repeat, judge.unwrap_or_default(), &item.item_id),
            timeout: Duration::from_secs_f64(runtime.task_timeout_seconds),
            max_retries: runtime.max_retries,
            limit: if judge.is_some() { self.judge_limit.as_ref() } else { self.evaluator_limit.as_ref() },
            budget: self.budget.as_ref(),
            events: &self.events,
            stopper: &self.stopper,
            retries: &self.retries,
            propagator: None,
        }
    }
}

fn check_quota(error: Option<&CallError>, whose: &str) -> Result<(), TrialError> {
    match error {
        Some(error) if error.kind == ErrorKind::QuotaExhausted => Err(TrialError::QuotaExhausted(whose.to_owned())),
        _ => Ok(()),
    }
}
