//! How runs end before their dataset does.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ef_model::{CallError, ErrorKind, RunStatus, TraceStore};
use ef_runner::{RunError, RunEvent, Runner, StopCause};
use ef_testkit::{ListSource, MemoryStore, ScriptedEvaluator};

use crate::plans::{Setup, echo, faulty, good, rows, run_id};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_finishes_what_is_in_flight_and_keeps_it() {
    let store = MemoryStore::new();
    let started = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&started);
    let setup = Setup {
        runtime: serde_json::json!({"max_concurrent": 5}),
        evaluator: ScriptedEvaluator::new(move |item, _| {
            counter.fetch_add(1, Ordering::SeqCst);
            async {
                tokio::time::sleep(Duration::from_millis(20)).await;
                Ok(echo(item))
            }
        }),
        ..Setup::new(&store)
    };
    let (runner, mut events) = Runner::new(setup.plan());
    let stopper = runner.stopper();
    let run = tokio::spawn(runner.run(Box::new(ListSource::of_items(1000))));
    while let Some(event) = events.next().await {
        if matches!(event, RunEvent::Committed { .. }) {
            stopper.stop();
        }
    }
    let error = run.await.expect("no panic").expect_err("the run was stopped");
    let RunError::Unfinished { cause: StopCause::Interrupted, result, .. } = error else { panic!("{error:?}") };
    assert_eq!(rows(&store).await.len(), started.load(Ordering::SeqCst), "what was started is recorded");
    assert!(started.load(Ordering::SeqCst) < 500, "nothing new was started");
    assert_eq!((result.status, result.metrics.len()), (RunStatus::Aborted, 0));
    assert_eq!(store.run(&run_id()).await.expect("readable").expect("there").status, RunStatus::Aborted);
}

#[tokio::test(start_paused = true)]
async fn a_stop_abandons_what_waits_for_its_next_attempt_without_a_record() {
    let store = MemoryStore::new();
    let setup = Setup {
        runtime: serde_json::json!({"max_retries": 20}),
        evaluator: ScriptedEvaluator::new(|item, _| async move {
            if item.row == 1 { Err(CallError::new(ErrorKind::Transient, "x", "later")) } else { Ok(echo(item)) }
        }),
        ..Setup::new(&store)
    };
    let (runner, mut events) = Runner::new(setup.plan());
    let stopper = runner.stopper();
    let run = tokio::spawn(runner.run(Box::new(ListSource::of_items(3))));
    while let Some(event) = events.next().await {
        if let RunEvent::Retrying { attempt: 4, .. } = event {
            stopper.stop();
        }
    }
    let error = run.await.expect("no panic").expect_err("the run was stopped");
    assert!(matches!(error, RunError::Unfinished { cause: StopCause::Interrupted, .. }), "{error:?}");
    assert_eq!(rows(&store).await, [2, 3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_after_the_last_task_has_stopped_nothing() {
    let store = MemoryStore::new();
    let (runner, mut events) = Runner::new(Setup::new(&store).plan());
    let stopper = runner.stopper();
    let run = tokio::spawn(runner.run(Box::new(ListSource::of_items(10))));
    while let Some(event) = events.next().await {
        if matches!(event, RunEvent::Finishing) {
            stopper.stop();
        }
    }
    assert_eq!(run.await.expect("no panic").expect("a result").status, RunStatus::Completed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn abort_starts_nothing_more_after_a_failure_and_the_finished_records_stay() {
    let store = MemoryStore::new();
    let setup = Setup {
        runtime: serde_json::json!({"on_failure": "abort", "max_concurrent": 2}),
        evaluator: ScriptedEvaluator::new(|item, _| async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            if item.row == 50 { Err(CallError::permanent("broken", "broken")) } else { Ok(echo(item)) }
        }),
        ..Setup::new(&store)
    };
    let error = setup.run(ListSource::of_items(10_000)).await.expect_err("an item failed");
    let RunError::Unfinished { cause, result, .. } = error else { panic!("{error:?}") };
    assert_eq!(cause, StopCause::TaskFailed { item_id: ef_testkit::item(50).item_id, row: 50 });
    let rows = rows(&store).await;
    assert!(rows.contains(&50), "the failure itself is recorded");
    assert!((50..=53).contains(&rows.len()), "{} records", rows.len());
    assert_eq!(result.counts.error, 1);
    assert_eq!(result.counts.tasks(), rows.len() as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_malformed_row_is_a_skipped_record_and_under_abort_it_ends_the_run() {
    let rows_of = || ListSource::new([good(1), faulty(2), good(3)]);
    let store = MemoryStore::new();
    let result = Setup::new(&store).run(rows_of()).await.expect("a result");
    assert_eq!((result.counts.ok, result.counts.skipped), (2, 1));
    assert_eq!(result.metrics[0].n_unscored, 1);
    assert_eq!(rows(&store).await, [1, 2, 3]);

    let store = MemoryStore::new();
    let setup = Setup { runtime: serde_json::json!({"on_failure": "abort"}), ..Setup::new(&store) };
    let error = setup.run(rows_of()).await.expect_err("a row is malformed");
    assert!(matches!(error, RunError::Unfinished { cause: StopCause::TaskFailed { row: 2, .. }, .. }), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_exhausted_quota_stops_the_run_and_its_task_is_as_if_never_started() {
    let store = MemoryStore::new();
    let setup = Setup {
        evaluator: ScriptedEvaluator::new(|item, _| async move {
            if item.row == 3 {
                Err(CallError::new(ErrorKind::QuotaExhausted, "quota", "no quota left"))
            } else {
                Ok(echo(item))
            }
        }),
        ..Setup::new(&store)
    };
    let error = setup.run(ListSource::of_items(5)).await.expect_err("no quota");
    assert!(
        matches!(&error, RunError::Unfinished { cause: StopCause::QuotaExhausted { judge: None }, .. }),
        "{error:?}"
    );
    assert!(!rows(&store).await.contains(&3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_4_a_dataset_that_breaks_gives_an_error_and_what_was_done_is_kept() {
    let store = MemoryStore::new();
    let error = Setup::new(&store).run(ListSource::of_items(10).failing("broken at row 11")).await.expect_err("broken");
    let RunError::Unfinished { cause, source_error, result } = error else { panic!("{error:?}") };
    assert_eq!(cause, StopCause::Dataset("broken at row 11".to_owned()));
    assert_eq!(source_error.expect("the dataset's own error").message, "broken at row 11");
    assert_eq!((result.status, result.metrics.len(), result.root_digest), (RunStatus::Aborted, 0, None));
    assert_eq!(rows(&store).await.len(), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dataset_that_cannot_be_read_at_all_leaves_no_run_behind() {
    let store = MemoryStore::new();
    let error = Setup::new(&store).run(ListSource::default().failing("no such column")).await.expect_err("broken");
    assert!(matches!(error, RunError::NotBegun { source_error: Some(_), .. }), "{error:?}");
    assert_eq!(store.runs("", 10).await.expect("readable"), []);
}
