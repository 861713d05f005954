//! What a store's file is, on disk and to others.

use std::path::{Path, PathBuf};

use ef_model::{RecordFilter, RunId, StoreAdmin, StoreContent, StoreError, TraceStore};
use ef_store_sqlite::{SCHEMA_VERSION, SqliteAdmin, SqliteStore};
use ef_testkit::{commit, head};
use futures_util::TryStreamExt;
use tempfile::TempDir;

fn folder() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("new/runs.db");
    (folder, path)
}

async fn store_with_records(path: &Path, run: &str, rows: std::ops::Range<u64>) -> SqliteStore {
    let store = SqliteStore::open_or_create(path).await.expect("a store");
    let head = head(run, 1);
    store.begin(&head).await.expect("begun");
    let batch: Vec<_> = rows.map(commit).collect();
    store.append(&head.run_id, batch.into()).await.expect("appended");
    store
}

fn count(path: &Path, table: &str) -> i64 {
    let connection = rusqlite::Connection::open(path).expect("a database");
    connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).expect("a count")
}

#[tokio::test]
async fn a_payload_is_stored_once_however_many_runs_have_it() {
    let (_folder, path) = folder();
    for run in ["first", "second", "third"] {
        store_with_records(&path, run, 1..101).await.close().await;
    }
    assert_eq!(count(&path, "payloads"), 100);
    assert_eq!(count(&path, "traces"), 300);
    assert_eq!(count(&path, "components"), 2, "so is an evaluator's and a judge's identity");
}

#[tokio::test]
async fn a_payload_that_another_connection_stored_meanwhile_is_stored_once_too() {
    let (_folder, path) = folder();
    let one = store_with_records(&path, "one", 1..51).await;
    let other = store_with_records(&path, "other", 1..101).await;
    let run = RunId::new("one").expect("an id");
    one.append(&run, (51..151).map(commit).collect()).await.expect("appended");
    one.append(&run, (151..201).map(commit).collect()).await.expect("appended");
    assert_eq!(count(&path, "payloads"), 200);
    one.close().await;
    other.close().await;
}

#[tokio::test]
async fn what_was_appended_is_there_for_another_connection_without_a_close() {
    let (_folder, path) = folder();
    let writer = store_with_records(&path, "run", 1..11).await;
    let reader = SqliteStore::open(&path).await.expect("a second connection");
    let run = RunId::new("run").expect("an id");
    let records: Vec<_> = reader.records(&run, &RecordFilter::default()).try_collect().await.expect("readable");
    assert_eq!(records.len(), 10);
    writer.close().await;
}

#[tokio::test]
async fn invariant_9_another_schema_version_fails_on_open_and_touches_nothing() {
    let (_folder, path) = folder();
    store_with_records(&path, "run", 1..3).await.close().await;
    for version in [SCHEMA_VERSION + 1, 0] {
        rusqlite::Connection::open(&path)
            .and_then(|connection| connection.pragma_update(None, "user_version", version))
            .expect("the version is set");
        let before = std::fs::read(&path).expect("readable");
        for opened in [SqliteStore::open(&path).await, SqliteStore::open_or_create(&path).await] {
            match opened {
                Err(StoreError::SchemaVersion { found, supported, .. }) => {
                    assert_eq!((found, supported), (version, SCHEMA_VERSION));
                }
                other => panic!("version {version} was taken: {other:?}"),
            }
        }
        assert!(before == std::fs::read(&path).expect("readable"), "the file was changed");
    }
}

#[tokio::test]
async fn what_is_no_trace_store_is_refused_and_untouched() {
    let (folder, _) = folder();
    let text = folder.path().join("notes.txt");
    std::fs::write(
        &text,
        "a text that is longer than the header of a database file, which has a hundred bytes or so.\n",
    )
    .expect("written");
    let foreign = folder.path().join("foreign.db");
    rusqlite::Connection::open(&foreign)
        .and_then(|connection| connection.execute_batch("CREATE TABLE theirs (x)"))
        .expect("a database");
    for path in [text.as_path(), foreign.as_path(), folder.path()] {
        let before = std::fs::read(path).ok();
        for opened in [SqliteStore::open(path).await, SqliteStore::open_or_create(path).await] {
            assert!(matches!(opened, Err(StoreError::NotAStore { .. })), "{}: {opened:?}", path.display());
        }
        assert!(before == std::fs::read(path).ok(), "{} was changed", path.display());
    }
    let absent = folder.path().join("absent.db");
    assert!(matches!(SqliteStore::open(&absent).await, Err(StoreError::Unavailable { .. })));
    assert!(!absent.exists(), "opening makes nothing");
}

