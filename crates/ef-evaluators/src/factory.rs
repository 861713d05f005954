//! What makes a factory of a built-in evaluator.

use std::sync::Arc;

use ef_model::{
    BoxFuture, CallContext, CallError, ConfigProblem, CreateError, Environment, EvalItem, Evaluator, EvaluatorFactory,
    EvaluatorOutput, Identity, Payload, Pricing,
};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A built-in evaluator.
pub(crate) trait BuiltIn: Sized + Send + Sync + 'static {
    /// The evaluator's id.
    const ID: &'static str;
    /// The evaluator's version, which changes with its behaviour.
    const VERSION: &'static str;
    /// One line for a person who chooses.
    const SUMMARY: &'static str;
    /// The evaluator's settings.
    type Config: DeserializeOwned + JsonSchema;
    /// What it shares with others of the process.
    type Shared: Send + Sync;

    /// Makes the evaluator, or says what of the config does not fit beyond what its schema says.
    fn new(config: Self::Config, shared: &Self::Shared, environment: &Environment) -> Result<Self, Vec<ConfigProblem>>;

    /// See [`Evaluator::pricing`].
    fn pricing(&self) -> Pricing {
        Pricing::Free
    }

    /// See [`Evaluator::most_usd`].
    fn most_usd(&self, item: &EvalItem) -> f64 {
        let _ = item;
        0.0
    }

    /// See [`Evaluator::requests`].
    fn requests(&self) -> u32 {
        0
    }

    /// See [`Evaluator::preview`].
    fn preview(&self, item: &EvalItem) -> Option<Payload> {
        let _ = item;
        None
    }

    /// See [`Evaluator::evaluate`].
    fn evaluate(
        &self,
        item: &EvalItem,
        context: &CallContext,
    ) -> impl Future<Output = Result<EvaluatorOutput, CallError>> + Send;
}

/// The factory of a built-in evaluator.
pub(crate) fn factory<B: BuiltIn>(shared: B::Shared) -> Arc<dyn EvaluatorFactory> {
    let identity = Identity::builtin(B::ID, B::VERSION, env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    Arc::new(Factory::<B> { identity, shared })
}

/// One problem of the config's value at a pointer.
pub(crate) fn problem(pointer: impl Into<String>, message: impl Into<String>, hint: Option<&str>) -> ConfigProblem {
    ConfigProblem { pointer: pointer.into(), at_key: false, message: message.into(), hint: hint.map(str::to_owned) }
}

/// The JSON pointer of an entry of the map at `pointer`.
#[cfg(feature = "models")]
pub(crate) fn child(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}

struct Factory<B: BuiltIn> {
    identity: Identity,
    shared: B::Shared,
}

impl<B: BuiltIn> EvaluatorFactory for Factory<B> {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn summary(&self) -> &str {
        B::SUMMARY
    }

    fn config_schema(&self) -> Value {
        schemars::schema_for!(B::Config).to_value()
    }

    fn create<'a>(
        &'a self,
        config: &'a Value,
        environment: &'a Environment,
    ) -> BoxFuture<'a, Result<Arc<dyn Evaluator>, CreateError>> {
        Box::pin(async move {
            let made = read(config).and_then(|config| B::new(config, &self.shared, environment));
            let built_in = made.map_err(CreateError::Config)?;
            Ok(Arc::new(Identified { identity: self.identity.clone(), built_in }) as Arc<dyn Evaluator>)
        })
    }
}

fn read<C: DeserializeOwned>(config: &Value) -> Result<C, Vec<ConfigProblem>> {
    // A derived reader takes a list for a struct as well.
    if !config.is_object() {
        return Err(vec![problem("", "expected a map", None)]);
    }
    C::deserialize(config).map_err(|error| vec![problem("", error.to_string(), None)])
}

struct Identified<B> {
    identity: Identity,
    built_in: B,
}

impl<B: BuiltIn> Evaluator for Identified<B> {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn pricing(&self) -> Pricing {
        self.built_in.pricing()
    }

    fn most_usd(&self, item: &EvalItem) -> f64 {
        self.built_in.most_usd(item)
    }

    fn requests(&self) -> u32 {
        self.built_in.requests()
    }

    fn preview(&self, item: &EvalItem) -> Option<Payload> {
        self.built_in.preview(item)
    }

    fn evaluate<'a>(
        &'a self,
        item: &'a EvalItem,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<EvaluatorOutput, CallError>> {
        Box::pin(self.built_in.evaluate(item, context))
    }
}
