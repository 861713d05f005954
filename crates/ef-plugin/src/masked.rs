//! Components whose config held variables: what they say of a failed call does not quote the values.

use std::sync::Arc;

use ef_model::{
    BoxFuture, CallContext, CallError, Determinism, EvalItem, Evaluator, EvaluatorOutput, Identity, Inquiry, Judge,
    Payload, Pricing, Verdict,
};

use crate::masking::Mask;

/// A component, and what its errors must not quote.
pub(crate) struct Masked<C: ?Sized> {
    pub(crate) inner: Arc<C>,
    pub(crate) mask: Mask,
}

impl Evaluator for Masked<dyn Evaluator> {
    fn identity(&self) -> &Identity {
        self.inner.identity()
    }

    fn pricing(&self) -> Pricing {
        self.inner.pricing()
    }

    fn most_usd(&self, item: &EvalItem) -> f64 {
        self.inner.most_usd(item)
    }

    fn requests(&self) -> u32 {
        self.inner.requests()
    }

    fn preview(&self, item: &EvalItem) -> Option<Payload> {
        self.inner.preview(item)
    }

    fn evaluate<'a>(
        &'a self,
        item: &'a EvalItem,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<EvaluatorOutput, CallError>> {
        Box::pin(async move { self.inner.evaluate(item, context).await.map_err(|error| self.mask.error(error)) })
    }
}

impl Judge for Masked<dyn Judge> {
    fn identity(&self) -> &Identity {
        self.inner.identity()
    }

    fn determinism(&self) -> Determinism {
        self.inner.determinism()
    }

    fn is_costly(&self) -> bool {
        self.inner.is_costly()
    }

    fn model(&self) -> Option<&str> {
        self.inner.model()
    }

    fn pricing(&self) -> Pricing {
        self.inner.pricing()
    }

    fn most_usd(&self, item: &EvalItem, output: &EvaluatorOutput) -> f64 {
        self.inner.most_usd(item, output)
    }

    fn requests(&self) -> u32 {
        self.inner.requests()
    }

    fn preview(&self, item: &EvalItem, output: &EvaluatorOutput) -> Option<Payload> {
        self.inner.preview(item, output)
    }

    fn inquiry(&self) -> Option<&dyn Inquiry> {
        self.inner.inquiry()
    }

    fn judge<'a>(
        &'a self,
        item: &'a EvalItem,
        output: &'a EvaluatorOutput,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<Verdict, CallError>> {
        Box::pin(async move { self.inner.judge(item, output, context).await.map_err(|error| self.mask.error(error)) })
    }
}
