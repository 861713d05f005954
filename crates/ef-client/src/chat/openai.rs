//! OpenAI's chat completions, as many servers speak them.

use std::collections::BTreeMap;

use serde::ser::{SerializeMap, SerializeSeq, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::answer::Tokens;
use super::envelope::{self, Envelope};
use super::model::{Answer, Assembly, Invalid};
use super::{AnswerSchema, ChatRequest, ModelConfig};

/// Every endpoint takes seeds up to this one, as some keep them in 32 bits with a sign.
pub(super) const LARGEST_SEED: u64 = (1 << 31) - 1;

/// A request's body.
pub(super) struct Body<'a> {
    pub(super) config: &'a ModelConfig,
    pub(super) request: &'a ChatRequest,
    /// Whether the limit of tokens is called `max_completion_tokens`.
    pub(super) completion_tokens: bool,
}

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { config, request, completion_tokens } = *self;
        let mut body = serializer.serialize_map(None)?;
        body.serialize_entry("model", &config.model)?;
        body.serialize_entry("messages", &Messages(request))?;
        let limit = if completion_tokens { "max_completion_tokens" } else { "max_tokens" };
        super::request::entry(&mut body, limit, config.max_tokens)?;
        super::request::entry(&mut body, "temperature", config.temperature)?;
        super::request::entry(&mut body, "top_p", config.top_p)?;
        super::request::entry(&mut body, "presence_penalty", config.presence_penalty)?;
        super::request::entry(&mut body, "frequency_penalty", config.frequency_penalty)?;
        let seed = request.seed.map(|seed| seed & LARGEST_SEED).or(config.seed);
        super::request::entry(&mut body, "seed", seed)?;
        super::request::entry(&mut body, "stop", (!config.stop.is_empty()).then_some(&config.stop))?;
        super::request::entry(&mut body, "tools", request.tools.as_ref())?;
        super::request::entry(&mut body, "tool_choice", request.tool_choice.as_ref())?;
        super::request::entry(&mut body, "response_format", request.answer_schema.as_ref().map(ResponseFormat::of))?;
        if config.stream {
            body.serialize_entry("stream", &true)?;
            body.serialize_entry("stream_options", &json!({"include_usage": true}))?;
        }
        for (key, value) in &config.extra {
            body.serialize_entry(key, value)?;
        }
        body.end()
    }
}

/// What the answer has to look like.
#[derive(Serialize)]
struct ResponseFormat<'a> {
    r#type: &'static str,
    json_schema: StrictSchema<'a>,
}

#[derive(Serialize)]
struct StrictSchema<'a> {
    name: &'a str,
    strict: bool,
    schema: &'a RawValue,
}

impl<'a> ResponseFormat<'a> {
    fn of(schema: &'a AnswerSchema) -> Self {
        let json_schema = StrictSchema { name: schema.name(), strict: true, schema: schema.json() };
        Self { r#type: "json_schema", json_schema }
    }
}

/// The messages, the system's first.
struct Messages<'a>(&'a ChatRequest);

impl Serialize for Messages<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut messages = serializer.serialize_seq(None)?;
        if let Some(system) = &self.0.system {
            messages.serialize_element(&SystemMessage { role: "system", content: system.json() })?;
        }
        for message in &self.0.messages {
            messages.serialize_element(message)?;
        }
        messages.end()
    }
}

#[derive(Serialize)]
struct SystemMessage<'a> {
    role: &'static str,
    content: &'a RawValue,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(default)]
    message: Option<Value>,
    #[serde(borrow, default)]
    finish_reason: Option<&'a RawValue>,
}

/// Reads an answer.
pub(super) fn read(answer: &Envelope<'_>) -> Result<Answer, Invalid> {
    let choices = answer.choices.ok_or(Invalid("choices"))?;
    let choices: Vec<Choice<'_>> =
        serde_json::from_str(choices.get()).map_err(|_| Invalid("choices that can be read"))?;
    let choice = choices.into_iter().next().ok_or(Invalid("choices"))?;
    let finish_reason = choice.finish_reason.and_then(envelope::text);
    let message = choice.message.filter(Value::is_object).ok_or(Invalid("message"))?;
    let text = match message.get("content") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Array(parts)) => Some(parts.iter().filter_map(|part| part.get("text")?.as_str()).collect()),
        Some(_) => return Err(Invalid("content that is text")),
    };
    Ok(Answer { text, message, finish_reason })
}

