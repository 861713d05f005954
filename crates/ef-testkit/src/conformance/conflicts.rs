//! Conflicts: the same item from two rows, or the same record with two contents.

use ef_model::{ItemId, RecordFilter, StoreError, TaskRecord};

use super::{Backend, all, append, begun, filtered, open, rows, stored, without_payloads};
use crate::{commit, item, record};

/// The same item id from another row is refused, both rows are named, and nothing of the batch is there.
pub async fn an_item_from_two_rows_is_a_conflict_and_nothing_of_its_batch_is_added(backend: &dyn Backend) {
    let store = open(backend).await;
    let run = begun(&*store, "rows").await;
    append(&*store, &run, vec![commit(7)]).await;
    let impostor = TaskRecord { item_id: record(7).item_id, ..record(9) };
    let refused = store.append(&run, [commit(8), without_payloads(impostor)].into()).await;
    assert!(
        matches!(&refused, Err(StoreError::Conflict { item_id, row: 9, existing_row: 7 }) if *item_id == record(7).item_id),
        "{refused:?}"
    );
    assert_eq!(rows(&*store, &run).await, [7]);
    let of_refused = store.payloads(&[item(8).input.digest()]).await.expect("readable");
    assert_eq!(of_refused, [None], "a payload of the refused batch is there");
    append(&*store, &run, vec![commit(8)]).await;
    assert_eq!(rows(&*store, &run).await, [7, 8], "the run goes on");
}

/// A record is never replaced.
pub async fn another_content_for_the_same_record_is_a_conflict(backend: &dyn Backend) {
    let store = open(backend).await;
    let run = begun(&*store, "content").await;
    append(&*store, &run, vec![commit(1)]).await;
    let mut changed = record(1);
    changed.trace.duration_us += 1;
    let refused = store.append(&run, [commit(2), without_payloads(changed)].into()).await;
    assert!(matches!(refused, Err(StoreError::Conflict { row: 1, existing_row: 1, .. })), "{refused:?}");
    let other_item = TaskRecord { item_id: ItemId::new("other").expect("an id"), ..record(1) };
    let refused = store.append(&run, [without_payloads(other_item)].into()).await;
    assert!(matches!(refused, Err(StoreError::Conflict { row: 1, existing_row: 1, .. })), "{refused:?}");
    assert_eq!(all(&*store, &run).await, [stored(&commit(1))]);
}

/// Two records of one batch may be in conflict with one another.
pub async fn a_conflict_within_a_batch_adds_nothing(backend: &dyn Backend) {
    let store = open(backend).await;
    let run = begun(&*store, "within").await;
    let first = TaskRecord { item_id: ItemId::new("twin").expect("an id"), ..record(20) };
    let second = TaskRecord { item_id: first.item_id.clone(), ..record(21) };
    let refused = store.append(&run, [without_payloads(first), without_payloads(second)].into()).await;
    assert!(matches!(refused, Err(StoreError::Conflict { row: 21, existing_row: 20, .. })), "{refused:?}");
    let mut changed = record(1);
    changed.trace.attempts += 1;
    let refused = store.append(&run, [commit(1), without_payloads(changed)].into()).await;
    assert!(matches!(refused, Err(StoreError::Conflict { row: 1, existing_row: 1, .. })), "{refused:?}");
    assert_eq!(filtered(&*store, &run, &RecordFilter::default()).await, []);
}
