//! What calls use: tokens and money.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a call used, over all its attempts, as far as it is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// What it cost in US dollars, where a price is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost_usd: Option<f64>,
    /// Tokens that a model read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_tokens: Option<u64>,
    /// Tokens that a model wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_tokens: Option<u64>,
}

impl Usage {
    /// The most tokens that a record can say: integers stay exact below 2^53.
    const MOST_TOKENS: u64 = (1 << 53) - 1;

    /// Nothing known.
    pub const UNKNOWN: Self = Self { cost_usd: None, input_tokens: None, output_tokens: None };

    /// A cost alone.
    #[must_use]
    pub const fn cost(usd: f64) -> Self {
        Self { cost_usd: Some(usd), ..Self::UNKNOWN }
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        *self == Self::UNKNOWN
    }

    /// Both together: what is known of either is added up.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        fn both<T>(one: Option<T>, other: Option<T>, add: impl Fn(T, T) -> T) -> Option<T> {
            match (one, other) {
                (Some(one), Some(other)) => Some(add(one, other)),
                (one, other) => one.or(other),
            }
        }
        Self {
            cost_usd: both(self.cost_usd, other.cost_usd, |one, other| one + other),
            input_tokens: both(self.input_tokens, other.input_tokens, u64::saturating_add),
            output_tokens: both(self.output_tokens, other.output_tokens, u64::saturating_add),
        }
        .in_range()
    }

    /// The same without what a record cannot hold: a cost that is negative or not a number, more than 2^53 tokens. It is
    /// as good as unknown.
    #[must_use]
    pub fn in_range(self) -> Self {
        let tokens = |tokens: Option<u64>| tokens.filter(|tokens| *tokens <= Self::MOST_TOKENS);
        Self {
            // Adding zero turns -0 into 0.
            cost_usd: self.cost_usd.filter(|cost| cost.is_finite() && *cost >= 0.0).map(|cost| cost + 0.0),
            input_tokens: tokens(self.input_tokens),
            output_tokens: tokens(self.output_tokens),
        }
    }
}

/// What a run used, over all its records, superseded ones too: they were paid for.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RunUsage {
    /// By the evaluator.
    #[serde(default, skip_serializing_if = "Usage::is_unknown")]
    pub evaluator: Usage,
    /// By each judge that told any, by its name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub judges: BTreeMap<String, Usage>,
    /// Spent on calls that left no record, in US dollars, because the run stopped before their task was whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unrecorded_usd: Option<f64>,
}

impl RunUsage {
    /// Whether nothing is known.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        *self == Self::default()
    }

    /// Evaluator and judges together.
    #[must_use]
    pub fn total(&self) -> Usage {
        self.judges.values().fold(self.evaluator, |total, usage| total.and(*usage))
    }
}

/// Whether calls of a component cost money, and what is known of it before they are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pricing {
    /// They cost nothing that is known to eval-fabric.
    Free,
    /// They cost money, and the most that one can cost is known before it is made.
    Bounded,
    /// They may cost anything: under a budget nothing of the kind is called.
    Unbounded {
        /// What is missing, such as a price or a limit of tokens, and where to say it.
        missing: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_of_either_is_added_up() {
        let one = Usage { cost_usd: Some(0.5), input_tokens: Some(3), output_tokens: None };
        let other = Usage { cost_usd: Some(0.25), input_tokens: None, output_tokens: None };
        assert_eq!(one.and(other), Usage { cost_usd: Some(0.75), input_tokens: Some(3), output_tokens: None });
        assert!(Usage::UNKNOWN.and(Usage::UNKNOWN).is_unknown());
    }

    #[test]
    fn what_a_record_cannot_hold_is_unknown() {
        let absurd = Usage { cost_usd: Some(f64::NAN), input_tokens: Some(u64::MAX), output_tokens: Some(1 << 53) };
        assert!(absurd.in_range().is_unknown());
        assert!(Usage::cost(-1.0).in_range().is_unknown());
        assert!(Usage::cost(f64::MAX).and(Usage::cost(f64::MAX)).is_unknown());
    }
}
