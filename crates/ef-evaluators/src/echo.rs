//! `eval_fabric.examples.echo`: the output is the input.

use std::time::Duration;

use ef_model::{CallContext, CallError, ConfigProblem, Environment, EvalItem, EvaluatorOutput};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::factory::{BuiltIn, problem};

/// How the echo behaves.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// Milliseconds that it takes for each item.
    #[serde(default)]
    #[schemars(range(min = 0, max = LONGEST_DELAY_MS))]
    delay_ms: u64,
}

const LONGEST_DELAY_MS: u64 = 60_000;

pub(crate) struct Echo {
    delay: Duration,
}

impl BuiltIn for Echo {
    const ID: &'static str = "eval_fabric.examples.echo";
    const VERSION: &'static str = "1.1.0";
    const SUMMARY: &'static str = "Gives back each item's input, byte for byte.";
    type Config = Config;
    type Shared = ();

    fn new(Config { delay_ms }: Config, _: &(), _: &Environment) -> Result<Self, Vec<ConfigProblem>> {
        if delay_ms > LONGEST_DELAY_MS {
            return Err(vec![problem("/delay_ms", format!("expected at most {LONGEST_DELAY_MS}"), None)]);
        }
        Ok(Self { delay: Duration::from_millis(delay_ms) })
    }

    async fn evaluate(&self, item: &EvalItem, _: &CallContext) -> Result<EvaluatorOutput, CallError> {
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        // A payload's clone keeps its digest: nothing is hashed again.
        Ok(EvaluatorOutput::new(item.input.clone()))
    }
}
