//! What a model answers.

use std::time::Duration;

use ef_model::Usage;
use serde_json::Value;
use serde_json::value::RawValue;

/// What a model answers.
#[derive(Clone)]
pub struct ChatReply {
    /// The text, if there is any: all parts of it together; with an answer schema, the JSON.
    pub text: Option<String>,
    /// The assistant's message whole, as the protocol writes it, with its tool calls.
    pub message: Value,
    /// Why the model stopped, as it says.
    pub finish_reason: Option<String>,
    /// The model's name, as reported.
    pub model: Option<String>,
    /// Tokens, and their cost where a price is known.
    pub usage: Usage,
    /// What the endpoint reports of usage, whole and as it wrote it: a JSON object.
    pub raw_usage: Option<Box<RawValue>>,
    /// From the moment the request was made, after any wait for its turn, to the last byte.
    pub latency: Duration,
}

impl ChatReply {
    /// Whether the model, or a filter, declined to answer.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        matches!(self.finish_reason.as_deref(), Some("refusal" | "content_filter"))
            || self.message.get("refusal").is_some_and(|refusal| !refusal.is_null())
    }

    /// Whether the answer was cut at the limit of tokens.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        matches!(self.finish_reason.as_deref(), Some("length" | "max_tokens" | "model_context_window_exceeded"))
    }
}

impl std::fmt::Debug for ChatReply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChatReply").field("usage", &self.usage).field("latency", &self.latency).finish_non_exhaustive()
    }
}

/// How many tokens a call used, as far as it is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tokens {
    /// Read, from a cache or not.
    pub(super) input: Option<u64>,
    /// Of those, read from a cache.
    pub(super) cached_input: u64,
    /// Of those read, kept in a cache.
    pub(super) cache_write: u64,
    /// Written.
    pub(super) output: Option<u64>,
}
