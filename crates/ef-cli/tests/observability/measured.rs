//! The metrics of a run, compared with its result.

use ef_model::telemetry::{Instrument, METRICS};
use ef_testkit::otlp_server::{Point, PointKind, Protocol};
use serde_json::Value;

use crate::folder::Folder;
use crate::world::{World, ef};

fn sum(points: &[Point], metric: &str, holds: impl Fn(&Point) -> bool) -> f64 {
    points.iter().filter(|point| point.metric == metric && holds(point)).map(|point| point.value).sum()
}

fn count(points: &[Point], metric: &str, holds: impl Fn(&Point) -> bool) -> u64 {
    points.iter().filter(|point| point.metric == metric && holds(point)).map(|point| point.count).sum()
}

fn any(_: &Point) -> bool {
    true
}

/// Checks that a point is as the table says.
fn assert_described(point: &Point) {
    let described = METRICS.iter().find(|metric| metric.name == point.metric);
    let described = described.unwrap_or_else(|| panic!("{point} is in no table"));
    let kind = match described.instrument {
        Instrument::Counter => PointKind::Counter,
        Instrument::Histogram => PointKind::Histogram,
        Instrument::Gauge => PointKind::Gauge,
    };
    assert_eq!((point.kind, point.unit.as_str()), (kind, described.unit), "{point}");
    assert_eq!(point.description, described.description, "{point}");
    let (mut labels, mut told) =
        (described.labels.to_vec(), point.attributes.keys().map(String::as_str).collect::<Vec<_>>());
    labels.sort_unstable();
    told.sort_unstable();
    assert_eq!(labels, told, "{point}");
}

fn assert_measured(world: &World) {
    let points = world.otlp.metrics();
    points.iter().for_each(assert_described);
    for metric in METRICS.iter().filter(|metric| metric.name != "eval_fabric.tracestore.errors") {
        assert!(points.iter().any(|point| point.metric == metric.name), "{} was not sent", metric.name);
    }
    let counts = &world.result["counts"];
    for status in ["ok", "error", "skipped", "timeout"] {
        let told = sum(&points, "eval_fabric.tasks.completed", |point| point.attributes["status"] == status);
        assert_eq!(Some(told), counts[status].as_f64(), "{status}: {counts}");
    }
    let judgments: Vec<&Value> =
        world.records.iter().flat_map(|record| record["judgments"].as_array().expect("a list")).collect();
    assert_eq!(count(&points, "eval_fabric.judges.duration", any), judgments.len() as u64);
    assert_eq!(Some(sum(&points, "eval_fabric.judges.errors", any)), counts["judge_error"].as_f64());
    let called = world.records.iter().filter(|record| record["trace"]["status"] != "skipped").count();
    assert_eq!(count(&points, "eval_fabric.tasks.duration", any), called as u64);
    assert_eq!(sum(&points, "eval_fabric.runner.retries", any), 1.0);
    let near = |told: f64, kept: &Value| kept.as_f64().is_some_and(|kept| kept > 0.0 && (told - kept).abs() < 1e-9);
    let usage = &world.result["usage"];
    let (evaluators, judges) =
        (sum(&points, "eval_fabric.evaluators.cost", any), sum(&points, "eval_fabric.judges.cost", any));
    assert!(near(evaluators, &usage["evaluator"]["cost_usd"]), "{evaluators}: {usage}");
    assert!(near(judges, &usage["judges"]["good"]["cost_usd"]), "{judges}: {usage}");
    assert_eq!(sum(&points, "eval_fabric.tracestore.batch_size", any), world.records.len() as f64);
    let commits = count(&points, "eval_fabric.tracestore.batch_size", any);
    assert_eq!(count(&points, "eval_fabric.tracestore.latency", any), commits);
    let puts = world.otlp.spans().iter().filter(|span| span.name == "tracestore.put").count();
    assert_eq!(commits, puts as u64);
    assert_eq!(sum(&points, "eval_fabric.runner.in_flight", any), 0.0, "the run is over");
    assert_eq!(sum(&points, "eval_fabric.runner.queue_depth", any), 0.0, "the run is over");
}

#[test]
fn over_http_all_metrics_say_what_the_result_says() {
    assert_measured(&World::of(Protocol::Http));
}

#[test]
fn over_grpc_all_metrics_say_what_the_result_says() {
    assert_measured(&World::of(Protocol::Grpc));
}

#[test]
fn no_label_is_of_an_item_so_that_there_are_as_many_series_for_a_thousand_items_as_for_ten() {
    let series = |items: usize| {
        let otlp = ef_testkit::otlp_server::OtlpServer::start();
        let folder = Folder::new();
        let row = |item| format!("{{\"item_id\": \"x{item}\", \"input\": \"{item}\", \"reference_output\": \"1\"}}\n");
        folder.write("dataset.jsonl", (0..items).map(row).collect::<String>());
        ef(&folder, "run spec.yaml --dataset dataset.jsonl", &otlp.variables(Protocol::Http)).exits(0);
        otlp.metrics().len()
    };
    assert_eq!(series(10), series(1000));
}

#[test]
fn what_the_store_refuses_is_counted_by_operation() {
    let world = World::of(Protocol::Http);
    let again = "run spec.yaml --dataset dataset.jsonl --run-id observed";
    let ended = ef(&world.folder, again, &world.otlp.variables(Protocol::Http));
    assert_ne!(ended.code, Some(0), "{ended}");
    let points = world.otlp.metrics();
    let errors: Vec<_> = points.iter().filter(|point| point.metric == "eval_fabric.tracestore.errors").collect();
    let [error] = &errors[..] else { panic!("one operation failed: {errors:?}, {ended}") };
    assert_described(error);
    assert_eq!((error.value, &error.attributes["backend"]), (1.0, &Value::from("sqlite")), "{error}");
}
