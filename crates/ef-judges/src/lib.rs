//! The judges that come with eval-fabric: rules, all deterministic.
#![doc = ""]
#![doc = include_str!("../README.md")]

mod contains;
mod decimal;
mod equality;
mod exact_match;
mod identity;
mod json_schema;
mod number;
mod numeric_match;
mod pattern;
mod regex_match;
mod rule;
mod text;

use std::sync::Arc;

use ef_model::JudgeFactory;

use crate::rule::factory;

/// A factory of each built-in judge.
#[must_use]
pub fn factories() -> Vec<Arc<dyn JudgeFactory>> {
    vec![
        factory::<contains::Contains>(),
        factory::<exact_match::ExactMatch>(),
        factory::<identity::OutputIsScore>(),
        factory::<json_schema::JsonSchemaMatch>(),
        factory::<numeric_match::NumericMatch>(),
        factory::<regex_match::RegexMatch>(),
    ]
}
