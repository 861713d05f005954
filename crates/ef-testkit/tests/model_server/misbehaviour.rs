//! Each misbehaviour is what it says.

use std::io::Read;
use std::time::{Duration, Instant, SystemTime};

use ef_testkit::model_server::{Cut, Fate, ModelServer, Reply, RetryAfter, Script, Storm};
use serde_json::json;

use crate::raw::{End, JSON, Raw, VERSION, anthropic, complete, exchange, message, openai, until};

fn serving(reply: Reply) -> ModelServer {
    ModelServer::start(Script::always(reply))
}

/// A connection that has asked for a chat completion.
fn asked(server: &ModelServer) -> Raw {
    let mut raw = Raw::connect(server);
    raw.post("/v1/chat/completions", &[JSON], openai(&json!({})).to_string().as_bytes());
    raw
}

const SOON: Duration = Duration::from_millis(150);
const LATE: Duration = Duration::from_secs(10);

#[test]
fn a_rate_limit_says_when_to_come_back_in_each_form() {
    let reply = complete(&serving(Reply::rate_limited(RetryAfter::Seconds(2))), &json!({}));
    assert_eq!((reply.status, reply.header("retry-after")), (429, Some("2")));
    assert_eq!(reply.json()["error"]["code"], "rate_limit_exceeded");
    let reply = complete(&serving(Reply::rate_limited(RetryAfter::Millis(1500))), &json!({}));
    assert_eq!((reply.header("retry-after"), reply.header("retry-after-ms")), (None, Some("1500")));
    let reply = message(&serving(Reply::rate_limited(None)), &json!({}));
    assert_eq!((reply.status, reply.header("retry-after")), (429, None));
    assert_eq!(reply.json()["error"]["type"], "rate_limit_error");
    let reply = complete(&serving(Reply::error(503).retry_after(RetryAfter::Date(Duration::from_secs(2)))), &json!({}));
    let date = httpdate::parse_http_date(reply.header("retry-after").expect("a date")).expect("an HTTP date");
    let wait = date.duration_since(SystemTime::now()).expect("a date to come");
    assert!((Duration::from_secs(1)..Duration::from_secs(3)).contains(&wait), "{wait:?}");
    assert!(reply.header("date").is_some());
}

#[test]
fn errors_are_those_of_each_provider() {
    let cases = [
        (400, "invalid_request_error", "invalid_request_error"),
        (401, "invalid_request_error", "authentication_error"),
        (403, "request_forbidden", "permission_error"),
        (404, "invalid_request_error", "not_found_error"),
        (500, "server_error", "api_error"),
        (503, "server_error", "overloaded_error"),
        (529, "server_error", "overloaded_error"),
    ];
    for (status, openai, anthropic) in cases {
        let server = serving(Reply::error(status));
        let reply = complete(&server, &json!({}));
        assert_eq!((reply.status, &reply.json()["error"]["type"]), (status, &json!(openai)));
        let reply = message(&server, &json!({}));
        assert_eq!((reply.status, &reply.json()["error"]["type"]), (status, &json!(anthropic)));
    }
}

#[test]
fn an_exhausted_quota_is_told_as_each_provider_tells_it() {
    let server = serving(Reply::quota_exhausted());
    let reply = complete(&server, &json!({}));
    assert_eq!((reply.status, &reply.json()["error"]["code"]), (429, &json!("insufficient_quota")));
    let reply = message(&server, &json!({}));
    assert_eq!((reply.status, &reply.json()["error"]["type"]), (400, &json!("invalid_request_error")));
    assert!(reply.json()["error"]["message"].as_str().is_some_and(|words| words.contains("credit balance is too low")));
    let server = serving(Reply::billing_limit_reached());
    assert_eq!(complete(&server, &json!({})).json()["error"]["code"], "billing_hard_limit_reached");
    let reply = message(&server, &json!({}));
    assert_eq!((reply.status, &reply.json()["error"]["type"]), (402, &json!("billing_error")));
}

