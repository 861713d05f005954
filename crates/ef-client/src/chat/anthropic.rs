//! Anthropic's messages.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::answer::Tokens;
use super::envelope::{self, Envelope};
use super::model::{Answer, Assembly, Invalid};
use super::{AnswerSchema, ChatRequest, ModelConfig, SystemPrompt};

/// A request's body.
pub(super) struct Body<'a> {
    pub(super) config: &'a ModelConfig,
    pub(super) request: &'a ChatRequest,
}

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { config, request } = *self;
        let mut body = serializer.serialize_map(None)?;
        body.serialize_entry("model", &config.model)?;
        body.serialize_entry("messages", &request.messages)?;
        super::request::entry(&mut body, "system", request.system.as_ref().map(SystemPrompt::json))?;
        super::request::entry(&mut body, "max_tokens", config.max_tokens)?;
        super::request::entry(&mut body, "temperature", config.temperature)?;
        super::request::entry(&mut body, "top_p", config.top_p)?;
        super::request::entry(&mut body, "stop_sequences", (!config.stop.is_empty()).then_some(&config.stop))?;
        if let Some(schema) = &request.answer_schema {
            body.serialize_entry("tools", &tools(request.tools.as_ref(), schema))?;
            body.serialize_entry("tool_choice", &json!({"type": "tool", "name": schema.name()}))?;
        } else {
            super::request::entry(&mut body, "tools", request.tools.as_ref())?;
            super::request::entry(&mut body, "tool_choice", request.tool_choice.as_ref())?;
        }
        if config.stream {
            body.serialize_entry("stream", &true)?;
        }
        for (key, value) in &config.extra {
            body.serialize_entry(key, value)?;
        }
        body.end()
    }
}

/// The tools, and the one that takes the answer.
fn tools(given: Option<&Value>, schema: &AnswerSchema) -> Vec<Value> {
    let mut tools = given.and_then(Value::as_array).cloned().unwrap_or_default();
    tools.push(json!({
        "name": schema.name(),
        "description": "Takes your answer.",
        "input_schema": schema.json(),
    }));
    tools
}

/// Reads an answer.
pub(super) fn read(answer: &Envelope<'_>, schema: Option<&AnswerSchema>) -> Result<Answer, Invalid> {
    let role = answer.role.and_then(envelope::text).unwrap_or_else(|| "assistant".to_owned());
    let content = answer.content.ok_or(Invalid("content"))?;
    let content: Vec<Value> = serde_json::from_str(content.get()).map_err(|_| Invalid("content"))?;
    let given = schema.and_then(|schema| given_answer(&content, schema.name()));
    let texts: Vec<&str> = content.iter().filter(|block| is_of_type(block, "text")).filter_map(text).collect();
    let text = given.or_else(|| (!texts.is_empty()).then(|| texts.concat()));
    let message = json!({"role": role, "content": content});
    Ok(Answer { text, message, finish_reason: answer.stop_reason.and_then(envelope::text) })
}

/// What the tool that takes the answer was called with.
fn given_answer(content: &[Value], name: &str) -> Option<String> {
    let call = content
        .iter()
        .find(|block| is_of_type(block, "tool_use") && block.get("name").and_then(Value::as_str) == Some(name))?;
    call.get("input").map(Value::to_string)
}

fn is_of_type(block: &Value, name: &str) -> bool {
    block.get("type").and_then(Value::as_str) == Some(name)
}

fn text(block: &Value) -> Option<&str> {
    block.get("text")?.as_str()
}

#[derive(Deserialize)]
struct Usage<'a> {
    #[serde(borrow, default)]
    input_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    output_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    cache_read_input_tokens: Option<&'a RawValue>,
    #[serde(borrow, default)]
    cache_creation_input_tokens: Option<&'a RawValue>,
}

