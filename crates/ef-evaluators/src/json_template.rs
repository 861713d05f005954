//! JSON whose texts are templates.

use ef_client::prompt::Template;
use ef_model::{CallError, ConfigProblem, EvalItem};
use serde_json::{Map, Value};

use crate::factory::{child, problem};
use crate::path::FieldPath;

/// The key of the map that stands for a field of the item.
const FIELD: &str = "$field";

/// JSON whose texts are templates. What a template makes is always one JSON string, whatever is in it; a map
/// `{"$field": PATH}` stands for the JSON at a path into the item, byte for byte.
pub(crate) struct JsonTemplate {
    node: Node,
}

enum Node {
    /// JSON that is the same for every item.
    Fixed(String),
    Text {
        template: Box<Template>,
        /// Where it is in the config.
        place: String,
    },
    Field(FieldPath),
    List(Vec<Node>),
    /// The keys as JSON strings.
    Map(Vec<(String, Node)>),
}

impl JsonTemplate {
    /// Compiles the JSON at this place of a config. What is wrong goes to `problems`.
    pub(crate) fn compile(value: &Value, place: &str, problems: &mut Vec<ConfigProblem>) -> Self {
        Self { node: node(value, place, problems) }
    }

    /// What stands for the JSON at a path into the item.
    pub(crate) fn of_field(path: FieldPath) -> Self {
        Self { node: Node::Field(path) }
    }

    /// The JSON for an item, whose `values` are those of [`ef_client::prompt::values`].
    pub(crate) fn render(&self, item: &EvalItem, values: &Value) -> Result<String, CallError> {
        let mut json = String::new();
        write(&self.node, item, values, &mut json)?;
        Ok(json)
    }
}

/// Compiles the template at this place of a config. What is wrong goes to `problems`.
pub(crate) fn template(text: &str, place: &str, problems: &mut Vec<ConfigProblem>) -> Option<Template> {
    let compiled = Template::compile(text);
    compiled.map_err(|error| problems.push(problem(place, error.to_string(), None))).ok()
}

/// What a template makes of an item; `place` is where it stands in the config.
pub(crate) fn render(template: &Template, values: &Value, place: &str) -> Result<String, CallError> {
    template
        .render(values)
        .map_err(|error| CallError::permanent("template_failed", format!("the template at {place}: {error}")))
}

fn node(value: &Value, place: &str, problems: &mut Vec<ConfigProblem>) -> Node {
    match value {
        Value::String(text) => match template(text, place, problems) {
            Some(template) => Node::Text { template: Box::new(template), place: place.to_owned() },
            None => Node::Fixed("null".to_owned()),
        },
        Value::Array(elements) => {
            let element = |(index, value)| node(value, &format!("{place}/{index}"), problems);
            Node::List(elements.iter().enumerate().map(element).collect())
        }
        Value::Object(entries) => match entries.get(FIELD) {
            Some(path) => field(path, entries, place, problems).map_or(Node::Fixed("null".to_owned()), Node::Field),
            None => {
                let entry = |(key, value): (&String, &Value)| {
                    (Value::from(key.as_str()).to_string(), node(value, &child(place, key), problems))
                };
                Node::Map(entries.iter().map(entry).collect())
            }
        },
        Value::Null | Value::Bool(_) | Value::Number(_) => Node::Fixed(value.to_string()),
    }
}

fn field(
    path: &Value,
    entries: &Map<String, Value>,
    place: &str,
    problems: &mut Vec<ConfigProblem>,
) -> Option<FieldPath> {
    let place = format!("{place}/{FIELD}");
    let read = match path {
        Value::String(text) if entries.len() == 1 => FieldPath::of_config(&place, text),
        Value::String(_) => {
            let hint = "it is replaced whole by what the item has at the path";
            Err(problem(place, "a map with `$field` has no other keys", Some(hint)))
        }
        _ => Err(problem(place, "expected a path", Some("such as `input` or `metadata.history`"))),
    };
    read.map_err(|wrong| problems.push(wrong)).ok()
}

fn write(node: &Node, item: &EvalItem, values: &Value, json: &mut String) -> Result<(), CallError> {
    match node {
        Node::Fixed(text) => json.push_str(text),
        Node::Text { template, place } => {
            json.push_str(&Value::from(render(template, values, place)?).to_string());
        }
        Node::Field(path) => json.push_str(path.look_up(item)?.expose()),
        Node::List(elements) => {
            json.push('[');
            for (index, element) in elements.iter().enumerate() {
                json.push_str(if index > 0 { "," } else { "" });
                write(element, item, values, json)?;
            }
            json.push(']');
        }
        Node::Map(entries) => {
            json.push('{');
            for (index, (key, value)) in entries.iter().enumerate() {
                json.push_str(if index > 0 { "," } else { "" });
                json.push_str(key);
                json.push(':');
                write(value, item, values, json)?;
            }
            json.push('}');
        }
    }
    Ok(())
}
