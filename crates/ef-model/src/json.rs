//! Strict JSON: what may become a payload.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// Why a text is not strict JSON, and where. It never quotes the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at line {line}, column {column}")]
pub struct JsonFault {
    /// What is wrong.
    pub kind: JsonFaultKind,
    /// Line in the text, from 1.
    pub line: usize,
    /// Column in the line, in bytes, from 1.
    pub column: usize,
}

/// The ways in which a text is not strict JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonFaultKind {
    /// Not JSON at all, or a number out of a double's range, or an invalid Unicode escape, or too deep.
    Syntax,
    /// The text ends early.
    Incomplete,
    /// An object has the same key twice: which of the two counts would be a guess.
    DuplicateKey,
}

impl fmt::Display for JsonFaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Syntax => "invalid JSON",
            Self::Incomplete => "JSON that ends early",
            Self::DuplicateKey => "JSON object with the same key twice",
        })
    }
}

/// Checks that a text is one JSON value of at most 128 levels, with valid Unicode, no number outside a double's range
/// and no object that has a key twice.
///
/// # Errors
///
/// The first fault, with its place.
pub fn check_strict(text: &str) -> Result<(), JsonFault> {
    let duplicate = Cell::new(false);
    let mut deserializer = serde_json::Deserializer::from_str(text);
    Strict { duplicate: &duplicate }.deserialize(&mut deserializer).and_then(|()| deserializer.end()).map_err(|error| {
        JsonFault {
            kind: if duplicate.get() {
                JsonFaultKind::DuplicateKey
            } else if error.is_eof() {
                JsonFaultKind::Incomplete
            } else {
                JsonFaultKind::Syntax
            },
            line: error.line(),
            column: error.column(),
        }
    })
}

#[derive(Clone, Copy)]
struct Strict<'c> {
    duplicate: &'c Cell<bool>,
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<(), A::Error> {
        while elements.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let mut keys = Keys::default();
        while let Some(key) = entries.next_key_seed(Key)? {
            if !keys.insert(key) {
                self.duplicate.set(true);
                return Err(A::Error::custom("duplicate key"));
            }
            entries.next_value_seed(self)?;
        }
        Ok(())
    }
}

/// The keys of one object: a short list while it is short.
#[derive(Default)]
struct Keys<'de> {
    few: Vec<Cow<'de, str>>,
    many: std::collections::HashSet<Cow<'de, str>>,
}

impl<'de> Keys<'de> {
    const FEW: usize = 16;

    /// Whether the key is new.
    fn insert(&mut self, key: Cow<'de, str>) -> bool {
        if self.many.is_empty() {
            if self.few.contains(&key) {
                return false;
            }
            self.few.push(key);
            if self.few.len() > Self::FEW {
                self.many.extend(self.few.drain(..));
            }
            true
        } else {
            self.many.insert(key)
        }
    }
}

/// An object's key, borrowed where it has no escapes.
struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(key.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn fault(text: &str) -> Option<JsonFaultKind> {
        check_strict(text).err().map(|fault| fault.kind)
    }

    #[test]
    fn what_cannot_be_kept_unambiguously_is_refused() {
        assert_eq!(fault(r#"{"a": 1, "b": {"a": 2}}"#), None);
        assert_eq!(fault(r#"{"a": 1, "a": 1}"#), Some(JsonFaultKind::DuplicateKey));
        assert_eq!(fault(r#"{"a": 1, "\u0061": 1}"#), Some(JsonFaultKind::DuplicateKey));
        assert_eq!(fault(r#"[{"a": [{"b": 1, "b": 2}]}]"#), Some(JsonFaultKind::DuplicateKey));
        assert_eq!(fault(r#""\ud800""#), Some(JsonFaultKind::Syntax));
        assert_eq!(fault("1e400"), Some(JsonFaultKind::Syntax));
        assert_eq!(fault("NaN"), Some(JsonFaultKind::Syntax));
        assert_eq!(fault("1 2"), Some(JsonFaultKind::Syntax));
        assert_eq!(fault("[1, "), Some(JsonFaultKind::Incomplete));
        assert_eq!(fault(""), Some(JsonFaultKind::Incomplete));
        assert_eq!(fault(&"[".repeat(100_000)), Some(JsonFaultKind::Syntax));
    }

    #[test]
    fn a_duplicate_among_many_keys_is_found() {
        let mut text: String = (0..100).map(|key| format!("\"k{key}\": {key},")).collect();
        text = format!("{{{text}\"k40\": 0}}");
        assert_eq!(fault(&text), Some(JsonFaultKind::DuplicateKey));
    }

    proptest! {
        #[test]
        fn no_text_panics_and_serde_json_agrees_on_what_is_json(text in "[\\[\\]{}:,\"a0-9eE+.\\\\u -]{0,40}") {
            if check_strict(&text).is_ok() {
                prop_assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
            }
        }
    }
}
