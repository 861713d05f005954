//! Answers that are none, and endpoints in trouble: errors, never scores.

use ef_model::ErrorKind;
use ef_testkit::model_server::{Finish, RetryAfter};

use super::*;

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_asked_for_again_and_then_an_error() {
    for (answer, code) in [
        (r#"{"key": KEY, "reasoning": "r", "score": 6}"#, "score_invalid"),
        (r#"{"key": KEY, "reasoning": "r", "score": -1e300}"#, "score_invalid"),
        (r#"{"key": KEY, "reasoning": "r", "score": "5"}"#, "score_invalid"),
        (r#"{"key": KEY, "reasoning": "r", "score": null}"#, "score_invalid"),
        (r#"{"key": KEY, "reasoning": "r"}"#, "score_missing"),
        (r#"so {"key": KEY, "score": NaN}"#, "verdict_malformed"),
        (r#"so {"key": KEY, "score": 1e999}"#, "verdict_malformed"),
        (r#"so {"key": KEY, "score": 1} no {"key": KEY, "score": 5}"#, "verdict_ambiguous"),
        ("I would say 5 out of 5.", "verdict_missing"),
        ("", "verdict_missing"),
    ] {
        let script = Script::new(move |call| Reply::text(answer.replace("KEY", &format!("\"{}\"", key(call)))));
        let court = Court::new(script, json!({"scale": {"min": 1, "max": 5}, "structured": "never"})).await;
        let error = court.error("the secret output").await;
        assert_eq!((error.kind, error.code.as_ref()), (ErrorKind::InvalidOutput, code), "{answer}: {error}");
        assert_eq!(court.server.counts().calls, 3, "two retries");
        assert!(error.message.contains("asked 3 times") && !format!("{error:?}").contains("secret"), "{error:?}");
        assert!(!error.message.contains("5 out of"), "the answer is a payload: {error}");
        assert!(error.usage.output_tokens.is_some());
    }
}

#[tokio::test]
async fn the_last_answer_is_kept_for_the_store_alone() {
    let court = Court::new(Script::always(Reply::text("who knows")), json!({"max_parse_retries": 0})).await;
    let error = court.error("Paris").await;
    assert_eq!(error.detail, Some(Payload::from_text("who knows")));
    assert_eq!(
        error.message,
        "the model gave no verdict that can be read (asked once): its answer holds no verdict with this request's key"
    );
}

#[tokio::test]
async fn a_second_answer_that_can_be_read_counts_and_both_are_paid_for() {
    let script = giving("pass").first(1, Reply::text("hm"));
    let court = Court::new(script, json!({"seed": 10})).await;
    assert_eq!(court.score("Paris").await, Some(true.into()));
    let seeds: Vec<_> = court.server.requests().iter().map(|request| request.json()["seed"].clone()).collect();
    assert_eq!(seeds, [10, 11], "a retry is another sample");
}

#[tokio::test]
async fn a_model_that_declines_or_is_cut_off_says_so() {
    for (finish, code, advice) in
        [(Finish::Declined, "judge_refused", "declined"), (Finish::Length, "answer_cut", "raise `max_tokens`")]
    {
        for provider in ["openai", "anthropic"] {
            let script = Script::always(Reply::text("The outp").finishing(finish));
            let error = Court::of(provider, script, json!({"max_parse_retries": 1})).await.error("Paris").await;
            assert_eq!((error.kind, error.code.as_ref()), (ErrorKind::InvalidOutput, code), "{error}");
            assert!(error.message.contains(advice), "{error}");
        }
    }
}

#[tokio::test]
async fn trouble_of_the_endpoint_keeps_its_kind() {
    for (reply, kind, code) in [
        (Reply::error(500), ErrorKind::Transient, "http_500"),
        (Reply::rate_limited(RetryAfter::Seconds(1)), ErrorKind::Transient, "http_429"),
        (Reply::error(401), ErrorKind::Permanent, "http_401"),
        (Reply::quota_exhausted(), ErrorKind::QuotaExhausted, "http_429"),
    ] {
        let court = Court::new(Script::always(reply), json!({})).await;
        let error = court.error("Paris").await;
        assert_eq!((error.kind, error.code.as_ref()), (kind, code), "{error}");
        assert_eq!(error.retry_after.is_some(), code == "http_429" && kind == ErrorKind::Transient);
        assert_eq!(court.server.counts().calls, 1, "retries are the runner's");
    }
}

#[tokio::test]
async fn a_hundred_megabytes_and_bottomless_json_are_errors() {
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let deep_verdict = Script::new(move |call| {
        Reply::text(format!(r#"so {{"key": "{}", "score": "pass", "more": {deep}}}"#, key(call)))
    });
    let more = json!({"max_parse_retries": 0, "structured": "never"});
    assert_eq!(Court::new(deep_verdict, more.clone()).await.error("Paris").await.code, "verdict_malformed");
    let huge = Script::always(Reply::letters(100 << 20));
    assert_eq!(Court::new(huge, more).await.error("Paris").await.kind, ErrorKind::InvalidOutput);
}
