//! `eval_fabric.contains`: the output's text contains what is expected.

use ef_model::{CallError, ConfigProblem, EvalItem, Payload, Score};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::rule::{Rule, problem, reference};
use crate::text::text_of;

/// What must be in the output's text. The text of an output is the content of a JSON string, and the JSON text of
/// anything else.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// A string or several, none of them empty. Without it, each item's reference: a list of strings counts as several.
    #[serde(default)]
    expected: Option<OneOrMore>,
    /// Whether all of several strings must be there, or any of them.
    #[serde(default)]
    mode: Mode,
    /// Whether upper and lower case are the same.
    #[serde(default)]
    ignore_case: bool,
}

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum OneOrMore {
    One(#[schemars(length(min = 1))] String),
    More(#[schemars(length(min = 1), inner(length(min = 1)))] Vec<String>),
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Mode {
    /// All of them.
    #[default]
    All,
    /// At least one of them.
    Any,
}

pub(crate) struct Contains {
    expected: Option<Vec<String>>,
    mode: Mode,
    ignore_case: bool,
}

impl Rule for Contains {
    const ID: &'static str = "eval_fabric.contains";
    const VERSION: &'static str = "1.0.0";
    const SUMMARY: &'static str = "True where the output's text contains the expected strings.";
    type Config = Config;

    fn new(config: Config) -> Result<Self, Vec<ConfigProblem>> {
        let expected = config.expected.map(|expected| match expected {
            OneOrMore::One(text) => vec![text],
            OneOrMore::More(texts) => texts,
        });
        if expected.as_ref().is_some_and(|texts| has_nothing_to_find(texts)) {
            return Err(vec![problem("/expected", "must not be empty: every text contains the empty one", None)]);
        }
        let (mode, ignore_case) = (config.mode, config.ignore_case);
        let expected = expected.map(|texts| texts.into_iter().map(|text| folded(text, ignore_case)).collect());
        Ok(Self { expected, mode, ignore_case })
    }

    fn judge(&self, item: &EvalItem, output: &Payload) -> Result<Option<Score>, CallError> {
        let of_reference;
        let expected = match &self.expected {
            Some(expected) => expected,
            None => {
                of_reference = self.expected_by(reference(item)?)?;
                &of_reference
            }
        };
        let text = folded(text_of(output), self.ignore_case);
        let text: &str = text.as_ref();
        let is_there = |expected: &String| text.contains(expected.as_str());
        let holds = match self.mode {
            Mode::All => expected.iter().all(is_there),
            Mode::Any => expected.iter().any(is_there),
        };
        Ok(Some(holds.into()))
    }
}

impl Contains {
    fn expected_by(&self, reference: &Payload) -> Result<Vec<String>, CallError> {
        let list = reference.expose().trim_ascii_start().starts_with('[');
        let several = list.then(|| serde_json::from_str::<Vec<String>>(reference.expose()).ok()).flatten();
        let expected = several.unwrap_or_else(|| vec![text_of(reference).into_owned()]);
        if has_nothing_to_find(&expected) {
            let message = "the item's reference is empty, and every text contains the empty one";
            return Err(CallError::permanent("reference_empty", message));
        }
        Ok(expected.into_iter().map(|text| folded(text, self.ignore_case)).collect())
    }
}

fn has_nothing_to_find(texts: &[String]) -> bool {
    texts.is_empty() || texts.iter().any(String::is_empty)
}

/// The text in the case in which it is compared.
fn folded<T: AsRef<str> + From<String>>(text: T, ignore_case: bool) -> T {
    if ignore_case { T::from(text.as_ref().to_lowercase()) } else { text }
}
