//! `eval_fabric.llm_judge`: a model judges.

mod answer;
mod asking;
mod config;
mod fence;
mod judge;
mod prompt;
mod template;
mod votes;
mod words;

use std::sync::Arc;

use ef_client::Clients;
use ef_model::{BoxFuture, CreateError, Environment, Identity, Judge, JudgeFactory};
use serde_json::Value;

use crate::rule::read_config;

const ID: &str = "eval_fabric.llm_judge";
const VERSION: &str = "1.0.0";

/// A factory of each judge that calls a model, over these clients.
#[must_use]
pub fn model_factories(clients: &Clients) -> Vec<Arc<dyn JudgeFactory>> {
    vec![Arc::new(Factory { identity: identity(VERSION), clients: clients.clone() })]
}

fn identity(version: &str) -> Identity {
    Identity::builtin(ID, version, env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"))
}

struct Factory {
    identity: Identity,
    clients: Clients,
}

impl JudgeFactory for Factory {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn summary(&self) -> &str {
        "Asks a model whether, or how well, the output meets a criterion."
    }

    fn config_schema(&self) -> Value {
        schemars::schema_for!(config::Config).to_value()
    }

    fn create<'a>(
        &'a self,
        config: &'a Value,
        environment: &'a Environment,
    ) -> BoxFuture<'a, Result<Arc<dyn Judge>, CreateError>> {
        Box::pin(async move {
            let config: config::Config = read_config(config)?;
            let judge = config.judge(&self.clients, environment).map_err(CreateError::Config)?;
            Ok(Arc::new(judge) as Arc<dyn Judge>)
        })
    }
}
