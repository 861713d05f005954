//! What a model is asked.

use serde::ser::{Serialize, SerializeMap};
use serde_json::Value;

/// What a model is asked: everything that changes from call to call.
#[derive(Clone, Default, PartialEq)]
pub struct ChatRequest {
    /// The system's instructions, before the messages.
    pub system: Option<String>,
    /// The messages, as the protocol writes them: `{"role": …, "content": …}` and what else it allows.
    pub messages: Vec<Value>,
    /// The tools that the model may call, as the protocol writes them.
    pub tools: Option<Value>,
    /// Which tool it has to call, as the protocol writes it.
    pub tool_choice: Option<Value>,
    /// What the answer has to look like. OpenAI-compatible endpoints are given it as `response_format`, Anthropic's as the
    /// one tool that must be called, which every model knows how to do; either way the answer is the reply's text.
    pub answer_schema: Option<AnswerSchema>,
    /// The seed of this call, instead of the config's. Its lowest 31 bits are sent, which every endpoint takes; nothing is
    /// sent to Anthropic, whose API has none.
    pub seed: Option<u64>,
}

impl ChatRequest {
    /// One message of the user.
    #[must_use]
    pub fn user(text: &str) -> Self {
        let message = serde_json::json!({"role": "user", "content": text});
        Self { messages: vec![message], ..Self::default() }
    }
}

impl std::fmt::Debug for ChatRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChatRequest").field("messages", &self.messages.len()).finish_non_exhaustive()
    }
}

/// What an answer has to look like.
#[derive(Debug, Clone, PartialEq)]
pub struct AnswerSchema {
    /// A name: letters, digits, `_` and `-`, at most 64.
    pub name: String,
    /// The JSON Schema of an object. What OpenAI's strict mode asks for works everywhere: all properties are required and
    /// `additionalProperties` is false.
    pub schema: Value,
}

/// Writes an entry of a body if there is a value.
pub(super) fn entry<M: SerializeMap, T: Serialize>(
    body: &mut M,
    key: &'static str,
    value: Option<T>,
) -> Result<(), M::Error> {
    value.map_or(Ok(()), |value| body.serialize_entry(key, &value))
}
