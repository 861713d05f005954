//! What a store in a folder is on disk, and what it does when things go wrong there.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ef_model::{Environment, Payload, RecordFilter, RunHead, RunStatus, StoreError, StoredRecord, TraceStore};
use ef_store_parquet::{Location, ParquetStore};
use ef_testkit::{commit, head, item, record, result};
use futures_util::TryStreamExt;
use tempfile::TempDir;

fn folder() -> (TempDir, Location) {
    let folder = tempfile::tempdir().expect("a folder");
    let location = Location::folder(folder.path().join("new/store")).with_lease(Duration::from_secs(1));
    (folder, location)
}

fn root(folder: &TempDir) -> PathBuf {
    folder.path().join("new/store")
}

async fn open(location: &Location) -> ParquetStore {
    ParquetStore::open_or_create(location, &Environment::default()).await.expect("a store")
}

async fn begun(store: &ParquetStore, run: &str, rows: std::ops::RangeInclusive<u64>) -> RunHead {
    let head = head(run, 1);
    store.begin(&head).await.expect("begun");
    store.append(&head.run_id, rows.map(commit).collect()).await.expect("appended");
    head
}

async fn records(store: &ParquetStore, head: &RunHead) -> Result<Vec<StoredRecord>, StoreError> {
    store.records(&head.run_id, &RecordFilter::default()).try_collect().await
}

/// All files below a folder, by their paths from there.
fn files(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(root).expect("below").display().to_string());
            }
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn only_completed_runs_stand_where_other_engines_look() {
    let (folder, location) = folder();
    let store = open(&location).await;
    let done = begun(&store, "done", 1..=5).await;
    store.append(&done.run_id, [commit(6)].into()).await.expect("appended");
    let unfinished = begun(&store, "unfinished", 1..=5).await;
    let aborted = begun(&store, "aborted", 1..=5).await;
    store.finish(&result(&aborted, RunStatus::Aborted)).await.expect("finished");
    store.finish(&result(&done, RunStatus::Completed)).await.expect("finished");
    let seen: Vec<_> = files(&root(&folder)).into_iter().filter(|path| !path.starts_with('_')).collect();
    assert_eq!(
        seen,
        [
            "judgments/run_id=done/part-0.parquet",
            "payloads/run_id=done/part-0.parquet",
            "traces/run_id=done/part-0.parquet",
        ]
    );
    for head in [&done, &unfinished, &aborted] {
        let expected = if head.run_id.as_str() == "done" { 6 } else { 5 };
        assert_eq!(records(&store, head).await.expect("readable").len(), expected);
    }
    let segments: Vec<_> = files(&root(&folder).join("_runs/done/journal")).into_iter().collect();
    assert_eq!(segments, ["000000000001", "000000000004", "000000000005"], "what the tables replace is gone");
}

#[cfg(unix)]
#[tokio::test]
async fn files_and_folders_are_readable_by_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, location) = folder();
    let store = open(&location).await;
    let done = begun(&store, "done", 1..=5).await;
    store.finish(&result(&done, RunStatus::Completed)).await.expect("finished");
    begun(&store, "running", 1..=5).await;
    let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
    for file in files(&root(&folder)) {
        let path = root(&folder).join(&file);
        assert_eq!(mode(&path), 0o600, "{file}");
        assert_eq!(mode(path.parent().expect("a folder")), 0o700, "{file}");
    }
}

#[tokio::test]
async fn what_a_killed_writer_left_is_no_data_and_is_cleared_away() {
    let (folder, location) = folder();
    let store = open(&location).await;
    let head = begun(&store, "run", 1..=5).await;
    store.close().await;
    let journal = root(&folder).join("_runs/run/journal");
    std::fs::write(journal.join(".unfinished-1"), "half an entry").expect("written");
    std::fs::create_dir_all(root(&folder).join("traces/run_id=run")).expect("made");
    std::fs::write(root(&folder).join("traces/run_id=run/.unfinished-2"), "half a table").expect("written");
    let store = open(&location).await;
    assert_eq!(records(&store, &head).await.expect("readable").len(), 5);
    store.resume(&head.run_id).await.expect("free");
    store.finish(&result(&head, RunStatus::Completed)).await.expect("finished");
    assert_eq!(records(&store, &head).await.expect("readable").len(), 5);
}

