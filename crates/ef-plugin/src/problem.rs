//! What a schema violation is called in words. No message quotes a value: it may come from an environment variable.

use std::collections::BTreeSet;

use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use jsonschema::{JsonType, ValidationError};
use serde_json::{Map, Value};

use ef_model::ConfigProblem;

use crate::nearest::nearest;

/// The pointer of an entry of the map at `pointer`.
pub(crate) fn child(pointer: &str, key: &str) -> String {
    format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// Whether the problem is one of fields and types, which a text that is filled in later cannot mend.
pub(crate) fn is_about_shape(error: &ValidationError<'_>) -> bool {
    match error.kind() {
        Kind::AdditionalProperties { .. }
        | Kind::UnevaluatedProperties { .. }
        | Kind::Required { .. }
        | Kind::Type { .. } => true,
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => expected_of_all(error, context).is_some(),
        _ => false,
    }
}

/// Where the words for a violation come from.
#[derive(Clone, Copy)]
pub(crate) struct Words<'a> {
    pub(crate) schema: &'a Value,
    pub(crate) config: &'a Value,
}

impl<'a> Words<'a> {
    /// The problems that a violation amounts to: mostly one, and one for each unknown field.
    pub(crate) fn describe(self, error: &ValidationError<'_>) -> Vec<ConfigProblem> {
        let (message, hint) = match error.kind() {
            Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
                return unexpected.iter().map(|name| self.unknown_field(error, name)).collect();
            }
            // So says the validator when a schema takes no field at all.
            Kind::FalseSchema if error.schema_path().as_str().ends_with("/additionalProperties") => {
                let fields = self.config.pointer(error.instance_path().as_str()).and_then(Value::as_object);
                return fields.into_iter().flat_map(Map::keys).map(|name| self.unknown_field(error, name)).collect();
            }
            Kind::AnyOf { context } | Kind::OneOfNotValid { context } => match alternatives(error, context) {
                Alternatives::Types(expected) => self.wrong_type(error, &expected),
                Alternatives::Values(values) => not_allowed(&values),
                Alternatives::Best(branch) => return branch.iter().flat_map(|error| self.describe(error)).collect(),
                Alternatives::None => ("fits none of the allowed forms".to_owned(), self.description(error)),
            },
            Kind::Type { kind } => self.wrong_type(error, &expected(kind)),
            Kind::Enum { .. } | Kind::Constant { .. } => not_allowed(&allowed(error)),
            Kind::Required { property } => self.missing_field(error, property.as_str().unwrap_or_default()),
            Kind::Minimum { .. }
            | Kind::Maximum { .. }
            | Kind::ExclusiveMinimum { .. }
            | Kind::ExclusiveMaximum { .. } => ("out of range".to_owned(), self.range(error)),
            kind => (constraint(kind), self.description(error)),
        };
        vec![ConfigProblem { pointer: error.instance_path().as_str().to_owned(), at_key: false, message, hint }]
    }

    fn unknown_field(self, error: &ValidationError<'_>, name: &str) -> ConfigProblem {
        let pointer = error.instance_path().as_str();
        let known: Vec<&str> = self
            .parent(error)
            .and_then(|parent| parent.get("properties")?.as_object())
            .map(|properties| properties.keys().map(String::as_str).collect())
            .unwrap_or_default();
        // A field that is there already is not the one that was meant.
        let present = self.config.pointer(pointer);
        let absent = known.iter().copied().filter(|known| present.is_none_or(|present| present.get(known).is_none()));
        let hint = match nearest(name, absent) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None if known.is_empty() => "it takes no fields".to_owned(),
            None => format!("known fields: {}", known.join(", ")),
        };
        ConfigProblem {
            pointer: child(pointer, name),
            at_key: true,
            message: format!("unknown field `{name}`"),
            hint: Some(hint),
        }
    }

    fn missing_field(self, error: &ValidationError<'_>, name: &str) -> (String, Option<String>) {
        let field = self.parent(error).and_then(|parent| parent.get("properties")?.get(name));
        (format!("the field `{name}` is missing"), field.and_then(summary).map(|text| format!("`{name}`: {text}")))
    }

    fn wrong_type(self, error: &ValidationError<'_>, expected: &BTreeSet<&str>) -> (String, Option<String>) {
        // Leaving an optional field out says the same as null.
        let names: Vec<_> = expected.iter().copied().filter(|name| expected.len() == 1 || *name != "null").collect();
        let found = noun(JsonType::from(error.instance().as_ref()));
        (format!("expected {}, found {found}", names.join(" or ")), self.description(error))
    }

    /// The bounds that stand beside the broken one, in words.
    fn range(self, error: &ValidationError<'_>) -> Option<String> {
        let parent = self.parent(error)?;
        let bound = |key: &str, word: &str| parent.get(key)?.as_f64().map(|limit| format!("{word} {limit}"));
        let low = bound("minimum", "at least").or_else(|| bound("exclusiveMinimum", "above"));
        let high = bound("maximum", "at most").or_else(|| bound("exclusiveMaximum", "below"));
        let bounds: Vec<_> = [low, high].into_iter().flatten().collect();
        Some(format!("allowed: {}", bounds.join(" and ")))
    }

    /// The schema that holds the broken keyword.
    fn parent(self, error: &ValidationError<'_>) -> Option<&'a Value> {
        let path = error.schema_path().as_str();
        self.schema.pointer(path.rsplit_once('/').map_or("", |(parent, _)| parent))
    }

    fn description(self, error: &ValidationError<'_>) -> Option<String> {
        summary(self.parent(error)?)
    }
}

