//! `eval_fabric.numeric_match`: the number in the output is the one in the reference.
//!
//! A number is found in two steps. `pattern` selects a part of the text: what its first group that took part matched,
//! or else the whole match; of several matches the last (`take`). In that part the last number (`take` again) counts;
//! where it has none, the text has none. See [`crate::number`] for what a number is.

use ef_model::{CallError, ConfigProblem, EvalItem, Payload, Score};
use regex::Regex;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::decimal::Decimal;
use crate::number::{self, Take};
use crate::pattern::{self, Options};
use crate::rule::{Rule, problem, reference};
use crate::text::text_of;

/// Where the numbers are and how near they must be. A number may have thousands separators (`1,234,567`) and a power
/// of ten (`6.02e23`); a currency sign, a full stop or `%` beside it is ignored. Numbers are compared as decimals,
/// exactly. An output without a number scores false; a reference without one is an error.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// A regular expression that selects the part of the text where the number is, such as `A:(.*)`. Its first group
    /// counts, or the whole match where it has none. Without it, the whole text.
    #[serde(default)]
    #[schemars(length(max = 10_000))]
    pattern: Option<String>,
    /// The same for the reference; by default `pattern`.
    #[serde(default)]
    #[schemars(length(max = 10_000))]
    reference_pattern: Option<String>,
    /// Which match, and which number in it, where there are several.
    #[serde(default)]
    take: Take,
    /// The number that every output is compared with. Without it, the one in each item's reference.
    #[serde(default)]
    expected: Option<serde_json::Number>,
    /// How far the number may be from the expected one.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    tolerance: f64,
    /// The same as a share of the expected number's size. Being within either tolerance is enough.
    #[serde(default)]
    #[schemars(range(min = 0.0))]
    relative_tolerance: f64,
}

pub(crate) struct NumericMatch {
    output: Extraction,
    expected: Expected,
    tolerance: Decimal,
    relative_tolerance: Decimal,
}

enum Expected {
    Number(Decimal),
    OfReference(Extraction),
}

/// How a text's number is found.
#[derive(Clone)]
struct Extraction {
    pattern: Option<Regex>,
    take: Take,
}

impl Extraction {
    fn number_in(&self, payload: &Payload) -> Option<Decimal> {
        let text = text_of(payload);
        let Some(pattern) = &self.pattern else { return number::find(&text, self.take) };
        let captures = self.take.from(pattern.captures_iter(&text))?;
        let part = captures.iter().skip(1).flatten().next().or_else(|| captures.get(0))?;
        number::find(part.as_str(), self.take)
    }
}

impl Rule for NumericMatch {
    const ID: &'static str = "eval_fabric.numeric_match";
    const VERSION: &'static str = "1.0.0";
    const SUMMARY: &'static str = "True where the number in the output is the one in the reference.";
    type Config = Config;

    fn new(config: Config) -> Result<Self, Vec<ConfigProblem>> {
        let mut problems = Vec::new();
        let mut compile = |pointer: &str, pattern: Option<&str>| {
            let compiled = pattern.map(|pattern| pattern::compile(pointer, pattern, Options::default())).transpose();
            compiled.unwrap_or_else(|problem| {
                problems.push(problem);
                None
            })
        };
        let output = Extraction { pattern: compile("/pattern", config.pattern.as_deref()), take: config.take };
        let reference = match compile("/reference_pattern", config.reference_pattern.as_deref()) {
            None => output.clone(),
            pattern => Extraction { pattern, take: config.take },
        };
        let mut bound = |pointer: &str, value: f64| {
            Decimal::from_f64(value).filter(|_| value >= 0.0).unwrap_or_else(|| {
                problems.push(problem(pointer, "out of range", Some("allowed: at least 0")));
                Decimal::ZERO
            })
        };
        let tolerance = bound("/tolerance", config.tolerance);
        let relative_tolerance = bound("/relative_tolerance", config.relative_tolerance);
        let expected = match config.expected {
            None => Expected::OfReference(reference),
            Some(number) => Expected::Number(Decimal::parse(&number.to_string()).unwrap_or(Decimal::ZERO)),
        };
        if problems.is_empty() { Ok(Self { output, expected, tolerance, relative_tolerance }) } else { Err(problems) }
    }

    fn judge(&self, item: &EvalItem, output: &Payload) -> Result<Option<Score>, CallError> {
        let of_reference;
        let expected = match &self.expected {
            Expected::Number(number) => number,
            Expected::OfReference(extraction) => {
                of_reference = extraction.number_in(reference(item)?).ok_or_else(|| {
                    let message = "there is no number in the item's reference, or not where the pattern looks for it";
                    CallError::permanent("reference_without_number", message)
                })?;
                &of_reference
            }
        };
        let number = self.output.number_in(output);
        let near = number.is_some_and(|number| number.is_near(expected, &self.tolerance, &self.relative_tolerance));
        Ok(Some(near.into()))
    }
}
