//! The numbers of a run, as OpenTelemetry instruments that are made after the table of metrics.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ef_model::telemetry::{Instrument, Load, METRICS, Meters, MetricName};
use ef_model::{ComponentId, ErrorKind, Judgment, JudgmentResult, TaskRecord, TraceStatus};
use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Histogram, Meter};

/// Bounds of durations in ms, from a tenth of a millisecond to ten minutes.
pub(crate) const DURATIONS: [f64; 22] = [
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1_000.0, 2_500.0, 5_000.0, 10_000.0,
    20_000.0, 30_000.0, 60_000.0, 120_000.0, 300_000.0, 600_000.0,
];
/// Bounds of numbers of tasks.
pub(crate) const SIZES: [f64; 15] =
    [1., 2., 4., 8., 16., 32., 64., 128., 256., 512., 1_024., 2_048., 4_096., 8_192., 16_384.];

type Probe = Arc<dyn Fn() -> Load + Send + Sync>;

/// The instruments of a run.
pub(crate) struct RunMeters {
    completed: Counter<u64>,
    task_duration: Histogram<f64>,
    judge_duration: Histogram<f64>,
    judge_errors: Counter<u64>,
    judge_cost: Counter<f64>,
    evaluator_cost: Counter<f64>,
    retries: Counter<u64>,
    probe: Arc<Mutex<Option<Probe>>>,
    labels: Mutex<Labels>,
}

impl fmt::Debug for RunMeters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RunMeters")
    }
}

/// The label sets that were needed so far: as many as a spec has components. They are made once, because records are many.
#[derive(Default)]
struct Labels {
    evaluators: Vec<Evaluator>,
    judges: Vec<Judge>,
    retries: Vec<(ComponentId, ErrorKind, [KeyValue; 2])>,
}

struct Evaluator {
    id: ComponentId,
    completed: [[KeyValue; 2]; TraceStatus::ALL.len()],
    labels: [KeyValue; 1],
}

struct Judge {
    id: ComponentId,
    name: String,
    determinism: &'static str,
    duration: [KeyValue; 3],
    labels: [KeyValue; 2],
}

impl RunMeters {
    /// The instruments, made by this meter.
    pub(crate) fn new(meter: &Meter) -> Self {
        let probe = Arc::new(Mutex::new(None));
        gauge(meter, "eval_fabric.runner.in_flight", &probe, |load| load.in_flight);
        gauge(meter, "eval_fabric.runner.queue_depth", &probe, |load| load.queue_depth);
        Self {
            completed: counter(meter, "eval_fabric.tasks.completed"),
            task_duration: histogram(meter, "eval_fabric.tasks.duration"),
            judge_duration: histogram(meter, "eval_fabric.judges.duration"),
            judge_errors: counter(meter, "eval_fabric.judges.errors"),
            judge_cost: costs(meter, "eval_fabric.judges.cost"),
            evaluator_cost: costs(meter, "eval_fabric.evaluators.cost"),
            retries: counter(meter, "eval_fabric.runner.retries"),
            probe,
            labels: Mutex::default(),
        }
    }

    fn judged(&self, judgment: &Judgment, labels: &mut Vec<Judge>) {
        // What was reused cost nothing now, and what waits for a person was not made yet.
        if judgment.reused_from.is_some() || matches!(judgment.result, JudgmentResult::Pending) {
            return;
        }
        let judge = judge(labels, judgment);
        self.judge_duration.record(millis(judgment.duration_us), &judge.duration);
        if matches!(judgment.result, JudgmentResult::Error { .. }) {
            self.judge_errors.add(1, &judge.labels);
        }
        if let Some(cost) = judgment.usage.cost_usd {
            self.judge_cost.add(cost, &judge.labels);
        }
    }
}

impl Meters for RunMeters {
    fn committed(&self, record: &TaskRecord) {
        let mut labels = lock(&self.labels);
        let Labels { evaluators, judges, .. } = &mut *labels;
        let trace = &record.trace;
        let evaluator = evaluator(evaluators, &trace.evaluator.id);
        let status = trace.status();
        self.completed.add(1, &evaluator.completed[status as usize]);
        if status != TraceStatus::Skipped {
            self.task_duration.record(millis(trace.duration_us), &evaluator.labels);
        }
        if let Some(cost) = trace.usage.cost_usd {
            self.evaluator_cost.add(cost, &evaluator.labels);
        }
        for judgment in &record.judgments {
            self.judged(judgment, judges);
        }
    }

    fn retried(&self, component: &ComponentId, kind: ErrorKind) {
        let mut labels = lock(&self.labels);
        let known = labels.retries.iter().position(|(id, known, _)| id == component && *known == kind);
        let place = known.unwrap_or_else(|| {
            let set = [label("component_id", component.as_str()), label("error.kind", kind.as_str())];
            labels.retries.push((component.clone(), kind, set));
            labels.retries.len() - 1
        });
        self.retries.add(1, &labels.retries[place].2);
    }