fn not_allowed(values: &[String]) -> (String, Option<String>) {
    ("not one of the allowed values".to_owned(), Some(format!("allowed: {}", values.join(", "))))
}

fn constraint(kind: &Kind) -> String {
    let count = |limit: u64, what: &str| format!("{limit} {what}{}", if limit == 1 { "" } else { "s" });
    match kind {
        Kind::MinLength { limit: 1 } | Kind::MinItems { limit: 1 } | Kind::MinProperties { limit: 1 } => {
            "must not be empty".to_owned()
        }
        Kind::MinLength { limit } => format!("shorter than {}", count(*limit, "character")),
        Kind::MaxLength { limit } => format!("longer than {}", count(*limit, "character")),
        Kind::MinItems { limit } => format!("fewer than {}", count(*limit, "value")),
        Kind::MaxItems { limit } => format!("more than {}", count(*limit, "value")),
        Kind::MinProperties { limit } => format!("fewer than {}", count(*limit, "field")),
        Kind::MaxProperties { limit } => format!("more than {}", count(*limit, "field")),
        Kind::UniqueItems => "the same value twice".to_owned(),
        Kind::MultipleOf { multiple_of } => format!("not a multiple of {multiple_of}"),
        Kind::Pattern { .. } => "not of the required form".to_owned(),
        Kind::Format { format } => format!("not a valid {format}"),
        Kind::FalseSchema => "not allowed here".to_owned(),
        Kind::OneOfMultipleValid { .. } => "fits more than one of the allowed forms".to_owned(),
        other => format!("breaks the schema's `{}`", other.keyword()),
    }
}

/// What `anyOf` or `oneOf` come to when none of them fits.
enum Alternatives<'e> {
    /// Something of another type was expected.
    Types(BTreeSet<&'static str>),
    /// One of these values was expected.
    Values(Vec<String>),
    /// One alternative has the right type, so its complaints are the ones that help.
    Best(&'e [ValidationError<'static>]),
    /// Nothing can be said.
    None,
}

fn alternatives<'e>(error: &ValidationError<'_>, context: &'e [Vec<ValidationError<'static>>]) -> Alternatives<'e> {
    if let Some(types) = expected_of_all(error, context) {
        return Alternatives::Types(types);
    }
    let fitting: Vec<_> = context.iter().filter(|branch| expected_of(error, branch).is_none()).collect();
    let is_list = |error: &ValidationError<'_>| matches!(error.kind(), Kind::Enum { .. } | Kind::Constant { .. });
    if fitting.iter().all(|branch| matches!(branch.as_slice(), [only] if is_list(only))) {
        return Alternatives::Values(fitting.iter().flat_map(|branch| branch.iter().flat_map(allowed)).collect());
    }
    fitting.first().map_or(Alternatives::None, |branch| Alternatives::Best(branch))
}

/// The types that were expected, if every alternative complains of the type.
fn expected_of_all(
    error: &ValidationError<'_>,
    context: &[Vec<ValidationError<'static>>],
) -> Option<BTreeSet<&'static str>> {
    context.iter().try_fold(BTreeSet::new(), |mut types, branch| {
        types.extend(expected_of(error, branch)?);
        Some(types)
    })
}

/// The types that one alternative expected, if it complains of the type of the whole value.
fn expected_of(whole: &ValidationError<'_>, branch: &[ValidationError<'static>]) -> Option<BTreeSet<&'static str>> {
    let path = whole.instance_path().as_str();
    branch.iter().filter(|error| error.instance_path().as_str() == path).find_map(|error| match error.kind() {
        Kind::Type { kind } => Some(expected(kind)),
        Kind::AnyOf { context } | Kind::OneOfNotValid { context } => expected_of_all(error, context),
        _ => None,
    })
}

fn expected(kind: &TypeKind) -> BTreeSet<&'static str> {
    match kind {
        TypeKind::Single(only) => BTreeSet::from([noun(*only)]),
        TypeKind::Multiple(several) => several.iter().map(noun).collect(),
    }
}

const fn noun(kind: JsonType) -> &'static str {
    match kind {
        JsonType::Array => "a list",
        JsonType::Boolean => "true or false",
        JsonType::Integer => "an integer",
        JsonType::Null => "null",
        JsonType::Number => "a number",
        JsonType::Object => "a map",
        JsonType::String => "a string",
    }
}

/// The values that an `enum` or a `const` allows, as JSON. They come from the schema, not from the config.
fn allowed(error: &ValidationError<'_>) -> Vec<String> {
    match error.kind() {
        Kind::Enum { options } => options.as_array().into_iter().flatten().map(Value::to_string).collect(),
        Kind::Constant { expected_value } => vec![expected_value.to_string()],
        _ => Vec::new(),
    }
}

/// The first sentence of a schema's description, on one line.
fn summary(schema: &Value) -> Option<String> {
    let text = schema.get("description")?.as_str()?.split_whitespace().collect::<Vec<_>>().join(" ");
    Some(text.split_once(". ").map_or(text.clone(), |(first, _)| format!("{first}.")))
}
