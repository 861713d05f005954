//! Evaluators and judges that do what a test tells them.

use std::sync::Arc;

use ef_model::{
    BoxFuture, CallContext, CallError, Determinism, EvalItem, Evaluator, EvaluatorOutput, Identity, Judge, Verdict,
};

type EvaluateFn = dyn Fn(EvalItem, CallContext) -> BoxFuture<'static, Result<EvaluatorOutput, CallError>> + Send + Sync;
type JudgeFn =
    dyn Fn(EvalItem, EvaluatorOutput, CallContext) -> BoxFuture<'static, Result<Verdict, CallError>> + Send + Sync;

/// An evaluator made of a closure.
pub struct ScriptedEvaluator {
    identity: Arc<Identity>,
    script: Box<EvaluateFn>,
}

impl ScriptedEvaluator {
    /// An evaluator that calls this.
    pub fn new<F>(script: impl Fn(EvalItem, CallContext) -> F + Send + Sync + 'static) -> Arc<Self>
    where
        F: Future<Output = Result<EvaluatorOutput, CallError>> + Send + 'static,
    {
        Arc::new(Self {
            identity: crate::evaluator_identity(),
            script: Box::new(move |item, context| Box::pin(script(item, context))),
        })
    }

    /// An evaluator whose output is the item's input.
    #[must_use]
    pub fn echo() -> Arc<Self> {
        Self::new(|item, _| async move { Ok(EvaluatorOutput::new(item.input)) })
    }
}

impl Evaluator for ScriptedEvaluator {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn evaluate<'a>(
        &'a self,
        item: &'a EvalItem,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<EvaluatorOutput, CallError>> {
        (self.script)(item.clone(), context.clone())
    }
}

/// A judge made of a closure.
pub struct ScriptedJudge {
    identity: Identity,
    script: Box<JudgeFn>,
}

impl ScriptedJudge {
    /// A judge that calls this.
    pub fn new<F>(script: impl Fn(EvalItem, EvaluatorOutput, CallContext) -> F + Send + Sync + 'static) -> Arc<Self>
    where
        F: Future<Output = Result<Verdict, CallError>> + Send + 'static,
    {
        Arc::new(Self {
            identity: crate::judge_identity("judge").identity.clone(),
            script: Box::new(move |item, output, context| Box::pin(script(item, output, context))),
        })
    }

    /// A judge that finds everything right.
    #[must_use]
    pub fn approving() -> Arc<Self> {
        Self::new(|_, _, _| async { Ok(Verdict::scored(true)) })
    }
}

impl Judge for ScriptedJudge {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn determinism(&self) -> Determinism {
        Determinism::Deterministic
    }

    fn judge<'a>(
        &'a self,
        item: &'a EvalItem,
        output: &'a EvaluatorOutput,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<Verdict, CallError>> {
        (self.script)(item.clone(), output.clone(), context.clone())
    }
}
