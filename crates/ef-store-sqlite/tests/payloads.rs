//! Payloads are stored once and found again, whoever wrote them and however they ended.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use ef_model::{Payload, RunId, StoreError, TaskCommit, TraceStore};
use ef_store_sqlite::SqliteStore;
use ef_testkit::{head, record};
use futures_util::FutureExt as _;
use tempfile::TempDir;

/// More payloads than are kept out of the index, so that their keys go into it.
const MANY: u32 = 70_000;

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("runs.db");
    (folder, path)
}

async fn open(path: &Path) -> SqliteStore {
    SqliteStore::open_or_create(path).await.expect("a store")
}

/// A store with a run of this id, in which nothing is yet.
async fn begun(path: &Path, run: &str) -> (SqliteStore, RunId) {
    let store = open(path).await;
    let head = head(run, 1);
    store.begin(&head).await.expect("begun");
    (store, head.run_id)
}

fn payload(number: u32) -> Payload {
    Payload::from_checked(number.to_string())
}

/// The record of a row, with these payloads.
fn commit(row: u64, payloads: Range<u32>) -> TaskCommit {
    TaskCommit::new(record(row), payloads.map(payload).collect())
}

async fn append(store: &SqliteStore, run: &RunId, row: u64, payloads: Range<u32>) {
    store.append(run, [commit(row, payloads)].into()).await.expect("appended");
}

fn count(path: &Path, table: &str) -> u32 {
    let connection = rusqlite::Connection::open(path).expect("a database");
    connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).expect("a count")
}

/// Which of these payloads are not found.
async fn missing(store: &SqliteStore, numbers: impl IntoIterator<Item = u32>) -> Vec<u32> {
    let numbers: Vec<u32> = numbers.into_iter().collect();
    let digests: Vec<_> = numbers.iter().map(|number| payload(*number).digest()).collect();
    let found = store.payloads(&digests).await.expect("readable");
    assert_eq!(found.len(), numbers.len());
    let missing = numbers.into_iter().zip(found).filter(|(number, found)| *found != Some(payload(*number)));
    missing.map(|(number, _)| number).collect()
}

/// What a process leaves that is killed now: the database and its log as they are, for another to find.
fn killed(path: &Path) -> (TempDir, PathBuf) {
    let (folder, copy) = folder();
    for end in ["", "-wal"] {
        let [from, to] = [path, &copy].map(|path| PathBuf::from(format!("{}{end}", path.display())));
        fs::copy(from, to).expect("copied");
    }
    (folder, copy)
}

#[tokio::test]
async fn a_payload_is_found_among_very_many_and_stored_once() {
    let (_folder, path) = folder();
    let (store, run) = begun(&path, "run").await;
    append(&store, &run, 1, 0..MANY).await;
    assert_eq!(count(&path, "payload_keys"), MANY, "the index is in use");
    append(&store, &run, 2, MANY - 10..MANY + 100).await;
    append(&store, &run, 3, 0..MANY + 200).await;
    assert_eq!(count(&path, "payloads"), MANY + 200);
    assert_eq!(count(&path, "payload_keys"), MANY, "and does not grow with each batch");
    assert_eq!(missing(&store, [0, 1, 65_535, 65_536, MANY - 1, MANY, MANY + 199, MANY + 200]).await, [MANY + 200]);
    store.close().await;

    // By a process that knows nothing of the first.
    let (again, run) = begun(&path, "again").await;
    append(&again, &run, 1, 0..MANY + 300).await;
    assert_eq!(count(&path, "payloads"), MANY + 300);
    assert_eq!(missing(&again, [0, MANY - 1, MANY, MANY + 299]).await, [0; 0]);
}

#[tokio::test]
async fn of_many_neighbours_each_is_found_but_for_what_is_missing_or_damaged() {
    let (_folder, path) = folder();
    let (store, run) = begun(&path, "run").await;
    let large = Payload::from_text(&"x".repeat(100_000));
    append(&store, &run, 1, 0..1000).await;
    store.append(&run, [TaskCommit::new(record(2), vec![large.clone()])].into()).await.expect("appended");
    append(&store, &run, 3, 1000..MANY).await;
    assert_eq!(count(&path, "payload_keys"), MANY + 1, "the index is in use");
    assert_eq!(missing(&store, (900..1900).chain([MANY, MANY + 1])).await, [MANY, MANY + 1]);
    assert_eq!(missing(&store, (0..1000).map(|number| number * 70)).await, [0; 0], "far from one another");
    let digests: Vec<_> = (500..1500).map(|number| payload(number).digest()).chain([large.digest()]).collect();
    assert_eq!(store.payloads(&digests).await.expect("readable").pop(), Some(Some(large)));
    let connection = rusqlite::Connection::open(&path).expect("a database");
    for damaged in ["'changed'", "'700' || char(30) || '701'", "'701'"] {
        connection
            .execute(&format!("UPDATE payloads SET content = {damaged} WHERE content = '700'"), [])
            .expect("changed");
        let found = store.payloads(&digests).await;
        assert!(matches!(found, Err(StoreError::Damaged { .. })), "{damaged}");
        let repaired = "UPDATE payloads SET content = '700' WHERE id = (SELECT min(id) + 700 FROM payloads)";
        connection.execute(repaired, []).expect("repaired");
        assert_eq!(missing(&store, 500..1500).await, [0; 0]);
    }
}

