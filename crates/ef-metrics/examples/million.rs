//! How long a million judgments with a thousand resamples take, and how much memory.
//!
//! `cargo run --release -p ef-metrics --example million [KIND]`, where KIND is `binary`, `graded`, `coarse` or
//! `distinct`; without one, all of them in turn. Peak memory is the process's so far.
#![allow(clippy::print_stdout, reason = "an example that shows figures")]

use std::sync::Arc;
use std::time::Instant;

use ef_metrics::MetricSet;
use ef_model::{
    ComponentId, Determinism, Digest, Identity, ItemId, JudgeIdentity, Judgment, JudgmentResult, Score, TaskRecord,
    Trace, TraceOutcome, Usage,
};
use ef_spec::{Aggregator, JudgeSpec, MetricSpec, Scoring};

const JUDGMENTS: u64 = 1_000_000;

fn main() {
    let chosen = std::env::args().nth(1);
    // Distinct scores by kind; 0 stands for no two alike.
    for (kind, distinct) in [("binary", 2), ("graded", 101), ("coarse", 10_000), ("distinct", 0)] {
        if chosen.as_deref().is_none_or(|chosen| chosen == kind) {
            for aggregator in [Aggregator::Mean, Aggregator::Median] {
                measure(kind, distinct, aggregator, None);
                measure(kind, distinct, aggregator, Some("absent"));
            }
        }
    }
}

fn measure(kind: &str, distinct: u64, aggregator: Aggregator, cluster_by: Option<&str>) {
    let judge = JudgeSpec {
        id: ComponentId::new("example.judge").expect("a valid id"),
        name: "judge".to_owned(),
        config: serde_json::Map::new(),
        weight: 1.0,
        max_concurrent: None,
    };
    let metric = MetricSpec {
        name: "m".to_owned(),
        from: None,
        aggregator,
        threshold: None,
        bootstrap: true,
        bootstrap_samples: 1000,
        seed: None,
        cluster_by: cluster_by.map(str::to_owned),
    };
    let scoring = Scoring { metrics: vec![metric], baseline_run_id: None };
    let mut set = MetricSet::new(&scoring, &[judge], 42);
    let mut record = record();
    let begin = Instant::now();
    for row in 0..JUDGMENTS {
        let mixed = row.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11;
        let score = if distinct == 0 { mixed } else { mixed % distinct };
        record.row = row + 1;
        if let JudgmentResult::Scored { score: place, .. } = &mut record.judgments[0].result {
            *place = Score::number(score as f64).expect("finite");
        }
        set.observe(&record, None);
    }
    let observed = begin.elapsed();
    let metrics = set.finish(None);
    let clustered = if cluster_by.is_some() { ", a cluster an item" } else { "" };
    println!(
        "{kind:8} {:6}{clustered}: observe {:.2} s, finish {:.2} s, peak {} MiB ({:?}..{:?})",
        aggregator.as_str(),
        observed.as_secs_f64(),
        (begin.elapsed() - observed).as_secs_f64(),
        peak_mib().map_or("?".to_owned(), |mib| mib.to_string()),
        metrics[0].ci_low,
        metrics[0].ci_high,
    );
}

fn record() -> TaskRecord {
    let identity = Identity::builtin("example.echo", "1", "example", "1");
    let judge = Arc::new(JudgeIdentity {
        name: "judge".to_owned(),
        identity: identity.clone(),
        determinism: Determinism::Deterministic,
        config_digest: Digest::of(b"{}"),
    });
    let result = JudgmentResult::Scored { score: true.into(), rationale: None };
    TaskRecord {
        item_id: ItemId::new("example:1").expect("a valid id"),
        row: 1,
        repeat: 0,
        revision: 0,
        trace: Trace {
            evaluator: Arc::new(identity),
            attempts: 1,
            started_at_us: 0,
            duration_us: 0,
            input: None,
            reference_output: None,
            item_metadata: None,
            usage: Usage::UNKNOWN,
            outcome: TraceOutcome::Ok { output: Digest::of(b""), output_metadata: None },
        },
        judgments: vec![Judgment {
            judge,
            attempts: 1,
            started_at_us: 0,
            duration_us: 0,
            reused_from: None,
            usage: Usage::UNKNOWN,
            result,
        }],
    }
}

/// The process's peak resident memory, where the system tells.
fn peak_mib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? / 1024)
}
