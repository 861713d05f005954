//! `eval_fabric.exact_match`: the output equals the reference.

use ef_model::{CallError, ConfigProblem, EvalItem, Payload, Score};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::equality::Equality;
use crate::rule::{Rule, reference};

/// What counts as equal. Outputs and references are compared as JSON values: numbers by their exact value, so that 1,
/// 1.0 and 1e0 are equal and 9007199254740993 is not 9007199254740992; maps in any order of their keys; a string is
/// never equal to a number.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// What every output is compared with, any JSON value. Without it, each item's reference.
    #[serde(default, deserialize_with = "present")]
    #[schemars(with = "Value")]
    expected: Option<Value>,
    /// Whether upper and lower case are the same, in strings but not in the keys of maps.
    #[serde(default)]
    ignore_case: bool,
    /// Whether whitespace at both ends of strings is ignored.
    #[serde(default)]
    trim: bool,
}

/// Reads a field that is there, be it null.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(deserializer).map(Some)
}

pub(crate) struct ExactMatch {
    expected: Option<Payload>,
    equality: Equality,
}

impl Rule for ExactMatch {
    const ID: &'static str = "eval_fabric.exact_match";
    const VERSION: &'static str = "1.0.0";
    const SUMMARY: &'static str = "True where the output equals the reference as a JSON value.";
    type Config = Config;

    fn new(config: Config) -> Result<Self, Vec<ConfigProblem>> {
        let equality = Equality { ignore_case: config.ignore_case, trim: config.trim };
        Ok(Self { expected: config.expected.as_ref().map(Payload::from_value), equality })
    }

    fn judge(&self, item: &EvalItem, output: &Payload) -> Result<Option<Score>, CallError> {
        let expected = self.expected.as_ref().map_or_else(|| reference(item), Ok)?;
        let equal = output.digest() == expected.digest() || self.equality.of(output.expose(), expected.expose());
        Ok(Some(equal.into()))
    }
}
