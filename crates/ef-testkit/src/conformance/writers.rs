//! One writer a run.

use ef_model::{RunStatus, StoreError};

use super::{Backend, append, begun, open, rows, take_over};
use crate::{commit, head, result};

/// A second writer is refused as long as the first is there, and has the run when it is gone.
pub async fn a_run_has_one_writer_until_it_is_gone(backend: &dyn Backend) {
    let [one, other] = [open(backend).await, open(backend).await];
    let run = begun(&*one, "owned").await;
    append(&*one, &run, vec![commit(1)]).await;
    for _ in 0..2 {
        let refused = other.resume(&run).await;
        assert!(matches!(&refused, Err(StoreError::RunBusy(id)) if *id == run), "{refused:?}");
    }
    append(&*one, &run, vec![commit(2)]).await;
    assert_eq!(rows(&*other, &run).await, [1, 2], "whoever does not write may read");
    drop(one);
    take_over(&*other, &run).await;
    append(&*other, &run, vec![commit(3)]).await;
    let third = open(backend).await;
    let refused = third.resume(&run).await;
    assert!(matches!(refused, Err(StoreError::RunBusy(_))), "{refused:?}");
    other.close().await;
    third.resume(&run).await.expect("a store that is closed holds nothing");
    append(&*third, &run, vec![commit(4)]).await;
    third.finish(&result(&head("owned", 1), RunStatus::Completed)).await.expect("finished");
    assert_eq!(rows(&*third, &run).await, [1, 2, 3, 4]);
}

/// Who has ended a run does not hold it.
pub async fn a_run_that_ended_is_free_for_another_writer(backend: &dyn Backend) {
    let [one, other] = [open(backend).await, open(backend).await];
    let run = begun(&*one, "ended").await;
    for status in [RunStatus::Aborted, RunStatus::Awaiting] {
        one.finish(&result(&head("ended", 1), status)).await.expect("finished");
        other.resume(&run).await.expect("free");
        let refused = one.resume(&run).await;
        assert!(matches!(refused, Err(StoreError::RunBusy(_))), "{refused:?}");
        other.finish(&result(&head("ended", 1), status)).await.expect("finished");
        one.resume(&run).await.expect("free again");
    }
}

/// A run is taken, not the store.
pub async fn two_runs_are_written_beside_each_other(backend: &dyn Backend) {
    let [one, other] = [open(backend).await, open(backend).await];
    let [first, second] = [begun(&*one, "first").await, begun(&*other, "second").await];
    let write = async |store: &dyn ef_model::TraceStore, run| {
        for row in 1..=10 {
            append(store, run, vec![commit(row), commit(100 - row)]).await;
        }
    };
    futures_util::future::join(write(&*one, &first), write(&*other, &second)).await;
    let expected: Vec<u64> = (1..=10).chain(90..=99).collect();
    assert_eq!(rows(&*one, &second).await, expected);
    assert_eq!(rows(&*other, &first).await, expected);
}
