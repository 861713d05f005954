//! Records and specs for the tests.
#![allow(dead_code, reason = "each test uses some of it")]

use std::sync::Arc;

use ef_metrics::MetricSet;
use ef_model::{
    CallError, ComponentId, Determinism, Digest, ErrorRecord, Identity, ItemId, JudgeIdentity, Judgment,
    JudgmentResult, Metric, Payload, RowFault, RowFaultKind, Score, TaskRecord, Trace, TraceOutcome, Usage,
};
use ef_spec::{Aggregator, JudgeSpec, MetricSpec, Scoring};

/// What became of one judge's call.
#[derive(Debug, Clone)]
pub(crate) enum Call {
    Score(Score),
    Unscored,
    Error,
    /// No judgment at all.
    Missing,
}

impl Call {
    pub(crate) fn number(value: f64) -> Self {
        Self::Score(Score::number(value).expect("finite"))
    }

    pub(crate) fn json(text: &str) -> Self {
        Self::Score(serde_json::from_str(text).expect("a score"))
    }
}

/// What became of one task: the judges are `a`, `b`, `c`, … in order.
#[derive(Debug, Clone)]
pub(crate) enum Task {
    Judged(Vec<Call>),
    Timeout,
    Error,
    Skipped,
}

pub(crate) fn judge(name: &str, weight: f64) -> JudgeSpec {
    let id = ComponentId::new(format!("test.{name}")).expect("a valid id");
    JudgeSpec { id, name: name.to_owned(), config: serde_json::Map::new(), weight, max_concurrent: None }
}

pub(crate) fn metric(name: &str, aggregator: Aggregator) -> MetricSpec {
    MetricSpec {
        name: name.to_owned(),
        from: None,
        aggregator,
        threshold: None,
        bootstrap: false,
        bootstrap_samples: 1000,
        seed: None,
        cluster_by: None,
    }
}

pub(crate) fn bootstrapped(spec: MetricSpec) -> MetricSpec {
    MetricSpec { bootstrap: true, ..spec }
}

pub(crate) fn clustered(spec: MetricSpec) -> MetricSpec {
    MetricSpec { cluster_by: Some("doc".to_owned()), ..spec }
}

pub(crate) fn from(spec: MetricSpec, from: &str) -> MetricSpec {
    MetricSpec { from: Some(from.to_owned()), ..spec }
}

pub(crate) fn scoring(metrics: Vec<MetricSpec>) -> Scoring {
    Scoring { metrics, baseline_run_id: None }
}

pub(crate) fn record(row: u64, task: &Task) -> TaskRecord {
    let identity = Identity::builtin("test.evaluator", "1", "test", "1");
    let error = || ErrorRecord::from(&CallError::permanent("broken", "it broke"));
    let outcome = match task {
        Task::Judged(_) => TraceOutcome::Ok { output: Digest::of(b"output"), output_metadata: None },
        Task::Timeout => TraceOutcome::Timeout { error: error() },
        Task::Error => TraceOutcome::Error { error: error() },
        Task::Skipped => TraceOutcome::Skipped {
            fault: RowFault {
                kind: RowFaultKind::Malformed,
                message: "row 1 is not JSON".to_owned(),
                bytes: 1,
                sha256: Digest::of(b"{"),
            },
        },
    };
    let calls = match task {
        Task::Judged(calls) => calls.as_slice(),
        _ => &[],
    };
    let judgments = ('a'..).zip(calls).filter_map(|(name, call)| {
        let result = match call {
            Call::Score(score) => JudgmentResult::Scored { score: score.clone(), rationale: None },
            Call::Unscored => JudgmentResult::Unscored { rationale: None },
            Call::Error => JudgmentResult::Error { error: error() },
            Call::Missing => return None,
        };
        let judge = Arc::new(JudgeIdentity {
            name: name.to_string(),
            identity: identity.clone(),
            determinism: Determinism::Deterministic,
            config_digest: Digest::of(b"{}"),
        });
        Some(Judgment {
            judge,
            attempts: 1,
            started_at_us: 0,
            duration_us: 1,
            reused_from: None,
            usage: Usage::UNKNOWN,
            result,
        })
    });
    TaskRecord {
        item_id: ItemId::new(format!("test:{row}")).expect("a valid id"),
        row,
        repeat: 0,
        revision: 0,
        judgments: judgments.collect(),
        trace: Trace {
            evaluator: Arc::new(identity),
            attempts: 1,
            started_at_us: 0,
            duration_us: 1,
            input: None,
            reference_output: None,
            item_metadata: None,
            usage: Usage::UNKNOWN,
            outcome,
        },
    }
}

/// Metadata that puts an item into a cluster by `doc`.
pub(crate) fn doc(name: &str) -> Payload {
    Payload::from_value(&serde_json::json!({ "doc": name }))
}

/// A set fed with tasks; where there is a cluster name, it is the item's `doc`.
pub(crate) fn fed<'a>(
    scoring: &Scoring,
    judges: &[JudgeSpec],
    tasks: impl IntoIterator<Item = (u64, &'a Task, Option<&'a str>)>,
) -> MetricSet {
    let mut set = MetricSet::new(scoring, judges, 42);
    for (row, task, cluster) in tasks {
        set.observe(&record(row, task), cluster.map(doc).as_ref());
    }
    set
}

/// The one metric over scores of one judge `a`, with clusters where they are given.
pub(crate) fn over(spec: MetricSpec, scores: &[f64], clusters: Option<&[&str]>) -> Metric {
    let tasks: Vec<_> = scores.iter().map(|&score| Task::Judged(vec![Call::number(score)])).collect();
    let cluster = |index: usize| clusters.map(|clusters| clusters[index]);
    let rows = tasks.iter().enumerate().map(|(index, task)| (index as u64 + 1, task, cluster(index)));
    let metrics = fed(&scoring(vec![spec]), &[judge("a", 1.0)], rows).finish(None);
    metrics.into_iter().next().expect("one metric was asked for")
}

pub(crate) fn close(found: Option<f64>, expected: f64, tolerance: f64) -> bool {
    found.is_some_and(|found| (found - expected).abs() <= tolerance * expected.abs().max(1.0))
}
