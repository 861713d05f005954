//! Trace stores: made for their owner alone, and never touched where they are something else.

use std::fs;
use std::path::Path;

use rusqlite::Connection;

use crate::folder::{Folder, assert_seen};
use crate::live::Live;

const RUN: &str = "run spec.yaml --dataset dataset.jsonl";

/// The names in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Checks that every command refuses the file with exit 4, and leaves it and its folder as they are.
fn left_alone(folder: &Folder, file: &str) -> String {
    let before = (folder.read(file), names(&folder.path("")));
    let store = format!("--store sqlite://{file}");
    let mut seen = None;
    for line in
        [&format!("{RUN} --output out"), "runs", "show latest", "gate latest --metric m --min 0", "tracestore init"]
    {
        let ended = folder.ef(&format!("{line} {store}")).exits(4);
        assert_eq!(ended.stdout, "", "{line}");
        let _ = fs::remove_dir(folder.path("out"));
        assert_eq!((folder.read(file), names(&folder.path(""))), before, "{line} changed something");
        seen.get_or_insert(ended);
    }
    seen.expect("it was tried").to_string()
}

#[test]
fn a_text_file_is_not_a_store_and_is_left_alone() {
    let folder = Folder::new();
    folder.write("notes.txt", "buy milk\n".repeat(1000));
    assert_seen("store_text", left_alone(&folder, "notes.txt"));
}

#[test]
fn a_database_of_another_program_is_not_a_store_and_is_left_alone() {
    let folder = Folder::new();
    let other = Connection::open(folder.path("app.db")).expect("SQLite");
    other.execute_batch("CREATE TABLE users (name TEXT); INSERT INTO users VALUES ('x');").expect("SQL");
    other.close().expect("it closes");
    assert_seen("store_other", left_alone(&folder, "app.db"));
}

#[test]
fn invariant_9_a_store_of_another_schema_version_is_refused_and_left_alone() {
    let folder = Folder::new();
    for (name, version) in [("store_newer", 99), ("store_older", 0)] {
        let file = format!("{name}.db");
        folder.ef(&format!("{RUN} --store sqlite://{file}")).exits(0);
        fs::remove_dir_all(folder.path("runs")).expect("the artifacts go");
        let store = Connection::open(folder.path(&file)).expect("SQLite");
        store.pragma_update(None, "user_version", version).expect("a pragma");
        store.close().expect("it closes");
        assert_seen(name, left_alone(&folder, &file));
    }
}

#[test]
fn a_store_that_cannot_be_made_or_found_is_told_with_what_to_do() {
    let folder = Folder::new();
    // Below a file there is no folder, whoever asks.
    assert_seen("store_nowhere", folder.ef(&format!("{RUN} --store sqlite://spec.yaml/x/runs.db")).exits(4));
    assert_seen("store_in_file", folder.ef(&format!("{RUN} --store sqlite://spec.yaml/runs.db")).exits(4));
    fs::create_dir(folder.path("folder")).expect("a folder");
    assert_seen("store_folder", folder.ef(&format!("{RUN} --store sqlite://folder")).exits(4));
    assert_seen("store_memory", folder.ef(&format!("{RUN} --store sqlite://:memory:")).exits(2));
    assert_seen("store_absent", folder.ef("show latest").exits(4));
    assert!(!folder.has("runs/runs.db"), "showing makes no store");
    folder.ef("tracestore init").exits(0);
    assert_seen("store_without_runs", folder.ef("show latest").exits(2));
    assert_seen("output_in_file", folder.ef(&format!("{RUN} --output spec.yaml")).exits(2));
}

#[test]
fn a_uri_of_another_scheme_is_refused_without_its_password() {
    let folder = Folder::new();
    let mut seen = String::new();
    for uri in ["mysql://me:hunter2@host/db", "me:hunter2@host", "hunter2@x://y", "runs.db"] {
        for line in [RUN, "runs", "tracestore init"] {
            let ended = folder.ef(&format!("{line} --store {uri}")).exits(2);
            assert!(!ended.to_string().contains("hunter2"), "{ended}");
        }
        seen += &format!("{}\n", folder.ef(&format!("runs --trace-store {uri}")).exits(2));
    }
    assert_seen("store_schemes", seen);
    assert!(!folder.has("runs/runs.db"));
}

#[test]
fn a_store_that_may_only_be_read_is_shown_and_not_written() {
    let folder = Folder::new();
    folder.ef(&format!("{RUN} --store sqlite://kept/runs.db")).exits(0);
    let kept = folder.path("kept/runs.db");
    let mut permissions = fs::metadata(&kept).expect("it is there").permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&kept, permissions).expect("its owner may");
    folder.ef("show latest --store sqlite://kept/runs.db").exits(0);
    if fs::OpenOptions::new().append(true).open(&kept).is_ok() {
        eprintln!("SKIPPED: this user may write what is read-only");
        return;
    }
    let refused = folder.ef(&format!("{RUN} --store sqlite://kept/runs.db")).exits(4);
    assert!(refused.stderr.contains("cannot be written: the file or its folder is read-only"), "{refused}");
}

#[cfg(unix)]
#[test]
fn store_and_artifact_can_be_read_by_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let mut live = Live::start(&folder);
    live.feed(1..=3).expect("it is read");
    live.wait_for_records(3);
    let mode = |name: &str| fs::metadata(folder.path(name)).expect(name).permissions().mode() & 0o777;
    for name in ["runs/runs.db", "runs/runs.db-wal", "runs/runs.db-shm"] {
        assert_eq!(mode(name), 0o600, "{name}, while the run is going on");
    }
    live.end_dataset();
    live.ended().exits(0);
    assert_eq!((mode("runs"), mode("runs/runs.db"), mode("runs/live.json")), (0o700, 0o600, 0o600));
    folder.ef(&format!("{RUN} --store sqlite://a/b/kept.db --output c/d --run-id two")).exits(0);
    for (name, expected) in
        [("a", 0o700), ("a/b", 0o700), ("a/b/kept.db", 0o600), ("c", 0o700), ("c/d/two.json", 0o600)]
    {
        assert_eq!(mode(name), expected, "{name}");
    }
}

#[test]
fn a_second_process_reads_while_a_run_writes() {
    let folder = Folder::new();
    let mut live = Live::start(&folder);
    live.feed(1..=3).expect("it is read");
    live.wait_for_records(3);
    assert_seen("live_runs", folder.ef("runs").exits(0));
    assert_seen("live_show", folder.ef("show live").exits(0));
    assert_seen("live_gate", folder.ef("gate live --metric accuracy --min 0").exits(7));
    assert_seen("live_metric", folder.ef("show live --metric accuracy").exits(7));
    assert_eq!(folder.records("live").len(), 3);
    live.feed(4..=5).expect("it is read");
    live.wait_for_records(5);
    assert_eq!(folder.records("live").len(), 5);
    // Another run writes to the same store meanwhile.
    folder.ef(&format!("{RUN} --run-id other")).exits(0);
    live.end_dataset();
    let ended = live.ended().exits(0);
    assert!(ended.stdout.contains("ok 5"), "{ended}");
    assert_eq!(folder.ef("gate live --metric accuracy --min 1").exits(0).code, Some(0));
}

#[test]
fn tracestore_init_makes_a_store_once_and_checks_it_afterwards() {
    let folder = Folder::new();
    assert_seen("tracestore_init", folder.ef("tracestore init --store sqlite://kept/runs.db").exits(0));
    let made = folder.read("kept/runs.db");
    folder.ef("tracestore init --store sqlite://kept/runs.db").exits(0);
    assert_eq!(folder.read("kept/runs.db"), made);
}
