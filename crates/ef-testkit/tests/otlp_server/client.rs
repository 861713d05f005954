//! What is sent to the receiver: a span, by a client that writes HTTP by itself or by the generated one.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use ef_testkit::otlp_server::OtlpServer;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message as _;

pub(crate) fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() }
}

/// A message with a span of this name.
pub(crate) fn one_span(name: &str) -> ExportTraceServiceRequest {
    let span = Span {
        name: name.to_owned(),
        trace_id: vec![0xab; 16],
        span_id: vec![0xcd; 8],
        start_time_unix_nano: 1_000,
        end_time_unix_nano: 1_501_000,
        attributes: vec![attribute("n", Value::IntValue(7))],
        ..Span::default()
    };
    let scope_spans = vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }];
    ExportTraceServiceRequest { resource_spans: vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }] }
}

/// The first lines and the headers of an export of spans.
pub(crate) const TO_TRACES: &str = "POST /v1/traces HTTP/1.1\r\ncontent-type: application/x-protobuf\r\n";

/// Sends a request, and gives back what was answered; an error where nothing was.
pub(crate) fn send(server: &OtlpServer, head: &str, body: &[u8]) -> std::io::Result<String> {
    let stream = TcpStream::connect(server.address())?;
    stream.set_read_timeout(Some(Duration::from_millis(300)))?;
    exchange(stream, head, body)
}

pub(crate) fn exchange(mut stream: impl Read + Write, head: &str, body: &[u8]) -> std::io::Result<String> {
    let length = body.len();
    let head = format!("{head}host: localhost\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all(&[head.as_bytes(), body].concat())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer).into_owned();
    if answer.is_empty() { Err(std::io::ErrorKind::UnexpectedEof.into()) } else { Ok(answer) }
}

/// Sends a span of this name over HTTP.
pub(crate) fn send_span(server: &OtlpServer, name: &str) -> std::io::Result<String> {
    send(server, TO_TRACES, &one_span(name).encode_to_vec())
}

pub(crate) fn status(answer: &str) -> &str {
    answer.split_whitespace().nth(1).unwrap_or_default()
}
