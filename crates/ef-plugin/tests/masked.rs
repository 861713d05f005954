//! What a component says of a failed call when its config held variables.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ef_model::{
    BoxFuture, CallContext, CallError, ComponentId, CreateError, Determinism, Environment, EvalItem, Evaluator,
    EvaluatorFactory, EvaluatorOutput, Identity, ItemId, Judge, JudgeFactory, Payload, Verdict,
};
use ef_plugin::Registry;
use serde_json::{Map, Value, json};

const SECRET: &str = "hunter2-\"secret\"";

/// Fails each call by quoting its config.
struct Quoting(Identity, String);

impl Quoting {
    fn of(text: &str) -> Self {
        Self(Identity::builtin("acme.quoting", "1.0.0", "quoting", "0.0.0"), text.to_owned())
    }

    fn error(&self) -> CallError {
        CallError::permanent("quoting", format!("nothing is at {:?}", self.1)).with_detail(Payload::from_text("kept"))
    }
}

impl Evaluator for Quoting {
    fn identity(&self) -> &Identity {
        &self.0
    }

    fn requests(&self) -> u32 {
        7
    }

    fn evaluate<'a>(
        &'a self,
        _: &'a EvalItem,
        _: &'a CallContext,
    ) -> BoxFuture<'a, Result<EvaluatorOutput, CallError>> {
        Box::pin(async { Err(self.error()) })
    }
}

impl Judge for Quoting {
    fn identity(&self) -> &Identity {
        &self.0
    }

    fn determinism(&self) -> Determinism {
        Determinism::Stochastic
    }

    fn is_costly(&self) -> bool {
        true
    }

    fn model(&self) -> Option<&str> {
        Some("model")
    }

    fn judge<'a>(
        &'a self,
        _: &'a EvalItem,
        _: &'a EvaluatorOutput,
        _: &'a CallContext,
    ) -> BoxFuture<'a, Result<Verdict, CallError>> {
        Box::pin(async { Err(self.error()) })
    }
}

macro_rules! factory {
    ($factory:ident, $component:ident) => {
        impl $factory for Quoting {
            fn identity(&self) -> &Identity {
                &self.0
            }

            fn summary(&self) -> &str {
                "Quotes its config."
            }

            fn config_schema(&self) -> Value {
                json!({"type": "object"})
            }

            fn create<'a>(
                &'a self,
                config: &'a Value,
                _: &'a Environment,
            ) -> BoxFuture<'a, Result<Arc<dyn $component>, CreateError>> {
                let made = Self::of(config["text"].as_str().expect("a text"));
                Box::pin(async { Ok(Arc::new(made) as Arc<dyn $component>) })
            }
        }
    };
}

factory!(EvaluatorFactory, Evaluator);
factory!(JudgeFactory, Judge);

/// What the two of them say, made of a config with this text.
async fn said(text: &str) -> [CallError; 2] {
    let mut registry = Registry::new();
    registry.register_evaluator(Arc::new(Quoting::of(""))).expect("registered");
    registry.register_judge(Arc::new(Quoting::of(""))).expect("registered");
    let id: ComponentId = "acme.quoting".parse().expect("an id");
    let environment = Environment::new([("KEY".to_owned(), SECRET.to_owned())]);
    let config = Map::from_iter([("text".to_owned(), Value::from(text))]);
    let evaluator = registry.create_evaluator(&id, &config, &environment).await.expect("made");
    let judge = registry.create_judge(&id, &config, &environment).await.expect("made");
    assert_eq!((evaluator.requests(), judge.is_costly(), judge.model()), (7, true, Some("model")));
    let context = CallContext::new(Instant::now() + Duration::from_secs(1), 1, 0, 0);
    let item_id = ItemId::new("a").expect("an id");
    let item = EvalItem { item_id, row: 1, input: Payload::from_text(""), reference_output: None, metadata: None };
    let output = EvaluatorOutput::new(Payload::from_text(""));
    [
        evaluator.evaluate(&item, &context).await.expect_err("it fails"),
        judge.judge(&item, &output, &context).await.expect_err("it fails"),
    ]
}

#[tokio::test]
async fn invariant_8_an_error_of_a_call_names_the_variable_and_not_what_it_holds() {
    for error in said("/data/${KEY}/x").await {
        assert_eq!(error.message, "nothing is at \"/data/${KEY}/x\"");
        assert_eq!((&*error.code, error.detail.map(|detail| detail.size())), ("quoting", Some(6)));
    }
}

#[tokio::test]
async fn an_error_that_quotes_a_config_without_variables_is_shown() {
    for error in said("/data/x").await {
        assert_eq!(error.message, "nothing is at \"/data/x\"");
    }
}
