//! The evaluators that come with eval-fabric.
#![doc = ""]
#![doc = include_str!("../README.md")]
// A failed call is rare, and its error is moved no further than the runner.
#![allow(clippy::result_large_err)]

#[cfg(feature = "models")]
mod chat;
#[cfg(all(feature = "command", unix))]
mod command;
#[cfg(any(feature = "models", all(feature = "command", unix)))]
mod cost;
mod echo;
mod factory;
#[cfg(feature = "models")]
mod headers;
#[cfg(feature = "models")]
mod http;
#[cfg(feature = "models")]
mod json_template;
#[cfg(any(feature = "models", all(feature = "command", unix)))]
mod output;
mod path;
#[cfg(feature = "models")]
mod pointer;
mod recorded;

use std::sync::Arc;

use ef_model::EvaluatorFactory;

use crate::factory::factory;

/// A factory of each built-in evaluator that needs nothing from its surroundings: `eval_fabric.examples.echo`,
/// `eval_fabric.recorded` and, with the feature `command` on Unix, `eval_fabric.command`.
#[must_use]
pub fn factories() -> Vec<Arc<dyn EvaluatorFactory>> {
    vec![
        factory::<echo::Echo>(()),
        factory::<recorded::Recorded>(()),
        #[cfg(all(feature = "command", unix))]
        factory::<command::Command>(()),
    ]
}

/// A factory of each built-in evaluator that calls a service: `eval_fabric.openai_chat`, `eval_fabric.anthropic_messages`
/// and `eval_fabric.http`. They share these connections and their limits with all who have the same.
#[cfg(feature = "models")]
#[must_use]
pub fn model_factories(clients: &ef_client::Clients) -> Vec<Arc<dyn EvaluatorFactory>> {
    vec![
        factory::<chat::OpenAiChat>(clients.clone()),
        factory::<chat::AnthropicMessages>(clients.clone()),
        factory::<http::Http>(clients.clone()),
    ]
}
