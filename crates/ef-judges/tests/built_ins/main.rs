//! What the built-in judges promise.

mod configs;
mod contains_and_regex;
mod exact_match;
mod hostile;
mod identity;
mod json_schema;
mod numeric_match;

use std::sync::{Arc, LazyLock};

use ef_model::{
    CallError, Determinism, Environment, ErrorKind, EvalItem, EvaluatorOutput, ItemId, Judge, Payload, Score,
};
use ef_plugin::{LookupError, Registry};
use proptest::prelude::*;
use serde_json::Value;

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
}

static REGISTRY: LazyLock<Registry> = LazyLock::new(|| {
    let mut registry = Registry::new();
    for factory in ef_judges::factories() {
        registry.register_judge(factory).expect("a built-in's schema is valid");
    }
    registry
});

/// Makes a judge from a config as a spec holds it.
fn create(name: &str, config: &Value) -> Result<Arc<dyn Judge>, LookupError> {
    let Value::Object(config) = config else { panic!("not a map: {config}") };
    let id = format!("eval_fabric.{name}").parse().expect("an id");
    run(REGISTRY.create_judge(&id, config, &Environment::default()))
}

/// A judge, called with JSON texts.
struct Bench(Arc<dyn Judge>);

impl Bench {
    fn new(name: &str, config: &Value) -> Self {
        Self(create(name, config).unwrap_or_else(|error| panic!("{config}: {error:?}")))
    }

    fn judge(&self, output: &str, reference: Option<&str>) -> Result<Option<Score>, CallError> {
        let payload = |text: &str| Payload::parse(text).unwrap_or_else(|fault| panic!("{fault}: {text}"));
        self.judge_payloads(payload(output), reference.map(payload))
    }

    fn judge_payloads(&self, output: Payload, reference: Option<Payload>) -> Result<Option<Score>, CallError> {
        let item = EvalItem {
            item_id: ItemId::new("dev:1").expect("an id"),
            row: 1,
            input: Payload::from_text("in"),
            reference_output: reference,
            metadata: None,
        };
        let output = EvaluatorOutput::new(output);
        let verdict = run(self.0.judge(&item, &output, &ef_testkit::context()))?;
        assert_eq!(verdict.rationale, None, "a rule's verdict says nothing that is not in its score");
        Ok(verdict.score)
    }

    /// Whether the judge says true, for one that says true or false.
    #[track_caller]
    fn holds(&self, output: &str, reference: &str) -> bool {
        truth(self.judge(output, Some(reference)))
    }

    /// The same for plain texts.
    #[track_caller]
    fn holds_of_text(&self, output: &str, reference: &str) -> bool {
        truth(self.judge_payloads(Payload::from_text(output), Some(Payload::from_text(reference))))
    }
}

#[track_caller]
fn truth(score: Result<Option<Score>, CallError>) -> bool {
    match score {
        Ok(Some(score)) if score == Score::from(true) => true,
        Ok(Some(score)) if score == Score::from(false) => false,
        other => panic!("neither true nor false: {other:?}"),
    }
}

/// Asserts that a call failed in this way, and that what it says holds none of `secrets`.
#[track_caller]
fn assert_error(result: Result<Option<Score>, CallError>, kind: ErrorKind, code: &str, secrets: &[&str]) {
    let error = result.expect_err("an error");
    assert_eq!((error.kind, error.code.as_ref()), (kind, code));
    let said = format!("{error} {error:?}");
    for secret in secrets {
        assert!(!said.contains(secret), "{said}");
    }
}

/// Any JSON value of a moderate size.
fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[a-cA-C0-9,.$ \"\\\\é\n-]{0,8}".prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("[a-c.\"\\\\]{0,3}", inner, 0..4).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

#[test]
fn each_judge_says_what_it_is() {
    let ids: Vec<_> = REGISTRY.judges().map(|factory| factory.identity().id.to_string()).collect();
    let names = ["contains", "exact_match", "identity", "json_schema", "numeric_match", "regex"];
    assert_eq!(ids, names.map(|name| format!("eval_fabric.{name}")));
    for factory in REGISTRY.judges() {
        assert_eq!((factory.identity().version.as_str(), factory.identity().source.as_str()), ("1.0.0", "builtin"));
        assert!(factory.summary().ends_with('.'), "{}", factory.summary());
        let schema = factory.config_schema();
        let properties = schema["properties"].as_object().expect("a map of fields");
        assert!(properties.values().all(|field| field["description"].is_string()), "{schema}");
    }
    let judge = Bench::new("exact_match", &serde_json::json!({})).0;
    assert_eq!(judge.determinism(), Determinism::Deterministic);
}
