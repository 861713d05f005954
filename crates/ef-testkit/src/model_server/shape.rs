//! The shape that a request wants its answer to have, where it says so and the provider can see to it.

use serde_json::{Value, json};

use super::call::{Answer, Api, Call};
use super::strict;
use super::trouble::Trouble;

/// The tool that has to be called. Tools need names and schemas, and the one that is chosen has to be among them.
pub(super) fn forced_tool(call: &Call<'_>) -> Result<Option<Answer>, Trouble> {
    let api = call.api;
    let tools = call.parameter("tools");
    let is_tool = |tool: &Value| match api {
        Api::OpenAi => tool["type"] == "function" && tool["function"]["name"].is_string(),
        // Tools of Anthropic's own have a type and no schema.
        _ => tool["name"].is_string() && (tool["input_schema"]["type"] == "object" || tool["type"].is_string()),
    };
    if let Some(tools) = &tools
        && !tools.as_array().is_some_and(|tools| tools.iter().all(is_tool))
    {
        return Err(Trouble::invalid(api, "tools", "Input should be a list of tools with names and schemas"));
    }
    let Some(choice) = call.parameter("tool_choice") else { return Ok(None) };
    let invalid = |words: &str| Err(Trouble::invalid(api, "tool_choice", words));
    let word = choice.as_str().or_else(|| choice["type"].as_str());
    let Some(tools) = tools else {
        return if word == Some("none") { Ok(None) } else { invalid("It is only allowed when 'tools' are specified.") };
    };
    let mut tools = tools.as_array().into_iter().flatten();
    let chosen = match word {
        Some("auto" | "none") => return Ok(None),
        Some("required" | "any") => tools.next(),
        Some("function") => tools.find(|tool| tool["function"]["name"] == choice["function"]["name"]),
        Some("tool") => tools.find(|tool| tool["name"] == choice["name"]),
        _ => None,
    };
    let Some(tool) = chosen else { return invalid("It names no tool that is in 'tools'.") };
    let (name, schema) = match api {
        Api::OpenAi => (&tool["function"]["name"], &tool["function"]["parameters"]),
        _ => (&tool["name"], &tool["input_schema"]),
    };
    Ok(Some(Answer::Tool { name: name.as_str().unwrap_or_default().to_owned(), schema: schema.clone() }))
}

/// The JSON Schema that the answer's text has to fit: OpenAI's `response_format`, Anthropic's `output_config.format`, or
/// `output_format`, its name before.
pub(super) fn format(call: &Call<'_>) -> Result<Option<Value>, Trouble> {
    match call.api {
        Api::OpenAi => call.parameter("response_format").map_or(Ok(None), openai),
        Api::Anthropic => {
            let before = call.parameter("output_format");
            let in_beta = || call.header("anthropic-beta").is_some_and(|beta| beta.contains("structured-outputs"));
            if before.is_some() && !in_beta() {
                return Err(Trouble::invalid(Api::Anthropic, "output_format", "Extra inputs are not permitted"));
            }
            let format = call.parameter("output_config").map(|mut config| config["format"].take());
            format.filter(|format| !format.is_null()).or(before).map_or(Ok(None), anthropic)
        }
        Api::Plain => Ok(None),
    }
}

fn openai(mut format: Value) -> Result<Option<Value>, Trouble> {
    let invalid = |words: &str| Err(Trouble::invalid(Api::OpenAi, "response_format", words));
    match format["type"].as_str() {
        Some("text") => Ok(None),
        Some("json_object") => Ok(Some(json!({}))),
        Some("json_schema") => {
            let shape = &mut format["json_schema"];
            if !shape["name"].as_str().is_some_and(is_name) {
                return invalid("'json_schema.name' should be 1 to 64 letters, digits, '_' and '-'");
            }
            let schema = shape["schema"].take();
            if !schema.is_object() {
                return invalid("'json_schema.schema' should be an object");
            }
            match (shape["strict"] == true).then(|| strict::openai(&schema)).flatten() {
                Some(problem) => invalid(&problem),
                None => Ok(Some(schema)),
            }
        }
        _ => invalid("'type' should be 'text', 'json_object' or 'json_schema'"),
    }
}

fn anthropic(mut format: Value) -> Result<Option<Value>, Trouble> {
    let schema = format["schema"].take();
    let problem = if format["type"] == "json_schema" && schema.is_object() {
        strict::anthropic(&schema)
    } else {
        Some("Input should have the type 'json_schema' and a schema".to_owned())
    };
    match problem {
        Some(problem) => Err(Trouble::invalid(Api::Anthropic, "output_config.format", problem)),
        None => Ok(Some(schema)),
    }
}

fn is_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
    (1..=64).contains(&name.len()) && name.bytes().all(allowed)
}
