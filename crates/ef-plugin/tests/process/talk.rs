//! What is said and answered when all is well.
#![allow(clippy::print_stderr, reason = "a test that checks nothing says so")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use ef_model::{
    CallContext, ComponentId, CreateError, Determinism, Environment, EvalItem, EvaluatorOutput, ItemId, Payload,
    Pricing, TraceContext,
};
use ef_plugin::process::{Declared, DeclaredComponent, ExternalPlugin, PROTOCOL_SCHEMA, UNKNOWN_VERSION};
use ef_plugin::{LookupError, Registry};
use serde_json::{Map, Value, json};

use super::driver::{ask, context, hostile, item, make_evaluator, make_judge, obedient, score};

#[tokio::test]
async fn what_a_plugin_provides_is_described_and_registered_with_its_identity() {
    let plugin = ExternalPlugin::new(hostile(&[]));
    let description = plugin.describe().await.expect("described");
    assert_eq!((description.name.as_str(), description.judges.len()), ("hostile-plugin", 2));
    let mut registry = Registry::new();
    plugin.factories().await.expect("started").register(&mut registry).expect("registered");
    let judge = registry
        .create_judge(&ComponentId::new("toy.obey").expect("an id"), &Map::new(), &Environment::default())
        .await
        .expect("made");
    let identity = judge.identity();
    assert_eq!((identity.version.as_str(), identity.source.as_str()), ("1.0.0", "tests"));
    assert_eq!(identity.digest, plugin.command().digest);
    assert_eq!(judge.determinism(), Determinism::Deterministic);
    assert_eq!(judge.model(), Some("model-1"), "what `create` says counts");
    plugin.shutdown().await;
}

#[tokio::test]
async fn payloads_pass_byte_for_byte_in_both_directions() {
    let plugin = ExternalPlugin::new(hostile(&[]));
    let evaluator = make_evaluator(&plugin).await;
    let item = EvalItem { input: Payload::parse("[1,\n 2]").expect("JSON"), ..item("") };
    let output = evaluator.evaluate(&item, &context()).await.expect("an output");
    // The plugin reads it as JSON, so only its own bytes can be the same.
    assert_eq!(output.output.expose(), "[1,2]");
    assert_eq!(output.metadata.expect("kept").expose(), "{ \"n\":1.10 }");
    assert_eq!(output.usage.input_tokens, Some(7));
    plugin.shutdown().await;
}

#[tokio::test]
async fn a_judge_is_told_item_output_and_context_as_the_schema_says() {
    let (plugin, judge) = obedient(hostile(&[])).await;
    let item = EvalItem {
        item_id: ItemId::new("dev \"17\"").expect("an id"),
        row: 17,
        input: Payload::from_text("params"),
        reference_output: Some(Payload::parse("{\"a\":\n1}").expect("JSON")),
        metadata: Some(Payload::parse("{\"split\":\"dev\"}").expect("JSON")),
    };
    let output = EvaluatorOutput {
        metadata: Some(Payload::parse("{}").expect("JSON")),
        ..EvaluatorOutput::new(Payload::from_text("out"))
    };
    let trace = TraceContext { traceparent: "00-aa-bb-01".to_owned(), tracestate: Some("k=\"v\"".to_owned()) };
    let context =
        CallContext::new(Instant::now() + Duration::from_secs(30), 2, 1, u64::MAX).with_propagator(Arc::new(trace));
    let verdict = judge.judge(&item, &output, &context).await.expect("a verdict");
    let mut seen = verdict.rationale.expect("what it was told").expose_value();
    let left = seen["context"]["timeout_ms"].take().as_u64().expect("milliseconds");
    assert!((20_000..=30_000).contains(&left), "{left}");
    let mut expected = json!({
        "instance": 1,
        "item": {"item_id": "dev \"17\"", "row": 17, "input": "params", "reference_output": {"a": 1}, "metadata": {"split": "dev"}},
        "output": {"output": "out", "metadata": {}},
        "context": {"attempt": 2, "repeat": 1, "seed": u64::MAX, "traceparent": "00-aa-bb-01", "tracestate": "k=\"v\"", "timeout_ms": null},
    });
    assert_eq!(seen, expected);
    expected["context"]["timeout_ms"] = json!(left);
    assert_fits("judge_params", &expected);
    plugin.shutdown().await;
}

/// Holds a message to the protocol's schema.
fn assert_fits(name: &str, message: &Value) {
    let mut schema: Value = serde_json::from_str(PROTOCOL_SCHEMA).expect("the schema is JSON");
    schema["$ref"] = json!(format!("#/$defs/{name}"));
    let validator = jsonschema::validator_for(&schema).expect("a valid schema");
    let faults: Vec<_> = validator.iter_errors(message).map(|fault| fault.to_string()).collect();
    assert!(faults.is_empty(), "{faults:?}");
}

#[tokio::test]
async fn every_request_of_the_host_fits_the_schema() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("requests");
    let (plugin, judge) = obedient(hostile(&["record", path.to_str().expect("UTF-8")])).await;
    score(&judge, "good").await;
    assert!(tokio::time::timeout(Duration::from_millis(50), ask(&judge, "never")).await.is_err());
    make_evaluator(&plugin).await.evaluate(&item("x"), &context()).await.expect("an output");
    plugin.shutdown().await;
    let requests = std::fs::read_to_string(&path).expect("recorded");
    let requests: Vec<Value> = requests.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    requests.iter().for_each(|request| assert_fits("request", request));
    let methods: Vec<_> = requests.iter().filter_map(|request| request["method"].as_str()).collect();
    assert_eq!(methods, ["initialize", "create", "judge", "judge", "cancel", "create", "evaluate", "shutdown"]);
}

