//! `eval_fabric.json_schema`: the output is valid under a JSON Schema.

use ef_model::{CallError, ConfigProblem, EvalItem, Payload, Score, check_strict};
use jsonschema::error::ValidationErrorKind;
use jsonschema::{Draft, PatternOptions, ReferencingError, ValidationError, Validator};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::pattern::{self, Options, SIZE_LIMIT};
use crate::rule::{Rule, problem};
use crate::text::text_of;

/// What the output must be valid under.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// A JSON Schema, written out: a map, or true or false. `$schema` chooses the draft (4 to 2020-12, which is the
    /// default). Nothing is fetched: `$ref` reaches only what is in the schema itself. Patterns have no look-around and
    /// no back-references, and take time linear in the text.
    #[schemars(with = "MapOrBool")]
    schema: Value,
    /// Whether an output that is a JSON string is parsed, as most models write JSON into a text. A text that is not
    /// JSON, or has the same key twice in a map, scores false. Turn it off to hold strings themselves to the schema.
    #[serde(default = "yes")]
    parse_text: bool,
}

#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "only its JSON Schema is used")]
enum MapOrBool {
    Map(serde_json::Map<String, Value>),
    Bool(bool),
}

fn yes() -> bool {
    true
}

pub(crate) struct JsonSchemaMatch {
    validator: Validator,
    parse_text: bool,
}

impl Rule for JsonSchemaMatch {
    const ID: &'static str = "eval_fabric.json_schema";
    const VERSION: &'static str = "1.0.0";
    const SUMMARY: &'static str = "True where the output is valid under a JSON Schema.";
    type Config = Config;

    fn new(config: Config) -> Result<Self, Vec<ConfigProblem>> {
        if Draft::default().detect(&config.schema) == Draft::Unknown {
            return Err(vec![problem(
                "/schema/$schema",
                "not a draft of JSON Schema that is known here",
                Some(DRAFTS),
            )]);
        }
        let validator = jsonschema::options()
            .offline()
            .with_pattern_options(PatternOptions::regex().size_limit(SIZE_LIMIT).dfa_size_limit(SIZE_LIMIT))
            .build(&config.schema)
            .map_err(|error| vec![refused(&error)])?;
        Ok(Self { validator, parse_text: config.parse_text })
    }

    fn judge(&self, _: &EvalItem, output: &Payload) -> Result<Option<Score>, CallError> {
        let json = output.expose();
        let valid = if self.parse_text && json.trim_ascii_start().starts_with('"') {
            let text = text_of(output);
            check_strict(&text).is_ok() && self.is_valid(&text)
        } else {
            self.is_valid(json)
        };
        Ok(Some(valid.into()))
    }
}

impl JsonSchemaMatch {
    fn is_valid(&self, json: &str) -> bool {
        serde_json::from_str(json).is_ok_and(|value| self.validator.is_valid(&value))
    }
}

const DRAFTS: &str = "such as `https://json-schema.org/draft/2020-12/schema`, or leave it out";

const TYPES: &str = "allowed: array, boolean, integer, null, number, object, string, or a list of these";

fn refused(error: &ValidationError<'_>) -> ConfigProblem {
    let within = error.instance_path().as_str();
    let pointer = format!("/schema{within}");
    match error.kind() {
        ValidationErrorKind::Referencing(ReferencingError::Unretrievable { uri, .. }) => {
            let hint = "put it into the schema itself, say under `$defs`: nothing is fetched";
            problem(pointer, format!("it refers to {uri}, which it does not hold"), Some(hint))
        }
        ValidationErrorKind::Referencing(error) => {
            problem(pointer, format!("a reference in it cannot be followed: {error}"), None)
        }
        ValidationErrorKind::AnyOf { .. } if within.ends_with("/type") => {
            problem(pointer, "not a type that JSON Schema knows", Some(TYPES))
        }
        ValidationErrorKind::Format { format } if format == "regex" => {
            let text = error.instance().as_str().unwrap_or_default();
            let explained = pattern::compile(&pointer, text, Options::default()).err();
            let explained = explained.unwrap_or_else(|| problem(pointer, "not a valid regular expression", None));
            let parent = within.rsplit_once('/').map_or("", |(parent, _)| parent);
            ConfigProblem { at_key: parent.ends_with("/patternProperties"), ..explained }
        }
        _ => problem(pointer, format!("not a valid JSON Schema: {error}"), None),
    }
}