#[tokio::test]
async fn whoever_is_killed_while_a_store_is_made_leaves_room_for_one_and_a_foreign_file_does_not() {
    let (folder, location) = folder();
    std::fs::create_dir_all(root(&folder)).expect("made");
    std::fs::write(root(&folder).join(".unfinished-1"), "half a marker").expect("written");
    let store = open(&location).await;
    begun(&store, "run", 1..=5).await;
    std::fs::remove_file(root(&folder).join("_eval_fabric.json")).expect("removed");
    let refused = ParquetStore::open_or_create(&location, &Environment::default()).await;
    assert!(matches!(refused, Err(StoreError::NotAStore { .. })), "{refused:?}");
}

#[tokio::test]
async fn a_foreign_file_among_the_tables_is_passed_over() {
    let (folder, location) = folder();
    let store = open(&location).await;
    let head = begun(&store, "run", 1..=5).await;
    store.finish(&result(&head, RunStatus::Completed)).await.expect("finished");
    for table in ["traces", "judgments", "payloads"] {
        let part = root(&folder).join(table).join("run_id=run");
        std::fs::write(part.join("theirs.parquet"), "PAR1 not really PAR1").expect("written");
        std::fs::create_dir_all(root(&folder).join(table).join("run_id=theirs")).expect("made");
        std::fs::copy(part.join("part-0.parquet"), root(&folder).join(table).join("run_id=theirs/part-0.parquet"))
            .expect("copied");
    }
    std::fs::write(root(&folder).join("theirs.parquet"), "PAR1").expect("written");
    let store = open(&location).await;
    assert_eq!(store.runs("", 10).await.expect("readable").len(), 1);
    assert_eq!(records(&store, &head).await.expect("readable").len(), 5);
    assert_eq!(store.payloads(&[item(1).input.digest()]).await.expect("readable"), [Some(item(1).input)]);
}

#[tokio::test]
async fn damage_is_told_and_never_read_as_data() {
    let (folder, location) = folder();
    let store = open(&location).await;
    let running = begun(&store, "running", 1..=50).await;
    let done = begun(&store, "done", 1..=50).await;
    store.finish(&result(&done, RunStatus::Completed)).await.expect("finished");
    store.close().await;
    let intact = [records(&store, &running).await.expect("readable"), records(&store, &done).await.expect("readable")];
    let journal = root(&folder).join("_runs/running/journal/000000000002");
    for path in [
        journal,
        root(&folder).join("_runs/done/journal/000000000004"),
        root(&folder).join("traces/run_id=done/part-0.parquet"),
        root(&folder).join("judgments/run_id=done/part-0.parquet"),
    ] {
        let sound = std::fs::read(&path).expect("readable");
        let step = (sound.len() / 60).max(1);
        let mut told = 0;
        for at in (0..sound.len()).step_by(step).chain([sound.len() - 1, sound.len() - 10]) {
            let mut damaged = sound.clone();
            damaged[at] ^= 0x55;
            std::fs::write(&path, &damaged).expect("written");
            for (head, intact) in [&running, &done].into_iter().zip(&intact) {
                match records(&store, head).await {
                    // What changes content without a sign is found by recomputing the leaf.
                    Ok(read) => {
                        assert!(read == *intact || read.iter().any(|stored| stored.record.leaf() != stored.leaf));
                    }
                    Err(StoreError::Damaged { .. }) => told += 1,
                    Err(other) => panic!("{}: byte {at}: {other}", path.display()),
                }
            }
        }
        assert!(told > 0, "{}", path.display());
        for length in [0, 3, sound.len() / 2, sound.len() - 1] {
            std::fs::write(&path, &sound[..length]).expect("written");
            let read = [records(&store, &running).await, records(&store, &done).await];
            let damaged = read.iter().any(|read| matches!(read, Err(StoreError::Damaged { .. })));
            assert!(damaged, "{} of {length} bytes: {read:?}", path.display());
        }
        std::fs::write(&path, &sound).expect("written");
    }
    assert_eq!(records(&store, &done).await.expect("readable"), intact[1]);
}

#[tokio::test]
async fn a_damaged_payload_is_told_or_missing_and_never_another() {
    let (folder, location) = folder();
    let store = open(&location).await;
    let done = begun(&store, "done", 1..=50).await;
    store.finish(&result(&done, RunStatus::Completed)).await.expect("finished");
    let payloads: Vec<_> = (1..=50).map(|row| item(row).input).collect();
    let digests: Vec<_> = payloads.iter().map(Payload::digest).collect();
    let path = root(&folder).join("payloads/run_id=done/part-0.parquet");
    let sound = std::fs::read(&path).expect("readable");
    let mut told = 0;
    for at in (0..sound.len()).step_by((sound.len() / 200).max(1)) {
        let mut damaged = sound.clone();
        damaged[at] ^= 0x55;
        std::fs::write(&path, &damaged).expect("written");
        match open(&location).await.payloads(&digests).await {
            Ok(found) => {
                let right = |(found, payload): (Option<Payload>, &Payload)| found.is_none_or(|found| found == *payload);
                assert!(found.into_iter().zip(&payloads).all(right), "byte {at}");
            }
            Err(StoreError::Damaged { .. }) => told += 1,
            Err(other) => panic!("byte {at}: {other}"),
        }
    }
    assert!(told > 0);
}

