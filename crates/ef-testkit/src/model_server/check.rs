//! What a provider refuses: requests that its documentation does not allow.

use std::ops::RangeInclusive;

use serde_json::Value;

use super::call::{Answer, Api, Call, Turn};
use super::fields::Fields;
use super::shape;
use super::trouble::Trouble;

/// What a script demands besides.
#[derive(Debug, Clone, Copy)]
pub(super) struct Demands<'a> {
    /// The key that every request must have.
    pub(super) key: Option<&'a str>,
    /// Whether parameters that the API does not have are let through, as compatible servers do.
    pub(super) takes_unknown_parameters: bool,
}

/// Reads the body of a call into it, or says what is wrong with the call.
pub(super) fn read<'a>(call: &mut Call<'a>, demands: Demands<'_>) -> Result<(), Trouble> {
    let api = call.api;
    if demands.key.is_some_and(|key| !has_key(call, key)) {
        return Err(Trouble::of_status(api, 401));
    }
    if api == Api::Plain {
        return Ok(());
    }
    if !call.header("content-type").is_some_and(|kind| kind.to_ascii_lowercase().starts_with("application/json")) {
        return Err(Trouble::of_status(api, 415));
    }
    if api == Api::Anthropic && call.header("anthropic-version").is_none() {
        return Err(Trouble::invalid(api, "anthropic-version", "header is required"));
    }
    let no_json = "We could not parse the JSON body of your request.";
    call.fields = serde_json::from_slice(call.body).map_err(|_| Trouble::of_status(api, 400).saying(no_json))?;
    parameters(call, demands)?;
    call.turns = turns(api, &call.fields)?;
    let tool = shape::forced_tool(call)?;
    call.answer = shape::format(call)?.map(Answer::Text).or(tool);
    Ok(())
}

fn has_key(call: &Call<'_>, key: &str) -> bool {
    match call.api {
        Api::OpenAi | Api::Plain => {
            call.header("authorization").and_then(|value| value.strip_prefix("Bearer ")) == Some(key)
        }
        Api::Anthropic => call.header("x-api-key") == Some(key),
    }
}

#[rustfmt::skip]
const OPENAI: &[&str] = &[
    "audio", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs", "max_completion_tokens",
    "max_tokens", "messages", "metadata", "modalities", "model", "n", "parallel_tool_calls", "prediction",
    "presence_penalty", "prompt_cache_key", "prompt_cache_retention", "reasoning_effort", "response_format",
    "safety_identifier", "seed", "service_tier", "stop", "store", "stream", "stream_options", "temperature",
    "tool_choice", "tools", "top_logprobs", "top_p", "user", "verbosity", "web_search_options",
];

#[rustfmt::skip]
const ANTHROPIC: &[&str] = &[
    "cache_control", "container", "context_management", "inference_geo", "max_tokens", "mcp_servers", "messages",
    "metadata", "model", "output_config", "output_format", "service_tier", "stop_sequences", "stream", "system",
    "temperature", "thinking", "tool_choice", "tools", "top_k", "top_p",
];

fn parameters(call: &Call<'_>, demands: Demands<'_>) -> Result<(), Trouble> {
    let (api, fields) = (call.api, &call.fields);
    let known = if api == Api::Anthropic { ANTHROPIC } else { OPENAI };
    if !demands.takes_unknown_parameters
        && let Some(name) = fields.names().find(|name| !known.contains(name))
    {
        let words = match api {
            Api::Anthropic => "Extra inputs are not permitted".to_owned(),
            _ => format!("Unrecognized request argument supplied: {name}"),
        };
        return Err(Trouble::invalid(api, name, words));
    }
    if fields.text("model").is_none_or(|model| model.is_empty()) {
        return Err(Trouble::invalid(api, "model", "you must provide a model parameter"));
    }
    let warmest = if api == Api::Anthropic { 1.0 } else { 2.0 };
    within(call, "temperature", 0.0..=warmest)?;
    within(call, "top_p", 0.0..=1.0)?;
    within(call, "frequency_penalty", -2.0..=2.0)?;
    within(call, "presence_penalty", -2.0..=2.0)?;
    integer(call, "max_tokens", 1)?;
    integer(call, "max_completion_tokens", 1)?;
    integer(call, "n", 1)?;
    integer(call, "top_k", 0)?;
    integer(call, "seed", i64::MIN)?;
    if fields.get("stream").is_some_and(|stream| !["true", "false"].contains(&stream)) {
        return Err(Trouble::invalid(api, "stream", "Input should be a valid boolean"));
    }
    match api {
        Api::Anthropic if fields.get("max_tokens").is_none() => {
            Err(Trouble::invalid(api, "max_tokens", "Field required"))
        }
        Api::OpenAi if fields.get("stream_options").is_some() && !fields.is_true("stream") => {
            let words = "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
            Err(Trouble::invalid(api, "stream_options", words))
        }
        Api::OpenAi if fields.get("max_tokens").is_some() && fields.get("max_completion_tokens").is_some() => {
            let words = "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.";
            Err(Trouble::invalid(api, "max_tokens", words))
        }
        _ => Ok(()),
    }
}

fn within(call: &Call<'_>, name: &str, range: RangeInclusive<f64>) -> Result<(), Trouble> {
    let Some(raw) = call.fields.get(name) else { return Ok(()) };
    let number = serde_json::from_str(raw).ok().and_then(|value: Value| value.as_f64());
    if number.is_some_and(|number| range.contains(&number)) {
        return Ok(());
    }
    let words = format!("Input should be a number between {} and {}", range.start(), range.end());
    Err(Trouble::invalid(call.api, name, words))
}

fn integer(call: &Call<'_>, name: &str, least: i64) -> Result<(), Trouble> {
    let Some(raw) = call.fields.get(name) else { return Ok(()) };
    if raw.parse::<i64>().is_ok_and(|number| number >= least) {
        return Ok(());
    }
    Err(Trouble::invalid(call.api, name, format!("Input should be an integer of at least {least}")))
}

/// The conversation: roles that the API knows, and a content in each message.
fn turns<'a>(api: Api, fields: &Fields<'a>) -> Result<Vec<Turn<'a>>, Trouble> {
    let invalid = |words: &str| Trouble::invalid(api, "messages", words);
    let raw = fields.get("messages").ok_or_else(|| invalid("Field required"))?;
    let turns: Vec<Turn<'a>> =
        serde_json::from_str(raw).map_err(|_| invalid("Input should be a list of messages with a role"))?;
    if turns.is_empty() {
        return Err(invalid("at least one message is required"));
    }
    let roles: &[&str] = match api {
        Api::Anthropic => &["user", "assistant"],
        _ => &["system", "developer", "user", "assistant", "tool"],
    };
    for turn in &turns {
        if !roles.contains(&turn.role.as_ref()) {
            let words = format!("a role is none of {}", roles.join(", "));
            return Err(invalid(&words));
        }
        let raw = turn.content.map_or("null", |content| content.get());
        // What calls tools may say nothing.
        let silent = raw == "null" && turn.role == "assistant" && api == Api::OpenAi;
        let empty = raw == "\"\"" && api == Api::Anthropic;
        if !(raw.starts_with('"') && !empty || silent || is_parts(raw)) {
            return Err(invalid("the content of a message should be a text or a list of parts that have a type"));
        }
    }
    Ok(turns)
}

fn is_parts(raw: &str) -> bool {
    let Ok(parts) = serde_json::from_str::<Vec<Value>>(raw) else { return false };
    !parts.is_empty() && parts.iter().all(|part| part["type"].is_string())
}
