//! What plugins must not do, and what comes of it: an error on the task that it concerns, and the run goes on.

use std::time::{Duration, Instant};

use ef_model::{CallError, ErrorKind};
use ef_plugin::process::ExternalPlugin;

use super::driver::{ask, hostile, obedient, score, shell};

async fn fails(order: &str) -> CallError {
    let mut command = hostile(&[]);
    command.max_message_bytes = 1 << 20;
    let (plugin, judge) = obedient(command).await;
    let error = ask(&judge, order).await.expect_err(order);
    assert_eq!(score(&judge, "good").await, 1.0, "the run goes on after {order}");
    plugin.shutdown().await;
    error
}

#[tokio::test]
async fn an_answer_that_does_not_fit_is_invalid_output_of_its_task_alone() {
    let (plugin, judge) = obedient(hostile(&[])).await;
    let first = score(&judge, "cancelled?").await;
    for order in ["nan", "huge", "utf8", "scoreless", "wrong"] {
        let (bad, good) = tokio::join!(ask(&judge, order), ask(&judge, "slow"));
        let error = bad.expect_err(order);
        assert_eq!((error.kind, &*error.code), (ErrorKind::InvalidOutput, "invalid_answer"), "{order}");
        assert!(error.message.starts_with("the answer of the plugin `toys` "), "{}", error.message);
        assert!(error.detail.is_some(), "what it said is kept");
        good.expect("the other task is as it was");
    }
    assert_eq!(score(&judge, "cancelled?").await, first, "the same process");
    plugin.shutdown().await;
}

#[tokio::test]
async fn half_a_line_is_invalid_output_of_its_task() {
    let error = fails("half").await;
    assert_eq!(
        (error.kind, error.message.as_str()),
        (ErrorKind::InvalidOutput, "the answer of the plugin `toys` is only half a line")
    );
}

#[tokio::test]
async fn what_is_said_out_of_turn_ends_the_process_and_the_next_one_goes_on() {
    for (order, said) in [("foreign", "999999"), ("print", "loading the model"), ("flood", "progress: 1 of 200000")] {
        let error = fails(order).await;
        assert!(!error.message.contains(said), "{}", error.message);
        assert!(error.detail.as_ref().is_some_and(|detail| detail.expose().contains(said)), "it is kept for the store");
        assert_eq!((error.kind, &*error.code), (ErrorKind::InvalidOutput, "protocol_violation"), "{order}");
    }
}

#[tokio::test]
async fn a_gigabyte_without_a_line_break_is_never_held() {
    let began = Instant::now();
    let error = fails("endless").await;
    assert_eq!((error.kind, &*error.code), (ErrorKind::InvalidOutput, "protocol_violation"));
    assert!(error.message.contains("a line of more than 1048576 bytes"), "{}", error.message);
    assert!(began.elapsed() < Duration::from_secs(5), "it is not read to its end");
}

#[tokio::test]
async fn an_answer_that_is_too_long_is_invalid_output_of_its_task() {
    let error = fails("long").await;
    assert_eq!(error.message, "the answer of the plugin `toys` is longer than a message may be");
    assert_eq!(error.kind, ErrorKind::InvalidOutput);
}

#[tokio::test]
async fn a_request_that_is_too_long_is_not_sent() {
    let error = fails(&"x".repeat(2 << 20)).await;
    assert_eq!((error.kind, &*error.code), (ErrorKind::Permanent, "request_too_large"));
}

#[tokio::test]
async fn a_second_answer_is_noticed_and_three_breaches_are_the_end() {
    let (plugin, judge) = obedient(hostile(&[])).await;
    let mut last = None;
    for _ in 0..3 {
        // The first answer may be taken, or lost with the process.
        let _ = ask(&judge, "twice").await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        last = ask(&judge, "good").await.err();
    }
    let error = last.expect("broken for good");
    assert_eq!((error.kind, &*error.code), (ErrorKind::Permanent, "plugin_broken"));
    insta::assert_snapshot!(error.message, @"plugin `toys` is broken: 3 of its processes broke the protocol; the last time it answered a request that does not wait for an answer (standard output belongs to the protocol: print to standard error)");
    plugin.shutdown().await;
}

#[tokio::test]
async fn a_plugin_that_never_answers_keeps_only_its_own_task_waiting() {
    let (plugin, judge) = obedient(hostile(&["max-in-flight", "2"])).await;
    for _ in 0..5 {
        let never = tokio::time::timeout(Duration::from_millis(30), ask(&judge, "never")).await;
        assert!(never.is_err());
    }
    assert_eq!(score(&judge, "good").await, 1.0);
    plugin.shutdown().await;
}

#[tokio::test]
async fn an_error_is_passed_on_with_its_kind_and_its_text_stays_in_the_store() {
    let error = fails("busy").await;
    assert_eq!((error.kind, &*error.code), (ErrorKind::Transient, "model_busy"));
    assert_eq!(error.retry_after, Some(Duration::from_millis(250)));
    assert!(!error.to_string().contains("Alice"), "{error}");
    assert_eq!(error.detail.expect("kept").expose(), r#"{"message":"Alice","detail":{"secret":"Alice"}}"#);
}

#[tokio::test]
async fn noise_on_standard_error_holds_nothing_up_and_its_end_is_kept() {
    let (plugin, judge) = obedient(hostile(&[])).await;
    assert_eq!(score(&judge, "stderr").await, 1.0);
    let tail = plugin.stderr_tail();
    assert!((1..=64 << 10).contains(&tail.expose().len()));
    plugin.shutdown().await;
    assert!(plugin.stderr_tail().expose().ends_with("good bye\n"));
}

#[tokio::test]
async fn a_plugin_that_does_not_start_says_why_at_once() {
    let mut silent = hostile(&["silent"]);
    silent.start_timeout = Duration::from_millis(100);
    let mut absent = hostile(&[]);
    absent.program = "/absent/plugin".into();
    let mut said = Vec::new();
    for command in [
        hostile(&["exit"]),
        hostile(&["speak-first"]),
        silent,
        absent,
        shell("read line; echo '{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"protocol_version\":9}}'; cat"),
        shell(
            "read line; echo '{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{\"code\":1,\"message\":\"no licence\"}}'; cat",
        ),
        shell("exec >&-; cat"),
        shell("kill -9 $$"),
    ] {
        let error = ExternalPlugin::new(command).describe().await.expect_err("broken");
        said.push(format!("{error}\n  {}", error.hint.as_deref().unwrap_or("-")));
    }
    insta::assert_snapshot!(said.join("\n"));
}
