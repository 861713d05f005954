//! The system under test.

use std::sync::Arc;

use serde_json::Value;

use crate::{
    BoxFuture, CallContext, CallError, CreateError, Environment, EvalItem, EvaluatorOutput, Identity, Payload, Pricing,
};

/// The system under test, or a wrapper round it.
pub trait Evaluator: Send + Sync {
    /// Which code it is.
    fn identity(&self) -> &Identity;

    /// Whether its calls cost money. One that calls a model, or whatever else is paid for, says so.
    fn pricing(&self) -> Pricing {
        Pricing::Free
    }

    /// The most that one attempt at this item can cost, in US dollars; for one with [`Pricing::Bounded`].
    fn most_usd(&self, item: &EvalItem) -> f64 {
        let _ = item;
        0.0
    }

    /// How many requests one attempt sends to somebody else, such as an endpoint of a model, where nothing goes wrong.
    fn requests(&self) -> u32 {
        0
    }

    /// What would be sent for this item, for a person who asked to see it before anything is sent. It is a payload.
    fn preview(&self, item: &EvalItem) -> Option<Payload> {
        let _ = item;
        None
    }

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
