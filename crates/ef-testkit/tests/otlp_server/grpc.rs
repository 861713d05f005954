//! OTLP over gRPC, by the generated client.

use ef_testkit::otlp_server::{Mode, OtlpServer, Protocol};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use prost::Message as _;
use tonic::codec::CompressionEncoding;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request};

use crate::client::one_span;

async fn channel(server: &OtlpServer) -> Channel {
    Endpoint::from_shared(server.endpoint()).expect("an address").connect().await.expect("a connection")
}

#[tokio::test]
async fn all_three_signals_are_taken_and_kept_with_their_headers_and_bytes() {
    let server = OtlpServer::start();
    let channel = channel(&server).await;
    let mut request = Request::new(one_span("one"));
    request.metadata_mut().insert("x-team", "blue".parse().expect("a header's value"));
    let mut traces = TraceServiceClient::new(channel.clone());
    traces.export(request).await.expect("it is taken");
    let mut metrics = MetricsServiceClient::new(channel.clone());
    metrics.export(ExportMetricsServiceRequest::default()).await.expect("it is taken");
    LogsServiceClient::new(channel).export(ExportLogsServiceRequest::default()).await.expect("it is taken");
    let received = server.requests();
    assert_eq!(received.len(), 3);
    assert_eq!((received[0].protocol, received[0].header("x-team")), (Protocol::Grpc, Some("blue")));
    assert_eq!(received[0].body, one_span("one").encode_to_vec());
    assert!(received.iter().all(|received| received.accepted && !received.pending));
    assert_eq!(server.spans()[0].name, "one");
    assert_eq!(server.counts().connections, 1);
}

#[tokio::test]
async fn what_is_compressed_is_kept_as_it_was_before() {
    let server = OtlpServer::start();
    let mut client = TraceServiceClient::new(channel(&server).await).send_compressed(CompressionEncoding::Gzip);
    client.export(one_span("packed")).await.expect("it is taken");
    let received = &server.requests()[0];
    assert!(received.compressed);
    assert_eq!(received.body, one_span("packed").encode_to_vec());
}

#[tokio::test]
async fn refusals_have_the_codes_that_correspond_to_http() {
    let server = OtlpServer::start();
    let mut client = TraceServiceClient::new(channel(&server).await);
    for (status, code) in [(503, Code::Unavailable), (400, Code::InvalidArgument), (401, Code::Unauthenticated)] {
        server.set_mode(Mode::Refuse { status, retry_after: None });
        assert_eq!(client.export(one_span("x")).await.expect_err("it is refused").code(), code);
    }
    server.set_mode(Mode::Close);
    client.export(one_span("x")).await.expect_err("the stream is cut");
    assert_eq!((server.counts().requests, server.counts().accepted), (4, 0));
    assert!(server.spans().is_empty(), "what was refused is not looked at as taken");
    server.set_mode(Mode::Serve);
    client.export(one_span("x")).await.expect("it is taken again");
}