/// The tokens that an answer's `usage` tells: those read from a cache and kept in one are not among its `input_tokens`.
pub(super) fn tokens(usage: &RawValue) -> Tokens {
    let Ok(usage) = serde_json::from_str::<Usage<'_>>(usage.get()) else { return Tokens::default() };
    let cached_input = usage.cache_read_input_tokens.and_then(envelope::count).unwrap_or(0);
    let cache_write = usage.cache_creation_input_tokens.and_then(envelope::count).unwrap_or(0);
    let input = usage.input_tokens.and_then(envelope::count);
    Tokens {
        input: input.map(|input| input.saturating_add(cached_input).saturating_add(cache_write)),
        cached_input,
        cache_write,
        output: usage.output_tokens.and_then(envelope::count),
    }
}

/// An answer that comes in events.
#[derive(Default)]
pub(super) struct Stream {
    answer: Map<String, Value>,
    usage: Map<String, Value>,
    blocks: BTreeMap<u64, Block>,
    is_over: bool,
}

/// A block of content that comes in pieces.
#[derive(Default)]
struct Block {
    block: Map<String, Value>,
    /// The texts in it that come in pieces.
    texts: BTreeMap<&'static str, String>,
    /// The JSON of a tool's input.
    input: String,
    citations: Vec<Value>,
}

impl Assembly for Stream {
    fn event(&mut self, mut event: Value) -> Result<(), Invalid> {
        let kind = event.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        match kind.as_str() {
            "message_start" => {
                let Some(Value::Object(mut message)) = event.get_mut("message").map(Value::take) else {
                    return Err(Invalid("message in its first event"));
                };
                if let Some(Value::Object(usage)) = message.remove("usage") {
                    self.usage = usage;
                }
                self.answer = message;
            }
            "content_block_start" => {
                if let Some(Value::Object(block)) = event.get_mut("content_block").map(Value::take) {
                    self.blocks.insert(index(&event)?, Block { block, ..Block::default() });
                }
            }
            "content_block_delta" => {
                let block = self.blocks.get_mut(&index(&event)?).ok_or(Invalid("beginning of a block"))?;
                if let Some(Value::Object(delta)) = event.get_mut("delta").map(Value::take) {
                    block.piece(delta);
                }
            }
            "message_delta" => {
                if let Some(Value::Object(delta)) = event.get_mut("delta").map(Value::take) {
                    self.answer.extend(delta);
                }
                if let Some(Value::Object(usage)) = event.get_mut("usage").map(Value::take) {
                    self.usage.extend(usage.into_iter().filter(|(_, value)| !value.is_null()));
                }
            }
            "message_stop" => self.is_over = true,
            // Pings, the ends of blocks, and what may be added to the protocol.
            _ => {}
        }
        Ok(())
    }

    fn is_whole(&self) -> bool {
        self.is_over
    }

    fn is_over(&self) -> bool {
        self.is_over
    }

    fn answer(mut self) -> Value {
        let content: Vec<_> = self.blocks.into_values().map(Block::whole).collect();
        self.answer.insert("content".to_owned(), content.into());
        self.answer.insert("usage".to_owned(), self.usage.into());
        self.answer.into()
    }
}

fn index(event: &Value) -> Result<u64, Invalid> {
    event.get("index").and_then(Value::as_u64).ok_or(Invalid("index of a block"))
}

impl Block {
    fn piece(&mut self, mut delta: Map<String, Value>) {
        for key in ["text", "thinking", "signature"] {
            if let Some(Value::String(piece)) = delta.remove(key) {
                self.texts.entry(key).or_default().push_str(&piece);
            }
        }
        if let Some(Value::String(piece)) = delta.remove("partial_json") {
            self.input.push_str(&piece);
        }
        if let Some(citation) = delta.remove("citation") {
            self.citations.push(citation);
        }
    }

    fn whole(mut self) -> Value {
        for (key, rest) in self.texts {
            let beginning = self.block.get(key).and_then(Value::as_str).unwrap_or_default();
            self.block.insert(key.to_owned(), [beginning, &rest].concat().into());
        }
        if !self.input.is_empty() {
            // An input that is cut off is kept as the text that it is.
            let input = serde_json::from_str(&self.input).unwrap_or_else(|_| Value::from(self.input));
            self.block.insert("input".to_owned(), input);
        }
        if !self.citations.is_empty() {
            self.block.insert("citations".to_owned(), self.citations.into());
        }
        self.block.into()
    }
}
