//! A plugin's evaluators and judges, as everyone else sees them.

use std::sync::Arc;

use ef_model::{
    BoxFuture, CallContext, CallError, ComponentId, CreateError, Determinism, Environment, EvalItem, Evaluator,
    EvaluatorFactory, EvaluatorOutput, Identity, Judge, JudgeFactory, Pricing, Verdict,
};
use serde_json::Value;

use super::handshake::{Provided, ProvidedPricing};
use super::host::{Host, Instance};
use super::{answer, wire};
use crate::ComponentKind;
use crate::schema::ConfigSchema;

/// The version of a component that is declared without one, until its plugin has started.
pub const UNKNOWN_VERSION: &str = "?";

/// Makes a plugin's components of one id.
pub(super) struct ExternalFactory {
    host: Arc<Host>,
    kind: ComponentKind,
    identity: Identity,
    summary: String,
    /// Known only once the plugin has started.
    schema: Option<Value>,
}

impl ExternalFactory {
    /// Of what a running plugin provides.
    pub(super) fn provided(host: &Arc<Host>, kind: ComponentKind, provided: &Provided) -> Self {
        Self {
            host: Arc::clone(host),
            kind,
            identity: identity(host, &provided.id, &provided.version),
            summary: provided.summary.clone(),
            schema: Some(provided.config_schema.clone()),
        }
    }

    /// Of what is said about a plugin that has not been started.
    pub(super) fn declared(
        host: &Arc<Host>,
        kind: ComponentKind,
        id: &ComponentId,
        version: Option<&str>,
        summary: Option<&str>,
    ) -> Self {
        Self {
            host: Arc::clone(host),
            kind,
            identity: identity(host, id, version.unwrap_or(UNKNOWN_VERSION)),
            summary: summary.unwrap_or_default().to_owned(),
            schema: None,
        }
    }

    async fn make(&self, config: &Value) -> Result<External, CreateError> {
        let description = self.host.describe().await.map_err(|error| CreateError::Broken(error.in_full()))?;
        let (kind, Identity { id, version, .. }) = (self.kind, &self.identity);
        let plugin = &self.host.command.name;
        let provided = description.find(kind, id).ok_or_else(|| {
            CreateError::Broken(format!("the plugin `{plugin}` is declared to provide the {kind} `{id}`, and does not"))
        })?;
        if version != UNKNOWN_VERSION && *version != provided.version {
            let reason =
                format!("version {version} of it is declared, and the plugin `{plugin}` provides {}", provided.version);
            return Err(CreateError::Broken(reason));
        }
        if self.schema.is_none() {
            check(&provided.config_schema, config)?;
        }
        let instance = self.host.instance(kind, id.clone(), config);
        let created = self.host.create(&instance).await?;
        Ok(External {
            identity: identity(&self.host, id, &provided.version),
            determinism: created.determinism.or(provided.determinism).unwrap_or(Determinism::Stochastic),
            model: created.model.or_else(|| provided.model.clone()),
            is_costly: provided.is_costly,
            pricing: provided.pricing,
            host: Arc::clone(&self.host),
            instance,
        })
    }
}

fn identity(host: &Host, id: &ComponentId, version: &str) -> Identity {
    let (source, digest) = (host.command.source.clone(), host.command.digest);
    Identity { id: id.clone(), version: version.to_owned(), source, digest }
}

/// Checks a config that the registry could not check: it did not know the schema.
fn check(schema: &Value, config: &Value) -> Result<(), CreateError> {
    let schema = ConfigSchema::new(schema.clone())
        .map_err(|reason| CreateError::Broken(format!("its config schema is not a valid schema: {reason}")))?;
    let problems = schema.check_resolved(config);
    if problems.is_empty() { Ok(()) } else { Err(CreateError::Config(problems)) }
}

/// The two traits of factories differ in nothing but what is made.
macro_rules! makes {
    ($factory:ident => $component:ident) => {
        impl $factory for ExternalFactory {
            fn identity(&self) -> &Identity {
                &self.identity
            }

            fn summary(&self) -> &str {
                &self.summary
            }

            fn config_schema(&self) -> Value {
                self.schema.clone().unwrap_or(Value::Bool(true))
            }

            fn create<'a>(
                &'a self,
                config: &'a Value,
                _: &'a Environment,
            ) -> BoxFuture<'a, Result<Arc<dyn $component>, CreateError>> {
                Box::pin(async move { Ok(Arc::new(self.make(config).await?) as Arc<dyn $component>) })
            }
        }
    };
}
makes!(EvaluatorFactory => Evaluator);
makes!(JudgeFactory => Judge);

/// An evaluator or a judge that lives in another process.
struct External {
    host: Arc<Host>,
    instance: Instance,
    identity: Identity,
    determinism: Determinism,
    is_costly: bool,
    model: Option<String>,
    pricing: ProvidedPricing,
}

impl External {
    fn pricing(&self) -> Pricing {
        self.pricing.of(&self.identity.id, &self.host.command.name)
    }

    const fn most_usd(&self) -> f64 {
        match self.pricing {
            ProvidedPricing::AtMost(most) => most,
            ProvidedPricing::Free | ProvidedPricing::Unbounded => 0.0,
        }
    }
}

impl Evaluator for External {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn pricing(&self) -> Pricing {
        self.pricing()
    }

    fn most_usd(&self, _: &EvalItem) -> f64 {
        self.most_usd()
    }

    fn evaluate<'a>(
        &'a self,
        item: &'a EvalItem,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<EvaluatorOutput, CallError>> {
        Box::pin(async move {
            let params = |line: &mut String, instance| wire::evaluate_params(line, instance, item, context);
            let result = self.host.call(&self.instance, "evaluate", context, params).await?;
            answer::output(&result, &self.host.command.name)
        })
    }
}

impl Judge for External {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn determinism(&self) -> Determinism {
        self.determinism
    }

    fn is_costly(&self) -> bool {
        self.is_costly
    }

    fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    fn pricing(&self) -> Pricing {
        self.pricing()
    }

    fn most_usd(&self, _: &EvalItem, _: &EvaluatorOutput) -> f64 {
        self.most_usd()
    }

    fn judge<'a>(
        &'a self,
        item: &'a EvalItem,
        output: &'a EvaluatorOutput,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<Verdict, CallError>> {
        Box::pin(async move {
            let params = |line: &mut String, instance| wire::judge_params(line, instance, item, output, context);
            let result = self.host.call(&self.instance, "judge", context, params).await?;
            answer::verdict(&result, &self.host.command.name)
        })
    }
}
