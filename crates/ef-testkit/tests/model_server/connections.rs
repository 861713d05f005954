//! Connections: kept, counted, and read as HTTP says.

use std::time::{Duration, Instant};

use ef_testkit::model_server::{ModelServer, Reply, Script};
use serde_json::json;

use crate::raw::{End, JSON, Raw, complete, openai, until};

fn body() -> String {
    openai(&json!({})).to_string()
}

#[test]
fn a_connection_serves_one_request_after_the_other() {
    let server = ModelServer::start(Script::echo().recording());
    let mut raw = Raw::connect(&server);
    for _ in 0..3 {
        raw.post("/v1/chat/completions", &[JSON], body().as_bytes());
        assert_eq!(raw.reply().status, 200);
    }
    complete(&server, &json!({}));
    let counts = server.counts();
    assert_eq!((counts.calls, counts.connections, counts.of_status(200)), (4, 2, 4));
    let connections: Vec<u64> = server.requests().iter().map(|request| request.connection).collect();
    assert_eq!(connections, [0, 0, 0, 1]);
}

#[test]
fn requests_that_are_sent_at_once_are_answered_in_their_order() {
    let server = ModelServer::start(Script::echo());
    let mut raw = Raw::connect(&server);
    for text in ["one", "two"] {
        raw.post("/echo", &[], text.as_bytes());
    }
    assert_eq!(raw.reply().body, b"one");
    assert_eq!(raw.reply().body, b"two");
}

