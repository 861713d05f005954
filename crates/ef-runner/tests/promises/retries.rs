//! What is tried again, how often, and what a record says of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ef_model::{CallError, ErrorKind, JudgmentResult, TraceOutcome, TraceStatus, Verdict};
use ef_testkit::{ListSource, MemoryStore, ScriptedEvaluator, ScriptedJudge};
use tokio::time::Instant;

use crate::plans::{Setup, echo, records};

fn transient() -> CallError {
    CallError::new(ErrorKind::Transient, "http_503", "the endpoint is overloaded")
}

#[tokio::test(start_paused = true)]
async fn a_transient_failure_is_tried_again_and_the_attempts_are_recorded() {
    let store = MemoryStore::new();
    let setup = Setup {
        evaluator: ScriptedEvaluator::new(|item, context| async move {
            if context.attempt < 3 { Err(transient()) } else { Ok(echo(item)) }
        }),
        ..Setup::new(&store)
    };
    let result = setup.run(ListSource::of_items(20)).await.expect("a result");
    assert_eq!(result.counts.ok, 20);
    assert!(records(&store).await.iter().all(|stored| stored.record.trace.attempts == 3));
}

#[tokio::test(start_paused = true)]
async fn retries_end_and_the_last_failure_is_the_record() {
    let store = MemoryStore::new();
    let setup = Setup {
        runtime: serde_json::json!({"max_retries": 4}),
        evaluator: ScriptedEvaluator::new(|_, _| async { Err(transient()) }),
        ..Setup::new(&store)
    };
    let result = setup.run(ListSource::of_items(5)).await.expect("a result: on_failure is skip");
    assert_eq!((result.counts.error, result.counts.scored), (5, 0));
    for stored in records(&store).await {
        assert_eq!(stored.record.trace.attempts, 5);
        assert!(matches!(&stored.record.trace.outcome, TraceOutcome::Error { error } if error.code == "http_503"));
        assert!(stored.record.judgments.is_empty(), "what was not made is not judged");
    }
}

#[tokio::test(start_paused = true)]
async fn permanent_failures_and_invalid_outputs_are_not_tried_again() {
    for kind in [ErrorKind::Permanent, ErrorKind::InvalidOutput] {
        let store = MemoryStore::new();
        let setup = Setup {
            evaluator: ScriptedEvaluator::new(move |_, _| async move { Err(CallError::new(kind, "code", "no")) }),
            ..Setup::new(&store)
        };
        setup.run(ListSource::of_items(1)).await.expect("a result");
        assert_eq!(records(&store).await[0].record.trace.attempts, 1, "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_without_an_answer_times_out_at_each_attempt() {
    let store = MemoryStore::new();
    let setup = Setup {
        runtime: serde_json::json!({"task_timeout_seconds": 5.0, "max_retries": 1}),
        evaluator: ScriptedEvaluator::new(|_, _| std::future::pending()),
        ..Setup::new(&store)
    };
    let began = Instant::now();
    let result = setup.run(ListSource::of_items(3)).await.expect("a result");
    assert_eq!(result.counts.timeout, 3);
    assert!(began.elapsed() >= Duration::from_secs(10), "two attempts of five seconds each");
    for stored in records(&store).await {
        assert_eq!(stored.record.trace.status(), TraceStatus::Timeout);
        assert_eq!(stored.record.trace.attempts, 2);
        assert!(stored.record.trace.duration_us >= 10_000_000);
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_the_other_side_asked_for_uses_up_no_retry() {
    let store = MemoryStore::new();
    let setup = Setup {
        runtime: serde_json::json!({"max_retries": 0}),
        evaluator: ScriptedEvaluator::new(|item, context| async move {
            if context.attempt <= 10 {
                Err(transient().with_retry_after(Duration::from_secs(7)))
            } else {
                Ok(echo(item))
            }
        }),
        ..Setup::new(&store)
    };
    let began = Instant::now();
    let result = setup.run(ListSource::of_items(1)).await.expect("a result");
    assert_eq!(result.counts.ok, 1);
    assert!(began.elapsed() >= Duration::from_secs(70), "the waits were kept");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_says_later_for_ever_does_not_hold_a_task_for_ever() {
    let store = MemoryStore::new();
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let setup = Setup {
        runtime: serde_json::json!({"max_retries": 2}),
        evaluator: ScriptedEvaluator::new(move |_, _| {
            counter.fetch_add(1, Ordering::Relaxed);
            async { Err(transient().with_retry_after(Duration::ZERO)) }
        }),
        ..Setup::new(&store)
    };
    let result = setup.run(ListSource::of_items(1)).await.expect("a result");
    assert_eq!(result.counts.error, 1);
    assert_eq!(calls.load(Ordering::Relaxed), 1003);
}

#[tokio::test(start_paused = true)]
async fn a_judges_failure_is_an_error_and_never_a_score() {
    let store = MemoryStore::new();
    let setup = Setup {
        judge: ScriptedJudge::new(|item, _, _| async move {
            match item.row {
                1 => Err(transient()),
                2 => Ok(Verdict::unscored()),
                3 => Ok(Verdict::scored(false)),
                _ => Ok(Verdict::scored(true)),
            }
        }),
        ..Setup::new(&store)
    };
    let result = setup.run(ListSource::of_items(4)).await.expect("a result");
    let metric = &result.metrics[0];
    assert_eq!((metric.n, metric.n_error, metric.n_unscored), (2, 1, 1));
    assert_eq!(metric.value, Some(0.5));
    assert_eq!((result.counts.ok, result.counts.judge_error, result.counts.unscored), (4, 1, 1));
    let failed = &records(&store).await[0].record.judgments[0];
    assert_eq!(failed.attempts, 3);
    assert!(matches!(failed.result, JudgmentResult::Error { .. }));
}
