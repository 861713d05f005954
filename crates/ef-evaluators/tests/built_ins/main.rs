//! What the built-in evaluators promise.
#![allow(clippy::result_large_err, reason = "as in the crate")]
#![cfg_attr(not(all(feature = "command", feature = "models")), allow(dead_code, reason = "some tests are left out"))]

#[cfg(feature = "models")]
mod chat;
#[cfg(all(feature = "command", unix))]
mod command;
#[cfg(feature = "models")]
mod http;
#[cfg(feature = "models")]
mod secrets;
mod without_calls;

use std::sync::Arc;

use ef_model::{
    CallError, ConfigProblem, Environment, EvalItem, Evaluator, EvaluatorFactory, EvaluatorOutput, ItemId, Payload,
};
use ef_plugin::{LookupError, Registry};
use ef_testkit::context;
use serde_json::Value;

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

/// An environment of these variables and the PATH of the tests.
fn environment(variables: &[(&str, &str)]) -> Environment {
    let path = std::env::var("PATH").unwrap_or_default();
    // No test needs a certificate authority, and reading the system's takes longer than all else.
    let always = [("PATH", path.as_str()), ("SSL_CERT_FILE", "/dev/null")];
    Environment::new(variables.iter().chain(&always).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

fn all_factories(environment: &Environment) -> Vec<Arc<dyn EvaluatorFactory>> {
    let _ = environment;
    #[allow(unused_mut, reason = "features add to it")]
    let mut factories = ef_evaluators::factories();
    #[cfg(feature = "models")]
    factories.extend(ef_evaluators::model_factories(&ef_client::Clients::new(environment)));
    factories
}

fn create_in(environment: &Environment, id: &str, config: Value) -> Result<Arc<dyn Evaluator>, LookupError> {
    let mut registry = Registry::new();
    for factory in all_factories(environment) {
        registry.register_evaluator(factory).expect("a built-in's schema is valid");
    }
    let Value::Object(config) = config else { panic!("not a map: {config}") };
    run(registry.create_evaluator(&id.parse().expect("an id"), &config, environment))
}

fn create(id: &str, config: Value) -> Result<Arc<dyn Evaluator>, LookupError> {
    create_in(&environment(&[]), id, config)
}

fn made(id: &str, config: Value) -> Arc<dyn Evaluator> {
    create(id, config).unwrap_or_else(|error| panic!("{error:?}"))
}

/// What is wrong with a config, a line each.
fn problems(environment: &Environment, id: &str, config: &Value) -> Vec<String> {
    match create_in(environment, id, config.clone()) {
        Err(LookupError::Config(problems)) => problems.into_iter().map(line).collect(),
        _ => panic!("{id} takes {config}"),
    }
}

fn line(ConfigProblem { pointer, at_key, message, hint }: ConfigProblem) -> String {
    format!("{pointer} {at_key}: {message} | {hint:?}")
}

fn item(metadata: Option<&str>) -> EvalItem {
    EvalItem {
        item_id: ItemId::new("dev:1").expect("an id"),
        row: 1,
        input: Payload::parse(r#"{ "question":"q",  "n": 1.50 }"#).expect("JSON"),
        reference_output: Some(Payload::from_text("the reference")),
        metadata: metadata.map(|text| Payload::parse(text).expect("JSON")),
    }
}

/// An item of this input, JSON.
fn asking(input: &str) -> EvalItem {
    EvalItem { input: Payload::parse(input).expect("JSON"), ..item(Some(r#"{"topic": "birds"}"#)) }
}

fn evaluate(evaluator: &dyn Evaluator, item: &EvalItem) -> Result<EvaluatorOutput, CallError> {
    run(evaluator.evaluate(item, &context()))
}

fn call(evaluator: &dyn Evaluator, item: &EvalItem) -> Result<(String, Option<String>), CallError> {
    let text = |payload: Payload| payload.expose().to_owned();
    evaluate(evaluator, item).map(|made| (text(made.output), made.metadata.map(text)))
}

/// What is kept with an output, but for how long it took, which is a number.
fn metadata(output: &EvaluatorOutput) -> Value {
    let mut metadata = output.metadata.as_ref().expect("metadata").expose_value();
    let latency = metadata.as_object_mut().expect("a map").remove("latency_ms");
    assert!(latency.is_some_and(|latency| latency.is_u64()), "no latency");
    metadata
}

#[test]
fn each_built_in_says_what_it_is() {
    for factory in all_factories(&Environment::default()) {
        assert_eq!(factory.identity().source, "builtin");
        assert!(factory.identity().id.as_str().starts_with("eval_fabric."));
        assert!(factory.summary().ends_with('.'), "{}", factory.summary());
    }
}

#[test]
fn a_factory_that_is_used_without_a_registry_refuses_what_the_schema_would() {
    use serde_json::json;
    let configs = [
        json!({"unknown": 1}),
        json!([]),
        json!({"field": "metadatas", "metadata_field": "x"}),
        json!({"argv": [], "url": "http://127.0.0.1:1", "unknown": 1, "model": "m", "max_tokens": 1}),
    ];
    for factory in all_factories(&Environment::default()) {
        for config in &configs {
            assert!(run(factory.create(config, &Environment::default())).is_err(), "{config}");
        }
    }
}
