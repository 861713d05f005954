//! A run has one writer.

use std::path::Path;

use ef_model::{RunStatus, StoreError, TraceStore};
use ef_store_sqlite::SqliteStore;
use ef_testkit::{commit, head, result};

async fn store(path: &Path) -> SqliteStore {
    SqliteStore::open_or_create(path).await.expect("a store")
}

fn lock_files(path: &Path) -> Vec<String> {
    let folder = std::fs::read_dir(path.parent().expect("a folder")).expect("readable");
    let names = folder.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
    names.filter(|name| name.ends_with(".lock")).collect()
}

#[tokio::test]
async fn a_run_that_is_being_written_is_refused_to_others_until_its_writer_is_gone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("runs.db");
    let (one, other) = (store(&path).await, store(&path).await);
    let head = head("run", 1);
    one.begin(&head).await.expect("begun");
    one.append(&head.run_id, [commit(1)].into()).await.expect("appended");
    let refused = other.resume(&head.run_id).await;
    assert!(matches!(&refused, Err(StoreError::RunBusy(run)) if *run == head.run_id), "{refused:?}");

    assert_eq!(lock_files(&path), ["runs.db.run.lock"]);
    drop(one);
    // Its thread is gone a moment later.
    let began = std::time::Instant::now();
    while !lock_files(&path).is_empty() {
        assert!(began.elapsed() < std::time::Duration::from_secs(10), "a lock is left of a writer that is gone");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    other.resume(&head.run_id).await.expect("free");
    other.append(&head.run_id, [commit(2)].into()).await.expect("appended");
    other.finish(&result(&head, RunStatus::Completed)).await.expect("finished");
    assert_eq!(lock_files(&path), [""; 0], "nothing is left of an ended run");
}

#[tokio::test]
async fn an_aborted_run_is_free_and_others_of_the_file_are_not_locked_with_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("runs.db");
    let (one, other) = (store(&path).await, store(&path).await);
    let [first, second] = ["first", "second"].map(|run| head(run, 1));
    one.begin(&first).await.expect("begun");
    other.begin(&second).await.expect("another run");
    one.finish(&result(&first, RunStatus::Aborted)).await.expect("finished");
    other.resume(&first.run_id).await.expect("free");
    let refused = one.resume(&first.run_id).await;
    assert!(matches!(refused, Err(StoreError::RunBusy(_))), "{refused:?}");
}
