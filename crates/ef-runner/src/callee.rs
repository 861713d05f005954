//! What is called, and what a record says of the answer.

use ef_model::{
    BoxFuture, CallContext, CallError, ErrorRecord, EvalItem, Evaluator, EvaluatorOutput, Judge, JudgmentResult,
    Payload, Pricing, Usage, Verdict,
};

use crate::call::Callee;

/// The evaluator's call on one item.
pub(crate) struct Evaluation<'a> {
    pub(crate) evaluator: &'a dyn Evaluator,
    pub(crate) item: &'a EvalItem,
}

impl Callee for Evaluation<'_> {
    type Made = EvaluatorOutput;

    fn usage(made: &EvaluatorOutput) -> Usage {
        made.usage
    }

    fn most_usd(&self) -> f64 {
        match self.evaluator.pricing() {
            Pricing::Free => 0.0,
            Pricing::Bounded => self.evaluator.most_usd(self.item),
            Pricing::Unbounded { .. } => f64::INFINITY,
        }
    }

    fn call_once<'c>(&'c self, context: &'c CallContext) -> BoxFuture<'c, Result<EvaluatorOutput, CallError>> {
        self.evaluator.evaluate(self.item, context)
    }
}

/// A judge's call on one output.
pub(crate) struct Judging<'a> {
    pub(crate) judge: &'a dyn Judge,
    pub(crate) item: &'a EvalItem,
    pub(crate) output: &'a EvaluatorOutput,
}

impl Callee for Judging<'_> {
    type Made = Verdict;

    fn usage(made: &Verdict) -> Usage {
        made.usage
    }

    fn most_usd(&self) -> f64 {
        match self.judge.pricing() {
            Pricing::Free => 0.0,
            Pricing::Bounded => self.judge.most_usd(self.item, self.output),
            Pricing::Unbounded { .. } => f64::INFINITY,
        }
    }

    fn call_once<'c>(&'c self, context: &'c CallContext) -> BoxFuture<'c, Result<Verdict, CallError>> {
        self.judge.judge(self.item, self.output, context)
    }
}

/// What a record says of a verdict, and the payload that goes with it.
pub(crate) fn judgment_result(result: Result<Verdict, CallError>) -> (JudgmentResult, Option<Payload>) {
    match result {
        Ok(Verdict { is_pending: true, .. }) => (JudgmentResult::Pending, None),
        Ok(Verdict { score, rationale, .. }) => {
            let digest = rationale.as_ref().map(Payload::digest);
            let result = match score {
                Some(score) => JudgmentResult::Scored { score, rationale: digest },
                None => JudgmentResult::Unscored { rationale: digest },
            };
            (result, rationale)
        }
        Err(error) => (JudgmentResult::Error { error: ErrorRecord::from(&error) }, error.detail),
    }
}
