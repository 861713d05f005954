//! Looking after stores: what is in them, their versions, and runs that are brought from one into another.

use std::thread;
use std::time::Duration;

use rusqlite::Connection;
use serde_json::Value;

use crate::folder::{Ended, Folder, assert_seen};
use crate::kills::{killed, slow_folder};
use crate::live::Live;

const RUN: &str = "run spec.yaml --dataset dataset.jsonl --run-id";

/// A folder with two completed runs.
fn two_runs() -> Folder {
    let folder = Folder::new();
    folder.ef(&format!("{RUN} first")).exits(0);
    folder.ef(&format!("{RUN} second")).exits(0);
    folder
}

/// What a command says of a run in a store, payloads and all.
fn shown(folder: &Folder, run: &str, store: &str) -> Vec<Value> {
    folder.ef(&format!("show {run} --traces --payloads --format json --store {store}")).exits(0).json_lines()
}

/// Whether the run is the same in both stores, for whoever reads it.
#[track_caller]
fn assert_same(folder: &Folder, run: &str, stores: [&str; 2]) {
    let [one, other] = stores.map(|store| shown(folder, run, store));
    assert!(!one.is_empty() && one == other, "{run} is another in {}", stores[1]);
    let [one, other] =
        stores.map(|store| folder.ef(&format!("show {run} --format json --store {store}")).exits(0).json());
    assert_eq!(one, other);
    folder.ef(&format!("verify {run} --store {}", stores[1])).exits(0);
}

#[test]
fn a_store_tells_what_is_in_it() {
    let folder = two_runs();
    let sizeless = |ended: Ended| {
        let lines = ended.to_string();
        lines.lines().filter(|line| !line.starts_with("size")).collect::<Vec<_>>().join("\n")
    };
    assert_seen("tracestore_info", sizeless(folder.ef("tracestore info").exits(0)));
    let info = folder.ef("tracestore info sqlite://runs/runs.db --format json").exits(0).json();
    let bytes = std::fs::metadata(folder.path("runs/runs.db")).expect("the store").len();
    assert_eq!(info["bytes"], bytes);
    assert_eq!((&info["runs"], &info["records"], &info["schema_version"]), (&2.into(), &8.into(), &1.into()));
    assert_seen("tracestore_info_absent", folder.ef("tracestore info sqlite://absent.db").exits(4));
    assert!(!folder.has("absent.db"));
    Connection::open(folder.path("runs/runs.db"))
        .and_then(|store| store.pragma_update(None, "user_version", 9))
        .expect("the version is set");
    assert_seen("tracestore_info_newer", sizeless(folder.ef("tracestore info").exits(0)));
}

#[test]
fn a_store_is_brought_only_to_versions_that_there_are() {
    let folder = two_runs();
    let before = folder.read("runs/runs.db");
    assert_seen("tracestore_migrate_same", folder.ef("tracestore migrate --to 1").exits(0));
    assert_seen("tracestore_migrate_unknown", folder.ef("tracestore migrate sqlite:// --to 2").exits(2));
    folder.ef("tracestore migrate --to 0").exits(2);
    folder.ef("tracestore migrate sqlite://absent.db --to 1").exits(4);
    assert_eq!(folder.read("runs/runs.db"), before);
    for (name, version) in [("tracestore_migrate_older", 0), ("tracestore_migrate_newer", 9)] {
        Connection::open(folder.path("runs/runs.db"))
            .and_then(|store| store.pragma_update(None, "user_version", version))
            .expect("the version is set");
        assert_seen(name, folder.ef("tracestore migrate --to 1").exits(4));
    }
}

#[test]
fn all_runs_are_brought_into_a_store_of_any_kind_and_back() {
    let folder = two_runs();
    let here = "sqlite://runs/runs.db";
    let mut seen = folder.ef(&format!("tracestore export {here} --to sqlite://copy.db")).exits(0).to_string();
    assert_same(&folder, "first", [here, "sqlite://copy.db"]);
    seen += &folder.ef(&format!("tracestore export {here} --to sqlite://copy.db")).exits(0).to_string();
    assert_seen("tracestore_export", seen);
    folder.ef(&format!("tracestore export {here} --to parquet://archive")).exits(0);
    let info = folder.ef("tracestore info parquet://archive --format json").exits(0).json();
    assert_eq!((&info["runs"], &info["records"], &info["schema_version"]), (&2.into(), &8.into(), &1.into()));
    assert!(info["bytes"].as_u64().is_some_and(|bytes| bytes > 1000), "{info}");
    folder.ef("tracestore export parquet://archive --to sqlite://back.db").exits(0);
    for run in ["first", "second"] {
        assert_same(&folder, run, [here, "parquet://archive"]);
        assert_same(&folder, run, [here, "sqlite://back.db"]);
    }
    let lines =
        folder.ef("tracestore export parquet://archive --to sqlite://back.db --format json").exits(0).json_lines();
    let root = &folder.ef("show second --format json").exits(0).json()["records_root"];
    assert_eq!(
        (&lines[1]["run_id"], &lines[1]["written"], &lines[1]["records_root"]),
        (&"second".into(), &0.into(), root)
    );
}

