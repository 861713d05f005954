//! Anthropic's messages: what a model says, whole and as a stream.

use serde::Serialize;
use serde_json::{Value, json};

use super::call::Call;
use super::message::{Finish, Message, Tokens};
use super::stream::Events;

#[derive(Serialize)]
struct Said<'a> {
    id: String,
    r#type: &'static str,
    role: &'static str,
    model: &'a str,
    content: Vec<Block<'a>>,
    stop_reason: &'static str,
    stop_sequence: (),
    usage: Usage,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Block<'a> {
    Text { text: &'a str },
    ToolUse { id: String, name: &'a str, input: Value },
}

#[derive(Serialize)]
struct Usage {
    input_tokens: u64,
    cache_creation_input_tokens: u64,
    cache_read_input_tokens: u64,
    output_tokens: u64,
}

impl From<Tokens> for Usage {
    fn from(Tokens { input, output, cached }: Tokens) -> Self {
        Self {
            input_tokens: input.saturating_sub(cached),
            cache_creation_input_tokens: 0,
            cache_read_input_tokens: cached,
            output_tokens: output,
        }
    }
}

const fn stop_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "end_turn",
        Finish::Length => "max_tokens",
        Finish::ToolCalls => "tool_use",
        Finish::Declined => "refusal",
    }
}

fn tool_id(call: &Call<'_>, index: usize) -> String {
    format!("toolu_{}_{index}", call.number())
}

/// The body of a whole answer.
pub(super) fn whole(call: &Call<'_>, message: &Message) -> Vec<u8> {
    let requested = call.model();
    let text = message.text().map(|text| Block::Text { text });
    let tools = message.tool_calls.iter().enumerate().map(|(index, tool)| Block::ToolUse {
        id: tool_id(call, index),
        name: &tool.name,
        // Arguments that are no JSON cannot stand in the object's place.
        input: serde_json::from_str(&tool.arguments).unwrap_or_else(|_| Value::String(tool.arguments.clone())),
    });
    let said = Said {
        id: format!("msg_{}", call.number()),
        r#type: "message",
        role: "assistant",
        model: message.model.as_ref().unwrap_or(&requested),
        content: text.into_iter().chain(tools).collect(),
        stop_reason: stop_reason(message.finish()),
        stop_sequence: (),
        usage: message.tokens(call.body().len()).into(),
    };
    serde_json::to_vec(&said).expect("texts and numbers are JSON")
}

/// The events of a streamed answer.
pub(super) fn stream(call: &Call<'_>, message: &Message) -> Vec<u8> {
    let requested = call.model();
    let tokens = message.tokens(call.body().len());
    let mut events = Events::default();
    let mut opening = serde_json::to_value(Usage::from(tokens)).unwrap_or_default();
    opening["output_tokens"] = 1.into();
    events.named(&json!({"type": "message_start", "message": {
        "id": format!("msg_{}", call.number()), "type": "message", "role": "assistant",
        "model": message.model.as_ref().unwrap_or(&requested), "content": [], "stop_reason": null,
        "stop_sequence": null, "usage": opening,
    }}));
    let mut blocks = 0;
    if message.text().is_some() {
        let deltas = message.deltas();
        let deltas = deltas.iter().map(|text| json!({"type": "text_delta", "text": text}));
        block(&mut events, &mut blocks, &json!({"type": "text", "text": ""}), deltas);
    }
    for (index, tool) in message.tool_calls.iter().enumerate() {
        let start = json!({"type": "tool_use", "id": tool_id(call, index), "name": tool.name, "input": {}});
        let pieces = super::stream::pieces(&tool.arguments);
        let pieces = pieces.iter().map(|piece| json!({"type": "input_json_delta", "partial_json": piece}));
        block(&mut events, &mut blocks, &start, pieces);
    }
    if message.breaks_off {
        let error = json!({"type": "overloaded_error", "message": "Overloaded"});
        events.named(&json!({"type": "error", "error": error}));
        return events.into_bytes();
    }
    events.named(&json!({"type": "message_delta",
        "delta": {"stop_reason": stop_reason(message.finish()), "stop_sequence": null},
        "usage": {"output_tokens": tokens.output}}));
    events.named(&json!({"type": "message_stop"}));
    events.into_bytes()
}

fn block(events: &mut Events, blocks: &mut usize, start: &Value, deltas: impl Iterator<Item = Value>) {
    let index = *blocks;
    *blocks += 1;
    events.named(&json!({"type": "content_block_start", "index": index, "content_block": start}));
    if index == 0 {
        events.named(&json!({"type": "ping"}));
    }
    for delta in deltas {
        events.named(&json!({"type": "content_block_delta", "index": index, "delta": delta}));
    }
    events.named(&json!({"type": "content_block_stop", "index": index}));
}
