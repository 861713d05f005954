//! Spans and metrics as lines beside the log, for a look without a collector.

use std::borrow::Cow;
use std::time::Duration;

use jiff::Timestamp;
use opentelemetry::trace::{SpanKind, Status};
use opentelemetry::{Context, KeyValue, Value};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics, ScopeMetrics};
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};

use ef_model::telemetry::SPAN_TARGET;

use crate::Logs;
use crate::line::{FieldValue, Line};
use crate::process::RunCell;
use crate::spans::tidy;

/// A place where lines go.
#[derive(Debug)]
struct Lines {
    logs: Logs,
    run: RunCell,
}

impl Lines {
    fn write(&self, time: Timestamp, kind: &str, message: &str, fields: &[(&str, FieldValue)]) {
        let run = self.run.get();
        let line = Line { time, level: kind, target: SPAN_TARGET, message, fields, run: run.as_ref() };
        (self.logs.write)(&line.render(self.logs.format, self.logs.color));
    }
}

/// Writes a line for each span that ends, and one for each of its events.
#[derive(Debug)]
pub(crate) struct ConsoleSpans(Lines);

impl ConsoleSpans {
    /// To where the log goes.
    pub(crate) const fn new(logs: Logs, run: RunCell) -> Self {
        Self(Lines { logs, run })
    }
}

impl SpanProcessor for ConsoleSpans {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, mut span: SpanData) {
        tidy(&mut span);
        let span_id = text(span.span_context.span_id().to_string());
        for event in &span.events.events {
            let mut fields = vec![("span_id", span_id.clone())];
            fields.extend(attributes(&event.attributes));
            self.0.write(timestamp(event.timestamp), "EVENT", &event.name, &fields);
        }
        let took = span.end_time.duration_since(span.start_time).unwrap_or_default();
        let mut fields = vec![
            ("duration_ms", FieldValue::Float(took.as_nanos() as f64 / 1e6)),
            ("trace_id", text(span.span_context.trace_id().to_string())),
            ("span_id", span_id),
        ];
        if span.parent_span_id != opentelemetry::trace::SpanId::INVALID {
            fields.push(("parent_id", text(span.parent_span_id.to_string())));
        }
        if span.span_kind != SpanKind::Internal {
            fields.push(("kind", text(format!("{:?}", span.span_kind).to_lowercase())));
        }
        if matches!(span.status, Status::Error { .. }) {
            fields.push(("otel.status_code", text("ERROR".to_owned())));
        }
        fields.extend(attributes(&span.attributes));
        self.0.write(timestamp(span.end_time), "SPAN", &span.name, &fields);
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Writes a line for each series of each metric whenever metrics are exported.
#[derive(Debug)]
pub(crate) struct ConsoleMetrics(Lines);

impl ConsoleMetrics {
    /// To where the log goes.
    pub(crate) const fn new(logs: Logs, run: RunCell) -> Self {
        Self(Lines { logs, run })
    }

    fn write<'a>(
        &self,
        name: &str,
        values: impl IntoIterator<Item = (&'static str, FieldValue)>,
        labels: impl Iterator<Item = &'a KeyValue>,
    ) {
        let mut fields: Vec<(&str, FieldValue)> = values.into_iter().collect();
        let mut labels: Vec<_> = labels.map(|label| (label.key.as_str(), value(&label.value))).collect();
        labels.sort_unstable_by_key(|(name, _)| *name);
        fields.append(&mut labels);
        self.0.write(Timestamp::now(), "METRIC", name, &fields);
    }

    fn data<T: Copy>(&self, name: &str, data: &MetricData<T>, number: fn(T) -> FieldValue) {
        match data {
            MetricData::Sum(sum) => {
                for point in sum.data_points() {
                    self.write(name, [("value", number(point.value()))], point.attributes());
                }
            }
            MetricData::Gauge(gauge) => {
                for point in gauge.data_points() {
                    self.write(name, [("value", number(point.value()))], point.attributes());
                }
            }
            MetricData::Histogram(histogram) => {
                for point in histogram.data_points() {
                    let values = [("count", FieldValue::Integer(point.count().into())), ("sum", number(point.sum()))]
                        .into_iter()
                        .chain(point.min().map(|min| ("min", number(min))))
                        .chain(point.max().map(|max| ("max", number(max))));
                    self.write(name, values, point.attributes());
                }
            }
            // No instrument of ours is one.
            MetricData::ExponentialHistogram(_) => {}
        }
    }
}

impl PushMetricExporter for ConsoleMetrics {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        for metric in metrics.scope_metrics().flat_map(ScopeMetrics::metrics) {
            match metric.data() {
                AggregatedMetrics::F64(data) => self.data(metric.name(), data, FieldValue::Float),
                AggregatedMetrics::U64(data) => {
                    self.data(metric.name(), data, |number| FieldValue::Integer(number.into()));
                }
                AggregatedMetrics::I64(data) => {
                    self.data(metric.name(), data, |number| FieldValue::Integer(number.into()));
                }
            }
        }
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
}

fn text(text: String) -> FieldValue {
    FieldValue::Text(text)
}

fn attributes(attributes: &[KeyValue]) -> impl Iterator<Item = (&str, FieldValue)> {
    attributes.iter().map(|attribute| (attribute.key.as_str(), value(&attribute.value)))
}

fn value(value: &Value) -> FieldValue {
    match value {
        Value::Bool(truth) => FieldValue::Bool(*truth),
        Value::I64(number) => FieldValue::Integer((*number).into()),
        Value::F64(number) => FieldValue::Float(*number),
        other => FieldValue::Text(match other.as_str() {
            Cow::Borrowed(text) => text.to_owned(),
            Cow::Owned(text) => text,
        }),
    }
}

fn timestamp(time: std::time::SystemTime) -> Timestamp {
    Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH)
}
