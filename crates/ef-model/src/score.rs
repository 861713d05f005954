//! Scores.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A double that is neither infinite nor NaN.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "f64", into = "f64")]
pub struct Finite(f64);

impl Finite {
    /// The number, if it is finite.
    #[must_use]
    pub fn new(value: f64) -> Option<Self> {
        // Adding zero turns -0 into 0, so that equal scores have equal bytes.
        value.is_finite().then_some(Self(value + 0.0))
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Finite {
    type Error = &'static str;

    fn try_from(value: f64) -> Result<Self, Self::Error> {
        Self::new(value).ok_or("a score is a finite number")
    }
}

impl From<Finite> for f64 {
    fn from(value: Finite) -> Self {
        value.0
    }
}

/// One number, truth value or label.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Scalar {
    /// True counts as 1, false as 0.
    Bool(bool),
    /// A finite number.
    Number(Finite),
    /// One of a judge's closed set of labels.
    Label(String),
}

impl Scalar {
    /// The number that a metric takes it for; a label has none.
    #[must_use]
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Self::Bool(value) => Some(f64::from(u8::from(*value))),
            Self::Number(value) => Some(value.get()),
            Self::Label(_) => None,
        }
    }
}

/// What a judge says of an output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Score {
    /// A single value.
    Scalar(Scalar),
    /// Several values by name, of which `score` is the one that metrics take unless they name another.
    Object(BTreeMap<String, Scalar>),
}

impl Score {
    /// The key of an object that metrics take by default.
    pub const DEFAULT_KEY: &'static str = "score";

    /// A number, if it is finite.
    #[must_use]
    pub fn number(value: f64) -> Option<Self> {
        Finite::new(value).map(|value| Self::Scalar(Scalar::Number(value)))
    }

    /// The number that a metric takes: the value itself, or of an object the value at `key` (by default `score`).
    /// `None` where there is no number there.
    #[must_use]
    pub fn as_number(&self, key: Option<&str>) -> Option<f64> {
        match (self, key) {
            (Self::Scalar(value), None) => value.as_number(),
            (Self::Scalar(_), Some(_)) => None,
            (Self::Object(values), key) => values.get(key.unwrap_or(Self::DEFAULT_KEY))?.as_number(),
        }
    }
}

impl From<bool> for Score {
    fn from(value: bool) -> Self {
        Self::Scalar(Scalar::Bool(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_survives_json() {
        for text in ["true", "1.5", "\"good\"", r#"{"score":1.0,"tone":"kind"}"#] {
            let score: Score = serde_json::from_str(text).expect("a score");
            assert_eq!(serde_json::to_string(&score).expect("JSON"), text);
        }
        assert!(serde_json::from_str::<Score>("[1]").is_err());
        assert!(serde_json::from_str::<Score>("null").is_err());
        assert_eq!(Score::number(f64::NAN), None);
    }

    #[test]
    fn an_object_gives_its_score_or_the_named_value() {
        let score: Score = serde_json::from_str(r#"{"score":1.0,"tone":0.5,"label":"x"}"#).expect("a score");
        assert_eq!(score.as_number(None), Some(1.0));
        assert_eq!(score.as_number(Some("tone")), Some(0.5));
        assert_eq!(score.as_number(Some("label")), None);
        assert_eq!(score.as_number(Some("absent")), None);
    }
}
