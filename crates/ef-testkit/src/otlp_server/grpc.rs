//! OTLP over gRPC, by the services that are generated from the protocol's definition.

use std::io;
use std::sync::Arc;

use bytes::{Buf as _, Bytes};
use http_body_util::Full;
use hyper::header::CONTENT_TYPE;
use hyper::http::request::Parts;
use hyper::{HeaderMap, Request, Response};
use opentelemetry_proto::tonic::collector::logs::v1 as logs;
use opentelemetry_proto::tonic::collector::metrics::v1 as metrics;
use opentelemetry_proto::tonic::collector::trace::v1 as trace;
use tonic::body::Body;
use tonic::codec::CompressionEncoding;
use tonic::codegen::Service as _;
use tonic::{Code, Status};

use super::connection::{cut, gunzip, headers};
use super::mode::{Mode, REFUSAL, Treatment};
use super::received::{Arrival, House, Message, Protocol};

/// The bytes before a message: whether it is compressed, and its length.
const PREFIX: usize = 5;

pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

pub(super) async fn answer(
    parts: Parts,
    body: Bytes,
    mode: Mode,
    house: Arc<House>,
) -> Result<Response<Body>, io::Error> {
    let Some((message, compressed)) = message(&body) else {
        house.malformed();
        return Ok(Status::invalid_argument("the body is not one message").into_http());
    };
    let (path, headers) = (parts.uri.path().to_owned(), headers(&parts.headers));
    let arrival = Arrival { protocol: Protocol::Grpc, path: path.clone(), headers, body: message, compressed };
    let request = Request::from_parts(parts, Full::new(body));
    let desk = Desk { house: Arc::clone(&house), mode, arrival: std::sync::Mutex::new(Some(arrival)) };
    macro_rules! serve {
        ($server:path) => {{
            let service = <$server>::new(desk).accept_compressed(CompressionEncoding::Gzip);
            service.max_decoding_message_size(usize::MAX).call(request).await
        }};
    }
    let response = match path.as_str() {
        "/opentelemetry.proto.collector.trace.v1.TraceService/Export" => {
            serve!(trace::trace_service_server::TraceServiceServer::<Desk>)
        }
        "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export" => {
            serve!(metrics::metrics_service_server::MetricsServiceServer::<Desk>)
        }
        "/opentelemetry.proto.collector.logs.v1.LogsService/Export" => {
            serve!(logs::logs_service_server::LogsServiceServer::<Desk>)
        }
        _ => {
            house.malformed();
            return Ok(Status::unimplemented("there are traces, metrics and logs").into_http());
        }
    };
    if mode == Mode::Close {
        return Err(cut());
    }
    response.map_err(|never| match never {})
}

/// The one message of a body, decompressed, and whether it was compressed.
fn message(body: &Bytes) -> Option<(Bytes, bool)> {
    let mut rest = body.clone();
    let (flag, length) = (rest.try_get_u8().ok()?, rest.try_get_u32().ok()?);
    if rest.len() != usize::try_from(length).ok()? {
        return None;
    }
    match flag {
        0 => Some((rest, false)),
        1 => Some((gunzip(&body[PREFIX..]).ok()?, true)),
        _ => None,
    }
}

/// Where the message of one request is handled.
struct Desk {
    house: Arc<House>,
    mode: Mode,
    arrival: std::sync::Mutex<Option<Arrival>>,
}

impl Desk {
    async fn handle<R: Default>(&self, message: Message) -> Result<R, Status> {
        let arrival = self.arrival.lock().ok().and_then(|mut arrival| arrival.take());
        let entry = self.house.enter(arrival.ok_or_else(|| Status::internal("two messages"))?, message);
        let treatment = self.mode.treat().await;
        self.house.decide(&entry, treatment == Treatment::Take);
        match treatment {
            Treatment::Take => Ok(R::default()),
            Treatment::Refuse { status, .. } => Err(Status::new(code(status), REFUSAL)),
            Treatment::Cut => Err(Status::aborted("the connection is cut")),
        }
    }
}

/// The code that corresponds to an HTTP status, as OTLP and gRPC have it.
const fn code(status: u16) -> Code {
    match status {
        400 => Code::InvalidArgument,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::Unimplemented,
        429 => Code::ResourceExhausted,
        502..=504 => Code::Unavailable,
        _ => Code::Unknown,
    }
}

#[tonic::async_trait]
impl trace::trace_service_server::TraceService for Desk {
    async fn export(
        &self,
        request: tonic::Request<trace::ExportTraceServiceRequest>,
    ) -> Result<tonic::Response<trace::ExportTraceServiceResponse>, Status> {
        self.handle(Message::Traces(request.into_inner())).await.map(tonic::Response::new)
    }
}

#[tonic::async_trait]
impl metrics::metrics_service_server::MetricsService for Desk {
    async fn export(
        &self,
        request: tonic::Request<metrics::ExportMetricsServiceRequest>,
    ) -> Result<tonic::Response<metrics::ExportMetricsServiceResponse>, Status> {
        self.handle(Message::Metrics(request.into_inner())).await.map(tonic::Response::new)
    }
}

#[tonic::async_trait]
impl logs::logs_service_server::LogsService for Desk {
    async fn export(
        &self,
        request: tonic::Request<logs::ExportLogsServiceRequest>,
    ) -> Result<tonic::Response<logs::ExportLogsServiceResponse>, Status> {
        self.handle(Message::Logs(request.into_inner())).await.map(tonic::Response::new)
    }
}
