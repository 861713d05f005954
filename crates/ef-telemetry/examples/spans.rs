//! Makes as many spans as a run of N items with one judge, and says what they cost: wall time and CPU. Where they go is said by
//! the `OTEL_*` variables, as for `ef`. A second number makes it compute something for about so many microseconds after each
//! item, so that it makes no more spans than can be sent; what it uses without the variables is then to be subtracted.
//!
//! `cargo run --release -p ef-telemetry --example spans -- 100000`

#![allow(clippy::print_stdout, reason = "an example prints what it measured")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use ef_model::Environment;
use ef_model::telemetry::SPAN_TARGET;
use ef_telemetry::{LogFormat, Logs, Telemetry};
use nix::sys::resource::{UsageWho, getrusage};
use tracing::field::Empty;
use tracing::{Instrument, Span};

fn main() {
    let number = |place, default| std::env::args().nth(place).and_then(|text| text.parse().ok()).unwrap_or(default);
    let (items, micros) = (number(1, 100_000), number(2, 0));
    let logs =
        Logs { format: LogFormat::Human, color: false, errors: true, write: Arc::new(|line| println!("{line}")) };
    let telemetry = Telemetry::start(&Environment::new(std::env::vars()), logs);
    let (begun, before) = (Instant::now(), cpu());
    run(items, micros);
    let made = begun.elapsed();
    telemetry.shut_down();
    let (wall, used) = (begun.elapsed(), cpu().saturating_sub(before));
    println!(
        "{items} items in {:.2} s, {:.2} s with the end; {:.2} s of CPU, {:.2} µs a span; {} MiB at most",
        made.as_secs_f64(),
        wall.as_secs_f64(),
        used.as_secs_f64(),
        used.as_secs_f64() * 1e6 / (2 * items) as f64,
        peak_kib() / 1024,
    );
}

/// Two threads share the items, as the runtime of `ef` does on two cores.
fn run(items: u64, micros: u64) {
    let run =
        tracing::info_span!(target: SPAN_TARGET, "eval.run", run_id = "r-1", spec_id = "bench", spec_version = "1.0.0");
    std::thread::scope(|scope| {
        for thread in 0..2 {
            let run = run.clone();
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
                runtime.block_on(async {
                    for row in (thread..items).step_by(2) {
                        task(&run, row).await;
                        std::hint::black_box(compute(micros));
                    }
                });
            });
        }
    });
}

/// Takes about so many microseconds, and always the same work.
fn compute(micros: u64) -> u64 {
    (0..micros * 1000)
        .fold(1, |sum: u64, number| std::hint::black_box(sum ^ number).wrapping_mul(0x9E37_79B9_7F4A_7C15))
}

async fn task(run: &Span, row: u64) {
    let item = format!("item-{row}");
    let span = tracing::info_span!(
        target: SPAN_TARGET,
        parent: run,
        "eval.task",
        item_id = item.as_str(),
        repeat = 0_i64,
        evaluator_id = "eval_fabric.examples.echo",
        evaluator_version = "1.0.0",
        evaluator_source = "builtin:ef-evaluators@0.1.0",
        evaluator_digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
        attempt = Empty,
        status = Empty,
        "error.type" = Empty,
        "otel.status_code" = Empty,
    );
    async {
        span.record("attempt", 1_i64);
        span.record("status", "ok");
        let judge = tracing::info_span!(
            target: SPAN_TARGET,
            "eval.judge",
            "otel.name" = "eval.judge.eval_fabric.exact_match",
            judge_id = "eval_fabric.exact_match",
            judge_name = "exact",
            judge_version = "1.0.0",
            judge_source = "builtin:ef-judges@0.1.0",
            judge_digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            determinism = "deterministic",
            attempt = Empty,
            status = Empty,
        );
        async {
            judge.record("attempt", 1_i64);
            judge.record("status", "scored");
            tracing::info!(
                target: SPAN_TARGET,
                parent: &judge,
                {
                    "gen_ai.evaluation.name" = "exact",
                    "gen_ai.evaluation.score.value" = 1.0,
                    "gen_ai.evaluation.score.label" = "pass",
                },
                "gen_ai.evaluation.result"
            );
        }
        .instrument(judge.clone())
        .await;
    }
    .instrument(span.clone())
    .await;
}

fn cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("every process has a usage");
    let micros = |time: nix::sys::time::TimeVal| {
        u64::try_from(time.tv_sec()).unwrap_or(0) * 1_000_000 + u64::try_from(time.tv_usec()).unwrap_or(0)
    };
    Duration::from_micros(micros(usage.user_time()) + micros(usage.system_time()))
}

fn peak_kib() -> i64 {
    getrusage(UsageWho::RUSAGE_SELF).expect("every process has a usage").max_rss()
}
