//! Payloads: the evaluated data itself, kept apart from everything that may be shown.

use std::fmt;
use std::sync::Arc;

use crate::{Digest, JsonFault, check_strict};

/// A value that must not reach a log, an error or a screen by accident.
///
/// `Debug` and `Display` say that it is there and nothing of it, not even its length, which helps whoever guesses a
/// password. There is no `Serialize`. Whoever may see the content calls [`Redacted::expose`].
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
        fmt::Display::fmt(self, f)
    }
}

impl<T> fmt::Display for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("[redacted]")
    }
}

/// One payload (an input, reference, output, metadata or rationale): JSON text, byte for byte as it arrived, and the
/// SHA-256 of those bytes. Cheap to clone.
///
/// `Debug` and `Display` show its size alone, and there is no `Serialize`: it gets out where somebody calls one of the
/// methods that begin with `expose`.
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
    ///
    /// # Panics
    ///
    /// Never: every text can be written as JSON, which is UTF-8.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        // Room for the quotes and some escapes.
        let mut json = Vec::with_capacity(text.len() + text.len() / 8 + 8);
        serde_json::to_writer(&mut json, text).expect("a text is written as JSON");
        Self::from_checked(String::from_utf8(json).expect("JSON is UTF-8"))
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
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes)", self.size())
    }
}

#[cfg(test)]
mod tests {
    use std::marker::PhantomData;

    use super::*;
    use crate::{CallError, Environment, EvalItem, EvaluatorOutput, ItemId, Secret, Verdict};

    #[test]
    fn invariant_8_a_payload_shows_only_its_size() {
        let payload = Payload::from_text("the patient's name");
        assert_eq!(
            format!("{payload:?} {payload} {payload:#?}"),
            "Payload(20 bytes) Payload(20 bytes) Payload(20 bytes)"
        );
    }

    #[test]
    fn invariant_8_a_secret_shows_that_it_is_there() {
        let secret = Secret::new("hunter2".to_owned());
        assert_eq!(format!("{secret:?} {secret} {secret:#?}"), "[redacted] [redacted] [redacted]");
        assert_eq!(format!("{:>12}", Redacted::new(7)), "  [redacted]");
    }

    #[test]
    fn invariant_8_what_holds_payloads_and_secrets_shows_none_of_them() {
        let payload = || Payload::from_text("hunter2");
        let item_id = ItemId::new("a").expect("an id");
        let item = EvalItem {
            item_id,
            row: 1,
            input: payload(),
            reference_output: Some(payload()),
            metadata: Some(payload()),
        };
        let output = EvaluatorOutput { metadata: Some(payload()), ..EvaluatorOutput::new(payload()) };
        let verdict = Verdict { rationale: Some(payload()), ..Verdict::unscored() };
        let error = CallError::permanent("code", "message").with_detail(payload());
        let environment = Environment::new([("NAME".to_owned(), "hunter2".to_owned())]);
        let shown = format!("{item:?} {output:?} {verdict:?} {error:?} {error} {environment:?}");
        assert!(shown.contains("Payload(9 bytes)") && shown.contains("NAME"), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    /// Tells whether a type can be serialised: the constant of the type itself, which is there only if it can, goes before
    /// the one of the trait.
    struct Probe<T>(PhantomData<T>);

    trait Otherwise {
        const IS_SERIALIZE: bool = false;
    }

    impl<T> Otherwise for Probe<T> {}

    impl<T: serde::Serialize> Probe<T> {
        const IS_SERIALIZE: bool = true;
    }

    #[test]
    fn invariant_8_nothing_that_holds_a_payload_or_a_secret_can_be_serialised() {
        const { assert!(Probe::<String>::IS_SERIALIZE, "the probe finds nothing") }
        const { assert!(!Probe::<Payload>::IS_SERIALIZE) }
        const { assert!(!Probe::<Secret>::IS_SERIALIZE) }
        const { assert!(!Probe::<Environment>::IS_SERIALIZE) }
        const { assert!(!Probe::<EvalItem>::IS_SERIALIZE) }
        const { assert!(!Probe::<EvaluatorOutput>::IS_SERIALIZE) }
        const { assert!(!Probe::<Verdict>::IS_SERIALIZE) }
        const { assert!(!Probe::<CallError>::IS_SERIALIZE) }
    }

    #[test]
    fn a_payload_keeps_its_bytes_and_its_numbers_to_the_digit() {
        let text = r#"{ "a":1.000000000000000000001,"b" : 12345678901234567890123 }"#;
        let payload = Payload::parse(text).expect("valid JSON");
        assert_eq!(payload.expose(), text);
        assert_eq!(payload.digest(), Digest::of(text.as_bytes()));
    }
}
