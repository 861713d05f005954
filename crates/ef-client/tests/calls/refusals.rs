//! What refusals of servers mean, and what is told of them.

use std::fmt::Write as _;

use ef_model::ErrorKind;
use ef_testkit::model_server::{Reply, RetryAfter, Script};

use super::*;

/// What comes of a reply to a plain call.
async fn error(reply: Reply) -> (CallError, String) {
    let server = ModelServer::start(Script::always(reply));
    let error = plain(&clients(), &server).send(request(), &context()).await.expect_err("a refusal");
    let shown = shown(&error, &server);
    (error, shown)
}

fn json(status: u16, body: &'static str) -> Reply {
    Reply::body("application/json", body).status(status)
}

#[tokio::test]
async fn each_status_has_its_kind_and_says_what_to_do() {
    let mut lines = String::new();
    for status in [400, 401, 402, 403, 404, 408, 409, 413, 418, 422, 425, 429, 500, 501, 502, 503, 504, 529, 599] {
        writeln!(lines, "{}", error(Reply::body("text/plain", "no").status(status)).await.1).expect("a string");
    }
    insta::assert_snapshot!(lines);
}

#[tokio::test]
async fn the_providers_code_is_shown_where_it_looks_like_one_and_quota_is_recognised() {
    let mut lines = String::new();
    for reply in [
        json(
            401,
            r#"{"error": {"message": "secret words", "type": "invalid_request_error", "code": "invalid_api_key"}}"#,
        ),
        json(404, r#"{"type": "error", "error": {"type": "not_found_error", "message": "model: x"}}"#),
        json(
            429,
            r#"{"error": {"message": "m", "type": "insufficient_quota", "param": null, "code": "insufficient_quota"}}"#,
        ),
        json(429, r#"{"error": {"message": "m", "type": "requests", "code": "rate_limit_exceeded"}}"#),
        json(
            400,
            r#"{"type": "error", "error": {"type": "invalid_request_error", "message": "Your credit balance is too low to access it."}}"#,
        ),
        json(402, r#"{"error": {"code": 402, "message": "no credits"}}"#),
        json(400, r#"{"error": {"code": "billing_hard_limit_reached", "message": "m"}}"#),
        json(400, r#"{"error": {"message": "Budget has been exceeded!", "type": "budget_exceeded", "code": "400"}}"#),
        json(400, r#"{"error": {"code": "the patient said that it hurts", "type": {"a": 1}}}"#),
        json(
            400,
            r#"{"error": {"code": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}}"#,
        ),
        json(500, r#"["not", "an", "object"]"#),
    ] {
        writeln!(lines, "{}", error(reply).await.1).expect("a string");
    }
    insta::assert_snapshot!(lines);
}

#[tokio::test]
async fn a_wait_that_is_asked_for_is_passed_on_where_it_means_too_many_calls() {
    for (reply, wait) in [
        (Reply::rate_limited(RetryAfter::Seconds(3)), Some(3_000)),
        (Reply::rate_limited(RetryAfter::Millis(40)), Some(40)),
        (Reply::rate_limited(None), None),
        (Reply::error(503).retry_after(RetryAfter::Seconds(2)), Some(2_000)),
        (Reply::error(529).retry_after(RetryAfter::Seconds(2)), Some(2_000)),
        (Reply::error(500).retry_after(RetryAfter::Seconds(2)), None),
        (Reply::rate_limited(RetryAfter::Seconds(0)), None),
    ] {
        let (error, _) = error(reply).await;
        assert_eq!(error.kind, ErrorKind::Transient);
        assert_eq!(error.retry_after, wait.map(Duration::from_millis));
    }
    let (error, _) = error(Reply::rate_limited(RetryAfter::Date(Duration::from_secs(10)))).await;
    let wait = error.retry_after.expect("a date in the future");
    assert!((9..=11).contains(&wait.as_secs()), "{wait:?}");
}

#[tokio::test]
async fn a_wait_that_is_too_long_for_a_run_is_a_quota_that_is_used_up() {
    let (error, shown) = error(Reply::rate_limited(RetryAfter::Seconds(86_400))).await;
    assert_eq!(error.retry_after, None);
    assert_eq!(
        shown,
        "QuotaExhausted with detail: HOST answered 429 Too Many Requests (rate_limit_exceeded); it asks to wait for 86400 s (http_429)"
    );
}

#[tokio::test]
async fn redirects_are_not_followed_and_only_their_origin_is_told() {
    let server = ModelServer::start(Script::always(Reply::redirect(307, "https://other.example:8443/a/b?token=abc#x")));
    let error = plain(&clients(), &server).send(request(), &context()).await.expect_err("a redirect");
    insta::assert_snapshot!(shown(&error, &server), @"Permanent with detail: HOST answered 307 Temporary Redirect (to https://other.example:8443): redirects are not followed; give the final address in the config (http_307)");
    assert_eq!(server.counts().calls, 1);

    let (_, shown) = self::error(Reply::redirect(302, "/login?next=secret")).await;
    assert!(!shown.contains("login") && !shown.contains("secret"), "{shown}");
}

#[tokio::test]
async fn an_errors_body_is_kept_as_detail_alone_and_no_more_of_it_than_the_limit() {
    let (error, _) = error(json(400, r#"{"error": {"message": "the input was: 4711"}}"#)).await;
    assert_eq!(error.detail.expect("a body").expose(), r#"{"error": {"message": "the input was: 4711"}}"#);
    assert!(!error.message.contains("4711"));

    let (error, _) = self::error(Reply::body("text/html", "<b>4711</b>").status(502)).await;
    assert_eq!(error.detail.expect("a body").expose(), r#""<b>4711</b>""#);

    let (error, _) = self::error(Reply::letters(10_000_000).status(500)).await;
    let size = error.detail.expect("a body").size();
    assert!((60_000..70_000).contains(&size), "{size} bytes");
}

#[tokio::test]
async fn a_refusal_whose_body_does_not_come_is_one_all_the_same_and_soon() {
    let begin = Instant::now();
    let (error, _) = error(Reply::rate_limited(RetryAfter::Seconds(3)).body_after(Duration::from_secs(60))).await;
    assert_eq!((error.kind, error.retry_after), (ErrorKind::Transient, Some(Duration::from_secs(3))));
    assert_eq!(error.detail, None);
    assert!(begin.elapsed() < Duration::from_secs(5));
}
