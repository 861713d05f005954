//! The contract suite finds what it is for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ef_model::{
    BoxFuture, CallContext, CallError, CreateError, Determinism, Environment, EvalItem, EvaluatorOutput, Identity,
    Judge, JudgeFactory, Score, Verdict,
};
use ef_plugin::contract::{self, ContractOptions, ContractReport, Outcome, Subject};
use serde_json::{Value, json};

/// How a judge breaks the contract.
#[derive(Clone, Copy, PartialEq)]
enum Breach {
    None,
    /// Every verdict is another one.
    Moody,
    /// Its errors say what it was given.
    Talkative,
    /// It answers one call at a time, and a call that is given up blocks it for good.
    Stuck,
    /// It makes judges of another version than it says.
    Impostor,
    /// It cannot be made.
    Unmade,
}

struct Factory {
    identity: Identity,
    breach: Breach,
}

struct Trusted {
    identity: Identity,
    breach: Breach,
    calls: AtomicU64,
}

impl JudgeFactory for Factory {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn summary(&self) -> &str {
        "For tests."
    }

    fn config_schema(&self) -> Value {
        json!({"type": "object", "additionalProperties": false})
    }

    fn create<'a>(&'a self, _: &'a Value, _: &'a Environment) -> BoxFuture<'a, Result<Arc<dyn Judge>, CreateError>> {
        let Self { identity, breach } = self;
        let version = if *breach == Breach::Impostor { "2.0.0" } else { "1.0.0" };
        let identity = Identity { version: version.to_owned(), ..identity.clone() };
        let made = Trusted { identity, breach: *breach, calls: AtomicU64::new(0) };
        let unmade = *breach == Breach::Unmade;
        Box::pin(async move {
            if unmade { Err(CreateError::Broken("there is no model".to_owned())) } else { Ok(Arc::new(made) as _) }
        })
    }
}

impl Judge for Trusted {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn determinism(&self) -> Determinism {
        Determinism::Deterministic
    }

    fn judge<'a>(
        &'a self,
        item: &'a EvalItem,
        _: &'a EvaluatorOutput,
        _: &'a CallContext,
    ) -> BoxFuture<'a, Result<Verdict, CallError>> {
        Box::pin(async move {
            let call = self.calls.fetch_add(1, Ordering::SeqCst);
            if item.reference_output.is_none() {
                let message = match self.breach {
                    Breach::Talkative => format!("no reference for {}", item.input.expose_value()),
                    _ => "the item has no reference".to_owned(),
                };
                return Err(CallError::permanent("no_reference", message));
            }
            if self.breach == Breach::Stuck && call >= 80 {
                std::future::pending::<()>().await;
            }
            let score = if self.breach == Breach::Moody { call as f64 } else { 1.0 };
            Ok(Verdict::scored(Score::number(score).expect("finite")))
        })
    }
}

fn report(breach: Breach, config: Value) -> ContractReport {
    let identity = Identity::builtin("toy.judge", "1.0.0", "toy", "0.0.0");
    let Value::Object(config) = config else { panic!("a map") };
    let options = ContractOptions { config, timeout: Duration::from_millis(50), ..ContractOptions::default() };
    let subject = Subject::Judge(Arc::new(Factory { identity, breach }));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    runtime.block_on(contract::check(&subject, &options))
}

fn failed(report: &ContractReport) -> Vec<&str> {
    let failed = report.checks.iter().filter(|check| matches!(check.outcome, Outcome::Failed(_)));
    failed.map(|check| check.name).collect()
}

#[test]
fn a_judge_that_keeps_the_contract_passes_every_check() {
    let report = report(Breach::None, json!({}));
    assert!(report.passed(), "{report}");
    insta::assert_snapshot!(report.to_string());
}

#[test]
fn every_breach_is_found_by_the_check_that_is_for_it() {
    assert_eq!(failed(&report(Breach::Moody, json!({}))), ["determinism", "concurrency"]);
    assert_eq!(failed(&report(Breach::Talkative, json!({}))), ["errors"]);
    assert_eq!(failed(&report(Breach::Stuck, json!({}))), ["cancellation"]);
    assert_eq!(failed(&report(Breach::Impostor, json!({}))), ["identity"]);
    assert_eq!(failed(&report(Breach::Unmade, json!({}))), ["creation"]);
}

#[test]
fn a_config_that_does_not_fit_is_said_and_nothing_is_called() {
    let report = report(Breach::None, json!({"model": "x"}));
    assert_eq!(report.checks.len(), 1);
    insta::assert_snapshot!(report.to_string());
}
