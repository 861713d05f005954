//! OTLP over HTTP with protobuf bodies, checked as a collector checks it.

use std::io;

use bytes::Bytes;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsServiceRequest, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse};
use prost::Message as _;
use tonic::body::Body;

use super::connection::{cut, full, gunzip, headers, plain};
use super::mode::{Mode, Treatment};
use super::received::{Arrival, House, Message, Protocol, Signal};

const PROTOBUF: &str = "application/x-protobuf";

pub(super) async fn answer(parts: Parts, body: Bytes, mode: Mode, house: &House) -> Result<Response<Body>, io::Error> {
    let (arrival, message) = match read(&parts, body) {
        Ok(read) => read,
        Err((status, why)) => {
            house.malformed();
            return Ok(plain(status, why));
        }
    };
    let signal = message.signal();
    let entry = house.enter(arrival, message);
    let treatment = mode.treat().await;
    house.decide(&entry, treatment == Treatment::Take);
    match treatment {
        Treatment::Cut => Err(cut()),
        Treatment::Refuse { status, retry_after } => Ok(refusal(status, retry_after)),
        Treatment::Take => {
            let mut response = Response::new(full(taken(signal)));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(PROTOBUF));
            Ok(response)
        }
    }
}

fn read(parts: &Parts, body: Bytes) -> Result<(Arrival, Message), (StatusCode, &'static str)> {
    let signal = match parts.uri.path() {
        "/v1/traces" => Signal::Traces,
        "/v1/metrics" => Signal::Metrics,
        "/v1/logs" => Signal::Logs,
        _ => return Err((StatusCode::NOT_FOUND, "there are /v1/traces, /v1/metrics and /v1/logs")),
    };
    if parts.method != Method::POST {
        return Err((StatusCode::METHOD_NOT_ALLOWED, "telemetry is sent by POST"));
    }
    if parts.headers.get(CONTENT_TYPE).is_none_or(|value| value != PROTOBUF) {
        return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, "the content type is application/x-protobuf"));
    }
    let compressed = match parts.headers.get(CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"identity") => false,
        Some(b"gzip") => true,
        Some(_) => return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, "the content encoding is gzip or none")),
    };
    let no_gzip = |_| (StatusCode::BAD_REQUEST, "the body is not what gzip makes");
    let body = if compressed { gunzip(&body).map_err(no_gzip)? } else { body };
    let message = decode(signal, &body).map_err(|_| (StatusCode::BAD_REQUEST, "the body is not such a message"))?;
    let (path, headers) = (parts.uri.to_string(), headers(&parts.headers));
    Ok((Arrival { protocol: Protocol::Http, path, headers, body, compressed }, message))
}

fn decode(signal: Signal, body: &Bytes) -> Result<Message, prost::DecodeError> {
    let body = body.clone();
    Ok(match signal {
        Signal::Traces => Message::Traces(ExportTraceServiceRequest::decode(body)?),
        Signal::Metrics => Message::Metrics(ExportMetricsServiceRequest::decode(body)?),
        Signal::Logs => Message::Logs(ExportLogsServiceRequest::decode(body)?),
    })
}

fn taken(signal: Signal) -> Vec<u8> {
    match signal {
        Signal::Traces => ExportTraceServiceResponse::default().encode_to_vec(),
        Signal::Metrics => ExportMetricsServiceResponse::default().encode_to_vec(),
        Signal::Logs => ExportLogsServiceResponse::default().encode_to_vec(),
    }
}

fn refusal(status: u16, retry_after: Option<u64>) -> Response<Body> {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let mut response = plain(status, super::mode::REFUSAL);
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}
