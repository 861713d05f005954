//! The names of everything that is told while a run goes on: spans with their attributes, metrics with their labels. This is
//! the one place for them; the documentation's tables are compared with it.
//!
//! No span and no metric holds a payload, and no metric has a label whose values grow with the dataset.

use std::fmt;
use std::sync::Arc;

pub use word::{OTHER, code, is_code, label};

use crate::{ComponentId, ErrorKind, Propagator, TaskRecord};

mod word;

/// The target of all `tracing` spans and span events that are meant for a tracing backend. What has another target is a log
/// line.
pub const SPAN_TARGET: &str = "eval_fabric::span";

/// A kind of spans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanName {
    /// Its name; what stands in `<>` differs from span to span.
    pub name: &'static str,
    /// The name of the span that it is part of; empty for a root.
    pub parent: &'static str,
    /// What it spans.
    pub description: &'static str,
    /// Its attributes, those that may be absent included.
    pub attributes: &'static [&'static str],
    /// The events that it may have.
    pub events: &'static [EventName],
}

/// A kind of events of a span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EventName {
    /// Its name.
    pub name: &'static str,
    /// Its attributes, those that may be absent included.
    pub attributes: &'static [&'static str],
}

/// A retry: the attempt that failed, how, and how long the run waits before the next.
const RETRY: EventName = EventName { name: "retry", attributes: &["attempt", "error.kind", "error.code", "wait_ms"] };

/// The OpenTelemetry GenAI event of a judgment, without its explanation, which is a payload.
const EVALUATION_RESULT: EventName = EventName {
    name: "gen_ai.evaluation.result",
    attributes: &[
        "gen_ai.evaluation.name",
        "gen_ai.evaluation.score.value",
        "gen_ai.evaluation.score.label",
        "error.type",
    ],
};

/// Every kind of spans.
pub const SPANS: &[SpanName] = &[
    SpanName {
        name: "eval.run",
        parent: "",
        description: "A run, from its begin or its being taken up to its end.",
        attributes: &["run_id", "spec_id", "spec_version", "dataset_size", "status", "error.type"],
        events: &[],
    },
    SpanName {
        name: "eval.task",
        parent: "eval.run",
        description: "One repeat of one item: the evaluator's call with its retries, then the judges'.",
        attributes: &[
            "item_id",
            "repeat",
            "evaluator_id",
            "evaluator_version",
            "evaluator_source",
            "evaluator_digest",
            "attempt",
            "status",
            "error.type",
        ],
        events: &[RETRY],
    },
    SpanName {
        name: "eval.judge.<id>",
        parent: "eval.task",
        description: "One judgment: the judge's call with its retries, or the judgment that is reused instead.",
        attributes: &[
            "judge_id",
            "judge_name",
            "judge_version",
            "judge_source",
            "judge_digest",
            "determinism",
            "attempt",
            "status",
            "cost_usd",
            "reused_from",
            "error.type",
        ],
        events: &[RETRY, EVALUATION_RESULT],
    },
    SpanName {
        name: "tracestore.put",
        parent: "eval.run",
        description: "One commit of finished tasks.",
        attributes: &["record_type", "count", "latency_ms", "backend", "error.type"],
        events: &[],
    },
    SpanName {
        name: "chat <model>",
        parent: "eval.task or eval.judge.<id>",
        description: "One attempt of a call of a model, as the OpenTelemetry GenAI conventions have it.",
        attributes: &[
            "gen_ai.operation.name",
            "gen_ai.provider.name",
            "gen_ai.request.model",
            "gen_ai.request.temperature",
            "gen_ai.request.top_p",
            "gen_ai.request.max_tokens",
            "gen_ai.request.seed",
            "gen_ai.response.model",
            "gen_ai.response.finish_reasons",
            "gen_ai.usage.input_tokens",
            "gen_ai.usage.output_tokens",
            "server.address",
            "server.port",
            "error.type",
        ],
        events: &[],
    },
];

/// How a metric's values come together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instrument {
    /// A sum that only grows.
    Counter,
    /// A distribution.
    Histogram,
    /// A value that is what it is when it is looked at.
    Gauge,
}

impl fmt::Display for Instrument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Counter => "counter",
            Self::Histogram => "histogram",
            Self::Gauge => "gauge",
        })
    }
}

