//! One task: an item's trace and its judgments.

use std::sync::Arc;
use std::time::Duration;

use ef_model::{
    BoxFuture, CallContext, CallError, DatasetRow, ErrorKind, ErrorRecord, EvalItem, Evaluator, EvaluatorOutput,
    Identity, ItemId, Judge, Judgment, JudgmentResult, Payload, RowFault, TaskCommit, TaskRecord, Trace, TraceOutcome,
    Verdict,
};
use ef_spec::Runtime;
use futures_util::future::join_all;
use tokio::sync::Semaphore;

use crate::call::{Abandoned, Called, Callee, Caller, now_us};
use crate::event::EventSender;
use crate::{Plan, RunJudge, StopCause, Stopper, seed};

/// What all tasks of a run share.
pub(crate) struct Tasks {
    evaluator: Arc<dyn Evaluator>,
    evaluator_identity: Arc<Identity>,
    evaluator_limit: Option<Semaphore>,
    judges: Vec<(RunJudge, Option<Semaphore>)>,
    runtime: Runtime,
    timeout: Duration,
    events: EventSender,
    stopper: Stopper,
}

impl Tasks {
    pub(crate) fn new(plan: &mut Plan, events: EventSender, stopper: Stopper) -> Self {
        let limit = |limit: Option<u32>| limit.map(|limit| Semaphore::new(limit as usize));
        let judge_limits: Vec<_> = plan.spec.judges.iter().map(|judge| limit(judge.max_concurrent)).collect();
        Self {
            evaluator: Arc::clone(&plan.evaluator),
            evaluator_identity: Arc::clone(&plan.head.evaluator),
            evaluator_limit: limit(plan.spec.evaluator.max_concurrent),
            judges: std::mem::take(&mut plan.judges).into_iter().zip(judge_limits).collect(),
            timeout: Duration::from_secs_f64(plan.spec.runtime.task_timeout_seconds),
            runtime: plan.spec.runtime.clone(),
            events,
            stopper,
        }
    }

    /// Runs one task. `None` when there is nothing to record: the run stops, and the task is as if never started.
    pub(crate) async fn run(&self, row: DatasetRow, repeat: u32) -> Option<TaskCommit> {
        match row {
            DatasetRow::Item(item) => self.run_item(&item, repeat).await.ok(),
            DatasetRow::Faulty { item_id, row, fault } => Some(self.skip(item_id, row, fault)),
        }
    }

    fn skip(&self, item_id: ItemId, row: u64, fault: RowFault) -> TaskCommit {
        let trace = Trace {
            evaluator: Arc::clone(&self.evaluator_identity),
            attempts: 0,
            started_at_us: now_us(),
            duration_us: 0,
            input: None,
            reference_output: None,
            item_metadata: None,
            outcome: TraceOutcome::Skipped { fault },
        };
        let record = TaskRecord { item_id, row, repeat: 0, revision: 0, trace, judgments: Vec::new() };
        TaskCommit::new(record, Vec::new())
    }

    async fn run_item(&self, item: &EvalItem, repeat: u32) -> Result<TaskCommit, Abandoned> {
        let evaluated = self
            .caller(item, repeat, None, self.evaluator_limit.as_ref())
            .call(&Evaluation { evaluator: self.evaluator.as_ref(), item })
            .await?;
        let mut payloads: Vec<Payload> = item.payloads().cloned().collect();
        let mut judgments = Vec::new();
        let outcome = match &evaluated.result {
            Ok(output) => {
                let judging =
                    self.judges.iter().map(|(judge, limit)| self.judge(judge, limit.as_ref(), item, output, repeat));
                for judged in join_all(judging).await {
                    let (judgment, kept) = judged?;
                    judgments.push(judgment);
                    payloads.extend(kept);
                }
                payloads.push(output.output.clone());
                payloads.extend(output.metadata.clone());
                let output_metadata = output.metadata.as_ref().map(Payload::digest);
                TraceOutcome::Ok { output: output.output.digest(), output_metadata }
            }
            Err(error) => {
                self.check_quota(error, None)?;
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
            outcome,
        };
        let record = TaskRecord { item_id: item.item_id.clone(), row: item.row, repeat, revision: 0, trace, judgments };
        Ok(TaskCommit::new(record, payloads))
    }

    async fn judge(
        &self,
        judge: &RunJudge,
        limit: Option<&Semaphore>,
        item: &EvalItem,
        output: &EvaluatorOutput,
        repeat: u32,
    ) -> Result<(Judgment, Option<Payload>), Abandoned> {
        let name = judge.identity.name.as_str();
        let Called { result, attempts, started_at_us, duration_us } = self
            .caller(item, repeat, Some(name), limit)
            .call(&Judging { judge: judge.judge.as_ref(), item, output })
            .await?;
        if let Err(error) = &result {
            self.check_quota(error, Some(name))?;
        }
        let (result, kept) = judgment_result(result);
        let judge = Arc::clone(&judge.identity);
        Ok((Judgment { judge, attempts, started_at_us, duration_us, result }, kept))
    }

    /// An exhausted quota says nothing of the item: the run stops and the task is not recorded.
    fn check_quota(&self, error: &CallError, judge: Option<&str>) -> Result<(), Abandoned> {
        if error.kind != ErrorKind::QuotaExhausted {
            return Ok(());
        }
        self.stopper.stop_for(StopCause::QuotaExhausted { judge: judge.map(str::to_owned) });
        Err(Abandoned)
    }

    fn caller<'a>(
        &'a self,
        item: &'a EvalItem,
        repeat: u32,
        judge: Option<&'a str>,
        limit: Option<&'a Semaphore>,
    ) -> Caller<'a> {
        Caller {
            item_id: &item.item_id,
            judge,
            repeat,
            seed: seed::of_call(self.runtime.seed, repeat, judge.unwrap_or_default(), &item.item_id),
            timeout: self.timeout,
            max_retries: self.runtime.max_retries,
            limit,
            events: &self.events,
            stopper: &self.stopper,
        }
    }
}

/// The evaluator's call on one item.
struct Evaluation<'a> {
    evaluator: &'a dyn Evaluator,
    item: &'a EvalItem,
}

impl Callee for Evaluation<'_> {
    type Made = EvaluatorOutput;

    fn call_once<'c>(&'c self, context: &'c CallContext) -> BoxFuture<'c, Result<EvaluatorOutput, CallError>> {
        self.evaluator.evaluate(self.item, context)
    }
}

/// A judge's call on one output.
struct Judging<'a> {
    judge: &'a dyn Judge,
    item: &'a EvalItem,
    output: &'a EvaluatorOutput,
}

impl Callee for Judging<'_> {
    type Made = Verdict;

    fn call_once<'c>(&'c self, context: &'c CallContext) -> BoxFuture<'c, Result<Verdict, CallError>> {
        self.judge.judge(self.item, self.output, context)
    }
}

/// What a record says of a verdict, and the payload that goes with it.
fn judgment_result(result: Result<Verdict, CallError>) -> (JudgmentResult, Option<Payload>) {
    match result {
        Ok(Verdict { score, rationale, cost_usd }) => {
            let digest = rationale.as_ref().map(Payload::digest);
            // A cost that is not a number would make the record unhashable; it is as good as unknown.
            let cost_usd = cost_usd.filter(|cost| cost.is_finite());
            let result = match score {
                Some(score) => JudgmentResult::Scored { score, rationale: digest, cost_usd },
                None => JudgmentResult::Unscored { rationale: digest, cost_usd },
            };
            (result, rationale)
        }
        Err(error) => (JudgmentResult::Error { error: ErrorRecord::from(&error) }, error.detail),
    }
}
