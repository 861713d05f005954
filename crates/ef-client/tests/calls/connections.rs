//! Connections: reused, timed, limited in what they bring, broken.

use std::sync::Arc;

use ef_client::Method;
use ef_model::{AttemptClock, ErrorKind, TraceContext};
use ef_testkit::model_server::{Cut, Reply, Script};
use tokio::task::JoinSet;

use super::*;

#[tokio::test]
async fn connections_are_used_again_and_there_are_no_more_than_calls_at_a_time() {
    let server = ModelServer::start(Script::echo().delayed(Duration::from_millis(5)));
    let clients = clients();
    clients.limit_to(8);
    let mut running = JoinSet::new();
    for _ in 0..16 {
        let endpoint = plain(&clients, &server);
        running.spawn(async move {
            for _ in 0..10 {
                let response = endpoint.send(request(), &context()).await.expect("an echo");
                assert_eq!(response.body, "the input");
                assert_eq!(response.status, 200);
                assert!(response.latency >= Duration::from_millis(5));
            }
        });
    }
    running.join_all().await;
    let counts = server.counts();
    assert_eq!(counts.calls, 160);
    assert!(counts.connections <= 8, "{} connections", counts.connections);
}

#[tokio::test]
async fn a_connection_that_brought_an_error_is_used_again() {
    let server = ModelServer::start(Script::always(Reply::error(500)));
    let endpoint = plain(&clients(), &server);
    for _ in 0..5 {
        endpoint.send(request(), &context()).await.expect_err("always 500");
    }
    assert_eq!(server.counts().connections, 1);
}

#[tokio::test]
async fn a_call_ends_with_its_attempt_and_with_the_first_byte_timeout() {
    let server = ModelServer::start(Script::always(Reply::hang()));
    let error = plain(&clients(), &server).send(request(), &within(Duration::from_millis(50))).await;
    let error = error.expect_err("no answer");
    assert_eq!((error.kind, error.code.as_ref()), (ErrorKind::Timeout, "timeout"));

    let clients = clients_with(|settings| settings.first_byte_timeout = Duration::from_millis(50));
    let error = plain(&clients, &server).send(request(), &context()).await.expect_err("no answer");
    assert_eq!((error.kind, error.code.as_ref()), (ErrorKind::Timeout, "first_byte_timeout"));
}

#[tokio::test]
async fn a_slow_body_ends_with_the_attempt() {
    let server = ModelServer::start(Script::echo().changed(|_, reply| reply.dripping(1, Duration::from_millis(30))));
    let error = plain(&clients(), &server).send(request(), &within(Duration::from_millis(100))).await;
    assert_eq!(error.expect_err("too slow").kind, ErrorKind::Timeout);
}

/// A clock that has moved on by the time that anyone looks.
struct Moved(Instant);

impl AttemptClock for Moved {
    fn deadline(&self) -> Instant {
        self.0
    }

    fn pause(&self) {}

    fn resume(&self) {}
}

#[tokio::test]
async fn the_deadline_that_counts_is_the_one_of_the_attempts_clock() {
    let server = ModelServer::start(Script::echo().delayed(Duration::from_millis(50)));
    let later = Arc::new(Moved(Instant::now() + Duration::from_secs(20)));
    let context = within(Duration::ZERO).with_clock(later);
    plain(&clients(), &server).send(request(), &context).await.expect("there is time");
}

#[tokio::test]
async fn broken_connections_are_transient() {
    for (reply, code) in [
        (Reply::text("x").cut(Cut::BeforeAnyByte), "connection_broken"),
        (Reply::text("x").reset(Cut::BeforeAnyByte), "connection_broken"),
        (Reply::text("x").cut(Cut::AfterHead), "response_truncated"),
        (Reply::text("x").cut(Cut::InBody), "response_truncated"),
        (Reply::text("x").chunked().reset(Cut::InBody), "response_truncated"),
        (Reply::text("x").claiming_length(1000), "response_truncated"),
        (Reply::body("text/plain", "no gzip").header("content-encoding", "gzip"), "response_truncated"),
    ] {
        let server = ModelServer::start(Script::always(reply));
        let error = plain(&clients(), &server).send(request(), &context()).await.expect_err("it is broken");
        assert_eq!((error.kind, error.code.as_ref()), (ErrorKind::Transient, code));
    }
}

