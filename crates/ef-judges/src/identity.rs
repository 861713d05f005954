//! `eval_fabric.identity`: the output is the score.

use std::collections::{BTreeMap, BTreeSet};

use ef_model::{CallError, ConfigProblem, EvalItem, Finite, Payload, Scalar, Score};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::rule::Rule;
use crate::text::string_of;

/// What an output may be to be a score: a number, true or false, one of `labels`, or a map from names to these; null,
/// and null in a map, is no score. Anything else is an error.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The strings that are scores. Any other string is an error: it would put the output itself into the records.
    #[serde(default)]
    labels: BTreeSet<String>,
}

/// The judge; `Identity` is the name of something else.
pub(crate) struct OutputIsScore {
    labels: BTreeSet<String>,
}

/// The most bytes that a name in an output's map may have.
const MAX_NAME: usize = 64;

impl Rule for OutputIsScore {
    const ID: &'static str = "eval_fabric.identity";
    const VERSION: &'static str = "1.0.0";
    const SUMMARY: &'static str = "Takes the output itself for the score.";
    type Config = Config;

    fn new(config: Config) -> Result<Self, Vec<ConfigProblem>> {
        Ok(Self { labels: config.labels })
    }

    fn judge(&self, _: &EvalItem, output: &Payload) -> Result<Option<Score>, CallError> {
        let json = output.expose().trim_ascii();
        if !json.starts_with('{') {
            return Ok(self.scalar(json)?.map(Score::Scalar));
        }
        let entries: BTreeMap<String, &RawValue> = serde_json::from_str(json).map_err(|_| no_scalar())?;
        let mut scores = BTreeMap::new();
        for (name, value) in entries {
            if !is_name(&name) {
                let message = "a name in the output's map is not 1 to 64 ASCII letters, digits, '_', '-' or '.'";
                return Err(CallError::invalid_output("score_name_invalid", message));
            }
            if let Some(score) = self.scalar(value.get())? {
                scores.insert(name, score);
            }
        }
        Ok((!scores.is_empty()).then_some(Score::Object(scores)))
    }
}

impl OutputIsScore {
    fn scalar(&self, json: &str) -> Result<Option<Scalar>, CallError> {
        match json.as_bytes().first() {
            Some(b'n') => Ok(None),
            Some(b't' | b'f') => Ok(Some(Scalar::Bool(json == "true"))),
            Some(b'"') => match self.labels.get(string_of(json).as_ref()) {
                Some(label) => Ok(Some(Scalar::Label(label.clone()))),
                None => {
                    let message = "the output holds a string that is not among the config's `labels`";
                    Err(CallError::invalid_output("label_unknown", message))
                }
            },
            // The standard library rounds to the nearest double.
            Some(b'-' | b'0'..=b'9') => match json.parse().ok().and_then(Finite::new) {
                Some(number) => Ok(Some(Scalar::Number(number))),
                None => Err(no_scalar()),
            },
            _ => Err(no_scalar()),
        }
    }
}

fn no_scalar() -> CallError {
    let message = "the output is not a number, a truth value, a label or a map from names to these";
    CallError::invalid_output("score_not_scalar", message)
}

/// Names reach the records, so they must not carry text.
fn is_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}
