//! The evaluators that come with eval-fabric.
#![doc = ""]
#![doc = include_str!("../README.md")]

mod echo;
mod path;
mod recorded;

use std::sync::Arc;

use ef_model::EvaluatorFactory;

/// A factory of each built-in evaluator.
#[must_use]
pub fn factories() -> Vec<Arc<dyn EvaluatorFactory>> {
    vec![Arc::new(echo::EchoFactory::new()), Arc::new(recorded::RecordedFactory::new())]
}

/// The identity of a built-in evaluator of this crate.
fn identity(id: &str, version: &str) -> ef_model::Identity {
    ef_model::Identity::builtin(id, version, env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
}

/// Reads a config.
fn parse<C: serde::de::DeserializeOwned>(config: &serde_json::Value) -> Result<C, ef_model::CreateError> {
    // A derived reader takes a list for a struct as well.
    if !config.is_object() {
        return Err(ef_model::CreateError::Config(vec![problem("", "expected a map".to_owned(), None)]));
    }
    C::deserialize(config).map_err(|error| ef_model::CreateError::Config(vec![problem("", error.to_string(), None)]))
}

/// One problem of a config.
fn problem(pointer: &str, message: String, hint: Option<&str>) -> ef_model::ConfigProblem {
    let (pointer, hint) = (pointer.to_owned(), hint.map(str::to_owned));
    ef_model::ConfigProblem { pointer, at_key: false, message, hint }
}
