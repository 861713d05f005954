//! Points of metrics as tests look at them.

use std::fmt;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, HistogramDataPoint, Metric, NumberDataPoint};

use super::attributes::{self, Attributes};

/// A point of a metric: one of its series at one time.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// The metric's name.
    pub metric: String,
    /// Its unit, as UCUM writes it.
    pub unit: String,
    /// What it says.
    pub description: String,
    /// What sort of metric it is.
    pub kind: PointKind,
    /// The labels of the series.
    pub attributes: Attributes,
    /// The value; of a histogram, the sum of what was measured.
    pub value: f64,
    /// How many measurements are in a histogram; of others 0.
    pub count: u64,
    /// The upper bounds of a histogram's buckets, without the last, which has none.
    pub bounds: Vec<f64>,
    /// How many measurements are in each bucket of a histogram.
    pub buckets: Vec<u64>,
    /// When it was taken, in nanoseconds since 1970.
    pub time: u64,
    /// Whose it is.
    pub resource: Attributes,
    /// The part of the program that made it.
    pub scope: String,
}

/// What sort of metric a point is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PointKind {
    /// A sum that only grows.
    Counter,
    /// A sum that may go down, too.
    UpDownCounter,
    /// A value at a moment.
    Gauge,
    /// A distribution.
    Histogram,
    /// Something that this receiver does not take apart.
    Other,
}

impl Point {
    fn is_of_the_series_of(&self, other: &Self) -> bool {
        (&self.metric, &self.attributes, &self.resource) == (&other.metric, &other.attributes, &other.resource)
    }
}

/// The points of a message.
///
/// # Panics
///
/// Where one is not cumulative: no more would be known of a series from its last point.
pub(super) fn of(request: &ExportMetricsServiceRequest) -> Vec<Point> {
    let mut points = Vec::new();
    for resource_metrics in &request.resource_metrics {
        let resource = attributes::of_resource(resource_metrics.resource.as_ref());
        for scope_metrics in &resource_metrics.scope_metrics {
            let scope = scope_metrics.scope.as_ref().map(|scope| scope.name.clone()).unwrap_or_default();
            for metric in &scope_metrics.metrics {
                let common = blank(metric, resource.clone(), scope.clone());
                points.extend(of_metric(metric, &common));
            }
        }
    }
    points
}

/// The last point of each series.
pub(super) fn last(points: impl IntoIterator<Item = Point>) -> Vec<Point> {
    let mut last: Vec<Point> = Vec::new();
    for point in points {
        match last.iter_mut().find(|known| known.is_of_the_series_of(&point)) {
            Some(known) if known.time <= point.time => *known = point,
            Some(_) => (),
            None => last.push(point),
        }
    }
    last
}

fn blank(metric: &Metric, resource: Attributes, scope: String) -> Point {
    Point {
        metric: metric.name.clone(),
        unit: metric.unit.clone(),
        description: metric.description.clone(),
        kind: PointKind::Other,
        attributes: Attributes::new(),
        value: 0.0,
        count: 0,
        bounds: Vec::new(),
        buckets: Vec::new(),
        time: 0,
        resource,
        scope,
    }
}

fn of_metric(metric: &Metric, common: &Point) -> Vec<Point> {
    let cumulative = |temporality: AggregationTemporality| {
        assert_eq!(temporality, AggregationTemporality::Cumulative, "{} is not cumulative", metric.name);
    };
    match &metric.data {
        Some(Data::Gauge(gauge)) => {
            gauge.data_points.iter().map(|point| number(point, PointKind::Gauge, common)).collect()
        }
        Some(Data::Sum(sum)) => {
            cumulative(sum.aggregation_temporality());
            let kind = if sum.is_monotonic { PointKind::Counter } else { PointKind::UpDownCounter };
            sum.data_points.iter().map(|point| number(point, kind, common)).collect()
        }
        Some(Data::Histogram(histogram)) => {
            cumulative(histogram.aggregation_temporality());
            histogram.data_points.iter().map(|point| distribution(point, common)).collect()
        }
        _ => vec![common.clone()],
    }
}

fn number(wire: &NumberDataPoint, kind: PointKind, common: &Point) -> Point {
    let value = match wire.value {
        Some(Value::AsDouble(value)) => value,
        // Counts of tests are far below 2^53.
        Some(Value::AsInt(value)) => value as f64,
        None => f64::NAN,
    };
    let (attributes, time) = (attributes::map(&wire.attributes), wire.time_unix_nano);
    Point { kind, value, attributes, time, ..common.clone() }
}

fn distribution(wire: &HistogramDataPoint, common: &Point) -> Point {
    Point {
        kind: PointKind::Histogram,
        attributes: attributes::map(&wire.attributes),
        value: wire.sum.unwrap_or(f64::NAN),
        count: wire.count,
        bounds: wire.explicit_bounds.clone(),
        buckets: wire.bucket_counts.clone(),
        time: wire.time_unix_nano,
        ..common.clone()
    }
}

impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, unit) = (self.metric.escape_debug(), self.unit.escape_debug());
        write!(f, "metric {name}  ")?;
        if self.kind == PointKind::Histogram {
            write!(f, "n={} sum={} {unit}", self.count, self.value)?;
        } else {
            write!(f, "{} {unit}", self.value)?;
        }
        write!(f, "  {}", attributes::line(&self.attributes))
    }
}
