//! What a model is asked about an item.

use ef_client::chat::{AnswerSchema, Api, ChatRequest, SystemPrompt};
use ef_client::prompt::{self, Template};
use ef_model::{CallError, ConfigProblem, EvalItem};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::factory::problem;
use crate::json_template::{self, JsonTemplate};

/// What the model is asked: the part of a config besides the model.
#[derive(Deserialize, JsonSchema)]
pub(super) struct ConversationConfig {
    /// The instructions before all messages: a template.
    #[serde(default)]
    system: Option<String>,
    /// The messages, as the API writes them, whose texts are templates, as in `{role: user, content: "{{ input }}"}`. An
    /// entry `{$field: PATH}` stands for the messages that the item has at a path such as `metadata.history`. Default: the
    /// item's input, which is a text, a list of messages, or a map with `messages` and perhaps `system`, `tools` and
    /// `tool_choice`.
    #[serde(default)]
    #[schemars(length(min = 1))]
    messages: Option<Vec<Map<String, Value>>>,
    /// The tools that the model may call, as the API writes them. An item's own count instead.
    #[serde(default)]
    tools: Option<Vec<Map<String, Value>>>,
    /// Which tool it has to call, as the API writes it. An item's own counts instead.
    #[serde(default)]
    tool_choice: Option<Value>,
    /// What the answer has to look like. It becomes the output as JSON.
    #[serde(default)]
    answer_schema: Option<AnswerSchemaConfig>,
}

/// What an answer has to look like.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct AnswerSchemaConfig {
    /// A name that the model sees: letters, digits, `_` and `-`.
    #[serde(default = "answer")]
    #[schemars(regex(pattern = "^[a-zA-Z0-9_-]{1,64}$"))]
    name: String,
    /// The JSON Schema of a map. That all properties are required and `additionalProperties` is false works everywhere.
    schema: Map<String, Value>,
}

fn answer() -> String {
    "answer".to_owned()
}

/// What a model is asked about an item.
pub(super) struct Conversation {
    api: Api,
    system: Option<Template>,
    /// Absent where the item's input has the messages.
    messages: Option<Vec<JsonTemplate>>,
    tools: Option<Value>,
    tool_choice: Option<Value>,
    answer_schema: Option<AnswerSchema>,
}

impl Conversation {
    pub(super) fn new(api: Api, config: ConversationConfig) -> Result<Self, Vec<ConfigProblem>> {
        let mut problems = Vec::new();
        let system = config.system.as_deref().and_then(|text| json_template::template(text, "/system", &mut problems));
        let messages = config.messages.map(|messages| {
            let compile = |(index, message): (usize, Map<String, Value>)| {
                let place = format!("/messages/{index}");
                if !message.contains_key("role") && !message.contains_key("$field") {
                    let hint = "such as {role: user, content: \"{{ input }}\"}";
                    problems.push(problem(&place, "a message has a `role`", Some(hint)));
                }
                JsonTemplate::compile(&Value::Object(message), &place, &mut problems)
            };
            messages.into_iter().enumerate().map(compile).collect()
        });
        let answer_schema = config.answer_schema.map(|AnswerSchemaConfig { name, schema }| {
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
            if name.is_empty() || name.len() > 64 || !name.bytes().all(is_name) {
                let message = "a name has at most 64 letters, digits, `_` and `-`";
                problems.push(problem("/answer_schema/name", message, None));
            }
            AnswerSchema::new(&name, &Value::Object(schema))
        });
        if problems.is_empty() {
            let tools = config.tools.map(|tools| tools.into_iter().map(Value::Object).collect());
            Ok(Self { api, system, messages, tools, tool_choice: config.tool_choice, answer_schema })
        } else {
            Err(problems)
        }
    }

