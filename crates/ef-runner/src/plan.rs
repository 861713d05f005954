//! What a run needs.

use std::sync::Arc;

use ef_model::{Evaluator, Judge, JudgeIdentity, RunHead, TraceStore};
use ef_spec::EvalSpec;

/// Everything that a run needs but its items: all of it is ready to be used.
pub struct Plan {
    /// What the store is told when the run begins.
    pub head: RunHead,
    /// Limits, scoring and seeds.
    pub spec: EvalSpec,
    /// The system under test.
    pub evaluator: Arc<dyn Evaluator>,
    /// The judges, in the order of the spec.
    pub judges: Vec<RunJudge>,
    /// Where records are kept.
    pub store: Arc<dyn TraceStore>,
}

/// A judge with the name and the config that the spec gives it.
#[derive(Clone)]
pub struct RunJudge {
    /// What records say of it.
    pub identity: Arc<JudgeIdentity>,
    /// The judge.
    pub judge: Arc<dyn Judge>,
}