/// A store whose process ended without a word: its runtime is gone, and nothing was given back.
fn killed(location: &Location, run: &str) -> ParquetStore {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let store = runtime.block_on(async {
        let store = open(location).await;
        begun(&store, run, 1..=5).await;
        store
    });
    runtime.shutdown_background();
    store
}

#[tokio::test]
async fn a_killed_writers_run_is_free_after_its_lease_and_the_writer_is_shut_out() {
    let (_folder, location) = folder();
    let dead = {
        let location = location.clone();
        std::thread::spawn(move || killed(&location, "run")).join().expect("a store")
    };
    let store = open(&location).await;
    let head = head("run", 1);
    let refused = store.resume(&head.run_id).await;
    assert!(matches!(&refused, Err(StoreError::RunBusy(run)) if *run == head.run_id), "{refused:?}");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    store.resume(&head.run_id).await.expect("the lease has expired");
    store.append(&head.run_id, [commit(6)].into()).await.expect("appended");
    // It was not dead after all.
    let refused = dead.append(&head.run_id, [commit(7)].into()).await;
    assert!(matches!(refused, Err(StoreError::RunBusy(_))), "{refused:?}");
    let refused = dead.finish(&result(&head, RunStatus::Completed)).await;
    assert!(matches!(refused, Err(StoreError::RunBusy(_))), "{refused:?}");
    store.append(&head.run_id, [commit(8)].into()).await.expect("undisturbed");
    let rows: Vec<_> = records(&store, &head).await.expect("readable").iter().map(|stored| stored.record.row).collect();
    assert_eq!(rows, [1, 2, 3, 4, 5, 6, 8]);
}

#[tokio::test]
async fn a_lease_is_renewed_as_long_as_its_writer_lives() {
    let (_folder, location) = folder();
    // Long enough for a machine that is busy with other things.
    let location = location.with_lease(Duration::from_secs(3));
    let [one, other] = [open(&location).await, open(&location).await];
    let head = begun(&one, "run", 1..=5).await;
    tokio::time::sleep(Duration::from_millis(3500)).await;
    let refused = other.resume(&head.run_id).await;
    assert!(matches!(refused, Err(StoreError::RunBusy(_))), "{refused:?}");
}

#[tokio::test]
async fn tables_that_could_not_be_written_are_written_by_whoever_takes_up_the_run() {
    let (folder, location) = folder();
    let store = open(&location).await;
    let head = begun(&store, "run", 1..=5).await;
    std::fs::write(root(&folder).join("judgments"), "a file where a folder should be").expect("written");
    let refused = store.finish(&result(&head, RunStatus::Completed)).await.expect_err("not possible").to_string();
    assert!(refused.contains("completed and whole") && refused.contains("`ef resume run`"), "{refused}");
    let summary = store.run(&head.run_id).await.expect("readable").expect("there");
    assert_eq!(summary.status, RunStatus::Completed);
    assert_eq!(records(&store, &head).await.expect("readable").len(), 5);
    std::fs::remove_file(root(&folder).join("judgments")).expect("removed");
    let closed = store.resume(&head.run_id).await;
    assert!(matches!(closed, Err(StoreError::RunClosed(_))), "{closed:?}");
    let tables = files(&root(&folder)).iter().filter(|path| path.ends_with("part-0.parquet")).count();
    assert_eq!(tables, 3);
    assert_eq!(records(&store, &head).await.expect("readable").len(), 5);
}

#[tokio::test]
async fn a_reader_is_not_disturbed_when_the_run_is_completed_meanwhile() {
    let (_folder, location) = folder();
    let store = open(&location).await;
    let head = begun(&store, "run", 1..=1000).await;
    store.append(&head.run_id, (2001..=3000).map(commit).collect()).await.expect("appended");
    store.append(&head.run_id, (1001..=2000).map(commit).collect()).await.expect("appended");
    let mut reading = store.records(&head.run_id, &RecordFilter::default());
    let first = reading.try_next().await.expect("readable").expect("there");
    store.finish(&result(&head, RunStatus::Completed)).await.expect("finished");
    let rest: Vec<_> = reading.try_collect().await.expect("readable");
    let rows: Vec<_> = std::iter::once(first).chain(rest).map(|stored| stored.record.row).collect();
    assert_eq!(rows, (1..=3000).collect::<Vec<u64>>());
}