#[tokio::test]
async fn an_empty_file_becomes_a_store_only_when_asked() {
    let (folder, _) = folder();
    let path = folder.path().join("empty.db");
    std::fs::write(&path, "").expect("written");
    assert!(matches!(SqliteStore::open(&path).await, Err(StoreError::NotAStore { .. })));
    SqliteStore::open_or_create(&path).await.expect("a store").close().await;
    SqliteStore::open(&path).await.expect("a store");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_who_make_the_same_store_at_once_both_get_it() {
    for _ in 0..20 {
        let (_folder, path) = folder();
        let make = || tokio::spawn(SqliteStore::open_or_create(path.clone()));
        let (one, two) = (make(), make());
        for made in [one.await, two.await] {
            made.expect("no panic").expect("a store");
        }
    }
}

#[cfg(unix)]
#[tokio::test]
async fn the_files_are_readable_by_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, path) = folder();
    let store = store_with_records(&path, "run", 1..3).await;
    let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(&folder.path().join("new")), 0o700);
    let mut files = 0;
    for entry in std::fs::read_dir(folder.path().join("new")).expect("readable") {
        let path = entry.expect("an entry").path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        files += 1;
    }
    assert_eq!(files, 4, "the database, its log, the log's index and the lock of the run");
    store.close().await;
}

#[tokio::test]
async fn a_payload_whose_content_was_changed_is_not_given_out() {
    let (_folder, path) = folder();
    store_with_records(&path, "run", 1..3).await.close().await;
    let changed = rusqlite::Connection::open(&path)
        .and_then(|connection| connection.execute("UPDATE payloads SET content = '\"changed\"'", []))
        .expect("changed");
    assert_eq!(changed, 2);
    let store = SqliteStore::open(&path).await.expect("a store");
    let found = store.payloads(&[ef_testkit::item(1).input.digest()]).await;
    assert!(matches!(found, Err(StoreError::Damaged { .. })), "{found:?}");
}

#[tokio::test]
async fn a_record_that_cannot_be_understood_is_damage_and_names_its_column_without_content() {
    let (_folder, path) = folder();
    store_with_records(&path, "run", 1..3).await.close().await;
    rusqlite::Connection::open(&path)
        .and_then(|connection| {
            connection.execute("UPDATE traces SET judgments = '[{\"judge\": \"secret\"}]' WHERE row = 2", [])
        })
        .expect("changed");
    let store = SqliteStore::open(&path).await.expect("a store");
    let run = RunId::new("run").expect("an id");
    let read: Result<Vec<_>, _> = store.records(&run, &RecordFilter::default()).try_collect().await;
    let error = read.expect_err("damaged");
    assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
    let message = error.to_string();
    assert!(message.contains("column judgments") && !message.contains("secret"), "{message}");
}

#[tokio::test]
async fn judgments_can_be_queried_with_any_sqlite_client() {
    let (_folder, path) = folder();
    store_with_records(&path, "run", 1..11).await.close().await;
    let connection = rusqlite::Connection::open(&path).expect("a database");
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let found: (i64, f64, String) = connection
        .query_row("SELECT count(*), avg(number), min(judge) FROM judgments WHERE run_id = 'run'", [], row)
        .expect("the view");
    assert_eq!(found, (10, 1.5, "judge".to_owned()));
}

#[tokio::test]
async fn whoever_looks_after_the_file_is_told_what_is_in_it() {
    let (_folder, path) = folder();
    let admin = SqliteAdmin::new(&path);
    let absent = admin.info().await.expect_err("there is no file");
    assert!(matches!(absent, StoreError::Unavailable { .. }), "{absent:?}");
    assert!(!path.exists(), "asking makes nothing");
    admin.init().await.expect("made");
    admin.init().await.expect("there already");
    let empty = Some(StoreContent { runs: 0, records: 0 });
    assert_eq!(admin.info().await.expect("a store").content, empty);
    store_with_records(&path, "one", 1..11).await.close().await;
    let open = store_with_records(&path, "two", 1..6).await;
    let info = admin.info().await.expect("a store");
    assert_eq!(info.schema_version, SCHEMA_VERSION);
    assert_eq!(info.content, Some(StoreContent { runs: 2, records: 15 }));
    open.close().await;
    let bytes = std::fs::metadata(&path).expect("there").len();
    assert_eq!(admin.info().await.expect("a store").bytes, Some(bytes), "the log is gone, and with it its bytes");
    assert_eq!(admin.migrate(SCHEMA_VERSION).await.expect("nothing to do"), SCHEMA_VERSION);
    let refused = admin.migrate(SCHEMA_VERSION + 1).await.expect_err("nothing leads there");
    assert!(matches!(refused, StoreError::SchemaVersion { found: SCHEMA_VERSION, .. }), "{refused:?}");
}

#[tokio::test]
async fn the_version_of_a_store_that_this_build_cannot_read_is_told_all_the_same() {
    let (_folder, path) = folder();
    store_with_records(&path, "run", 1..3).await.close().await;
    rusqlite::Connection::open(&path)
        .and_then(|connection| connection.pragma_update(None, "user_version", 9))
        .expect("the version is set");
    let before = std::fs::read(&path).expect("readable");
    let admin = SqliteAdmin::new(&path);
    let info = admin.info().await.expect("a store");
    assert_eq!((info.schema_version, info.content), (9, None));
    let refused = admin.migrate(SCHEMA_VERSION).await.expect_err("there is no way back");
    assert!(matches!(refused, StoreError::SchemaVersion { found: 9, .. }), "{refused:?}");
    assert_eq!(std::fs::read(&path).expect("readable"), before);
}
