//! Reading: filters, keys, and readers beside a writer.

use std::collections::HashSet;

use ef_model::{RecordFilter, RecordKey, StoreError, StoredRecord, TaskCommit, TaskRecord, TraceStatus};
use futures_util::TryStreamExt;

use super::{Backend, all, append, begun, filtered, open, stored, without_payloads};
use crate::samples::outcomes;
use crate::{commit, record};

/// By status, by item, by both.
pub async fn records_are_filtered(backend: &dyn Backend) {
    let store = open(backend).await;
    let run = begun(&*store, "filtered").await;
    let batch: Vec<TaskCommit> = outcomes().into_iter().map(without_payloads).collect();
    append(&*store, &run, batch.clone()).await;
    let mut seen = 0;
    for status in TraceStatus::ALL {
        let stored = filtered(&*store, &run, &RecordFilter { status: Some(status), item_id: None }).await;
        assert!(stored.iter().all(|stored| stored.record.trace.status() == status));
        seen += stored.len();
    }
    assert_eq!(seen, batch.len());
    let item_id = Some(record(2).item_id);
    let by_item = filtered(&*store, &run, &RecordFilter { item_id: item_id.clone(), status: None }).await;
    assert_eq!(by_item.iter().map(|stored| stored.record.row).collect::<Vec<_>>(), [2]);
    let by_both = RecordFilter { item_id, status: Some(TraceStatus::Ok) };
    assert_eq!(filtered(&*store, &run, &by_both).await, []);
}

/// Each key once, whatever the number of records.
pub async fn the_keys_of_a_run_are_those_of_its_records(backend: &dyn Backend) {
    const RECORDS: u64 = 3000;
    let store = open(backend).await;
    let [run, other] = [begun(&*store, "keys").await, begun(&*store, "other").await];
    assert_eq!(store.keys(&run).try_collect::<Vec<_>>().await.expect("readable"), []);
    let mut batch: Vec<_> = (1..=RECORDS).map(record).collect();
    for (repeat, revision) in [(1, 0), (0, 1), (0, 2)] {
        batch.push(TaskRecord { repeat, revision, ..record(7) });
    }
    append(&*store, &run, batch.iter().cloned().map(without_payloads).collect()).await;
    append(&*store, &other, vec![commit(9)]).await;
    let mut keys: Vec<RecordKey> = store.keys(&run).try_collect().await.expect("readable");
    keys.sort_unstable();
    let mut expected: Vec<_> = batch.iter().map(TaskRecord::key).collect();
    expected.sort_unstable();
    assert!(keys == expected, "{} keys of {} records", keys.len(), expected.len());
}

/// A reader never sees a part of a batch.
pub async fn readers_see_whole_batches_while_a_run_is_written(backend: &dyn Backend) {
    const BATCH: u64 = 10;
    let [store, reader] = [open(backend).await, open(backend).await];
    let run = begun(&*store, "concurrent").await;
    let write = async {
        for first in (1..=20 * BATCH).step_by(10) {
            append(&*store, &run, (first..first + BATCH).map(commit).collect()).await;
        }
    };
    let read = async {
        for _ in 0..20 {
            let stored = all(&*reader, &run).await;
            assert_eq!(stored.len() as u64 % BATCH, 0, "a part of a batch was seen");
            assert!(stored.iter().all(|stored| stored.record.judgments.len() == 1), "a part of a record was seen");
        }
    };
    futures_util::future::join(write, read).await;
    let expected: Vec<StoredRecord> = (1..=20 * BATCH).map(|row| stored(&commit(row))).collect();
    assert_eq!(all(&*reader, &run).await, expected);
}

/// Readers are in nobody's way: each reads all of it, in steps, while the others do.
pub async fn many_readers_read_the_same(backend: &dyn Backend) {
    const RECORDS: u64 = 1500;
    let store = open(backend).await;
    let run = begun(&*store, "readers").await;
    append(&*store, &run, (1..=RECORDS).map(commit).collect()).await;
    let read = async || -> Result<Vec<u64>, StoreError> {
        let filter = RecordFilter::default();
        let mut records = store.records(&run, &filter);
        let mut rows = Vec::new();
        while let Some(stored) = records.try_next().await? {
            rows.push(stored.record.row);
            if rows.len() % 100 == 0 {
                tokio::task::yield_now().await;
            }
        }
        Ok(rows)
    };
    let read = futures_util::future::join_all((0..8).map(|_| read())).await;
    let rows: HashSet<Vec<u64>> = read.into_iter().map(|read| read.expect("readable")).collect();
    assert_eq!(rows, HashSet::from([(1..=RECORDS).collect()]));
}
