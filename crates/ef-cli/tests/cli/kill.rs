//! Killed at any instant: what was seen in the store is still there, and the store is whole.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use rusqlite::Connection;
use serde_json::Value;

use crate::folder::Folder;
use crate::live::Live;

/// The leaves of a run's records.
fn leaves(folder: &Folder, run: &str) -> BTreeSet<String> {
    let leaf = |record: &Value| record["leaf"].as_str().expect("a digest").to_owned();
    folder.records(run).iter().map(leaf).collect()
}

/// Checks that the store is whole: as a file, and record by record.
fn whole(folder: &Folder, run: &str) {
    let database = Connection::open(folder.path("runs/runs.db")).expect("SQLite");
    let verdict: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("a verdict");
    assert_eq!(verdict, "ok");
    database.close().expect("it closes");
    let shown = folder.ef(&format!("show {run} --traces --payloads --format json")).exits(0);
    for record in shown.json_lines() {
        assert_eq!(record["judgments"].as_array().map(Vec::len), Some(1), "{record}");
        for payload in ["input", "reference_output", "output"] {
            let digest = record["trace"][payload].as_str().expect("a digest");
            assert!(record["payloads"][digest].is_string(), "the {payload} is lost: {record}");
        }
    }
}

#[test]
fn invariant_1_what_was_seen_as_committed_survives_a_kill() {
    for least in [1, 2, 10, 50, 200] {
        let folder = Folder::new();
        let mut live = Live::start(&folder);
        live.feed_without_end();
        live.wait_for_records(least);
        let seen = leaves(&folder, "live");
        assert!(live.is_running());
        live.kill();
        whole(&folder, "live");
        let kept = leaves(&folder, "live");
        assert!(seen.len() >= least && kept.is_superset(&seen), "{} of {} are kept", kept.len(), seen.len());
        assert_eq!(folder.ef("runs --format json").exits(0).json()["status"], "running");
        folder.ef("gate live --metric accuracy --min 0").exits(7);
    }
}

#[test]
fn a_kill_while_the_store_is_being_made_leaves_nothing_in_the_way_of_the_next_run() {
    for delay in (0..60).step_by(4) {
        let folder = Folder::new();
        let mut child = Command::new(env!("CARGO_BIN_EXE_ef"))
            .args(["run", "spec.yaml", "--dataset", "dataset.jsonl", "--run-id", "killed"])
            .current_dir(folder.path(""))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("ef can be started");
        thread::sleep(Duration::from_millis(delay));
        child.kill().expect("it can be killed");
        child.wait().expect("it ended");
        folder.ef("run spec.yaml --dataset dataset.jsonl --run-id next").exits(0);
        whole(&folder, "next");
        let listed = folder.ef("runs --format json").exits(0).json_lines();
        assert_eq!(listed[0]["run_id"], "next", "after {delay} ms");
    }
}