#[test]
fn the_examples_of_the_documentation_fit_the_schema() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/plugins.md");
    let Ok(book) = std::fs::read_to_string(path) else {
        eprintln!("SKIPPED: there is no {path}");
        return;
    };
    let mut checked = 0;
    for block in book.split("```json ").skip(1) {
        let (name, rest) = block.split_once('\n').expect("a name");
        let text = rest.split("```").next().expect("a block");
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            assert_fits(name.trim(), &serde_json::from_str(line).expect("an example is JSON on one line"));
            checked += 1;
        }
    }
    assert!(checked >= 8, "only {checked} examples");
}

#[tokio::test]
async fn many_requests_are_under_way_at_once() {
    let (plugin, judge) = obedient(hostile(&[])).await;
    let began = Instant::now();
    let calls = (0..20).map(|_| score(&judge, "slow"));
    assert!(futures_util::future::join_all(calls).await.iter().all(|score| *score == 1.0));
    assert!(began.elapsed() < Duration::from_secs(1), "20 calls of 100 ms took {:?}", began.elapsed());
    plugin.shutdown().await;
}

#[tokio::test]
async fn no_more_requests_are_under_way_than_the_plugin_takes() {
    let (plugin, judge) = obedient(hostile(&["max-in-flight", "3"])).await;
    futures_util::future::join_all((0..10).map(|_| score(&judge, "slow"))).await;
    assert_eq!(score(&judge, "most?").await, 3.0);
    plugin.shutdown().await;
}

#[tokio::test]
async fn a_call_that_is_dropped_is_cancelled_and_its_late_answer_is_nothing() {
    let (plugin, judge) = obedient(hostile(&[])).await;
    for order in ["never", "slow"] {
        let call = tokio::time::timeout(Duration::from_millis(30), ask(&judge, order)).await;
        assert!(call.is_err(), "dropped");
    }
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert_eq!(score(&judge, "cancelled?").await, 2.0);
    plugin.shutdown().await;
}

#[tokio::test]
async fn a_config_is_refused_at_its_place_by_schema_or_by_plugin() {
    let plugin = ExternalPlugin::new(hostile(&[]));
    let refused = make_judge(&plugin, "toy.obey", json!({"fail": "config"})).await.err().expect("refused");
    let CreateError::Config(problems) = refused else { panic!("{refused}") };
    assert_eq!((problems[0].pointer.as_str(), problems[0].message.as_str()), ("/fail", "asked to"));
    let broken = make_judge(&plugin, "toy.obey", json!({"fail": "broken"})).await.err().expect("broken");
    assert_eq!(broken.to_string(), "the plugin `toys` could not make it: there is no model");

    // Before it has started, only its ids are known; its schema counts all the same.
    let mut registry = Registry::new();
    plugin.declared(&declared("toy.obey", None)).register(&mut registry).expect("registered");
    let config = Map::from_iter([("fial".to_owned(), json!("config"))]);
    let id = ComponentId::new("toy.obey").expect("an id");
    let refused = registry.create_judge(&id, &config, &Environment::default()).await.err().expect("refused");
    let LookupError::Config(problems) = refused else { panic!("{refused}") };
    assert_eq!(problems[0].pointer, "/fial");
    plugin.shutdown().await;
}

fn declared(id: &str, version: Option<&str>) -> Declared {
    let component = DeclaredComponent {
        id: ComponentId::new(id).expect("an id"),
        version: version.map(str::to_owned),
        summary: None,
    };
    Declared { evaluators: Vec::new(), judges: vec![component] }
}

#[tokio::test]
async fn a_declared_plugin_is_started_when_it_is_used_and_held_to_its_declaration() {
    let plugin = ExternalPlugin::new(hostile(&[]));
    let made = async |id, version| {
        let factory = plugin.declared(&declared(id, version)).judges.remove(0);
        let judge = factory.create(&json!({}), &Environment::default()).await;
        (
            factory.identity().version.clone(),
            judge.map(|judge| judge.identity().version.clone()).map_err(|error| error.to_string()),
        )
    };
    assert_eq!(made("toy.obey", None).await, (UNKNOWN_VERSION.to_owned(), Ok("1.0.0".to_owned())));
    let (_, wrong) = made("toy.obey", Some("2.0.0")).await;
    assert_eq!(
        wrong.expect_err("another version"),
        "version 2.0.0 of it is declared, and the plugin `toys` provides 1.0.0"
    );
    let (_, absent) = made("toy.absent", None).await;
    assert!(absent.expect_err("absent").contains("is declared to provide the judge `toy.absent`, and does not"));
    plugin.shutdown().await;
}

#[tokio::test]
async fn prices_are_known_before_a_call() {
    let plugin = ExternalPlugin::new(hostile(&[]));
    let judge = make_judge(&plugin, "toy.priced", json!({})).await.expect("made");
    assert_eq!(judge.pricing(), Pricing::Bounded);
    assert_eq!(judge.most_usd(&item(""), &EvaluatorOutput::new(Payload::from_text(""))), 0.25);
    assert!(judge.is_costly());
    plugin.shutdown().await;
}
