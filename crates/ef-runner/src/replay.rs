//! Replaying: a stored run's outputs are judged again, or its items evaluated and judged again, as a run of their own.

mod compare;
mod latest;
mod reading;

pub use compare::compare_replay;
pub(crate) use reading::{Broken, Replayed, Replaying};

use std::sync::Arc;

use ef_model::{
    BoxFuture, CallContext, CallError, Digest, EvalItem, Evaluator, EvaluatorOutput, Identity, RunHead, RunId,
    RunPurpose, RunStatus, StoreError,
};

use crate::run_error::failed;
use crate::{Plan, RunError, StopCause};

/// The run that a plan replays.
pub(crate) struct Source {
    /// The digest of the dataset that it read.
    pub(crate) dataset_digest: Option<Digest>,
    /// Its tasks.
    pub(crate) tasks: Replaying,
}

impl Source {
    /// Opens the run that the plan's head names as its source.
    pub(crate) async fn open(plan: &Plan) -> Result<Self, RunError> {
        let not_begun = |message: String| RunError::NotBegun { cause: StopCause::Source(message), source_error: None };
        let (source, with_outputs) = match replayed(&plan.head) {
            Some(replayed) => replayed,
            None => return Err(not_begun("the run's head names no run to replay".to_owned())),
        };
        let summary = plan.store.run(source).await.map_err(failed)?;
        let summary = summary.ok_or_else(|| failed(StoreError::RunNotFound(source.clone())))?;
        if summary.status != RunStatus::Completed {
            let status = summary.status;
            return Err(not_begun(format!("the run {source} is {status}, and only a completed run is replayed")));
        }
        let tasks = Replaying::start(Arc::clone(&plan.store), source.clone(), with_outputs);
        Ok(Self { dataset_digest: summary.result.and_then(|result| result.dataset_digest), tasks })
    }
}

/// Which run is replayed, and whether its outputs are taken over.
fn replayed(head: &RunHead) -> Option<(&RunId, bool)> {
    let source = head.source.as_ref()?;
    match source.purpose {
        RunPurpose::ReplayJudges => Some((&source.run_id, true)),
        RunPurpose::ReplayAll => Some((&source.run_id, false)),
        RunPurpose::Retry => None,
    }
}

/// Stands for an evaluator that is not needed, because the outputs are there: each call fails.
#[derive(Debug, Clone)]
pub struct AbsentEvaluator(
    /// Which evaluator made the outputs.
    pub Arc<Identity>,
);

impl Evaluator for AbsentEvaluator {
    fn identity(&self) -> &Identity {
        &self.0
    }

    fn evaluate<'a>(
        &'a self,
        _: &'a EvalItem,
        _: &'a CallContext,
    ) -> BoxFuture<'a, Result<EvaluatorOutput, CallError>> {
        let absent = CallError::permanent("absent", "the evaluator is not there: only its recorded outputs are");
        Box::pin(std::future::ready(Err(absent)))
    }
}