    /// The request for an item.
    pub(super) fn request(&self, item: &EvalItem) -> Result<ChatRequest, CallError> {
        // Without templates nobody looks at them.
        let has_templates = self.system.is_some() || self.messages.is_some();
        let values = if has_templates { prompt::values(item, None) } else { Value::Null };
        let mut asked = match &self.messages {
            Some(templates) => Asked { messages: rendered(templates, item, &values)?, ..Asked::default() },
            None => Asked::of_input(item.input.expose_value())?,
        };
        for (index, message) in asked.messages.iter().enumerate() {
            if !message.get("role").is_some_and(Value::is_string) {
                return Err(not_messages(&format!("message {} is not a map with a `role`", index + 1)));
            }
        }
        let own = self.system.as_ref().map(|template| json_template::render(template, &values, "/system"));
        let mut instructions: Vec<_> = own.transpose()?.into_iter().chain(asked.system).collect();
        if self.api == Api::AnthropicMessages {
            instructions.extend(leading_system_messages(&mut asked.messages));
        }
        if asked.messages.is_empty() {
            return Err(not_messages("there is no message"));
        }
        Ok(ChatRequest {
            system: (!instructions.is_empty()).then(|| SystemPrompt::new(&instructions.join("\n\n"))),
            messages: asked.messages,
            tools: asked.tools.or_else(|| self.tools.clone()),
            tool_choice: asked.tool_choice.or_else(|| self.tool_choice.clone()),
            answer_schema: self.answer_schema.clone(),
            seed: None,
        })
    }
}

/// What an item itself asks.
#[derive(Default)]
struct Asked {
    system: Option<String>,
    messages: Vec<Value>,
    tools: Option<Value>,
    tool_choice: Option<Value>,
}

impl Asked {
    fn of_input(input: Value) -> Result<Self, CallError> {
        match input {
            Value::String(text) => {
                Ok(Self { messages: vec![json!({"role": "user", "content": text})], ..Self::default() })
            }
            Value::Array(messages) => Ok(Self { messages, ..Self::default() }),
            Value::Object(fields) if fields.contains_key("messages") => Self::of_fields(fields),
            _ => Err(not_messages("it is neither a text, nor a list of messages, nor a map with `messages`")),
        }
    }

    fn of_fields(fields: Map<String, Value>) -> Result<Self, CallError> {
        let mut asked = Self::default();
        for (name, value) in fields {
            match (name.as_str(), value) {
                ("system" | "tools" | "tool_choice", Value::Null) => {}
                ("messages", Value::Array(messages)) => asked.messages = messages,
                ("messages", _) => return Err(not_messages("its `messages` are not a list")),
                ("tools", tools @ Value::Array(_)) => asked.tools = Some(tools),
                ("tools", _) => return Err(not_messages("its `tools` are not a list")),
                ("tool_choice", choice) => asked.tool_choice = Some(choice),
                ("system", system) => {
                    let system = text_of(&system).ok_or_else(|| not_messages("its `system` is not a text"))?;
                    asked.system = Some(system);
                }
                // What is left out silently would not have been evaluated.
                _ => {
                    let known = "`messages`, `system`, `tools` and `tool_choice`";
                    return Err(not_messages(&format!("it has a field besides {known}")));
                }
            }
        }
        Ok(asked)
    }
}

fn rendered(templates: &[JsonTemplate], item: &EvalItem, values: &Value) -> Result<Vec<Value>, CallError> {
    let mut messages = Vec::with_capacity(templates.len());
    for (index, template) in templates.iter().enumerate() {
        let json = template.render(item, values)?;
        match serde_json::from_str(&json) {
            Ok(Value::Array(several)) => messages.extend(several),
            Ok(message) => messages.push(message),
            // One level more than a text may have.
            Err(_) => return Err(not_messages(&format!("what /messages/{index} stands for is nested too deeply"))),
        }
    }
    Ok(messages)
}

/// Takes away the system messages at the beginning, for an API that has another place for them: a conversation that was
/// written for OpenAI's API can be had with any model.
fn leading_system_messages(messages: &mut Vec<Value>) -> Vec<String> {
    let text = |message: &Value| {
        let is_system = message.get("role").and_then(Value::as_str) == Some("system");
        is_system.then(|| text_of(message.get("content")?)).flatten()
    };
    let texts: Vec<_> = messages.iter().map_while(text).collect();
    messages.drain(..texts.len());
    texts
}

/// A text, or the texts of a list of text blocks.
fn text_of(content: &Value) -> Option<String> {
    match content {
        Value::String(text) => Some(text.clone()),
        Value::Array(blocks) => blocks
            .iter()
            .map(|block| match block.get("type").and_then(Value::as_str) {
                Some("text") => block.get("text").and_then(Value::as_str),
                _ => None,
            })
            .collect(),
        _ => None,
    }
}

fn not_messages(what: &str) -> CallError {
    let message = format!("the item cannot be put to a model: {what}; `messages` in the config says how");
    CallError::permanent("input_not_messages", message)
}