#[derive(Deserialize)]
struct Usage<'a> {
    #[serde(borrow, default)]
    prompt_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    completion_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    prompt_tokens_details: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Details<'a> {
    #[serde(borrow, default)]
    cached_tokens: Option<&'a RawValue>,
}

/// The tokens that an answer's `usage` tells.
pub(super) fn tokens(usage: &RawValue) -> Tokens {
    let Ok(usage) = serde_json::from_str::<Usage<'_>>(usage.get()) else { return Tokens::default() };
    let details =
        usage.prompt_tokens_details.and_then(|details| serde_json::from_str::<Details<'_>>(details.get()).ok());
    Tokens {
        input: usage.prompt_tokens.and_then(envelope::count),
        cached_input: details.and_then(|details| envelope::count(details.cached_tokens?)).unwrap_or(0),
        cache_write: 0,
        output: usage.completion_tokens.and_then(envelope::count),
    }
}

/// An answer that comes in chunks.
#[derive(Default)]
pub(super) struct Stream {
    answer: Map<String, Value>,
    /// The texts of the message that come in pieces.
    texts: BTreeMap<&'static str, String>,
    message: Map<String, Value>,
    calls: BTreeMap<u64, ToolCall>,
    finish_reason: Option<String>,
}

/// A call of a tool that comes in pieces.
#[derive(Default)]
struct ToolCall {
    call: Map<String, Value>,
    function: Map<String, Value>,
    arguments: String,
}

/// The parts of a message that come in pieces.
const TEXTS: [&str; 4] = ["content", "refusal", "reasoning", "reasoning_content"];

impl Assembly for Stream {
    fn event(&mut self, event: Value) -> Result<(), Invalid> {
        let Value::Object(mut chunk) = event else { return Err(Invalid("chunks that are objects")) };
        let choices = chunk.remove("choices");
        // The usage comes in the last chunk, and is null in the others.
        keep(&mut self.answer, chunk);
        let Some(Value::Array(choices)) = choices else { return Ok(()) };
        for mut choice in choices {
            if choice.get("index").and_then(Value::as_u64).unwrap_or(0) != 0 {
                continue;
            }
            if let Some(reason) = choice.get("finish_reason").and_then(Value::as_str) {
                self.finish_reason = Some(reason.to_owned());
            }
            if let Some(Value::Object(delta)) = choice.get_mut("delta").map(Value::take) {
                self.delta(delta);
            }
        }
        Ok(())
    }

    fn is_whole(&self) -> bool {
        self.finish_reason.is_some()
    }

    fn is_over(&self) -> bool {
        false
    }

    fn answer(mut self) -> Value {
        self.message.entry("role").or_insert_with(|| "assistant".into());
        self.message.entry("content").or_insert(Value::Null);
        for (key, text) in self.texts {
            self.message.insert(key.to_owned(), text.into());
        }
        if !self.calls.is_empty() {
            let calls: Vec<_> = self.calls.into_values().map(ToolCall::whole).collect();
            self.message.insert("tool_calls".to_owned(), calls.into());
        }
        let choice = json!({"index": 0, "message": self.message, "finish_reason": self.finish_reason});
        self.answer.insert("choices".to_owned(), vec![choice].into());
        self.answer.into()
    }
}

impl Stream {
    fn delta(&mut self, mut delta: Map<String, Value>) {
        for key in TEXTS {
            if let Some(Value::String(piece)) = delta.remove(key) {
                self.texts.entry(key).or_default().push_str(&piece);
            }
        }
        if let Some(Value::Array(calls)) = delta.remove("tool_calls") {
            for (place, call) in calls.into_iter().enumerate() {
                if let Value::Object(call) = call {
                    let index = call.get("index").and_then(Value::as_u64).unwrap_or(place as u64);
                    self.calls.entry(index).or_default().piece(call);
                }
            }
        }
        keep(&mut self.message, delta);
    }
}

impl ToolCall {
    fn piece(&mut self, mut call: Map<String, Value>) {
        call.remove("index");
        if let Some(Value::Object(mut function)) = call.remove("function") {
            if let Some(Value::String(piece)) = function.remove("arguments") {
                self.arguments.push_str(&piece);
            }
            keep(&mut self.function, function);
        }
        keep(&mut self.call, call);
    }

    fn whole(mut self) -> Value {
        self.function.insert("arguments".to_owned(), self.arguments.into());
        self.call.insert("function".to_owned(), self.function.into());
        self.call.into()
    }
}

/// Takes over what is said; what is said again counts, but for null.
fn keep(known: &mut Map<String, Value>, said: Map<String, Value>) {
    known.extend(said.into_iter().filter(|(_, value)| !value.is_null()));
}
