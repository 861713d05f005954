//! OpenAI's chat completions: what a model says, whole and as a stream.

use serde::Serialize;
use serde_json::{Value, json};

use super::call::Call;
use super::message::{Finish, Message, Tokens};
use super::stream::Events;

/// When everything was made: no test has to look at a clock.
const CREATED: u64 = 1_760_000_000;
const FINGERPRINT: &str = "fp_scripted";

#[derive(Serialize)]
struct Completion<'a> {
    id: String,
    object: &'static str,
    created: u64,
    model: &'a str,
    choices: [Choice<'a>; 1],
    usage: Usage,
    system_fingerprint: &'static str,
}

#[derive(Serialize)]
struct Choice<'a> {
    index: u32,
    message: Said<'a>,
    logprobs: (),
    finish_reason: &'static str,
}

#[derive(Serialize)]
struct Said<'a> {
    role: &'static str,
    content: Option<&'a str>,
    refusal: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tool_calls: Vec<Called<'a>>,
}

#[derive(Serialize)]
struct Called<'a> {
    id: String,
    r#type: &'static str,
    function: Function<'a>,
}

#[derive(Serialize)]
struct Function<'a> {
    name: &'a str,
    arguments: &'a str,
}

#[derive(Serialize)]
struct Usage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
    prompt_tokens_details: Details,
}

#[derive(Serialize)]
struct Details {
    cached_tokens: u64,
}

impl From<Tokens> for Usage {
    fn from(Tokens { input, output, cached }: Tokens) -> Self {
        Self {
            prompt_tokens: input,
            completion_tokens: output,
            total_tokens: input.saturating_add(output),
            prompt_tokens_details: Details { cached_tokens: cached },
        }
    }
}

const fn finish_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "stop",
        Finish::Length => "length",
        Finish::ToolCalls => "tool_calls",
        Finish::Declined => "content_filter",
    }
}

fn completion_id(call: &Call<'_>) -> String {
    format!("chatcmpl-{}", call.number())
}

fn call_id(call: &Call<'_>, index: usize) -> String {
    format!("call_{}_{index}", call.number())
}

/// The body of a whole answer.
pub(super) fn whole(call: &Call<'_>, message: &Message) -> Vec<u8> {
    let requested = call.model();
    let declined = message.finish() == Finish::Declined;
    let tool_calls = message.tool_calls.iter().enumerate().map(|(index, tool)| Called {
        id: call_id(call, index),
        r#type: "function",
        function: Function { name: &tool.name, arguments: &tool.arguments },
    });
    let completion = Completion {
        id: completion_id(call),
        object: "chat.completion",
        created: CREATED,
        model: message.model.as_ref().unwrap_or(&requested),
        choices: [Choice {
            index: 0,
            message: Said {
                role: "assistant",
                content: message.text().filter(|_| !declined),
                refusal: message.text().filter(|_| declined),
                tool_calls: tool_calls.collect(),
            },
            logprobs: (),
            finish_reason: finish_reason(message.finish()),
        }],
        usage: message.tokens(call.body().len()).into(),
        system_fingerprint: FINGERPRINT,
    };
    serde_json::to_vec(&completion).expect("texts and numbers are JSON")
}

/// The events of a streamed answer.
pub(super) fn stream(call: &Call<'_>, message: &Message) -> Vec<u8> {
    let requested = call.model();
    let model = message.model.as_ref().unwrap_or(&requested).as_ref();
    let chunk = |choices: Value, usage: Option<Value>| {
        let mut chunk = json!({"id": completion_id(call), "object": "chat.completion.chunk", "created": CREATED,
            "model": model, "system_fingerprint": FINGERPRINT, "choices": choices});
        if call.wants_usage() {
            chunk["usage"] = usage.unwrap_or_default();
        }
        chunk
    };
    let choice = |delta: Value, finish: Value| {
        chunk(json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": finish}]), None)
    };
    let mut events = Events::default();
    events.comment("a comment, which clients skip");
    events.data(&choice(json!({"role": "assistant", "content": ""}), Value::Null));
    let field = if message.finish() == Finish::Declined { "refusal" } else { "content" };
    for delta in message.deltas() {
        events.data(&choice(json!({ field: delta }), Value::Null));
    }
    for (index, tool) in message.tool_calls.iter().enumerate() {
        let opening = json!({"index": index, "id": call_id(call, index), "type": "function",
            "function": {"name": tool.name, "arguments": ""}});
        events.data(&choice(json!({"tool_calls": [opening]}), Value::Null));
        for piece in super::stream::pieces(&tool.arguments) {
            let more = json!({"index": index, "function": {"arguments": piece}});
            events.data(&choice(json!({"tool_calls": [more]}), Value::Null));
        }
    }
    if message.breaks_off {
        let error = json!({"message": "The server had an error while processing your request.",
            "type": "server_error", "param": null, "code": null});
        events.data(&json!({ "error": error }));
        return events.into_bytes();
    }
    events.data(&choice(json!({}), finish_reason(message.finish()).into()));
    if call.wants_usage() {
        let usage: Usage = message.tokens(call.body().len()).into();
        events.data(&chunk(json!([]), serde_json::to_value(usage).ok()));
    }
    events.done();
    events.into_bytes()
}
