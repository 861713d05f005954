//! From a model's reply to the output that judges see.

use ef_client::chat::ChatReply;
use ef_model::{CallError, EvaluatorOutput, Payload};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// The output: the reply's text as a JSON string where the reply is a text; the assistant's message, as the API writes it,
/// where it holds tool calls. A refusal is a text. An answer to a schema is the output as JSON, if it is JSON.
///
/// The metadata have `finish_reason`, `model`, `usage`, `latency_ms`, and `message` where the output leaves anything of it
/// out.
pub(super) fn output(reply: ChatReply, has_schema: bool) -> Result<EvaluatorOutput, CallError> {
    let usage = reply.usage;
    made(reply, has_schema).map_err(|error| error.with_usage(usage))
}

fn made(reply: ChatReply, has_schema: bool) -> Result<EvaluatorOutput, CallError> {
    let ChatReply { text, message, finish_reason, model, usage, raw_usage, latency } = reply;
    let text = match text {
        Some(text) if (has_schema && !text.is_empty()) || !acts(&message) => Some(text),
        // It said nothing, perhaps because its tokens ended while it thought: that is its answer.
        None if !acts(&message) => Some(refusal(&message).unwrap_or_default().to_owned()),
        _ => None,
    };
    let is_all = text.as_deref().is_none_or(|text| is_text_alone(&message, text));
    let output = match &text {
        Some(text) if has_schema => Payload::parse(text.trim()).unwrap_or_else(|_| Payload::from_text(text)),
        Some(text) => Payload::from_text(text),
        None => kept(&message)?,
    };
    let latency_ms = u64::try_from(latency.as_millis()).unwrap_or(u64::MAX);
    let fields = Metadata {
        finish_reason: finish_reason.as_deref(),
        latency_ms,
        message: (!is_all).then_some(&message),
        model: model.as_deref(),
        usage: raw_usage.as_deref(),
    };
    Ok(EvaluatorOutput { output, metadata: Some(kept(&fields)?), usage })
}

/// What is kept beside the output.
#[derive(Serialize)]
struct Metadata<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    finish_reason: Option<&'a str>,
    latency_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<&'a RawValue>,
}

/// A payload of this value. One that was put together of deep parts may be too deep to be read again.
fn kept(value: &impl Serialize) -> Result<Payload, CallError> {
    let json = serde_json::to_string(value).ok();
    json.and_then(|json| Payload::parse(json).ok()).ok_or_else(|| {
        CallError::invalid_output("answer_too_deep", "the model's answer is nested too deeply to be kept")
    })
}

/// Whether the message holds anything that a system would act on: tool calls, or content that is neither text nor thought.
fn acts(message: &Value) -> bool {
    const SAYS: [&str; 6] = ["output_text", "reasoning", "redacted_thinking", "refusal", "text", "thinking"];
    let has = |name: &str| message.get(name).is_some_and(|value| !is_nothing(value));
    let says = |block: &Value| block.get("type").and_then(Value::as_str).is_some_and(|kind| SAYS.contains(&kind));
    let blocks = message.get("content").and_then(Value::as_array);
    has("tool_calls") || has("function_call") || has("audio") || blocks.is_some_and(|blocks| !blocks.iter().all(says))
}

/// What the model says instead of an answer, where the API has a place of its own for it.
fn refusal(message: &Value) -> Option<&str> {
    message.get("refusal")?.as_str()
}

/// Whether the message says nothing besides this text.
fn is_text_alone(message: &Value, text: &str) -> bool {
    let Some(fields) = message.as_object() else { return false };
    fields.iter().all(|(name, value)| match (name.as_str(), value) {
        ("role" | "type", Value::String(_)) => true,
        ("content", Value::String(content)) => content == text,
        ("content", Value::Array(blocks)) => match blocks.as_slice() {
            [Value::Object(block)] => block.iter().all(|(name, value)| match name.as_str() {
                "type" => value == "text",
                "text" => value == text,
                _ => is_nothing(value),
            }),
            blocks => blocks.is_empty() && text.is_empty(),
        },
        (_, value) => is_nothing(value),
    })
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(values) => values.is_empty(),
        _ => false,
    }
}
