//! Runs: how they begin, end, go on and are found.

use ef_model::{RunStatus, StoreError};

use super::{Backend, all, append, begun, id, open, rows};
use crate::{commit, head, result};

/// Beginning a run twice is refused, and the first is untouched.
pub async fn a_run_begins_once(backend: &dyn Backend) {
    let store = open(backend).await;
    let run = begun(&*store, "once").await;
    let again = store.begin(&head("once", 2)).await;
    assert!(matches!(again, Err(StoreError::RunExists(id)) if id == run));
    let summary = store.run(&run).await.expect("readable").expect("there");
    assert_eq!((summary.head, summary.status, summary.result), (head("once", 1), RunStatus::Running, None));
}

/// Records go into runs that were begun.
pub async fn append_needs_an_open_run(backend: &dyn Backend) {
    let store = open(backend).await;
    let absent = id("absent");
    let refused = store.append(&absent, [commit(1)].into()).await;
    assert!(matches!(&refused, Err(StoreError::RunNotFound(id)) if *id == absent), "{refused:?}");
    let refused = store.finish(&result(&head("absent", 1), RunStatus::Completed)).await;
    assert!(matches!(&refused, Err(StoreError::RunNotFound(id)) if *id == absent), "{refused:?}");
    assert_eq!(store.run(&absent).await.expect("readable"), None);
    assert_eq!(all(&*store, &absent).await, []);
}

/// A completed run is closed for good.
pub async fn a_completed_run_takes_no_more(backend: &dyn Backend) {
    let store = open(backend).await;
    let run = begun(&*store, "completed").await;
    append(&*store, &run, vec![commit(1)]).await;
    let completed = result(&head("completed", 1), RunStatus::Completed);
    store.finish(&completed).await.expect("finished");
    let summary = store.run(&run).await.expect("readable").expect("there");
    assert_eq!((summary.status, summary.result), (RunStatus::Completed, Some(completed)));
    let refused = store.append(&run, [commit(2)].into()).await;
    assert!(matches!(refused, Err(StoreError::RunClosed(_))), "{refused:?}");
    for status in [RunStatus::Aborted, RunStatus::Completed] {
        let refused = store.finish(&result(&head("completed", 1), status)).await;
        assert!(matches!(refused, Err(StoreError::RunClosed(_))), "{refused:?}");
    }
    assert_eq!(rows(&*store, &run).await, [1]);
}

/// A run that ended early takes more records and can be completed.
pub async fn a_run_that_ended_early_goes_on(backend: &dyn Backend) {
    let store = open(backend).await;
    let run = begun(&*store, "aborted").await;
    let aborted = result(&head("aborted", 1), RunStatus::Aborted);
    store.finish(&aborted).await.expect("finished");
    assert_eq!(store.run(&run).await.expect("readable").expect("there").status, RunStatus::Aborted);
    store.resume(&run).await.expect("taken up");
    let untouched = store.run(&run).await.expect("readable").expect("there");
    assert_eq!((untouched.status, untouched.result), (RunStatus::Aborted, Some(aborted)), "nothing is written yet");
    append(&*store, &run, vec![commit(1)]).await;
    let summary = store.run(&run).await.expect("readable").expect("there");
    assert_eq!((summary.status, summary.result), (RunStatus::Running, None), "it runs again");
    store.finish(&result(&head("aborted", 1), RunStatus::Completed)).await.expect("finished");
    assert_eq!(rows(&*store, &run).await, [1]);
}

/// A verdict that arrives later is a record like any other.
pub async fn a_run_that_awaits_verdicts_takes_them_and_is_completed(backend: &dyn Backend) {
    let run = id("awaiting");
    let awaiting = result(&head("awaiting", 1), RunStatus::Awaiting);
    let store = open(backend).await;
    begun(&*store, "awaiting").await;
    append(&*store, &run, vec![commit(1), commit(2)]).await;
    store.finish(&awaiting).await.expect("finished");
    store.close().await;

    let store = open(backend).await;
    let summary = store.run(&run).await.expect("readable").expect("there");
    assert_eq!((summary.status, summary.result), (RunStatus::Awaiting, Some(awaiting.clone())));
    for row in [1, 2] {
        store.resume(&run).await.expect("taken up");
        let verdict = ef_model::TaskRecord { revision: 1, ..crate::record(row) };
        append(&*store, &run, vec![super::without_payloads(verdict)]).await;
        let status = if row == 1 { RunStatus::Awaiting } else { RunStatus::Completed };
        store.finish(&result(&head("awaiting", 1), status)).await.expect("finished");
        assert_eq!(store.run(&run).await.expect("readable").expect("there").status, status);
    }
    let refused = store.resume(&run).await;
    assert!(matches!(refused, Err(StoreError::RunClosed(_))), "{refused:?}");
    assert_eq!(rows(&*store, &run).await, [1, 1, 2, 2]);
}

/// Taking up what is not there or over is refused; the one who began a run may take it up.
pub async fn only_runs_that_are_not_completed_are_taken_up(backend: &dyn Backend) {
    let store = open(backend).await;
    let absent = id("absent");
    let refused = store.resume(&absent).await;
    assert!(matches!(&refused, Err(StoreError::RunNotFound(id)) if *id == absent), "{refused:?}");
    let run = begun(&*store, "begun").await;
    store.resume(&run).await.expect("its own run");
    store.finish(&result(&head("begun", 1), RunStatus::Completed)).await.expect("finished");
    let refused = store.resume(&run).await;
    assert!(matches!(&refused, Err(StoreError::RunClosed(id)) if *id == run), "{refused:?}");
}

/// By begin, latest first, and where that is equal by id; a prefix is taken literally.
pub async fn runs_are_listed_latest_first_and_found_by_prefix(backend: &dyn Backend) {
    let store = open(backend).await;
    for (run, started_at_us) in [("a-1", 20), ("a_2", 30), ("b-1", 10), ("B.1", 5), ("b-2", 10)] {
        store.begin(&head(run, started_at_us)).await.expect("begun");
    }
    let mut found = Vec::new();
    let asked = [("", 10), ("", 2), ("", 0), ("a", 10), ("a-", 10), ("a-1", 10), ("B", 10), ("c", 10), ("%", 10)];
    for (prefix, limit) in asked {
        let runs = store.runs(prefix, limit).await.expect("readable");
        found.push(runs.iter().map(|run| run.head.run_id.to_string()).collect::<Vec<_>>().join(" "));
    }
    assert_eq!(found, ["a_2 a-1 b-2 b-1 B.1", "a_2 a-1", "", "a_2 a-1", "a-1", "a-1", "B.1", "", ""]);
}

/// No records is a valid number of records.
pub async fn an_empty_run_is_a_run(backend: &dyn Backend) {
    let store = open(backend).await;
    let run = begun(&*store, "empty").await;
    append(&*store, &run, Vec::new()).await;
    assert_eq!(all(&*store, &run).await, []);
    let completed = result(&head("empty", 1), RunStatus::Completed);
    store.finish(&completed).await.expect("finished");
    store.close().await;
    let store = open(backend).await;
    assert_eq!(store.run(&run).await.expect("readable").and_then(|run| run.result), Some(completed));
    assert_eq!(all(&*store, &run).await, []);
}
