//! `eval_fabric.regex`: the output's text matches a regular expression.

use ef_model::{CallError, ConfigProblem, EvalItem, Payload, Score};
use regex::Regex;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::pattern::{self, Options};
use crate::rule::Rule;
use crate::text::text_of;

/// What the output's text must match. The text of an output is the content of a JSON string, and the JSON text of
/// anything else.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// A regular expression in the syntax of the Rust crate `regex`. It has no look-around and no back-references, and
    /// takes time linear in the text.
    #[schemars(length(max = 10_000))]
    pattern: String,
    /// Whether it must match the whole text rather than a part of it.
    #[serde(default)]
    full_match: bool,
    /// Whether upper and lower case are the same.
    #[serde(default)]
    ignore_case: bool,
}

pub(crate) struct RegexMatch {
    regex: Regex,
}

impl Rule for RegexMatch {
    const ID: &'static str = "eval_fabric.regex";
    const VERSION: &'static str = "1.0.0";
    const SUMMARY: &'static str = "True where the output's text matches a regular expression.";
    type Config = Config;

    fn new(config: Config) -> Result<Self, Vec<ConfigProblem>> {
        let options = Options { ignore_case: config.ignore_case, full_match: config.full_match };
        let regex = pattern::compile("/pattern", &config.pattern, options).map_err(|problem| vec![problem])?;
        Ok(Self { regex })
    }

    fn judge(&self, _: &EvalItem, output: &Payload) -> Result<Option<Score>, CallError> {
        Ok(Some(self.regex.is_match(&text_of(output)).into()))
    }
}