/// A metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetricName {
    /// Its name.
    pub name: &'static str,
    /// How its values come together.
    pub instrument: Instrument,
    /// Its unit, as UCUM writes it.
    pub unit: &'static str,
    /// Its labels. Their values are as many as a spec has components, whatever the dataset.
    pub labels: &'static [&'static str],
    /// What it counts or measures.
    pub description: &'static str,
}

/// Every metric.
pub const METRICS: &[MetricName] = &[
    MetricName {
        name: "eval_fabric.tasks.completed",
        instrument: Instrument::Counter,
        unit: "{task}",
        labels: &["status", "evaluator_id"],
        description: "Tasks whose trace and judgments have become durable.",
    },
    MetricName {
        name: "eval_fabric.tasks.duration",
        instrument: Instrument::Histogram,
        unit: "ms",
        labels: &["evaluator_id"],
        description: "How long the evaluator's call took, with its retries.",
    },
    MetricName {
        name: "eval_fabric.judges.duration",
        instrument: Instrument::Histogram,
        unit: "ms",
        labels: &["judge_id", "judge_name", "determinism"],
        description: "How long a judge's call took, with its retries.",
    },
    MetricName {
        name: "eval_fabric.judges.errors",
        instrument: Instrument::Counter,
        unit: "{judgment}",
        labels: &["judge_id", "judge_name"],
        description: "Judgments that could not be made.",
    },
    MetricName {
        name: "eval_fabric.judges.cost",
        instrument: Instrument::Counter,
        unit: "{USD}",
        labels: &["judge_id", "judge_name"],
        description: "What judges have cost, where prices are known.",
    },
    MetricName {
        name: "eval_fabric.evaluators.cost",
        instrument: Instrument::Counter,
        unit: "{USD}",
        labels: &["evaluator_id"],
        description: "What the evaluator has cost, where a price is known.",
    },
    MetricName {
        name: "eval_fabric.runner.retries",
        instrument: Instrument::Counter,
        unit: "{attempt}",
        labels: &["component_id", "error.kind"],
        description: "Attempts that failed and were made again.",
    },
    MetricName {
        name: "eval_fabric.runner.in_flight",
        instrument: Instrument::Gauge,
        unit: "{task}",
        labels: &[],
        description: "Tasks in flight.",
    },
    MetricName {
        name: "eval_fabric.runner.queue_depth",
        instrument: Instrument::Gauge,
        unit: "{task}",
        labels: &[],
        description: "Finished tasks that wait for their commit.",
    },
    MetricName {
        name: "eval_fabric.tracestore.batch_size",
        instrument: Instrument::Histogram,
        unit: "{task}",
        labels: &["backend"],
        description: "Tasks in a commit.",
    },
    MetricName {
        name: "eval_fabric.tracestore.latency",
        instrument: Instrument::Histogram,
        unit: "ms",
        labels: &["backend"],
        description: "How long a commit took.",
    },
    MetricName {
        name: "eval_fabric.tracestore.errors",
        instrument: Instrument::Counter,
        unit: "{error}",
        labels: &["backend", "op"],
        description: "Operations of the trace store that failed.",
    },
];

/// Keeps the numbers of a run for whoever exports them. The runner calls it from its busiest places: nothing here waits or
/// fails.
pub trait Meters: Send + Sync {
    /// A task has become durable.
    fn committed(&self, record: &TaskRecord);

    /// An attempt of this evaluator or judge failed in this way, and is made again.
    fn retried(&self, component: &ComponentId, kind: ErrorKind);

    /// From now on, this is how much is going on. It is asked whenever numbers are exported.
    fn watch(&self, load: Arc<dyn Fn() -> Load + Send + Sync>);
}

/// How much is going on in a run at a moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// Tasks in flight.
    pub in_flight: usize,
    /// Finished tasks that wait for their commit.
    pub queue_depth: usize,
}

/// Where a run tells of itself. The default tells nobody.
#[derive(Clone, Default)]
pub struct Instruments {
    /// Who keeps its numbers.
    pub meters: Option<Arc<dyn Meters>>,
    /// Who knows the current span, for those who are called.
    pub propagator: Option<Arc<dyn Propagator>>,
}

impl fmt::Debug for Instruments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instruments")
            .field("meters", &self.meters.is_some())
            .field("propagator", &self.propagator.is_some())
            .finish()
    }
}