#[tokio::test]
async fn payloads_of_a_killed_process_are_known_before_and_after_their_keys_are_in_the_index() {
    let (_folder, path) = folder();
    let (store, run) = begun(&path, "run").await;
    let mut images = Vec::new();
    for (row, payloads) in [(1, 0..100), (2, 100..MANY), (3, MANY..MANY + 100)] {
        append(&store, &run, row, payloads.clone()).await;
        images.push((payloads.end, killed(&path)));
    }
    for (stored, (_folder, image)) in images {
        let reader = SqliteStore::open(&image).await.expect("a store");
        assert_eq!(missing(&reader, [0, 99, stored - 1, stored]).await, [stored]);
        let (resumed, run) = begun(&image, "next").await;
        append(&resumed, &run, 1, 0..stored + 1).await;
        assert_eq!(count(&image, "payloads"), stored + 1);
        assert_eq!(missing(&reader, [0, 99, stored - 1, stored]).await, [0; 0]);
    }
}

#[tokio::test]
async fn payloads_that_another_writer_adds_or_indexes_meanwhile_are_stored_once() {
    let (_folder, path) = folder();
    let (one, its_run) = begun(&path, "one").await;
    let (other, others_run) = begun(&path, "other").await;
    let reader = SqliteStore::open(&path).await.expect("a store");
    append(&one, &its_run, 1, 0..100).await;
    assert_eq!(missing(&reader, [0, 99, 100]).await, [100]);
    // The other adds to what is not in the index yet.
    append(&other, &others_run, 1, 50..200).await;
    append(&one, &its_run, 2, 0..300).await;
    assert_eq!(count(&path, "payloads"), 300);
    assert_eq!(missing(&reader, [0, 199, 299, 300]).await, [300]);
    // The other puts all of it into the index.
    append(&other, &others_run, 2, 250..MANY).await;
    assert_eq!(count(&path, "payload_keys"), MANY);
    append(&one, &its_run, 3, 200..MANY + 100).await;
    assert_eq!(count(&path, "payloads"), MANY + 100);
    for store in [&one, &other, &reader] {
        assert_eq!(missing(store, [0, 99, 199, 299, MANY - 1, MANY + 99, MANY + 100]).await, [MANY + 100]);
    }
}

#[tokio::test]
async fn what_was_refused_is_not_taken_for_stored() {
    let (_folder, path) = folder();
    let (store, run) = begun(&path, "run").await;
    append(&store, &run, 1, 0..10).await;
    let mut changed = record(1);
    changed.trace.duration_us += 1;
    let changed = TaskCommit::new(changed, (10..20).map(payload).collect());
    let refused = store.append(&run, [commit(2, 20..30), changed].into()).await;
    assert!(matches!(refused, Err(StoreError::Conflict { row: 1, existing_row: 1, .. })), "{refused:?}");
    assert_eq!(count(&path, "payloads"), 10);
    append(&store, &run, 2, 15..25).await;
    assert_eq!(missing(&store, 0..30).await, [10, 11, 12, 13, 14, 25, 26, 27, 28, 29]);
}

#[tokio::test]
async fn a_batch_that_nobody_waits_for_any_more_is_whole_and_in_nobodys_way() {
    let (_folder, path) = folder();
    let (store, run) = begun(&path, "run").await;
    for row in 1..20 {
        let batch = [commit(row, 0..20), commit(row + 100, 20..40)];
        // Dropped at once, nearly always before the answer is there.
        let _ = store.append(&run, batch.into()).now_or_never();
    }
    append(&store, &run, 99, 0..50).await;
    assert_eq!(count(&path, "traces"), 39);
    assert_eq!(count(&path, "payloads"), 50);
}

#[tokio::test]
async fn nothing_is_written_after_closing_and_the_message_says_why() {
    let (_folder, path) = folder();
    let (store, run) = begun(&path, "run").await;
    store.close().await;
    let refused = store.append(&run, [commit(1, 0..1)].into()).await.expect_err("closed");
    assert!(matches!(refused, StoreError::Unavailable { .. }), "{refused:?}");
    assert!(refused.to_string().ends_with("is unavailable: it has been closed"), "{refused}");
    assert_eq!(count(&path, "traces"), 0);
}

#[tokio::test]
async fn a_damaged_file_is_told_as_such_when_it_is_written() {
    let (_folder, path) = folder();
    let (store, run) = begun(&path, "run").await;
    append(&store, &run, 1, 0..10).await;
    store.close().await;
    // All but the first page, which says what the file is.
    let mut bytes = fs::read(&path).expect("readable");
    bytes[16 << 10..].fill(0xa5);
    fs::write(&path, bytes).expect("written");
    let store = open(&path).await;
    let refused = store.append(&run, [commit(2, 0..10)].into()).await.expect_err("damaged");
    assert!(matches!(refused, StoreError::Damaged { .. }), "{refused:?}");
    assert!(refused.to_string().ends_with("is damaged: SQLite finds the file malformed"), "{refused}");
}
