//! Dotted paths into an item, such as `metadata.answers.0.text`.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use ef_model::{CallError, ConfigProblem, EvalItem, Payload};

/// A field of an item, and the way into its JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldPath {
    text: String,
    field: Field,
    /// What follows the field's name and its dot.
    inside: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Metadata,
    Input,
    ReferenceOutput,
}

impl FieldPath {
    /// The rule that [`FieldPath::parse`] checks, as a regular expression for the config's schema.
    pub(crate) const PATTERN: &'static str = r"^(metadata|input|reference_output)(\.[\s\S]+)?$";

    /// Reads a path.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (name, inside) = match text.split_once('.') {
            Some((_, "")) => return None,
            Some((name, inside)) => (name, Some(inside.to_owned())),
            None => (text, None),
        };
        let field = match name {
            "metadata" => Field::Metadata,
            "input" => Field::Input,
            "reference_output" => Field::ReferenceOutput,
            _ => return None,
        };
        Some(Self { text: text.to_owned(), field, inside })
    }

    /// Reads a path that stands in a config, at this pointer.
    pub(crate) fn of_config(pointer: &str, text: &str) -> Result<Self, ConfigProblem> {
        Self::parse(text).ok_or_else(|| {
            let hint = "such as `metadata.answer` or `metadata.answers.0.text`";
            let message = "not a path that begins with `metadata`, `input` or `reference_output`";
            crate::factory::problem(pointer, message, Some(hint))
        })
    }

    /// The JSON at the path, byte for byte. That there is nothing, or `null`, is an error that names the path.
    pub(crate) fn look_up(&self, item: &EvalItem) -> Result<Payload, CallError> {
        self.find(item)
            .ok_or_else(|| CallError::permanent("field_missing", format!("the item has nothing at `{}`", self.text)))
    }

    /// The JSON at the path, byte for byte; `None` where there is nothing or `null`.
    pub(crate) fn find(&self, item: &EvalItem) -> Option<Payload> {
        let payload = match self.field {
            Field::Metadata => item.metadata.as_ref()?,
            Field::Input => &item.input,
            Field::ReferenceOutput => item.reference_output.as_ref()?,
        };
        let Some(inside) = &self.inside else {
            return (payload.expose().trim() != "null").then(|| payload.clone());
        };
        let found = find_inside(payload.expose(), inside)?;
        // A part of a strict JSON text is strict JSON.
        (found != "null").then(|| Payload::from_checked(found))
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Walks down a JSON text without parsing what is beside the way.
fn find_inside<'j>(json: &'j str, path: &str) -> Option<&'j str> {
    let (mut json, mut rest) = (json, Some(path));
    while let Some(path) = rest {
        let (value, length) = serde_json::Deserializer::from_str(json).deserialize_any(Step { path }).ok()??;
        json = value.get();
        rest = path[length..].strip_prefix('.');
    }
    Some(json)
}

/// One step down a path: the value that its next part leads to, and that part's length.
struct Step<'p> {
    path: &'p str,
}

impl<'j> Visitor<'j> for Step<'_> {
    type Value = Option<(&'j RawValue, usize)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array")
    }

    /// Takes the longest key that the path begins with: keys may hold dots themselves.
    fn visit_map<A: MapAccess<'j>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let mut found: Self::Value = None;
        while let Some(length) = entries.next_key_seed(KeyLength { path: self.path })? {
            match length {
                Some(length) if found.is_none_or(|(_, longest)| length > longest) => {
                    found = Some((entries.next_value()?, length));
                }
                _ => {
                    entries.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'j>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let part = self.path.split('.').next().unwrap_or_default();
        let is_index = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        let index: Option<usize> = is_index.then(|| part.parse().ok()).flatten();
        let mut found = None;
        for at in 0.. {
            if Some(at) == index {
                let Some(value) = elements.next_element()? else { break };
                found = Some((value, part.len()));
            } else if elements.next_element::<IgnoredAny>()?.is_none() {
                break;
            }
        }
        Ok(found)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// The length of a key that the path begins with, whole parts only.
struct KeyLength<'p> {
    path: &'p str,
}

impl<'j> DeserializeSeed<'j> for KeyLength<'_> {
    type Value = Option<usize>;

    fn deserialize<D: Deserializer<'j>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeyLength<'_> {
    type Value = Option<usize>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        let rest = self.path.strip_prefix(key);
        Ok(rest.filter(|rest| rest.is_empty() || rest.starts_with('.')).map(|_| key.len()))
    }
}
