//! A rule: a judge that computes its score at once, from the output and the item alone.

use std::marker::PhantomData;
use std::sync::Arc;

use ef_model::{
    BoxFuture, CallContext, CallError, ConfigProblem, CreateError, Determinism, Environment, EvalItem, EvaluatorOutput,
    Identity, Judge, JudgeFactory, Payload, Score, Verdict,
};
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// What makes a deterministic judge.
pub(crate) trait Rule: Sized + Send + Sync + 'static {
    /// The judge's id.
    const ID: &'static str;
    /// The judge's version, which changes with its scores.
    const VERSION: &'static str;
    /// One line for a person who chooses.
    const SUMMARY: &'static str;
    /// The judge's settings.
    type Config: DeserializeOwned + JsonSchema;

    /// Makes the rule, or says what of the config does not fit beyond what its schema says.
    fn new(config: Self::Config) -> Result<Self, Vec<ConfigProblem>>;

    /// The score of an output; `None` where the rule declines to give one.
    fn judge(&self, item: &EvalItem, output: &Payload) -> Result<Option<Score>, CallError>;
}

/// The factory of a rule.
pub(crate) fn factory<R: Rule>() -> Arc<dyn JudgeFactory> {
    let identity = Identity::builtin(R::ID, R::VERSION, env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    Arc::new(RuleFactory::<R> { identity, rule: PhantomData })
}

/// The item's reference. An item without one cannot be scored against it: that is an error, not a bad score.
pub(crate) fn reference(item: &EvalItem) -> Result<&Payload, CallError> {
    item.reference_output.as_ref().ok_or_else(|| {
        CallError::permanent("reference_missing", "the item has no reference output, and the config has no `expected`")
    })
}

/// A problem of the config's value at a pointer.
pub(crate) fn problem(pointer: impl Into<String>, message: impl Into<String>, hint: Option<&str>) -> ConfigProblem {
    ConfigProblem { pointer: pointer.into(), at_key: false, message: message.into(), hint: hint.map(str::to_owned) }
}

/// A config as the judge's own type.
pub(crate) fn read_config<C: DeserializeOwned>(config: &Value) -> Result<C, CreateError> {
    // A derived reader takes a list for a struct as well.
    if !config.is_object() {
        return Err(CreateError::Config(vec![problem("", "expected a map", None)]));
    }
    C::deserialize(config).map_err(|error| CreateError::Config(vec![problem("", error.to_string(), None)]))
}

struct RuleFactory<R> {
    identity: Identity,
    rule: PhantomData<fn() -> R>,
}

impl<R: Rule> JudgeFactory for RuleFactory<R> {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn summary(&self) -> &str {
        R::SUMMARY
    }

    fn config_schema(&self) -> Value {
        schemars::schema_for!(R::Config).to_value()
    }

    fn create<'a>(
        &'a self,
        config: &'a Value,
        _: &'a Environment,
    ) -> BoxFuture<'a, Result<Arc<dyn Judge>, CreateError>> {
        Box::pin(async move {
            let rule = R::new(read_config(config)?).map_err(CreateError::Config)?;
            Ok(Arc::new(RuleJudge { identity: self.identity.clone(), rule }) as Arc<dyn Judge>)
        })
    }
}

struct RuleJudge<R> {
    identity: Identity,
    rule: R,
}

impl<R: Rule> Judge for RuleJudge<R> {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn determinism(&self) -> Determinism {
        Determinism::Deterministic
    }

    fn judge<'a>(
        &'a self,
        item: &'a EvalItem,
        output: &'a EvaluatorOutput,
        _: &'a CallContext,
    ) -> BoxFuture<'a, Result<Verdict, CallError>> {
        Box::pin(async move {
            let score = self.rule.judge(item, &output.output)?;
            Ok(Verdict { score, ..Verdict::unscored() })
        })
    }
}
