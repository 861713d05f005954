//! A prompt of one's own: a template whose values are data, whatever it does with them.

use std::collections::BTreeSet;

use ef_client::prompt::TemplateError;
use ef_model::{CallError, ConfigProblem};
use minijinja::value::{Serde, ValueKind};
use minijinja::{AutoEscape, Environment, ErrorKind, UndefinedBehavior, escape_formatter};
use serde_json::Value;

use super::fence::Piece;
use crate::rule::problem;

/// A template that was checked, and prints each value between two marks.
pub(crate) struct Template {
    environment: Environment<'static>,
    source: String,
}

const NAME: &str = "template";

/// What a template may be about.
const VARIABLES: [&str; 6] = ["input", "item_id", "metadata", "output", "output_metadata", "reference_output"];

/// The marks round what is printed: characters that Unicode keeps for the inside of programs. Data loses them.
const BEGIN: char = '\u{FDD0}';
const END: char = '\u{FDD1}';

/// The most work that one rendering may do: about 64 MiB of text, or a million steps.
const FUEL: u64 = 1_000_000;

impl Template {
    /// Checks a template: its syntax, and that it is about the output and about nothing that there is not.
    pub(crate) fn compile(source: &str, has_reference: bool) -> Result<Self, Vec<ConfigProblem>> {
        let refused = |message: String, hint: &str| vec![problem("/template", message, Some(hint))];
        if source.contains([BEGIN, END]) {
            return Err(refused("it holds U+FDD0 or U+FDD1, which are no characters".to_owned(), "remove them"));
        }
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        environment.set_auto_escape_callback(|_| AutoEscape::None);
        environment.set_fuel(Some(FUEL));
        // Its errors would quote values.
        environment.set_debug(false);
        environment.set_formatter(|out, state, value| match value.kind() {
            ValueKind::Undefined | ValueKind::Number | ValueKind::Bool => escape_formatter(out, state, value),
            _ => {
                let json;
                let text = match value.as_str() {
                    Some(text) => text,
                    None => {
                        json = serde_json::to_string(value)
                            .map_err(|_| minijinja::Error::from(ErrorKind::BadSerialization))?;
                        json.as_str()
                    }
                };
                write!(out, "{BEGIN}{}{END}", text.replace([BEGIN, END], ""))
                    .map_err(|_| minijinja::Error::from(ErrorKind::WriteFailure))
            }
        });
        environment.add_template_owned(NAME, source.to_owned()).map_err(|error| {
            let detail = error.detail().map_or_else(String::new, |detail| format!(": {detail}"));
            let error = TemplateError { line: error.line(), message: format!("{}{detail}", error.kind()) };
            refused(error.to_string(), "the language is Jinja's: `{{ output }}`, `{% if … %}`")
        })?;
        let template = Self { environment, source: source.to_owned() };
        template.check_names()?;
        template.check_variables(has_reference)?;
        Ok(template)
    }

    /// Filters, tests and functions are looked up when they are used: once now, with values that say nothing, so that one
    /// that there is not is found before anything runs, unless the template uses it only in special cases.
    fn check_names(&self) -> Result<(), Vec<ConfigProblem>> {
        let values: serde_json::Map<_, _> =
            VARIABLES.iter().map(|name| ((*name).to_owned(), Value::from(""))).collect();
        let Ok(template) = self.environment.get_template(NAME) else { return Ok(()) };
        let Err(error) = template.render(minijinja::Value::from(Serde(&values))) else { return Ok(()) };
        match error.kind() {
            ErrorKind::UnknownFilter | ErrorKind::UnknownTest | ErrorKind::UnknownFunction => {
                let hint = "filters, tests and functions are those of Jinja: `upper`, `tojson`, `is defined`, `range`";
                Err(vec![problem("/template", self.told(&error).to_string(), Some(hint))])
            }
            _ => Ok(()),
        }
    }

    fn check_variables(&self, has_reference: bool) -> Result<(), Vec<ConfigProblem>> {
        let used = match self.environment.get_template(NAME) {
            Ok(template) => template.undeclared_variables(false),
            Err(_) => return Ok(()),
        };
        let used: BTreeSet<_> = used.iter().map(String::as_str).collect();
        let globals: BTreeSet<_> = self.environment.globals().map(|(name, _)| name).collect();
        let mut problems = Vec::new();
        for name in used.iter().filter(|name| !VARIABLES.contains(name) && !globals.contains(*name)) {
            let hint = format!("there are {}", VARIABLES.join(", "));
            problems.push(problem("/template", format!("there is no `{name}`"), Some(&hint)));
        }
        if !has_reference && used.contains("reference_output") {
            let hint = "leave `reference: none` out, or the reference";
            problems.push(problem("/template", "it shows the reference, which the judge is not to see", Some(hint)));
        }
        if !used.contains("output") && !used.contains("output_metadata") {
            let hint = "put `{{ output }}` where the output belongs";
            problems.push(problem("/template", "it does not show the output that is to be judged", Some(hint)));
        }
        if problems.is_empty() { Ok(()) } else { Err(problems) }
    }

    /// The template's own text.
    pub(crate) fn source(&self) -> &str {
        &self.source
    }

    /// The template filled in: its own words, and the data in it.
    pub(crate) fn fill(&self, values: &Value) -> Result<Vec<Piece<'static>>, CallError> {
        self.render(values).map(|marked| pieces(&marked)).map_err(|error| {
            CallError::permanent(
                "template_unfilled",
                format!("the template cannot be filled in for this item: {error}"),
            )
        })
    }

    fn render(&self, values: &Value) -> Result<String, TemplateError> {
        let template = self.environment.get_template(NAME).map_err(|error| self.told(&error))?;
        template.render(minijinja::Value::from(Serde(values))).map_err(|error| self.told(&error))
    }

    /// An error in words that show the template, never a value.
    fn told(&self, error: &minijinja::Error) -> TemplateError {
        let excerpt = error.range().and_then(|range| self.source.get(range)).unwrap_or_default().trim();
        let message = match error.kind() {
            ErrorKind::UndefinedError => format!("`{excerpt}` is not there"),
            kind => format!("{kind} in `{excerpt}`"),
        };
        TemplateError { line: error.line(), message }
    }
}

/// Takes a marked text apart. The marks stand only where a value was printed, and there in pairs, one pair never inside
/// another: a printed value has none.
fn pieces(marked: &str) -> Vec<Piece<'static>> {
    let mut pieces = Vec::new();
    for (index, part) in marked.split(BEGIN).enumerate() {
        let words = match part.split_once(END) {
            Some((data, words)) if index > 0 => {
                pieces.push(Piece::Data("data", data.to_owned().into()));
                words
            }
            _ => part,
        };
        if !words.is_empty() {
            pieces.push(Piece::Words(words.to_owned().into()));
        }
    }
    pieces
}
