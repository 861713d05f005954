//! What a model is asked.

use std::sync::Arc;

use serde::ser::{Serialize, SerializeMap};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// What a model is asked: everything that changes from call to call.
#[derive(Clone, Default, PartialEq)]
pub struct ChatRequest {
    /// The system's instructions, before the messages.
    pub system: Option<SystemPrompt>,
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
    pub fn user(text: impl Into<String>) -> Self {
        let message = Map::from_iter([
            ("role".to_owned(), Value::from("user")),
            ("content".to_owned(), Value::String(text.into())),
        ]);
        Self { messages: vec![Value::Object(message)], ..Self::default() }
    }
}

impl std::fmt::Debug for ChatRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChatRequest").field("messages", &self.messages.len()).finish_non_exhaustive()
    }
}

/// The system's instructions. Cheap to clone. They are kept as the JSON that is sent, as most requests of a judge or an
/// evaluator have the same.
#[derive(Clone)]
pub struct SystemPrompt(Arc<RawValue>);

impl SystemPrompt {
    /// Instructions of this text.
    ///
    /// # Panics
    ///
    /// Never: every text can be written as JSON.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(serde_json::value::to_raw_value(text).expect("a text is written as JSON").into())
    }

    /// The text, as a JSON string.
    #[must_use]
    pub fn json(&self) -> &RawValue {
        &self.0
    }
}

impl std::fmt::Debug for SystemPrompt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SystemPrompt").field("bytes", &self.0.get().len()).finish_non_exhaustive()
    }
}

impl PartialEq for SystemPrompt {
    fn eq(&self, other: &Self) -> bool {
        self.0.get() == other.0.get()
    }
}

/// What an answer has to look like. Cheap to clone.
#[derive(Debug, Clone)]
pub struct AnswerSchema {
    name: Arc<str>,
    json: Arc<RawValue>,
}

impl AnswerSchema {
    /// A schema of this name: letters, digits, `_` and `-`, at most 64.
    ///
    /// `schema` is the JSON Schema of an object. What OpenAI's strict mode asks for works everywhere: all properties are
    /// required and `additionalProperties` is false.
    ///
    /// # Panics
    ///
    /// Never: every value can be written as JSON.
    #[must_use]
    pub fn new(name: &str, schema: &Value) -> Self {
        let json = RawValue::from_string(schema.to_string()).expect("a value is written as JSON");
        Self { name: name.into(), json: json.into() }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The JSON Schema.
    #[must_use]
    pub fn json(&self) -> &RawValue {
        &self.json
    }
}

impl PartialEq for AnswerSchema {
    fn eq(&self, other: &Self) -> bool {
        (&self.name, self.json.get()) == (&other.name, other.json.get())
    }
}

/// Writes an entry of a body if there is a value.
pub(super) fn entry<M: SerializeMap, T: Serialize>(
    body: &mut M,
    key: &'static str,
    value: Option<T>,
) -> Result<(), M::Error> {
    value.map_or(Ok(()), |value| body.serialize_entry(key, &value))
}
