//! Prompt templates.
//!
//! The language is that of Jinja: `{{ input }}`, `{{ metadata.topic }}`, `{% for … %}`, filters such as `tojson`. A variable
//! that is not there is an error, never an empty text.

use std::fmt;
use std::io;

use ef_model::{Digest, EvalItem, EvaluatorOutput, Payload};
use minijinja::{Environment, ErrorKind, UndefinedBehavior};
use serde_json::{Map, Value};

/// A template, checked when it was made.
pub struct Template {
    /// It holds the one template, under [`NAME`].
    environment: Environment<'static>,
    text: String,
    digest: Digest,
}

const NAME: &str = "prompt";

/// The most work that one rendering may do: about 64 MiB of text, or a million steps.
const FUEL: u64 = 1_000_000;

/// The most bytes that a rendered template may have.
const MOST_BYTES: usize = 16 << 20;

impl Template {
    /// Checks a template.
    ///
    /// # Errors
    ///
    /// When it is not one, with the line.
    pub fn compile(text: &str) -> Result<Self, TemplateError> {
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        // A prompt is sent as it is written, to its last line break.
        let syntax = environment.syntax().to_builder().keep_trailing_newline(true).build();
        environment.set_syntax(syntax.expect("the usual delimiters fit together"));
        environment.set_fuel(Some(FUEL));
        // Its errors would quote values.
        environment.set_debug(false);
        environment
            .add_template_owned(NAME, text.to_owned())
            .map_err(|error| TemplateError::of(&error, text, |error| error.detail().map(str::to_owned)))?;
        check_names(&mut environment, text)?;
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        Ok(Self { environment, text: text.to_owned(), digest: Digest::of(text.as_bytes()) })
    }

    /// Fills the template in.
    ///
    /// # Errors
    ///
    /// When it names what is not among the values, does with one what its kind does not allow, or grows out of bounds: 16 MiB
    /// of text, or about a million steps. The error shows the place and the template's own text, never a value.
    pub fn render(&self, values: &Value) -> Result<String, TemplateError> {
        let template =
            self.environment.get_template(NAME).map_err(|error| TemplateError::of(&error, &self.text, |_| None))?;
        let mut output = Bounded::default();
        let values = minijinja::Value::from(minijinja::value::Serde(values));
        if let Err(error) = template.render_captured_to(values, &mut output) {
            return Err(TemplateError::of(&error, &self.text, |_| None));
        }
        String::from_utf8(output.bytes)
            .map_err(|_| TemplateError { line: None, message: "no text comes of it".to_owned() })
    }

    /// SHA-256 of the template's text.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }
}

/// Fills the template in without any values, to find filters, tests and functions that do not exist before the first item
/// does. Those behind a condition that only values fulfil are found then.
fn check_names(environment: &mut Environment<'static>, text: &str) -> Result<(), TemplateError> {
    environment.set_undefined_behavior(UndefinedBehavior::Chainable);
    let trial = environment.get_template(NAME).and_then(|template| template.render(()).map(drop));
    match trial {
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::UnknownFilter | ErrorKind::UnknownTest | ErrorKind::UnknownFunction
            ) =>
        {
            Err(TemplateError::of(&error, text, |_| None))
        }
        _ => Ok(()),
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template").field("digest", &self.digest).finish_non_exhaustive()
    }
}

/// Takes what is rendered, up to the limit.
#[derive(Default)]
struct Bounded {
    bytes: Vec<u8>,
}

impl io::Write for Bounded {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + piece.len() > MOST_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.bytes.extend_from_slice(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Why a template cannot be made or filled in. It quotes the template, never a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}{}", .line.map_or_else(String::new, |line| format!(" (line {line})")))]
pub struct TemplateError {
    /// The line in the template, from 1, where it is known.
    pub line: Option<usize>,
    /// What is wrong.
    pub message: String,
}

impl TemplateError {
    fn of(error: &minijinja::Error, text: &str, detail: impl Fn(&minijinja::Error) -> Option<String>) -> Self {
        let place =
            error.range().and_then(|range| expression(text, range)).map(excerpt).filter(|place| !place.is_empty());
        let quoted = place.map_or_else(String::new, |place| format!(" `{place}`"));
        let message = match error.kind() {
            ErrorKind::UndefinedError => {
                format!("there is no{}", if quoted.is_empty() { " such variable" } else { &quoted })
            }
            ErrorKind::OutOfFuel => "filling it in takes too much work".to_owned(),
            ErrorKind::UnknownFilter => format!("there is no filter{quoted}"),
            ErrorKind::UnknownTest => format!("there is no test{quoted}"),
            ErrorKind::UnknownFunction => format!("there is no function{quoted}"),
            ErrorKind::WriteFailure => format!("the text grows larger than {MOST_BYTES} bytes"),
            kind => match detail(error) {
                Some(detail) => format!("{kind}: {detail}"),
                None => format!("{kind}{}", if quoted.is_empty() { String::new() } else { format!(" in{quoted}") }),
            },
        };
        Self { line: error.line(), message }
    }
}

/// What is in that range, with the names before it that it belongs to: of `a.b.c` the engine may mean `.c` alone.
fn expression(text: &str, range: std::ops::Range<usize>) -> Option<&str> {
    let is_of_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.');
    let before = text.get(..range.start)?;
    let start = if text.get(range.clone())?.starts_with(['.', '[']) {
        before.trim_end_matches(is_of_name).len()
    } else {
        range.start
    };
    text.get(start..range.end)
}

/// The beginning of a piece of a template, in one line.
fn excerpt(text: &str) -> String {
    const LONGEST: usize = 80;
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(LONGEST).collect()
}

/// The values that a template sees of an item: `item_id`, `input`, `reference_output` and `metadata`, and for judges `output`
/// and `output_metadata`. What the item or the output does not have is not defined.
#[must_use]
pub fn values(item: &EvalItem, output: Option<&EvaluatorOutput>) -> Value {
    let payloads = [
        ("input", Some(&item.input)),
        ("reference_output", item.reference_output.as_ref()),
        ("metadata", item.metadata.as_ref()),
        ("output", output.map(|output| &output.output)),
        ("output_metadata", output.and_then(|output| output.metadata.as_ref())),
    ];
    let mut values: Map<String, Value> = payloads
        .into_iter()
        .filter_map(|(name, payload)| Some((name.to_owned(), payload.map(Payload::expose_value)?)))
        .collect();
    values.insert("item_id".to_owned(), item.item_id.as_str().into());
    Value::Object(values)
}
