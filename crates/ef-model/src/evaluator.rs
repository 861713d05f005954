//! The system under test.

use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;

use crate::{BoxFuture, CallError, CreateError, Environment, EvalItem, EvaluatorOutput, Identity};

/// What a call knows besides its data.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CallContext {
    /// When the runner gives up on this attempt.
    pub deadline: Instant,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// Which repeat of the item this is, from 0.
    pub repeat: u32,
    /// The seed of this item, repeat and component: the same in every run of the same spec.
    pub seed: u64,
}

impl CallContext {
    /// The context of one attempt.
    #[must_use]
    pub const fn new(deadline: Instant, attempt: u32, repeat: u32, seed: u64) -> Self {
        Self { deadline, attempt, repeat, seed }
    }
}

/// The system under test, or a wrapper round it.
pub trait Evaluator: Send + Sync {
    /// Which code it is.
    fn identity(&self) -> &Identity;

    /// Makes an output for an item. Dropping the future cancels the call.
    ///
    /// # Errors
    ///
    /// See [`crate::ErrorKind`]; the runner tries again where that says so.
    fn evaluate<'a>(
        &'a self,
        item: &'a EvalItem,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<EvaluatorOutput, CallError>>;
}

/// Makes evaluators of one id.
pub trait EvaluatorFactory: Send + Sync {
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
    ) -> BoxFuture<'a, Result<Arc<dyn Evaluator>, CreateError>>;
}
