//! Judges: they score what an evaluator made.

use std::sync::Arc;

use serde_json::Value;

use crate::{
    BoxFuture, CallContext, CallError, CreateError, Determinism, Environment, EvalItem, EvaluatorOutput, Identity,
    Payload, Score,
};

/// A judge's answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// The score, or `None` when the judge declines to give one: that is neither a failure nor an error.
    pub score: Option<Score>,
    /// Why.
    pub rationale: Option<Payload>,
    /// What the judgment cost, in US dollars, where it is known.
    pub cost_usd: Option<f64>,
}

impl Verdict {
    /// A score alone.
    #[must_use]
    pub fn scored(score: impl Into<Score>) -> Self {
        Self { score: Some(score.into()), rationale: None, cost_usd: None }
    }
}

/// Scores outputs.
pub trait Judge: Send + Sync {
    /// Which code it is.
    fn identity(&self) -> &Identity;

    /// What it promises about judging again.
    fn determinism(&self) -> Determinism;

    /// Whether a judgment costs so much time or money that an earlier one of the same output is worth looking for. One that
    /// depends on anything but its config, the item, the output, the repeat, the seed and the model must say no.
    fn is_costly(&self) -> bool {
        false
    }

    /// The model that judges, as exactly as it is known, where there is one.
    fn model(&self) -> Option<&str> {
        None
    }

    /// Judges one output. Dropping the future cancels the call.
    ///
    /// # Errors
    ///
    /// See [`crate::ErrorKind`]. An error is never a score.
    fn judge<'a>(
        &'a self,
        item: &'a EvalItem,
        output: &'a EvaluatorOutput,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<Verdict, CallError>>;
}

/// Makes judges of one id.
pub trait JudgeFactory: Send + Sync {
    /// Which code it is.
    fn identity(&self) -> &Identity;

    /// One line for a person who chooses.
    fn summary(&self) -> &str;

    /// The JSON Schema (2020-12) of the config.
    fn config_schema(&self) -> Value;

    /// Makes one. The config fits the schema and its `${VAR}`s are resolved.
    ///
    /// # Errors
    ///
    /// When the config is wrong in a way that the schema cannot say, or the component is broken.
    fn create<'a>(
        &'a self,
        config: &'a Value,
        environment: &'a Environment,
    ) -> BoxFuture<'a, Result<Arc<dyn Judge>, CreateError>>;
}