#[test]
fn connections_are_cut_where_the_script_says() {
    let server = serving(Reply::text("x".repeat(1000)).cut(Cut::BeforeAnyByte));
    assert_eq!(asked(&server).rest(LATE), (Vec::new(), End::Closed));
    assert_eq!(server.counts().by_status.len(), 0, "nothing was answered");
    let (bytes, end) = asked(&serving(Reply::text("x".repeat(1000)).cut(Cut::AfterHead))).rest(LATE);
    assert!(bytes.ends_with(b"\r\n\r\n") && bytes.starts_with(b"HTTP/1.1 200") && end == End::Closed);
    let (bytes, end) = asked(&serving(Reply::text("x".repeat(1000)).cut(Cut::InBody))).rest(LATE);
    let xs = bytes.iter().filter(|byte| **byte == b'x').count();
    assert!((300..900).contains(&xs) && end == End::Closed, "{xs} of 1000, {end:?}");
}

#[test]
fn connections_are_reset_where_the_script_says() {
    for cut in [Cut::BeforeAnyByte, Cut::AfterHead, Cut::InBody] {
        let server = serving(Reply::text("x".repeat(1000)).reset(cut));
        let (bytes, end) = asked(&server).rest(LATE);
        assert_eq!(end, End::Reset, "{cut:?}");
        assert_eq!(bytes.is_empty(), cut == Cut::BeforeAnyByte, "{cut:?}");
    }
}

#[test]
fn a_stream_that_is_cut_has_no_last_chunk() {
    let server = serving(Reply::text("x".repeat(1000)).cut(Cut::InBody));
    let mut raw = Raw::connect(&server);
    raw.post("/v1/messages", &[JSON, VERSION], anthropic(&json!({"stream": true})).to_string().as_bytes());
    let (bytes, end) = raw.rest(LATE);
    assert_eq!(end, End::Closed);
    assert!(bytes.len() > 1000 && !bytes.ends_with(b"0\r\n\r\n"));
}

#[test]
fn a_connection_may_be_closed_after_a_reply_without_a_word() {
    let server = serving(Reply::text("x").closing());
    let mut raw = asked(&server);
    let reply = raw.reply();
    assert_eq!((reply.status, reply.header("connection")), (200, None));
    assert_eq!(raw.rest(LATE), (Vec::new(), End::Closed));
}

#[test]
fn a_content_length_may_lie_in_both_directions() {
    let (bytes, end) = asked(&serving(Reply::text("x").claiming_length(9999))).rest(LATE);
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains("content-length: 9999") && text.ends_with('}') && end == End::Closed, "{text}");
    let (bytes, _) = asked(&serving(Reply::text("x").claiming_length(3))).rest(LATE);
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains("content-length: 3\r\n") && text.ends_with('}'), "{text}");
}

#[test]
fn waits_are_where_the_script_puts_them() {
    let wait = Duration::from_millis(60);
    let begin = Instant::now();
    complete(&serving(Reply::text("x").after(wait)), &json!({}));
    assert!(begin.elapsed() >= wait);
    let server = serving(Reply::text("x").body_after(LATE));
    let mut raw = asked(&server);
    assert_eq!(raw.head().0, 200);
    assert_eq!(raw.rest(SOON), (Vec::new(), End::Open), "a head, and no body yet");
    let server = serving(Reply::body("text/plain", "abcdef").dripping(1, Duration::from_millis(10)));
    let begin = Instant::now();
    assert_eq!(complete(&server, &json!({})).body, b"abcdef");
    assert!(begin.elapsed() >= Duration::from_millis(50));
}

#[test]
fn a_hang_gives_nothing_and_ends_with_the_client() {
    let server = serving(Reply::hang());
    let raw = asked(&server);
    until(|| server.counts().in_flight == 1);
    assert_eq!(raw.rest(SOON), (Vec::new(), End::Open));
    until(|| server.counts().in_flight == 0);
    assert!(server.counts().by_status.is_empty());
}

#[test]
fn a_client_that_leaves_while_it_waits_is_no_longer_in_flight() {
    let server = serving(Reply::text("x").after(LATE));
    let raw = asked(&server);
    until(|| server.counts().in_flight == 1);
    drop(raw);
    until(|| server.counts().in_flight == 0);
    assert_eq!(server.counts().calls, 1);
}