#[tokio::test]
async fn a_completed_run_has_the_payloads_that_it_took_from_another() {
    let (folder, location) = folder();
    let store = open(&location).await;
    let first = begun(&store, "first", 1..=20).await;
    store.finish(&result(&first, RunStatus::Completed)).await.expect("finished");
    let again = head("again", 2);
    store.begin(&again).await.expect("begun");
    let taken = (1..=20).map(|row| ef_model::TaskCommit::new(record(row), Vec::new())).collect();
    store.append(&again.run_id, taken).await.expect("appended");
    store.finish(&result(&again, RunStatus::Completed)).await.expect("finished");
    for part in ["traces", "judgments", "payloads"] {
        std::fs::remove_dir_all(root(&folder).join(part).join("run_id=first")).expect("removed");
    }
    std::fs::remove_dir_all(root(&folder).join("_runs/first")).expect("removed");
    let store = open(&location).await;
    let digests: Vec<_> = (1..=20).map(|row| item(row).input.digest()).collect();
    let found = store.payloads(&digests).await.expect("readable");
    assert_eq!(found, (1..=20).map(|row| Some(item(row).input)).collect::<Vec<_>>());
}

#[tokio::test]
async fn what_cannot_be_a_store_is_told_apart() {
    let (folder, location) = folder();
    let none = Environment::default();
    let told = ParquetStore::open(&location, &none).await.expect_err("nothing there").to_string();
    assert!(told.ends_with("is unavailable: there is no trace store yet"), "{told}");
    assert!(!root(&folder).exists(), "nothing is written");
    std::fs::create_dir_all(root(&folder)).expect("made");
    std::fs::write(root(&folder).join("theirs.parquet"), "PAR1").expect("written");
    for opened in [ParquetStore::open(&location, &none).await, ParquetStore::open_or_create(&location, &none).await] {
        assert!(matches!(opened, Err(StoreError::NotAStore { .. })), "{opened:?}");
    }
    assert_eq!(files(&root(&folder)), ["theirs.parquet"]);
    std::fs::remove_dir_all(root(&folder)).expect("removed");
    std::fs::write(root(&folder), "a file").expect("written");
    let opened = ParquetStore::open_or_create(&location, &none).await;
    assert!(matches!(opened, Err(StoreError::Unavailable { .. } | StoreError::NotAStore { .. })), "{opened:?}");
}

/// Needs a small disk, which only a superuser can mount.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_loses_nothing() {
    struct Mounted(PathBuf);
    impl Drop for Mounted {
        fn drop(&mut self) {
            let _ = std::process::Command::new("umount").arg(&self.0).status();
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    let mount = |path: &Path| {
        std::process::Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(path).output()
    };
    if !mount(folder.path()).is_ok_and(|mounted| mounted.status.success()) {
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), "SKIPPED: a full disk cannot be tried without the right to mount one");
        return;
    }
    let _mounted = Mounted(folder.path().to_owned());
    let location = Location::folder(folder.path().join("store")).with_lease(Duration::from_secs(1));
    let store = open(&location).await;
    let head = begun(&store, "run", 1..=100).await;
    let mut appended = 100;
    let told = loop {
        match store.append(&head.run_id, (appended + 1..=appended + 100).map(commit).collect()).await {
            Ok(()) => appended += 100,
            Err(error) => break error.to_string(),
        }
    };
    assert!(told.ends_with("the disk is full"), "{told}");
    let rows: Vec<_> = records(&store, &head).await.expect("readable").iter().map(|stored| stored.record.row).collect();
    assert_eq!(rows, (1..=appended).collect::<Vec<_>>());
    let larger = std::process::Command::new("mount").args(["-o", "remount,size=16m"]).arg(folder.path()).status();
    assert!(larger.expect("mount").success());
    store
        .append(&head.run_id, (appended + 1..=appended + 100).map(commit).collect())
        .await
        .expect("there is room again");
    store.finish(&result(&head, RunStatus::Completed)).await.expect("finished");
    assert_eq!(records(&store, &head).await.expect("readable").len() as u64, appended + 100);
}
