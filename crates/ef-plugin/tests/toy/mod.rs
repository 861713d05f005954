//! A component that does nothing but remember its config.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::sync::{Arc, Mutex};

use ef_model::{
    BoxFuture, CallContext, CallError, CreateError, Determinism, Environment, EvalItem, Evaluator, EvaluatorFactory,
    EvaluatorOutput, Identity, Judge, JudgeFactory, Verdict,
};
use serde_json::{Map, Value};

pub(crate) struct Toy {
    pub(crate) identity: Identity,
    pub(crate) schema: Value,
    pub(crate) seen: Arc<Mutex<Option<Value>>>,
    pub(crate) refuse: Option<fn(&Value) -> CreateError>,
}

impl Toy {
    pub(crate) fn new(id: &str, schema: Value) -> Self {
        Self { identity: Identity::builtin(id, "1.0.0", "toy", "0.0.0"), schema, seen: Arc::default(), refuse: None }
    }

    fn make<T>(&self, config: &Value, component: T) -> Result<T, CreateError> {
        *self.seen.lock().expect("not poisoned") = Some(config.clone());
        self.refuse.map_or(Ok(component), |refuse| Err(refuse(config)))
    }
}

impl EvaluatorFactory for Toy {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn summary(&self) -> &str {
        "A toy."
    }

    fn config_schema(&self) -> Value {
        self.schema.clone()
    }

    fn create<'a>(
        &'a self,
        config: &'a Value,
        _: &'a Environment,
    ) -> BoxFuture<'a, Result<Arc<dyn Evaluator>, CreateError>> {
        Box::pin(async move { Ok(Arc::new(self.make(config, Made(self.identity.clone()))?) as Arc<dyn Evaluator>) })
    }
}

impl JudgeFactory for Toy {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn summary(&self) -> &str {
        "A toy."
    }

    fn config_schema(&self) -> Value {
        self.schema.clone()
    }

    fn create<'a>(
        &'a self,
        config: &'a Value,
        _: &'a Environment,
    ) -> BoxFuture<'a, Result<Arc<dyn Judge>, CreateError>> {
        Box::pin(async move { Ok(Arc::new(self.make(config, Made(self.identity.clone()))?) as Arc<dyn Judge>) })
    }
}

struct Made(Identity);

impl Evaluator for Made {
    fn identity(&self) -> &Identity {
        &self.0
    }

    fn evaluate<'a>(
        &'a self,
        item: &'a EvalItem,
        _: &'a CallContext,
    ) -> BoxFuture<'a, Result<EvaluatorOutput, CallError>> {
        Box::pin(async move { Ok(EvaluatorOutput::new(item.input.clone())) })
    }
}

impl Judge for Made {
    fn identity(&self) -> &Identity {
        &self.0
    }

    fn determinism(&self) -> Determinism {
        Determinism::Deterministic
    }

    fn judge<'a>(
        &'a self,
        _: &'a EvalItem,
        _: &'a EvaluatorOutput,
        _: &'a CallContext,
    ) -> BoxFuture<'a, Result<Verdict, CallError>> {
        Box::pin(async { Ok(Verdict::scored(true)) })
    }
}

pub(crate) fn map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => panic!("not a map: {other}"),
    }
}

/// Runs a future to its end on this thread.
pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}
