//! The instruments against the table of metrics, and what they count.

use std::collections::BTreeSet;

use ef_model::{Determinism, Usage};
use ef_testkit::{judge_identity, record};
use opentelemetry::metrics::MeterProvider;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics, ScopeMetrics};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};

use super::*;

/// A series: metric, labels, value (a histogram's sum), count (of a histogram).
type Series = (String, Vec<(String, String)>, f64, u64);

struct Seen {
    provider: SdkMeterProvider,
    exporter: InMemoryMetricExporter,
    meters: RunMeters,
    store: StoreMeters,
}

impl Seen {
    fn new() -> Self {
        let exporter = InMemoryMetricExporter::default();
        let reader = PeriodicReader::builder(exporter.clone()).with_interval(Duration::from_secs(3600)).build();
        let provider = SdkMeterProvider::builder().with_reader(reader).build();
        let meter = provider.meter("test");
        Self { meters: RunMeters::new(&meter), store: StoreMeters::new(&meter), provider, exporter }
    }

    fn all(&self) -> ResourceMetrics {
        self.provider.force_flush().expect("the exporter is in memory");
        self.exporter.get_finished_metrics().expect("the exporter is in memory").pop().expect("metrics")
    }

    fn series(&self) -> Vec<Series> {
        let mut found = Vec::new();
        for metric in self.all().scope_metrics().flat_map(ScopeMetrics::metrics) {
            let mut add = |labels: Vec<&KeyValue>, value: f64, count: u64| {
                let mut labels: Vec<_> =
                    labels.iter().map(|label| (label.key.to_string(), label.value.to_string())).collect();
                labels.sort();
                found.push((metric.name().to_owned(), labels, value, count));
            };
            match metric.data() {
                AggregatedMetrics::U64(MetricData::Sum(sum)) => {
                    sum.data_points().for_each(|p| add(p.attributes().collect(), p.value() as f64, 0));
                }
                AggregatedMetrics::F64(MetricData::Sum(sum)) => {
                    sum.data_points().for_each(|p| add(p.attributes().collect(), p.value(), 0));
                }
                AggregatedMetrics::U64(MetricData::Gauge(gauge)) => {
                    gauge.data_points().for_each(|p| add(p.attributes().collect(), p.value() as f64, 0));
                }
                AggregatedMetrics::F64(MetricData::Histogram(histogram)) => {
                    histogram.data_points().for_each(|p| add(p.attributes().collect(), p.sum(), p.count()));
                }
                other => panic!("{} is of no kind that the table has: {other:?}", metric.name()),
            }
        }
        found.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
        found
    }

    fn of(&self, name: &str) -> Vec<Series> {
        self.series().into_iter().filter(|series| series.0 == name).collect()
    }
}

/// Something for every instrument.
fn use_all(seen: &Seen) {
    let mut record = record(1);
    record.trace.usage = Usage::cost(0.5);
    let mut failed = record.judgments[0].clone();
    failed.result = JudgmentResult::Error { error: error() };
    record.judgments.push(failed);
    seen.meters.committed(&record);
    seen.meters.retried(&record.trace.evaluator.id, ErrorKind::Timeout);
    seen.meters.watch(Arc::new(|| Load { in_flight: 3, queue_depth: 2 }));
    seen.store.committed("memory", 17, Duration::from_micros(1500));
    seen.store.failed("memory", "append");
}

fn error() -> ef_model::ErrorRecord {
    ef_model::ErrorRecord {
        kind: ErrorKind::Permanent,
        code: "broken".into(),
        message: "it broke".into(),
        detail: None,
    }
}

#[test]
fn every_metric_of_the_table_is_made_as_the_table_says_and_no_other() {
    let seen = Seen::new();
    use_all(&seen);
    let mut made = BTreeSet::new();
    for metric in seen.all().scope_metrics().flat_map(ScopeMetrics::metrics) {
        let instrument = match metric.data() {
            AggregatedMetrics::U64(MetricData::Sum(_)) | AggregatedMetrics::F64(MetricData::Sum(_)) => {
                Instrument::Counter
            }
            AggregatedMetrics::F64(MetricData::Histogram(_)) => Instrument::Histogram,
            _ => Instrument::Gauge,
        };
        made.insert((
            metric.name().to_owned(),
            instrument.to_string(),
            metric.unit().to_owned(),
            metric.description().to_owned(),
        ));
    }
    let table = METRICS
        .iter()
        .map(|row| (row.name.to_owned(), row.instrument.to_string(), row.unit.to_owned(), row.description.to_owned()));
    assert_eq!(made, table.collect());
    for (name, labels, ..) in seen.series() {
        let row = METRICS.iter().find(|row| row.name == name).expect("compared above");
        let labels: BTreeSet<&str> = labels.iter().map(|(key, _)| key.as_str()).collect();
        assert_eq!(labels, row.labels.iter().copied().collect(), "{name}");
    }
}

#[test]
fn a_durable_record_is_counted_once_with_its_judgments() {
    let seen = Seen::new();
    use_all(&seen);
    let one = |name: &str| {
        let [series] = &seen.of(name)[..] else { panic!("{name} has not one series") };
        (series.2, series.3)
    };
    assert_eq!(one("eval_fabric.tasks.completed"), (1.0, 0));
    assert_eq!(one("eval_fabric.tasks.duration"), (1.234, 1));
    assert_eq!(one("eval_fabric.judges.duration"), (0.01, 2));
    assert_eq!(one("eval_fabric.judges.errors"), (1.0, 0));
    assert_eq!(one("eval_fabric.judges.cost"), (0.6 + 1e-16, 0));
    assert_eq!(one("eval_fabric.evaluators.cost"), (0.5, 0));
    assert_eq!(one("eval_fabric.runner.in_flight"), (3.0, 0));
    assert_eq!(one("eval_fabric.runner.queue_depth"), (2.0, 0));
    assert_eq!(one("eval_fabric.tracestore.batch_size"), (17.0, 1));
    assert_eq!(one("eval_fabric.tracestore.latency"), (1.5, 1));
}

#[test]
fn judgments_that_were_not_made_now_are_not_counted() {
    let seen = Seen::new();
    let mut record = record(1);
    record.judgments[0].reused_from = Some(ef_model::RunId::new("earlier").expect("an id"));
    let mut pending = record.judgments[0].clone();
    pending.reused_from = None;
    pending.result = JudgmentResult::Pending;
    record.judgments.push(pending);
    seen.meters.committed(&record);
    assert_eq!(seen.of("eval_fabric.judges.duration"), []);
    assert_eq!(seen.of("eval_fabric.judges.cost"), []);
}

#[test]
fn series_grow_with_components_and_not_with_items() {
    let seen = Seen::new();
    for row in 1..500 {
        let mut record = record(row);
        if row % 2 == 0 {
            record.judgments[0].judge = judge_identity("other");
        }
        if row % 3 == 0 {
            let mut judge = (*record.judgments[0].judge).clone();
            judge.determinism = Determinism::Stochastic;
            record.judgments[0].judge = Arc::new(judge);
        }
        seen.meters.committed(&record);
    }
    assert_eq!(seen.of("eval_fabric.tasks.completed").len(), 1);
    assert_eq!(seen.of("eval_fabric.judges.duration").len(), 4);
    assert_eq!(seen.of("eval_fabric.judges.cost").len(), 2);
}

#[test]
fn bounds_grow_and_have_those_that_objectives_are_set_at() {
    for bounds in [&DURATIONS[..], &SIZES[..]] {
        assert!(bounds.is_sorted_by(|a, b| a < b));
    }
    assert!(DURATIONS.contains(&10_000.0));
}
