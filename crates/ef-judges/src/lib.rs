//! The judges that come with eval-fabric: rules, which are deterministic, and models and people, who are asked.
#![doc = ""]
#![doc = include_str!("../README.md")]

mod contains;
mod decimal;
mod equality;
mod exact_match;
mod human;
mod identity;
mod json_schema;
#[cfg(feature = "models")]
mod llm_judge;
mod number;
mod numeric_match;
mod pattern;
mod prompter;
mod regex_match;
mod rule;
mod scale;
mod text;

use std::sync::Arc;

use ef_model::JudgeFactory;

pub use crate::human::human_factory;
#[cfg(feature = "models")]
pub use crate::llm_judge::model_factories;
pub use crate::prompter::{Answer, PromptError, Prompter, Question};

use crate::rule::factory;

/// A factory of each rule: the built-in judges that ask nobody.
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