#[test]
fn answers_may_be_no_answers() {
    let reply = complete(&serving(Reply::text("x").content_type("text/html")), &json!({}));
    assert_eq!(reply.header("content-type"), Some("text/html"));
    let reply = complete(&serving(Reply::invalid_json()), &json!({}));
    assert!(reply.status == 200 && serde_json::from_slice::<serde_json::Value>(&reply.body).is_err());
    assert!(complete(&serving(Reply::wrong_shape()), &json!({})).json()["choices"].is_object());
    let reply = complete(&serving(Reply::deep_json(10_000)), &json!({}));
    assert!(String::from_utf8_lossy(&reply.body).contains(&"[".repeat(10_000)));
    let server = ModelServer::start(Script::new(Reply::huge_numbers));
    for reply in [complete(&server, &json!({})), message(&server, &json!({}))] {
        let body = String::from_utf8_lossy(&reply.body).into_owned();
        assert!(body.contains("1e400") && body.contains("890e400"), "{body}");
    }
    let reply = complete(&serving(Reply::redirect(307, "http://elsewhere.test/?q=1")), &json!({}));
    assert_eq!((reply.status, reply.header("location")), (307, Some("http://elsewhere.test/?q=1")));
}

#[test]
fn a_body_may_be_larger_than_what_it_costs() {
    let server = serving(Reply::letters(8 << 20));
    for (path, headers, body) in [
        ("/v1/chat/completions", vec![JSON], openai(&json!({}))),
        ("/v1/chat/completions", vec![JSON], openai(&json!({"stream": true}))),
        ("/v1/messages", vec![JSON, VERSION], anthropic(&json!({}))),
    ] {
        let reply = exchange(&server, path, &headers, &body);
        let letters = reply.body.iter().filter(|byte| **byte == b'a').count();
        assert!(letters >= 8 << 20, "{letters}");
        if body.get("stream").is_none() {
            assert!(reply.json().is_object());
        }
    }
}

#[test]
fn a_gzip_bomb_is_a_valid_answer_and_a_hundredth_of_it() {
    let reply = complete(&serving(Reply::gzip_bomb(50 << 20)), &json!({}));
    assert_eq!(reply.header("content-encoding"), Some("gzip"));
    assert!(reply.body.len() < (50 << 20) / 100, "{}", reply.body.len());
    let mut text = String::new();
    flate2::read::GzDecoder::new(&reply.body[..]).read_to_string(&mut text).expect("it is gzip");
    assert!(text.len() > 50 << 20 && text.starts_with("{\"id\"") && text.ends_with('}'));
}

#[test]
fn a_key_comes_back_in_text_headers_and_errors() {
    let server = ModelServer::start(Script::new(|call| match call.user_text().as_ref() {
        "text" => Reply::leaking_key(call),
        "error" => Reply::error_leaking_key(call, 401),
        _ => Reply::error_leaking_escaped_key(call, 400),
    }));
    let ask = |words: &str| {
        let body = openai(&json!({"messages": [{"role": "user", "content": words}]}));
        exchange(&server, "/v1/chat/completions", &[JSON, ("authorization", "Bearer sk-\"secret")], &body)
    };
    let reply = ask("text");
    assert_eq!(reply.header("x-seen-key"), Some("sk-\"secret"));
    assert!(reply.json()["choices"][0]["message"]["content"].as_str().is_some_and(|text| text.contains("sk-\"secret")));
    let reply = ask("error");
    assert_eq!((reply.status, &reply.json()["error"]["code"]), (401, &json!("sk-\"secret")));
    let reply = ask("escaped");
    assert!(!String::from_utf8_lossy(&reply.body).contains("secret"));
    assert_eq!(reply.json()["error"]["message"], "bad key sk-\"secret");
}

#[test]
fn a_storm_on_the_wire_is_the_storm_that_was_foretold() {
    let storm = Storm { errors_percent: 30, hangs_percent: 0, every: LATE * 2, burst: Duration::ZERO, ..Storm::new(7) };
    let server = ModelServer::start(storm.over(Script::echo()));
    let seen: Vec<u16> = (0..40).map(|_| complete(&server, &json!({})).status).collect();
    let foretold = (0..40).map(|number| match storm.fate(number, Duration::ZERO) {
        Fate::Error => 500,
        _ => 200,
    });
    assert_eq!(seen, foretold.collect::<Vec<u16>>());
    assert!(seen.contains(&500) && seen.contains(&200));

    let burst = Storm { every: LATE, burst: LATE, ..storm };
    let server = ModelServer::start(burst.over(Script::echo()));
    let replies: Vec<_> = (0..2).map(|_| complete(&server, &json!({}))).collect();
    assert_eq!(replies[0].header("retry-after"), Some("10"));
    assert!(replies[1].header("retry-after").is_some_and(|date| date.ends_with("GMT")));
    assert_eq!(server.counts().of_status(429), 2);
}
