//! What the suite is run over: evaluators and judges as one thing that answers.

use std::sync::Arc;

use ef_model::{
    CallContext, CallError, CreateError, Determinism, EvalItem, Evaluator, EvaluatorFactory, EvaluatorOutput, Identity,
    Judge, JudgeFactory, Payload,
};

use super::ContractOptions;
use crate::ComponentKind;
use crate::schema::ConfigSchema;

/// What the suite is run over.
#[derive(Clone)]
pub enum Subject {
    /// An evaluator.
    Evaluator(Arc<dyn EvaluatorFactory>),
    /// A judge.
    Judge(Arc<dyn JudgeFactory>),
}

/// A component of the subject.
pub(super) enum Made {
    Evaluator(Arc<dyn Evaluator>),
    Judge(Arc<dyn Judge>),
}

impl Subject {
    pub(super) fn identity(&self) -> &Identity {
        match self {
            Self::Evaluator(factory) => factory.identity(),
            Self::Judge(factory) => factory.identity(),
        }
    }

    pub(super) const fn kind(&self) -> ComponentKind {
        match self {
            Self::Evaluator(_) => ComponentKind::Evaluator,
            Self::Judge(_) => ComponentKind::Judge,
        }
    }

    /// Makes one, or says why that cannot be done.
    pub(super) async fn make(&self, options: &ContractOptions) -> Result<Made, String> {
        let schema = match self {
            Self::Evaluator(factory) => factory.config_schema(),
            Self::Judge(factory) => factory.config_schema(),
        };
        let schema =
            ConfigSchema::new(schema).map_err(|reason| format!("its config schema is not a valid schema: {reason}"))?;
        let config = schema
            .prepare(&options.config, &options.environment)
            .map_err(|problems| describe(CreateError::Config(problems)))?;
        let made = match self {
            Self::Evaluator(factory) => {
                factory.create(config.expose(), &options.environment).await.map(Made::Evaluator)
            }
            Self::Judge(factory) => factory.create(config.expose(), &options.environment).await.map(Made::Judge),
        };
        made.map_err(|error| describe(config.conceal_error(error)))
    }
}

fn describe(error: CreateError) -> String {
    match error {
        CreateError::Config(problems) => {
            let told = problems.iter().map(|problem| match problem.pointer.as_str() {
                "" => problem.message.clone(),
                pointer => format!("{pointer}: {}", problem.message),
            });
            format!("the config does not fit: {}", told.collect::<Vec<_>>().join("; "))
        }
        CreateError::Broken(reason) => reason,
    }
}

impl Made {
    pub(super) fn identity(&self) -> &Identity {
        match self {
            Self::Evaluator(evaluator) => evaluator.identity(),
            Self::Judge(judge) => judge.identity(),
        }
    }

    /// What a judge promises; an evaluator promises nothing.
    pub(super) fn determinism(&self) -> Option<Determinism> {
        match self {
            Self::Evaluator(_) => None,
            Self::Judge(judge) => Some(judge.determinism()),
        }
    }

    /// The answer to a sample, as text that is the same for the same answer.
    pub(super) async fn call(
        &self,
        item: &EvalItem,
        output: &EvaluatorOutput,
        context: &CallContext,
    ) -> Result<String, CallError> {
        let text = |payload: Option<&Payload>| payload.map_or_else(String::new, |payload| payload.expose().to_owned());
        match self {
            Self::Evaluator(evaluator) => evaluator
                .evaluate(item, context)
                .await
                .map(|made| format!("{}\n{}", made.output.expose(), text(made.metadata.as_ref()))),
            Self::Judge(judge) => judge.judge(item, output, context).await.map(|verdict| {
                let score = serde_json::to_string(&verdict.score).unwrap_or_default();
                format!("{score}\n{}\n{}", text(verdict.rationale.as_ref()), verdict.is_pending)
            }),
        }
    }
}
