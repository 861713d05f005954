//! The outermost level of an answer: of all that a server sends with it, only what somebody asks for is looked at.

use serde::Deserialize;
use serde_json::value::RawValue;

/// The parts of an answer, each as the JSON that it came as. A part that is null is absent.
#[derive(Deserialize)]
pub(super) struct Envelope<'a> {
    #[serde(borrow, default)]
    pub(super) error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) model: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) usage: Option<&'a RawValue>,
    /// OpenAI's.
    #[serde(borrow, default)]
    pub(super) choices: Option<&'a RawValue>,
    /// Anthropic's, as are those that follow.
    #[serde(borrow, default)]
    pub(super) role: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) stop_reason: Option<&'a RawValue>,
}

impl Envelope<'_> {
    /// Whether the answer says that the call failed.
    pub(super) fn is_error(&self) -> bool {
        self.error.is_some_and(is_object)
    }

    /// The usage, if it is an object.
    pub(super) fn usage(&self) -> Option<&RawValue> {
        self.usage.filter(|usage| is_object(usage))
    }

    /// The model's name, if it is a text.
    pub(super) fn model(&self) -> Option<String> {
        self.model.and_then(text)
    }
}

/// The text that this JSON is, if it is one.
pub(super) fn text(json: &RawValue) -> Option<String> {
    serde_json::from_str(json.get()).ok()
}

/// The whole number from 0 that this JSON is, if it is one.
pub(super) fn count(json: &RawValue) -> Option<u64> {
    json.get().parse().ok()
}

pub(super) fn is_object(json: &RawValue) -> bool {
    json.get().starts_with('{')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_asks_for_is_passed_over_whatever_it_is() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let answer = format!(r#"{{"id": 1, "more": {deep}, "model": "m", "error": null, "usage": {{"a": 1e999}}}}"#);
        let envelope: Envelope<'_> = serde_json::from_str(&answer).expect("an answer");
        assert_eq!(envelope.model().as_deref(), Some("m"));
        assert_eq!(envelope.usage().map(RawValue::get), Some(r#"{"a": 1e999}"#));
        assert!(!envelope.is_error());
        assert!(envelope.choices.is_none());
    }

    #[test]
    fn only_a_whole_number_counts() {
        let counted = |json: &str| count(&RawValue::from_string(json.to_owned()).expect("JSON"));
        assert_eq!(counted("12"), Some(12));
        for json in ["1.0", "-1", "1e3", "\"1\"", "null", "99999999999999999999"] {
            assert_eq!(counted(json), None, "{json}");
        }
    }
}
