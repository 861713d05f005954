//! `eval_fabric.examples.echo`: the output is the input.

use std::sync::Arc;

use ef_model::{
    BoxFuture, CallContext, CallError, CreateError, Environment, EvalItem, Evaluator, EvaluatorFactory,
    EvaluatorOutput, Identity,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

/// Settings of the echo: it has none.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {}

pub(crate) struct EchoFactory {
    identity: Identity,
}

impl EchoFactory {
    pub(crate) fn new() -> Self {
        Self { identity: crate::identity("eval_fabric.examples.echo", "1.0.0") }
    }
}

impl EvaluatorFactory for EchoFactory {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn summary(&self) -> &str {
        "Gives back each item's input, byte for byte."
    }

    fn config_schema(&self) -> Value {
        schemars::schema_for!(Config).to_value()
    }

    fn create<'a>(
        &'a self,
        config: &'a Value,
        _: &'a Environment,
    ) -> BoxFuture<'a, Result<Arc<dyn Evaluator>, CreateError>> {
        Box::pin(async move {
            let Config {} = crate::parse(config)?;
            Ok(Arc::new(Echo { identity: self.identity.clone() }) as Arc<dyn Evaluator>)
        })
    }
}

struct Echo {
    identity: Identity,
}

impl Evaluator for Echo {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn evaluate<'a>(
        &'a self,
        item: &'a EvalItem,
        _: &'a CallContext,
    ) -> BoxFuture<'a, Result<EvaluatorOutput, CallError>> {
        // A payload's clone keeps its digest: nothing is hashed again.
        Box::pin(async move { Ok(EvaluatorOutput { output: item.input.clone(), metadata: None }) })
    }
}
