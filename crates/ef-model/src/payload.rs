//! Payloads: the evaluated data itself, kept apart from everything that may be shown.

use std::fmt;
use std::sync::Arc;

use crate::{Digest, JsonFault, check_strict};

/// A value that must not reach a log, an error or a screen by accident.
///
/// `Debug` shows only that it is there; there is no `Display` and no `Serialize`. Whoever may see the content calls
/// [`Redacted::expose`].
#[derive(Clone, PartialEq, Eq)]
pub struct Redacted<T>(T);

impl<T> Redacted<T> {
    /// Wraps a value.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The value, for a component that may see it.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[redacted]")
    }
}

/// One payload (an input, reference, output, metadata or rationale): JSON text, byte for byte as it arrived, and the
/// SHA-256 of those bytes. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Payload {
    text: Redacted<Arc<str>>,
    digest: Digest,
}

impl Payload {
    /// Takes a JSON text from outside.
    ///
    /// # Errors
    ///
    /// When it is not strict JSON: see [`check_strict`].
    pub fn parse(text: impl Into<Arc<str>>) -> Result<Self, JsonFault> {
        let text = text.into();
        check_strict(&text)?;
        Ok(Self::from_checked(text))
    }

    /// Takes a JSON text that already went through [`check_strict`], alone or as part of a larger text.
    #[must_use]
    pub fn from_checked(text: impl Into<Arc<str>>) -> Self {
        let text = text.into();
        Self { digest: Digest::of(text.as_bytes()), text: Redacted::new(text) }
    }

    /// The payload whose JSON text is this value's.
    #[must_use]
    pub fn from_value(value: &serde_json::Value) -> Self {
        Self::from_checked(value.to_string())
    }

    /// The payload that holds this text as a JSON string.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        Self::from_checked(serde_json::Value::from(text).to_string())
    }

    /// The JSON text, for a store, an evaluator or a judge.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.text.expose()
    }

    /// The JSON text, shared with the payload, for a store.
    #[must_use]
    pub fn expose_shared(&self) -> Arc<str> {
        Arc::clone(self.text.expose())
    }

    /// The parsed JSON, for an evaluator or a judge.
    ///
    /// # Panics
    ///
    /// Never: a payload is strict JSON from its making on.
    #[must_use]
    pub fn expose_value(&self) -> serde_json::Value {
        serde_json::from_str(self.text.expose()).expect("a payload is valid JSON")
    }

    /// SHA-256 of the text's bytes.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The text's length in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.text.expose().len()
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes)", self.size())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invariant_8_a_payload_shows_only_its_size() {
        let payload = Payload::from_text("the patient's name");
        assert_eq!(format!("{payload:?}"), "Payload(20 bytes)");
        assert_eq!(format!("{:?}", Redacted::new("key")), "[redacted]");
    }

    #[test]
    fn a_payload_keeps_its_bytes_and_its_numbers_to_the_digit() {
        let text = r#"{ "a":1.000000000000000000001,"b" : 12345678901234567890123 }"#;
        let payload = Payload::parse(text).expect("valid JSON");
        assert_eq!(payload.expose(), text);
        assert_eq!(payload.digest(), Digest::of(text.as_bytes()));
    }
}
