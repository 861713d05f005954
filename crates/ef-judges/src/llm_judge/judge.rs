//! A model's judgment: one vote, or several that become one.

use ef_model::{
    BoxFuture, CallContext, CallError, Determinism, ErrorKind, EvalItem, EvaluatorOutput, Identity, Judge, Payload,
    Pricing, Usage, Verdict,
};
use futures_util::future::join_all;
use serde_json::{Value, json};

use super::asking::{Asking, Vote};
use super::votes::Aggregate;

pub(crate) struct LlmJudge {
    pub(crate) identity: Identity,
    pub(crate) determinism: Determinism,
    pub(crate) votes: u32,
    /// How many votes have to give a score.
    pub(crate) min_votes: u32,
    pub(crate) aggregate: Aggregate,
    pub(crate) asking: Asking,
}

impl Judge for LlmJudge {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn determinism(&self) -> Determinism {
        self.determinism
    }

    fn is_costly(&self) -> bool {
        true
    }

    fn model(&self) -> Option<&str> {
        Some(self.asking.model.model())
    }

    fn pricing(&self) -> Pricing {
        self.asking.model.pricing()
    }

    /// Every vote with all its retries; nothing where no prompt can be made, as then nothing is sent.
    fn most_usd(&self, item: &EvalItem, output: &EvaluatorOutput) -> f64 {
        // The key of another seed is as long.
        self.asking
            .prompt
            .fill(item, output, 0)
            .map_or(0.0, |filled| self.asking.most_usd(&filled) * f64::from(self.votes))
    }

    fn requests(&self) -> u32 {
        self.votes
    }

    fn preview(&self, item: &EvalItem, output: &EvaluatorOutput) -> Option<Payload> {
        let filled = self.asking.prompt.fill(item, output, 0).ok()?;
        let request = self.asking.request(&filled, self.asking.is_structured(), None);
        Some(Payload::from_value(
            &json!({"system": request.system.as_ref().map(ef_client::chat::SystemPrompt::json), "messages": request.messages}),
        ))
    }

    fn judge<'a>(
        &'a self,
        item: &'a EvalItem,
        output: &'a EvaluatorOutput,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<Verdict, CallError>> {
        Box::pin(async move {
            let filled = self.asking.prompt.fill(item, output, context.seed)?;
            let votes = (0..self.votes).map(|vote| self.asking.vote(vote, self.votes, &filled, context));
            self.verdict(join_all(votes).await)
        })
    }
}

impl LlmJudge {
    /// What the votes come to. Too few scores are an error where votes failed, and no score where they were withheld.
    fn verdict(&self, votes: Vec<Vote>) -> Result<Verdict, CallError> {
        let usage = votes.iter().fold(Usage::UNKNOWN, |sum, vote| sum.and(vote.usage));
        let given = |wanted: bool| {
            let opinions = votes.iter().filter_map(|vote| vote.result.as_ref().ok());
            opinions.filter(move |opinion| opinion.grade.is_some() == wanted)
        };
        let least = self.min_votes as usize;
        let grades: Vec<_> = given(true).filter_map(|opinion| opinion.grade.clone()).collect();
        let answered = grades.len() + given(false).count();
        if answered < least {
            return Err(worst(votes).with_usage(usage));
        }
        let score = if grades.len() < least { None } else { self.aggregate.score(&grades) };
        Ok(Verdict { score, rationale: rationale(&votes), usage, ..Verdict::unscored() })
    }
}

/// The failure that stands for all. One that does not go away comes first: trying again asks for all votes again.
fn worst(votes: Vec<Vote>) -> CallError {
    let rank = |error: &CallError| match error.kind {
        ErrorKind::QuotaExhausted => 0,
        ErrorKind::Permanent => 1,
        ErrorKind::Transient | ErrorKind::Timeout => 2,
        ErrorKind::InvalidOutput => 3,
    };
    let count = votes.len();
    let errors: Vec<_> = votes.into_iter().filter_map(|vote| vote.result.err()).collect();
    let failed = errors.len();
    let longest_wait = errors.iter().filter_map(|error| error.retry_after).max();
    let worst = errors.into_iter().min_by_key(rank);
    let mut error = worst.unwrap_or_else(|| CallError::permanent("votes_missing", "no vote was asked for"));
    if count > 1 {
        error.message = format!("{failed} of {count} votes failed: {}", error.message);
    }
    error.retry_after = error.retry_after.and(longest_wait);
    error
}

/// Why: the reasoning of a single vote, or every vote with its reasoning.
fn rationale(votes: &[Vote]) -> Option<Payload> {
    if let [only] = votes {
        let reasoning = only.result.as_ref().ok()?.reasoning.as_deref()?;
        return Some(Payload::from_text(reasoning));
    }
    let said = |vote: &Vote| match &vote.result {
        Ok(opinion) => json!({
            "score": opinion.grade.as_ref().map_or(Value::Null, crate::scale::Grade::value),
            "reasoning": opinion.reasoning,
        }),
        Err(error) => json!({"error": error.code}),
    };
    Some(Payload::from_value(&json!({"votes": votes.iter().map(said).collect::<Vec<_>>()})))
}