#[test]
fn a_request_may_come_byte_by_byte_in_chunks_or_after_leave() {
    let server = ModelServer::start(Script::echo());
    let mut raw = Raw::connect(&server);
    for byte in b"POST /echo HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc" {
        raw.send([*byte]);
    }
    assert_eq!(raw.reply().body, b"abc");
    raw.send("POST /echo HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4;x=y\r\nab\r\n\r\n");
    raw.send("2\r\ncd\r\n0\r\n\r\n");
    assert_eq!(raw.reply().body, b"ab\r\ncd");
    raw.send("POST /echo HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(raw.head().0, 100);
    raw.send("ok");
    assert_eq!(raw.reply().body, b"ok");
}

#[test]
fn what_is_no_http_is_refused_and_the_connection_closed() {
    let server = ModelServer::start(Script::echo());
    let many = format!("GET /echo HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(200));
    let cases = [
        ("hello\r\n\r\n", "400"),
        ("POST /echo HTTP/1.1\r\ncontent-length: -1\r\n\r\n", "400"),
        ("POST /echo HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n", "400"),
        ("POST /echo HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n", "400"),
        ("POST /echo HTTP/1.1\r\ncontent-length: 99999999999\r\n\r\n", "413"),
        (&many, "431"),
    ];
    for (request, status) in cases {
        let mut raw = Raw::connect(&server);
        raw.send(request);
        let (bytes, end) = raw.rest(Duration::from_secs(10));
        let text = String::from_utf8_lossy(&bytes);
        assert!(text.starts_with(&format!("HTTP/1.1 {status} ")) && end == End::Closed, "{text} {end:?}");
    }
}

#[test]
fn a_client_that_asks_for_it_has_its_connection_closed() {
    let server = ModelServer::start(Script::echo());
    for request in ["GET /echo HTTP/1.0\r\n\r\n", "GET /echo HTTP/1.1\r\nConnection: close\r\n\r\n"] {
        let mut raw = Raw::connect(&server);
        raw.send(request);
        assert_eq!(raw.rest(Duration::from_secs(10)).1, End::Closed, "{request}");
    }
}

#[test]
fn requests_are_kept_whole_when_they_are_asked_for() {
    let server = ModelServer::start(Script::echo().recording().with_key("sk-right"));
    let mut raw = Raw::connect(&server);
    raw.post("/echo?a=b", &[("X-Thing", "1"), ("x-thing", "2")], b"{\"n\": 1}");
    assert_eq!(raw.reply().status, 401);
    let seen = &server.requests()[0];
    assert_eq!((seen.method.as_str(), seen.path.as_str(), seen.number), ("POST", "/echo?a=b", 0));
    assert_eq!((seen.header("x-thing"), seen.json()), (Some("1"), json!({"n": 1})));
}

#[test]
#[should_panic(expected = "script.recording()")]
fn requests_that_were_not_kept_are_no_absence_of_requests() {
    let _ = ModelServer::start(Script::echo()).requests();
}

#[test]
fn the_most_calls_at_one_time_are_counted() {
    let server = ModelServer::start(Script::always(Reply::hang()));
    let mut connections: Vec<Raw> = (0..8).map(|_| Raw::connect(&server)).collect();
    for raw in &mut connections {
        raw.post("/v1/chat/completions", &[JSON], body().as_bytes());
    }
    until(|| server.counts().in_flight == 8);
    drop(connections);
    until(|| server.counts().in_flight == 0);
    let counts = server.counts();
    assert_eq!((counts.calls, counts.most_in_flight, counts.connections), (8, 8, 8));
}

#[test]
fn replies_come_in_turn_and_bursts_first() {
    let replies = vec![Reply::error(500), Reply::text("a"), Reply::text("b")];
    let server = ModelServer::start(Script::in_turn(replies).first(2, Reply::error(503)));
    let statuses: Vec<u16> = (0..6).map(|_| complete(&server, &json!({})).status).collect();
    assert_eq!(statuses, [503, 503, 500, 200, 200, 200]);
}

#[test]
fn a_stopped_server_cuts_connections_off_and_listens_no_more() {
    let mut server = ModelServer::start(Script::always(Reply::hang()));
    let mut raw = Raw::connect(&server);
    raw.post("/v1/chat/completions", &[JSON], body().as_bytes());
    until(|| server.counts().calls == 1);
    server.stop();
    assert_ne!(raw.rest(Duration::from_secs(10)).1, End::Open);
    assert!(std::net::TcpStream::connect(server.address()).is_err());
    assert_eq!(server.counts().calls, 1);
}

#[test]
fn an_address_that_is_taken_is_an_error() {
    let server = ModelServer::start(Script::echo());
    let error = ModelServer::start_on(server.address(), Script::echo()).expect_err("it is taken");
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
}

#[test]
fn the_callers_paused_clock_is_not_the_servers() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        let server = ModelServer::start(Script::always(Reply::text("x").after(Duration::from_millis(50))));
        let begin = Instant::now();
        let asked = tokio::task::spawn_blocking(move || complete(&server, &json!({})).status);
        assert_eq!(asked.await.expect("it does not panic"), 200);
        assert!(begin.elapsed() >= Duration::from_millis(50));
    });
}

#[tokio::test]
async fn a_client_that_knows_http_reads_whole_answers_and_streams() {
    use http_body_util::{BodyExt, Full};
    let server = ModelServer::start(Script::always(Reply::text("Grüße".repeat(50))));
    let stream = tokio::net::TcpStream::connect(server.address()).await.expect("the server listens");
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.expect("a handshake");
    let connection = tokio::spawn(connection);
    for (stream, length) in [(false, 500..1500), (true, 5000..50_000)] {
        let request = hyper::Request::post("/v1/chat/completions")
            .header("host", "test")
            .header("content-type", "application/json")
            .body(Full::<hyper::body::Bytes>::from(openai(&json!({ "stream": stream })).to_string()))
            .expect("a request");
        let reply = sender.send_request(request).await.expect("a reply");
        assert_eq!(reply.status(), 200);
        let body = reply.into_body().collect().await.expect("a body").to_bytes();
        assert!(length.contains(&body.len()), "{} bytes", body.len());
    }
    assert_eq!(server.counts().connections, 1, "the connection was kept");
    drop(sender);
    connection.await.expect("it does not panic").expect("the connection ended well");
}
