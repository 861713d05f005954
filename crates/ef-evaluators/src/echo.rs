//! `eval_fabric.examples.echo`: the output is the input.

use std::sync::Arc;
use std::time::Duration;

use ef_model::{
    BoxFuture, CallContext, CallError, CreateError, Environment, EvalItem, Evaluator, EvaluatorFactory,
    EvaluatorOutput, Identity,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

/// How the echo behaves.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Milliseconds that it takes for each item.
    #[serde(default)]
    #[schemars(range(min = 0, max = LONGEST_DELAY_MS))]
    delay_ms: u64,
}

const LONGEST_DELAY_MS: u64 = 60_000;

pub(crate) struct EchoFactory {
    identity: Identity,
}

impl EchoFactory {
    pub(crate) fn new() -> Self {
        Self { identity: crate::identity("eval_fabric.examples.echo", "1.1.0") }
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
            let Config { delay_ms } = crate::parse(config)?;
            if delay_ms > LONGEST_DELAY_MS {
                let message = format!("expected at most {LONGEST_DELAY_MS}");
                return Err(CreateError::Config(vec![crate::problem("/delay_ms", message, None)]));
            }
            let delay = Duration::from_millis(delay_ms);
            Ok(Arc::new(Echo { identity: self.identity.clone(), delay }) as Arc<dyn Evaluator>)
        })
    }
}

struct Echo {
    identity: Identity,
    delay: Duration,
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
        Box::pin(async move {
            if !self.delay.is_zero() {
                tokio::time::sleep(self.delay).await;
            }
            // A payload's clone keeps its digest: nothing is hashed again.
            Ok(EvaluatorOutput::new(item.input.clone()))
        })
    }
}
