//! What a store returned from is there for whoever opens it next.

use ef_model::{RecordFilter, RunStatus};
use futures_util::TryStreamExt;

use super::{Backend, all, append, begun, open, rows, stored, take_over};
use crate::{commit, head, item, result};

/// Without a close: the store is ended as by a kill.
pub async fn what_was_appended_is_there_when_the_store_is_opened_again(backend: &dyn Backend) {
    let store = open(backend).await;
    let run = begun(&*store, "kept").await;
    append(&*store, &run, (1..=40).map(commit).collect()).await;
    append(&*store, &run, vec![commit(41)]).await;
    backend.kill(store).await;

    let store = open(backend).await;
    let summary = store.run(&run).await.expect("readable").expect("the run is kept");
    assert_eq!((summary.head, summary.status), (head("kept", 1), RunStatus::Running));
    let expected: Vec<_> = (1..=41).map(|row| stored(&commit(row))).collect();
    assert_eq!(all(&*store, &run).await, expected);
    let inputs: Vec<_> = (1..=41).map(|row| item(row).input).collect();
    let digests: Vec<_> = inputs.iter().map(ef_model::Payload::digest).collect();
    let found = store.payloads(&digests).await.expect("readable");
    assert_eq!(found, inputs.into_iter().map(Some).collect::<Vec<_>>());
    take_over(&*store, &run).await;
    append(&*store, &run, vec![commit(41), commit(42)]).await;
    assert_eq!(rows(&*store, &run).await.len(), 42, "it goes on where it was");
}

/// An end is an end, without a close.
pub async fn what_ended_has_ended_when_the_store_is_opened_again(backend: &dyn Backend) {
    for (name, status) in
        [("completed", RunStatus::Completed), ("aborted", RunStatus::Aborted), ("awaiting", RunStatus::Awaiting)]
    {
        let store = open(backend).await;
        let run = begun(&*store, name).await;
        append(&*store, &run, (1..=20).map(commit).collect()).await;
        let ended = result(&head(name, 1), status);
        store.finish(&ended).await.expect("finished");
        backend.kill(store).await;

        let store = open(backend).await;
        let summary = store.run(&run).await.expect("readable").expect("the run is kept");
        assert_eq!((summary.status, summary.result), (status, Some(ended)), "{name}");
        let filter = RecordFilter::default();
        let records: Vec<_> = store.records(&run, &filter).try_collect().await.expect("readable");
        assert_eq!(records, (1..=20).map(|row| stored(&commit(row))).collect::<Vec<_>>(), "{name}");
    }
}