    fn watch(&self, load: Probe) {
        *lock(&self.probe) = Some(load);
    }
}

/// The instruments of a trace store.
#[derive(Debug, Clone)]
pub(crate) struct StoreMeters {
    batch_size: Histogram<f64>,
    latency: Histogram<f64>,
    errors: Counter<u64>,
}

impl StoreMeters {
    /// The instruments, made by this meter.
    pub(crate) fn new(meter: &Meter) -> Self {
        Self {
            batch_size: histogram(meter, "eval_fabric.tracestore.batch_size"),
            latency: histogram(meter, "eval_fabric.tracestore.latency"),
            errors: counter(meter, "eval_fabric.tracestore.errors"),
        }
    }

    /// A batch of `count` tasks was committed.
    pub(crate) fn committed(&self, backend: &'static str, count: usize, took: Duration) {
        let labels = [KeyValue::new("backend", backend)];
        #[expect(clippy::cast_precision_loss, reason = "a batch has some thousands of tasks")]
        self.batch_size.record(count as f64, &labels);
        self.latency.record(took.as_secs_f64() * 1e3, &labels);
    }

    /// An operation failed.
    pub(crate) fn failed(&self, backend: &'static str, op: &'static str) {
        self.errors.add(1, &[KeyValue::new("backend", backend), KeyValue::new("op", op)]);
    }
}

fn evaluator<'a>(labels: &'a mut Vec<Evaluator>, id: &ComponentId) -> &'a Evaluator {
    let place = labels.iter().position(|known| known.id == *id).unwrap_or_else(|| {
        labels.push(Evaluator {
            id: id.clone(),
            completed: TraceStatus::ALL
                .map(|status| [label("status", status.as_str()), label("evaluator_id", id.as_str())]),
            labels: [label("evaluator_id", id.as_str())],
        });
        labels.len() - 1
    });
    &labels[place]
}

fn judge<'a>(labels: &'a mut Vec<Judge>, judgment: &Judgment) -> &'a Judge {
    let identity = &judgment.judge;
    let (id, name, determinism) = (&identity.identity.id, &identity.name, identity.determinism.as_str());
    let is_it = |known: &Judge| known.id == *id && known.name == *name && known.determinism == determinism;
    let place = labels.iter().position(is_it).unwrap_or_else(|| {
        let [judge_id, judge_name] = [label("judge_id", id.as_str()), label("judge_name", name)];
        labels.push(Judge {
            id: id.clone(),
            name: name.clone(),
            determinism,
            duration: [judge_id.clone(), judge_name.clone(), label("determinism", determinism)],
            labels: [judge_id, judge_name],
        });
        labels.len() - 1
    });
    &labels[place]
}

/// What the table says of a metric.
fn row(name: &str, instrument: Instrument) -> &'static MetricName {
    METRICS
        .iter()
        .find(|metric| metric.name == name && metric.instrument == instrument)
        .expect("the table of metrics has every instrument that is made here")
}

fn counter(meter: &Meter, name: &'static str) -> Counter<u64> {
    let row = row(name, Instrument::Counter);
    meter.u64_counter(name).with_unit(row.unit).with_description(row.description).build()
}

fn costs(meter: &Meter, name: &'static str) -> Counter<f64> {
    let row = row(name, Instrument::Counter);
    meter.f64_counter(name).with_unit(row.unit).with_description(row.description).build()
}

fn histogram(meter: &Meter, name: &'static str) -> Histogram<f64> {
    let row = row(name, Instrument::Histogram);
    let bounds = if row.unit == "ms" { DURATIONS.to_vec() } else { SIZES.to_vec() };
    meter.f64_histogram(name).with_unit(row.unit).with_description(row.description).with_boundaries(bounds).build()
}

fn gauge(meter: &Meter, name: &'static str, probe: &Arc<Mutex<Option<Probe>>>, of: fn(Load) -> usize) {
    let row = row(name, Instrument::Gauge);
    let probe = Arc::clone(probe);
    meter
        .u64_observable_gauge(name)
        .with_unit(row.unit)
        .with_description(row.description)
        .with_callback(move |observer| {
            let probe = lock(&probe).clone();
            if let Some(probe) = probe {
                observer.observe(of(probe()) as u64, &[]);
            }
        })
        .build();
}

fn label(name: &'static str, value: &str) -> KeyValue {
    // Shared: it is cloned whenever numbers are exported.
    KeyValue::new(name, Arc::<str>::from(value))
}

#[expect(clippy::cast_precision_loss, reason = "a duration of 2^53 µs is 285 years")]
fn millis(micros: u64) -> f64 {
    micros as f64 / 1e3
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Label sets are added whole: a panic in between leaves nothing half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