#[test]
fn chosen_runs_are_exported_and_what_cannot_be_is_told() {
    let folder = two_runs();
    let export = "tracestore export sqlite://runs/runs.db --to";
    folder.ef(&format!("{export} sqlite://one.db --run sec")).exits(0);
    let listed = folder.ef("runs --store sqlite://one.db --format json").exits(0).json_lines();
    assert_eq!(listed.len(), 1);
    let mut seen = String::new();
    for line in [
        format!("{export} sqlite://one.db --run third"),
        format!("{export} sqlite://runs/runs.db"),
        format!("{export} mysql://me:hunter2@host/db"),
        "tracestore export sqlite://absent.db --to sqlite://one.db".to_owned(),
    ] {
        let ended = folder.ef(&line);
        assert!(ended.code == Some(2) || ended.code == Some(4), "{ended}");
        seen += &format!("{ended}\n");
    }
    // Another run of the same id.
    folder.ef(&format!("{RUN} first --store sqlite://other.db")).exits(0);
    seen += &folder.ef(&format!("{export} sqlite://other.db --run first")).exits(2).to_string();
    assert!(!seen.contains("hunter2"), "{seen}");
    assert_seen("tracestore_export_refused", seen);
}

#[test]
fn a_run_that_is_running_is_passed_over_and_one_that_ended_early_is_brought_over_as_it_stands() {
    let folder = Folder::new();
    let mut live = Live::start(&folder);
    live.feed(1..=3).expect("it is read");
    live.wait_for_records(3);
    let export = "tracestore export sqlite://runs/runs.db --to sqlite://copy.db";
    assert_seen("tracestore_export_running", folder.ef(export).exits(0));
    assert_seen("tracestore_export_running_named", folder.ef(&format!("{export} --run live")).exits(2));
    live.signal("INT");
    live.ended().exits(130);
    folder.ef(export).exits(0);
    let listed = folder.ef("runs --store sqlite://copy.db --format json").exits(0).json();
    assert_eq!((&listed["run_id"], &listed["status"]), (&"live".into(), &"aborted".into()));
    let [here, there] = ["sqlite://", "sqlite://copy.db"].map(|store| shown(&folder, "live", store));
    assert_eq!(here, there);
}

#[test]
fn a_damaged_run_is_not_exported_as_if_it_were_whole_and_the_others_are() {
    let folder = two_runs();
    let store = Connection::open(folder.path("runs/runs.db")).expect("SQLite");
    let sql = "UPDATE traces SET attempts = 7 WHERE row = 2 AND run = (SELECT id FROM runs WHERE run_id = 'first')";
    assert_eq!(store.execute(sql, []).expect("changed"), 1);
    store.close().expect("it closes");
    let ended = folder.ef("tracestore export sqlite://runs/runs.db --to sqlite://copy.db").exits(6);
    assert_seen("tracestore_export_damaged", &ended);
    let listed = folder.ef("runs --store sqlite://copy.db --format json").exits(0).json_lines();
    let status = |run: &str| listed.iter().find(|listed| listed["run_id"] == run).map(|listed| &listed["status"]);
    assert_eq!((status("first"), status("second")), (Some(&"running".into()), Some(&"completed".into())));
}

#[test]
fn an_export_that_is_killed_goes_on_to_what_it_would_have_been() {
    let folder = slow_folder(2500, 0);
    folder.ef(&format!("{RUN} large")).exits(0);
    let line = |to: &str| format!("tracestore export sqlite://runs/runs.db --to {to}");
    // A killed writer of files holds its run until its lease has expired.
    for (to, lives, lease) in [
        ("sqlite://copy.db", vec![10, 20, 40, 60, 80, 100], 0),
        ("parquet://copy?lease_seconds=1", vec![20, 40, 70, 100, 150], 1100),
    ] {
        let mut kills = 0;
        for life in lives {
            kills += usize::from(killed(&folder, &line(to), Duration::from_millis(life)));
            thread::sleep(Duration::from_millis(lease));
        }
        assert!(kills > 1, "{to}: only {kills} exports were killed");
        folder.ef(&line(to)).exits(0);
        assert_same(&folder, "large", ["sqlite://runs/runs.db", to]);
    }
}
