//! The floor of what a span costs: as many spans with the same attributes as the example `spans` makes, by the SDK of
//! OpenTelemetry alone, with its own queue and its own sender. Nothing of eval-fabric takes part.
//!
//! They go by gRPC to where `OTEL_EXPORTER_OTLP_ENDPOINT` says:
//! `cargo run --release -p ef-telemetry --example sdk -- 100000`

#![allow(clippy::print_stdout, reason = "an example prints what it measured")]

use std::error::Error;
use std::time::{Duration, Instant};

use opentelemetry::trace::{Span as _, SpanBuilder, TraceContextExt as _, Tracer as _, TracerProvider as _};
use opentelemetry::{Context, KeyValue};
use opentelemetry_otlp::SpanExporter;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracer, SdkTracerProvider};

const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn main() -> Result<(), Box<dyn Error>> {
    let items: usize = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(100_000);
    // The connection lives on a runtime; the SDK's own thread only waits for it.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let entered = runtime.enter();
    let exporter = SpanExporter::builder().with_tonic().build()?;
    drop(entered);
    // Room for all of them: what is dropped costs nothing, and would be no floor.
    let batches = BatchConfigBuilder::default().with_max_queue_size(2 * items + 1).build();
    let processor = BatchSpanProcessor::builder(exporter).with_batch_config(batches).build();
    let provider = SdkTracerProvider::builder().with_span_processor(processor).build();
    let begun = Instant::now();
    run(&provider.tracer("floor"), items);
    let made = begun.elapsed();
    provider.shutdown_with_timeout(Duration::from_secs(60))?;
    println!("{items} items in {:.2} s, {:.2} s with the end", made.as_secs_f64(), begun.elapsed().as_secs_f64());
    Ok(())
}

/// Two threads share the items, as the runtime of `ef` does on two cores.
fn run(tracer: &SdkTracer, items: usize) {
    let root = Context::new().with_span(tracer.start("eval.run"));
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let root = root.clone();
            scope.spawn(move || (thread..items).step_by(2).for_each(|row| task(tracer, &root, row)));
        }
    });
}

fn task(tracer: &SdkTracer, run: &Context, row: usize) {
    let task = SpanBuilder::from_name("eval.task").with_attributes([
        KeyValue::new("item_id", format!("item-{row}")),
        KeyValue::new("repeat", 0),
        KeyValue::new("evaluator_id", "eval_fabric.examples.echo"),
        KeyValue::new("evaluator_version", "1.0.0"),
        KeyValue::new("evaluator_source", "builtin:ef-evaluators@0.1.0"),
        KeyValue::new("evaluator_digest", DIGEST),
        KeyValue::new("attempt", 1),
        KeyValue::new("status", "ok"),
    ]);
    let task = run.with_span(tracer.build_with_context(task, run));
    let judge = SpanBuilder::from_name("eval.judge.eval_fabric.exact_match").with_attributes([
        KeyValue::new("judge_id", "eval_fabric.exact_match"),
        KeyValue::new("judge_name", "exact"),
        KeyValue::new("judge_version", "1.0.0"),
        KeyValue::new("judge_source", "builtin:ef-judges@0.1.0"),
        KeyValue::new("judge_digest", DIGEST),
        KeyValue::new("determinism", "deterministic"),
        KeyValue::new("attempt", 1),
        KeyValue::new("status", "scored"),
    ]);
    let mut judge = tracer.build_with_context(judge, &task);
    judge.add_event(
        "gen_ai.evaluation.result",
        vec![
            KeyValue::new("gen_ai.evaluation.name", "exact"),
            KeyValue::new("gen_ai.evaluation.score.value", 1.0),
            KeyValue::new("gen_ai.evaluation.score.label", "pass"),
        ],
    );
    judge.end();
    task.span().end();
}