#[tokio::test]
async fn nobody_listening_is_transient_and_says_so() {
    let mut server = ModelServer::start(Script::echo());
    let endpoint = plain(&clients(), &server);
    server.stop();
    let error = endpoint.send(request(), &context()).await.expect_err("nobody listens");
    assert_eq!(shown(&error, &server), "Transient: no connection to HOST: connection refused (connect)");
}

#[tokio::test]
async fn no_body_is_larger_than_the_limit_whatever_is_said_of_it() {
    for reply in [
        Reply::letters(1 << 20),
        Reply::letters(1 << 20).chunked(),
        Reply::letters(1 << 20).gzip(),
        Reply::letters(100).claiming_length(1 << 40),
    ] {
        let server = ModelServer::start(Script::always(reply));
        let clients = clients_with(|settings| settings.max_response_bytes = 100_000);
        let error = plain(&clients, &server).send(request(), &context()).await.expect_err("too large");
        assert_eq!(
            shown(&error, &server),
            "InvalidOutput: the answer of HOST is larger than 100000 bytes (response_too_large)"
        );
    }
}

#[tokio::test]
async fn a_hundred_megabytes_are_given_up_early() {
    let server = ModelServer::start(Script::always(Reply::letters(100_000_000).chunked()));
    let begin = Instant::now();
    let error = plain(&clients(), &server).send(request(), &context()).await.expect_err("too large");
    assert_eq!(error.code, "response_too_large");
    assert!(begin.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_compressed_body_is_read() {
    let server = ModelServer::start(Script::echo().changed(|_, reply| reply.gzip()));
    let response = plain(&clients(), &server).send(request(), &context()).await.expect("an echo");
    assert_eq!(response.body, "the input");
}

#[tokio::test]
async fn the_trace_is_passed_on_and_paths_and_queries_are_put_together() {
    let server = ModelServer::start(Script::echo().recording());
    let base = format!("{}/echo/?version=1", server.base_url());
    let endpoint = clients().endpoint(&base, None).expect("an address");
    let trace = TraceContext {
        traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned(),
        tracestate: Some("vendor=1".to_owned()),
    };
    let context = context().with_propagator(Arc::new(trace.clone()));
    endpoint.send(HttpRequest::new(Method::GET, "/a b?x=1"), &context).await.expect("an echo");
    endpoint.send(HttpRequest::new(Method::GET, ""), &context).await.expect("an echo");
    let seen = server.requests();
    assert_eq!(seen[0].path, "/echo/a%20b?version=1&x=1");
    assert_eq!(seen[1].path, "/echo/?version=1");
    assert_eq!(seen[0].header("traceparent"), Some(trace.traceparent.as_str()));
    assert_eq!(seen[0].header("tracestate"), Some("vendor=1"));
    assert!(seen[0].header("user-agent").is_some_and(|agent| agent.starts_with("eval-fabric/")));
}

#[tokio::test]
async fn no_path_leads_to_another_host() {
    let server = ModelServer::start(Script::echo());
    let endpoint = plain(&clients(), &server);
    for path in ["@elsewhere.example/", "http://elsewhere.example/", ".elsewhere.example"] {
        let error = endpoint.send(HttpRequest::new(Method::GET, path), &context()).await.expect_err("no path");
        assert_eq!(error.code, "request_invalid");
    }
    let endless = format!("/{}", "a".repeat(70_000));
    let error = endpoint.send(HttpRequest::new(Method::GET, endless), &context()).await.expect_err("too long for HTTP");
    assert_eq!((error.kind, error.code.as_ref()), (ErrorKind::Permanent, "request_invalid"));
    // Two slashes are a path here, not a host.
    endpoint.send(HttpRequest::new(Method::GET, "//elsewhere.example/"), &context()).await.expect_err("404");
    assert_eq!(server.counts().calls, 1);
}
