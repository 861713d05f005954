//! A receiver that is down, refuses, hangs, is slow or cuts connections.

use std::time::{Duration, Instant};

use ef_testkit::otlp_server::{Mode, OtlpServer};

use crate::client::{send_span, status};

#[test]
fn a_refusal_has_its_status_and_says_when_to_come_back_if_it_is_to() {
    let server = OtlpServer::start();
    server.set_mode(Mode::Refuse { status: 503, retry_after: Some(7) });
    let answer = send_span(&server, "x").expect("an answer").to_ascii_lowercase();
    assert!(status(&answer) == "503" && answer.contains("retry-after: 7"), "{answer}");
    server.set_mode(Mode::Refuse { status: 429, retry_after: None });
    let answer = send_span(&server, "x").expect("an answer").to_ascii_lowercase();
    assert!(status(&answer) == "429" && !answer.contains("retry-after"), "{answer}");
    assert_eq!((server.counts().requests, server.counts().accepted, server.counts().spans), (2, 0, 0));
}

#[test]
fn one_that_hangs_reads_the_message_and_never_answers() {
    let server = OtlpServer::start();
    server.set_mode(Mode::Hang);
    assert!(send_span(&server, "x").is_err());
    let [received] = &server.requests()[..] else { panic!("one message was sent") };
    assert!(received.pending && !received.accepted);
    assert!(server.take().is_empty(), "what is not answered stays");
    server.set_mode(Mode::Serve);
    assert!(send_span(&server, "x").is_ok(), "another connection is served");
}

#[test]
fn one_that_is_deaf_accepts_and_reads_nothing() {
    let server = OtlpServer::start();
    server.set_mode(Mode::Deaf);
    assert!(send_span(&server, "x").is_err());
    assert_eq!((server.counts().connections, server.counts().requests), (1, 0));
}

#[test]
fn one_that_is_slow_answers_later() {
    let server = OtlpServer::start();
    server.set_mode(Mode::Slow(Duration::from_millis(60)));
    let begun = Instant::now();
    assert_eq!(status(&send_span(&server, "x").expect("an answer")), "200");
    assert!(begun.elapsed() >= Duration::from_millis(60));
}

#[test]
fn one_that_closes_resets_connections() {
    let server = OtlpServer::start();
    server.set_mode(Mode::Close);
    assert!(send_span(&server, "x").is_err());
    assert_eq!(server.counts().connections, 1);
}

#[test]
fn one_that_is_down_comes_back_at_the_same_address_with_what_it_had() {
    let server = OtlpServer::start();
    send_span(&server, "before").expect("an answer");
    server.stop();
    assert!(send_span(&server, "meanwhile").is_err());
    server.start_again();
    send_span(&server, "after").expect("an answer");
    let names: Vec<_> = server.spans().into_iter().map(|span| span.name).collect();
    assert_eq!(names, ["before", "after"]);
}
