//! Judges: they score what an evaluator made.

use std::sync::Arc;

use serde_json::Value;

use crate::{
    BoxFuture, CallContext, CallError, CreateError, Determinism, Environment, EvalItem, EvaluatorOutput, Identity,
    Payload, Pricing, Score, Usage,
};

/// A judge's answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// The score, or `None` when the judge declines to give one: that is neither a failure nor an error.
    pub score: Option<Score>,
    /// Why.
    pub rationale: Option<Payload>,
    /// What it used.
    pub usage: Usage,
    /// Whether a person is still to say: there is no score yet.
    pub is_pending: bool,
}

impl Verdict {
    /// A score alone.
    #[must_use]
    pub fn scored(score: impl Into<Score>) -> Self {
        Self { score: Some(score.into()), ..Self::unscored() }
    }

    /// No score, without a reason.
    #[must_use]
    pub const fn unscored() -> Self {
        Self { score: None, rationale: None, usage: Usage::UNKNOWN, is_pending: false }
    }

    /// No score yet: a person is to say.
    #[must_use]
    pub const fn pending() -> Self {
        Self { score: None, rationale: None, usage: Usage::UNKNOWN, is_pending: true }
    }
}

/// Scores outputs.
pub trait Judge: Send + Sync {
    /// Which code it is.
    fn identity(&self) -> &Identity;

    /// What it promises about judging again.
    fn determinism(&self) -> Determinism;

    /// Whether a judgment costs so much time or money that an earlier one of the same output is worth looking for. One that
    /// depends on anything but its config, the item, the output, the repeat, the seed and the model must say no.
    fn is_costly(&self) -> bool {
        false
    }

    /// The model that judges, as exactly as it is known, where there is one.
    fn model(&self) -> Option<&str> {
        None
    }

    /// Whether its calls cost money. One that calls a model, or whatever else is paid for, says so.
    fn pricing(&self) -> Pricing {
        Pricing::Free
    }

    /// The most that one attempt at judging this output can cost, in US dollars; for one with [`Pricing::Bounded`].
    fn most_usd(&self, item: &EvalItem, output: &EvaluatorOutput) -> f64 {
        let _ = (item, output);
        0.0
    }

    /// How many requests one attempt sends to somebody else, such as an endpoint of a model, where nothing goes wrong.
    fn requests(&self) -> u32 {
        0
    }

    /// What would be sent to judge this output, for a person who asked to see it before anything is sent. It is a payload.
    fn preview(&self, item: &EvalItem, output: &EvaluatorOutput) -> Option<Payload> {
        let _ = (item, output);
        None
    }

    /// What to ask people whose verdicts come later, if this judge leaves judgments pending.
    fn inquiry(&self) -> Option<&dyn Inquiry> {
        None
    }

    /// Judges one output. Dropping the future cancels the call.
    ///
    /// # Errors
    ///
    /// See [`crate::ErrorKind`]. An error is never a score.
    fn judge<'a>(
        &'a self,
        item: &'a EvalItem,
        output: &'a EvaluatorOutput,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<Verdict, CallError>>;
}

/// What a judge that leaves judgments pending asks of people, and what it makes of their answers.
pub trait Inquiry: Send + Sync {
    /// The question, for a person. It holds no payload.
    fn question(&self) -> &str;

    /// The JSON Schema (2020-12) of an answer's score.
    fn answer_schema(&self) -> Value;

    /// The verdict of an answer: a score that fits the schema, or null for none, and why.
    ///
    /// # Errors
    ///
    /// When the score is not one that may be given.
    fn verdict(&self, score: &Value, rationale: Option<Payload>) -> Result<Verdict, CallError>;
}

/// Makes judges of one id.
pub trait JudgeFactory: Send + Sync {
    /// Which code it is.
    fn identity(&self) -> &Identity;

    /// One line for a person who chooses.
    fn summary(&self) -> &str;

    /// The JSON Schema (2020-12) of the config.
    fn config_schema(&self) -> Value;

    /// Makes one. The config fits the schema and its `${VAR}`s are resolved.
    ///
    /// # Errors
    ///
    /// When the config is wrong in a way that the schema cannot say, or the component is broken.
    fn create<'a>(
        &'a self,
        config: &'a Value,
        environment: &'a Environment,
    ) -> BoxFuture<'a, Result<Arc<dyn Judge>, CreateError>>;
}
