//! OpenAI's chat completions, as many servers speak them.

use std::collections::BTreeMap;

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::{Map, Value, json};

use super::answer::Tokens;
use super::model::{Answer, Assembly, Invalid};
use super::{AnswerSchema, ChatRequest, ModelConfig};

/// Every endpoint takes seeds up to this one, as some keep them in 32 bits with a sign.
const LARGEST_SEED: u64 = (1 << 31) - 1;

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
        if let Some(AnswerSchema { name, schema }) = &request.answer_schema {
            let format =
                json!({"type": "json_schema", "json_schema": {"name": name, "strict": true, "schema": schema}});
            body.serialize_entry("response_format", &format)?;
        }
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

/// The messages, the system's first.
struct Messages<'a>(&'a ChatRequest);

impl Serialize for Messages<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut messages = serializer.serialize_seq(None)?;
        if let Some(system) = &self.0.system {
            messages.serialize_element(&json!({"role": "system", "content": system}))?;
        }
        for message in &self.0.messages {
            messages.serialize_element(message)?;
        }
        messages.end()
    }
}

/// Reads an answer.
pub(super) fn read(mut answer: Value, _: Option<&AnswerSchema>) -> Result<Answer, Invalid> {
    let model = answer.get("model").and_then(Value::as_str).map(str::to_owned);
    let choice = answer.get_mut("choices").and_then(|choices| choices.get_mut(0)).ok_or(Invalid("choices"))?;
    let finish_reason = choice.get("finish_reason").and_then(Value::as_str).map(str::to_owned);
    let message = choice.get_mut("message").map(Value::take).filter(Value::is_object).ok_or(Invalid("message"))?;
    let text = match message.get("content") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Array(parts)) => Some(parts.iter().filter_map(|part| part.get("text")?.as_str()).collect()),
        Some(_) => return Err(Invalid("content that is text")),
    };
    Ok(Answer { text, message, finish_reason, model })
}

/// The tokens that an answer's `usage` tells.
pub(super) fn tokens(usage: &Value) -> Tokens {
    let count = |pointer: &str| usage.pointer(pointer).and_then(Value::as_u64);
    Tokens {
        input: count("/prompt_tokens"),
        cached_input: count("/prompt_tokens_details/cached_tokens").unwrap_or(0),
        cache_write: 0,
        output: count("/completion_tokens"),
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
