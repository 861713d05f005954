//! What a test and a person see of a message.

use ef_testkit::otlp_server::{OtlpServer, PointKind, SpanKind, Status};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Status as WireStatus;
use opentelemetry_proto::tonic::trace::v1::span::Event;
use prost::Message as _;
use serde_json::json;

use crate::client::{TO_TRACES, attribute, one_span, send, status};

/// Sends this to `/v1/<signal>`.
fn taken(server: &OtlpServer, signal: &str, body: &[u8]) {
    let answer = send(server, &TO_TRACES.replace("traces", signal), body).expect("an answer");
    assert_eq!(status(&answer), "200", "{answer}");
}

fn text(value: &str) -> Value {
    Value::StringValue(value.to_owned())
}

#[test]
fn a_span_has_its_parent_status_events_and_resource() {
    let server = OtlpServer::start();
    let mut message = one_span("eval.task");
    let resource = Resource { attributes: vec![attribute("service.name", text("ef"))], ..Resource::default() };
    message.resource_spans[0].resource = Some(resource);
    let span = &mut message.resource_spans[0].scope_spans[0].spans[0];
    span.kind = 3;
    span.parent_span_id = vec![0, 0, 0, 0, 0, 0, 1, 2];
    span.status = Some(WireStatus { code: 2, message: "rate_limited\u{1b}[2J".to_owned() });
    let list = Value::ArrayValue(ArrayValue { values: vec![AnyValue { value: Some(text("stop\u{7}")) }] });
    span.attributes.push(attribute("reasons", list));
    let attributes = vec![attribute("attempt", Value::IntValue(1)), attribute("ok", Value::BoolValue(false))];
    span.events.push(Event { name: "retry".to_owned(), attributes, ..Event::default() });
    taken(&server, "traces", &message.encode_to_vec());

    let [span] = &server.spans()[..] else { panic!("one span was sent") };
    assert_eq!((span.kind, span.status), (SpanKind::Client, Status::Error));
    assert_eq!(span.parent_id.as_deref(), Some("0000000000000102"));
    assert_eq!(span.resource["service.name"], "ef");
    assert_eq!(span.attributes["reasons"], json!(["stop\u{7}"]));
    assert_eq!(span.events_named("retry").next().expect("it has one").attributes["attempt"], 1);
    // A person's terminal is driven by nothing that is in it.
    insta::assert_snapshot!(span, @r#"
    span   eval.task  1.5ms  trace=abababababababababababababababab span=cdcdcdcdcdcdcdcd parent=0000000000000102 ERROR rate_limited\u{1b}[2J  n=7 reasons=["stop\u0007"]
           retry  attempt=1 ok=false
    "#);
}

fn metric(name: &str, data: Data) -> Metric {
    Metric { name: name.to_owned(), unit: "ms".to_owned(), data: Some(data), ..Metric::default() }
}

fn metrics(sum: i64, time: u64) -> Vec<u8> {
    let attributes = vec![attribute("status", text("ok"))];
    let point = NumberDataPoint {
        attributes: attributes.clone(),
        time_unix_nano: time,
        value: Some(Number::AsInt(sum)),
        ..NumberDataPoint::default()
    };
    let counter = Sum { data_points: vec![point], aggregation_temporality: 2, is_monotonic: true };
    let point = HistogramDataPoint {
        attributes,
        time_unix_nano: time,
        count: 3,
        sum: Some(4.5),
        bucket_counts: vec![1, 2],
        explicit_bounds: vec![1.0],
        ..HistogramDataPoint::default()
    };
    let histogram = Histogram { data_points: vec![point], aggregation_temporality: 2 };
    let metrics = vec![metric("done", Data::Sum(counter)), metric("took", Data::Histogram(histogram))];
    let scope_metrics = vec![ScopeMetrics { metrics, ..ScopeMetrics::default() }];
    let resource_metrics = vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }];
    ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
}

#[test]
fn of_each_series_the_last_point_is_seen() {
    let server = OtlpServer::start();
    taken(&server, "metrics", &metrics(5, 1));
    taken(&server, "metrics", &metrics(9, 2));
    let [done, took] = &server.metrics()[..] else { panic!("there are two series") };
    assert_eq!((done.kind, done.value, done.attributes["status"].as_str()), (PointKind::Counter, 9.0, Some("ok")));
    assert_eq!((took.kind, took.count, took.value), (PointKind::Histogram, 3, 4.5));
    assert_eq!((&took.bounds[..], &took.buckets[..]), (&[1.0][..], &[1, 2][..]));
    insta::assert_snapshot!(format!("{done}\n{took}"), @r#"
    metric done  9 ms  status="ok"
    metric took  n=3 sum=4.5 ms  status="ok"
    "#);
}

#[test]
fn a_log_record_has_its_severity_scope_and_span() {
    let server = OtlpServer::start();
    let record = LogRecord {
        severity_number: 13,
        severity_text: "WARN".to_owned(),
        body: Some(AnyValue { value: Some(text("an attempt failed")) }),
        attributes: vec![attribute("run_id", text("r1"))],
        trace_id: vec![1; 16],
        span_id: vec![0; 8],
        ..LogRecord::default()
    };
    let scope = Some(InstrumentationScope { name: "ef_runner::call".to_owned(), ..InstrumentationScope::default() });
    let scope_logs = vec![ScopeLogs { scope, log_records: vec![record], ..ScopeLogs::default() }];
    let resource_logs = vec![ResourceLogs { scope_logs, ..ResourceLogs::default() }];
    taken(&server, "logs", &ExportLogsServiceRequest { resource_logs }.encode_to_vec());
    let [record] = &server.logs()[..] else { panic!("one record was sent") };
    assert_eq!((record.severity_number, &record.scope[..]), (13, "ef_runner::call"));
    assert_eq!((record.trace_id.as_deref(), &record.span_id), (Some("01010101010101010101010101010101"), &None));
    insta::assert_snapshot!(record, @r#"log    WARN "an attempt failed"  run_id="r1""#);
}
