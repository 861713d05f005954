//! `ef resume`: what it goes on with, and what it refuses without writing anything.

use std::collections::BTreeMap;
use std::fs;

use rusqlite::Connection;
use serde_json::Value;

use crate::folder::{DATASET, Ended, Folder, SPEC, assert_seen};
use crate::live::Live;

/// Outputs from a column whose name a variable says, one after the other; the first failure ends the run.
const RECORDED: &str = r#"schema_version: "1"
id: test/recorded
version: 1.0.0
evaluator: {id: eval_fabric.recorded, config: {field: "metadata.${COLUMN}"}}
judges:
  - {id: eval_fabric.exact_match, name: right}
scoring:
  metrics:
    - {name: accuracy, from: right}
runtime: {max_concurrent: 1, on_failure: abort}
"#;

/// Two rows have no answer in the column `first`; all have one in `second`.
const ANSWERS: &str = r#"{"item_id": "a", "input": "1", "reference_output": "1", "metadata": {"first": "1", "second": "1"}}
{"item_id": "b", "input": "2", "reference_output": "2", "metadata": {"first": "2", "second": "2"}}
{"item_id": "c", "input": "3", "reference_output": "3", "metadata": {"second": "3"}}
{"item_id": "d", "input": "4", "reference_output": "4", "metadata": {"first": "x", "second": "x"}}
{"item_id": "e", "input": "5", "reference_output": "5", "metadata": {"second": "5"}}
"#;

const RUN: &str = "run spec.yaml --dataset dataset.jsonl --run-id";

fn ef(folder: &Folder, column: &str, line: &str) -> Ended {
    folder.ef_with(line.split_whitespace(), "", &[("COLUMN", column)])
}

/// A folder with a run `broken` that ended at its third row of five.
fn broken() -> Folder {
    let folder = Folder::empty();
    folder.write("spec.yaml", RECORDED);
    folder.write("dataset.jsonl", ANSWERS);
    ef(&folder, "first", &format!("{RUN} broken")).exits(3);
    folder
}

/// The bytes of all files of the store and of its artifacts. A lock that nobody holds is nothing, and neither is what SQLite
/// puts beside a file to read it.
fn written(folder: &Folder) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder.path("runs")).expect("a folder");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let files = paths.map(|path| (path.display().to_string(), fs::read(&path).expect("it can be read")));
    let is_nothing = |name: &str, bytes: &[u8]| {
        name.ends_with(".lock") || name.ends_with("-shm") || (name.ends_with("-wal") && bytes.is_empty())
    };
    files.filter(|(name, bytes)| !is_nothing(name, bytes)).collect()
}

/// Checks that `ef resume` refuses with this exit code and writes nothing, and shows what it says.
#[track_caller]
fn refused(folder: &Folder, name: &str, line: &str, exit: i32) {
    let before = written(folder);
    let ended = ef(folder, "second", line).exits(exit);
    assert_eq!(ended.stdout, "", "{line}");
    assert!(before == written(folder), "{line} changed the store: {ended}");
    assert_seen(name, ended);
}

#[test]
fn a_run_that_ended_early_goes_on_and_says_what_a_run_says() {
    let folder = broken();
    assert_seen("resume", ef(&folder, "second", "resume broken").exits(0));
    assert!(folder.has("runs/broken.json"), "it has an artifact");
    let status = |record: &Value| record["trace"]["status"].as_str().map(str::to_owned);
    let statuses: Vec<_> = folder.records("broken").iter().filter_map(status).collect();
    assert_eq!(statuses, ["ok", "ok", "error", "ok", "ok"], "what had failed was not asked for");
    folder.ef("verify broken").exits(0);
}

#[test]
fn a_completed_run_has_nothing_to_resume_and_that_is_no_failure() {
    let folder = Folder::new();
    folder.ef(&format!("{RUN} whole")).exits(0);
    let before = written(&folder);
    assert_seen("resume_completed", folder.ef("resume whole").exits(0));
    let json = folder.ef("resume whole --format json").exits(0).json();
    assert_eq!((&json["status"], &json["run_id"]), (&"completed".into(), &"whole".into()));
    // Neither its dataset nor its components are needed to say so.
    fs::remove_file(folder.path("dataset.jsonl")).expect("it is there");
    folder.ef("resume whole").exits(0);
    assert!(before == written(&folder));
}

#[test]
fn failed_tasks_are_done_again_in_the_run_that_goes_on() {
    let folder = broken();
    let result = ef(&folder, "second", "resume broken --retry-errors --format json").exits(0).json();
    assert_eq!((&result["counts"]["ok"], &result["counts"]["error"]), (&5.into(), &0.into()));
    let records = folder.records("broken");
    let revised: Vec<_> = records.iter().filter(|record| record["revision"] == 1).collect();
    assert_eq!((records.len(), revised.len()), (6, 1), "the failure is kept");
    assert_eq!(revised[0]["item_id"], "c");
    folder.ef("verify broken").exits(0);
}

#[test]
fn failed_tasks_of_a_completed_run_are_done_again_in_a_new_one_that_names_it() {
    let folder = Folder::empty();
    folder.write("spec.yaml", RECORDED.replace("on_failure: abort", "on_failure: skip"));
    folder.write("dataset.jsonl", ANSWERS);
    ef(&folder, "first", &format!("{RUN} source")).exits(0);
    let source = folder.records("source");
    let ended = ef(&folder, "second", "resume source --retry-errors").exits(0);
    assert_seen("resume_retry", &ended);
    let new = folder.ef("show latest --format json").exits(0).json();
    assert_eq!(new["source"], serde_json::json!({"run_id": "source", "purpose": "retry"}));
    assert_eq!((&new["counts"]["ok"], &new["counts"]["error"]), (&5.into(), &0.into()));
    assert_eq!(folder.records("source"), source, "its source is as it was");
    let good = |record: &&Value| record["trace"]["status"] == "ok";
    let taken_over: Vec<_> = source.iter().filter(good).cloned().collect();
    let records = folder.records("latest");
    assert!(taken_over.len() == 3 && taken_over.iter().all(|record| records.contains(record)), "{records:?}");
    assert_seen("resume_retry_shown", folder.ef("show latest").exits(0));
    folder.ef("verify latest").exits(0);
}

#[test]
fn a_run_that_is_not_there_or_not_meant_alone_is_refused() {
    let folder = broken();
    ef(&folder, "first", &format!("{RUN} broken-too")).exits(3);
    refused(&folder, "resume_unknown", "resume nightly", 2);
    refused(&folder, "resume_ambiguous", "resume brok", 2);
    refused(&folder, "resume_no_store", "resume broken --store sqlite://nowhere.db", 4);
    refused(&folder, "resume_no_id", "resume", 2);
}

#[test]
fn a_run_that_a_living_process_writes_is_refused_and_a_killed_one_holds_nobody() {
    let folder = Folder::new();
    let mut live = Live::start(&folder);
    live.feed(1..=3).expect("it is read");
    live.wait_for_records(3);
    folder.write("rows.jsonl", (1..=5).map(crate::live::row).collect::<String>());
    let before = folder.records("live");
    assert_seen("resume_busy", folder.ef("resume live --dataset rows.jsonl").exits(4));
    assert_eq!(folder.records("live"), before);
    assert!(live.is_running(), "the one who writes is not disturbed");
    live.kill();
    let result = folder.ef("resume live --dataset rows.jsonl --format json").exits(0).json();
    assert_eq!(result["counts"]["ok"], 5);
}

#[test]
fn a_dataset_that_changed_is_refused_at_its_first_row_that_differs() {
    let folder = broken();
    let edited = ANSWERS.replace("\"input\": \"2\"", "\"input\": \"two\"");
    let moved = ANSWERS.replace("\"item_id\": \"a\"", "\"item_id\": \"z\"");
    let removed: String = ANSWERS.lines().skip(1).map(|line| format!("{line}\n")).collect();
    let other = "{\"item_id\": \"q\", \"input\": \"something else\"}\n";
    for (name, dataset) in [
        ("resume_row_edited", edited.as_str()),
        ("resume_row_renamed", moved.as_str()),
        ("resume_row_removed", removed.as_str()),
        ("resume_other_file", other),
        ("resume_no_rows", ""),
    ] {
        folder.write("dataset.jsonl", dataset);
        refused(&folder, name, "resume broken", 2);
        refused(&folder, name, "resume broken --retry-errors", 2);
    }
    // What nothing was made of yet may change.
    folder.write("dataset.jsonl", ANSWERS.replace("\"input\": \"5\"", "\"input\": \"five\""));
    ef(&folder, "second", "resume broken").exits(0);
}

#[test]
fn a_dataset_that_changed_is_refused_before_a_new_run_is_begun() {
    let folder = Folder::empty();
    folder.write("spec.yaml", RECORDED.replace("on_failure: abort", "on_failure: skip"));
    folder.write("dataset.jsonl", ANSWERS);
    ef(&folder, "first", &format!("{RUN} source")).exits(0);
    folder.write("dataset.jsonl", ANSWERS.replace("\"input\": \"2\"", "\"input\": \"two\""));
    refused(&folder, "resume_retry_row_edited", "resume source --retry-errors", 2);
    fs::remove_file(folder.path("dataset.jsonl")).expect("it is there");
    refused(&folder, "resume_retry_dataset_gone", "resume source --retry-errors", 2);
}

#[test]
fn a_dataset_that_is_gone_or_was_a_pipe_has_to_be_named() {
    let folder = broken();
    fs::rename(folder.path("dataset.jsonl"), folder.path("moved.jsonl")).expect("it is there");
    refused(&folder, "resume_dataset_gone", "resume broken", 2);
    ef(&folder, "second", "resume broken --dataset moved.jsonl").exits(0);

    let folder = Folder::empty();
    folder.write("spec.yaml", RECORDED);
    let line = "run spec.yaml --dataset - --run-id piped";
    folder.ef_with(line.split_whitespace(), ANSWERS, &[("COLUMN", "first")]).exits(3);
    refused(&folder, "resume_stdin", "resume piped", 2);
    folder.write("kept.jsonl", ANSWERS);
    refused(&folder, "resume_named_stdin", "resume piped --dataset -", 2);
    ef(&folder, "second", "resume piped --dataset kept.jsonl").exits(0);
}

#[test]
fn a_variable_that_is_not_set_is_told_at_its_place_in_the_kept_spec() {
    let folder = broken();
    let before = written(&folder);
    assert_seen("resume_variable", folder.ef("resume broken").exits(2));
    assert!(before == written(&folder));
}

/// Edits the store as SQL says.
fn edit(folder: &Folder, sql: &str) {
    let store = Connection::open(folder.path("runs/runs.db")).expect("SQLite");
    store.execute_batch(sql).expect("SQL");
    store.close().expect("it closes");
}

#[test]
fn another_version_of_a_component_is_refused_by_name() {
    for (name, path) in
        [("resume_other_evaluator", "$.evaluator.version"), ("resume_other_judge", "$.judges[0].version")]
    {
        let folder = broken();
        edit(&folder, &format!("UPDATE runs SET head = json_set(head, '{path}', '0.9.0');"));
        refused(&folder, name, "resume broken", 5);
    }
    let folder = broken();
    edit(&folder, "UPDATE runs SET head = json_set(head, '$.spec.evaluator.id', 'some.body');");
    refused(&folder, "resume_unknown_evaluator", "resume broken", 5);
}

#[test]
fn a_store_of_another_version_is_refused() {
    for (name, version) in [("resume_newer_store", 99), ("resume_older_store", 0)] {
        let folder = broken();
        edit(&folder, &format!("PRAGMA user_version = {version};"));
        refused(&folder, name, "resume broken", 4);
    }
}

#[test]
fn a_truncated_store_is_refused() {
    let folder = broken();
    let whole = folder.read("runs/runs.db");
    let mut seen = String::new();
    for part in [0, 1, 50, 100, 4096, whole.len() / 2, whole.len() - 16384, whole.len() - 1] {
        folder.write("runs/runs.db", &whole[..part]);
        let before = written(&folder);
        let ended = ef(&folder, "second", "resume broken").exits(4);
        assert!(before == written(&folder), "cut to {part} bytes, something was written: {ended}");
        seen += &format!("{part} of {} bytes\n{ended}\n", whole.len());
    }
    assert_seen("resume_truncated", seen);
}

/// Flips bits all over the file: whatever comes of it is an exit code of its own, and no panic. Where the run does not go
/// on, nothing is written.
#[test]
fn a_bit_flipped_store_is_refused_or_harmless_and_never_a_panic() {
    let folder = broken();
    let whole = folder.read("runs/runs.db");
    let mut refusals = 0;
    let beginnings = (0..whole.len()).step_by(16384).flat_map(|page| [page, page + 3, page + 9]);
    for place in beginnings.chain([20, 60, 101, 105]).filter(|&place| place < whole.len()) {
        let mut flipped = whole.clone();
        flipped[place] ^= 0x41;
        folder.write("runs/runs.db", &flipped);
        let before = written(&folder);
        let ended = ef(&folder, "second", "resume broken");
        assert!(matches!(ended.code, Some(0 | 2 | 4)), "byte {place}: {ended}");
        assert!(!ended.stderr.contains("a defect in ef"), "byte {place}: {ended}");
        if ended.code != Some(0) {
            refusals += 1;
            assert!(before == written(&folder), "byte {place}, something was written: {ended}");
        }
        for left in ["runs/runs.db-wal", "runs/runs.db-shm", "runs/broken.json"] {
            let _ = fs::remove_file(folder.path(left));
        }
    }
    assert!(refusals > 10, "only {refusals} of the flipped bytes were noticed");
    let mut flipped = whole.clone();
    flipped[16384] ^= 0xff;
    folder.write("runs/runs.db", &flipped);
    assert_seen("resume_bit_flipped", ef(&folder, "second", "resume broken").exits(4));
}

#[test]
fn what_the_dataset_holds_is_in_no_refusal() {
    let folder = Folder::new();
    folder.write("spec.yaml", SPEC);
    folder.write("dataset.jsonl", DATASET.replace("\"1\"", "\"hunter2\""));
    let mut live = Live::start(&folder);
    live.feed_text(&DATASET.replace("\"1\"", "\"hunter2\"")).expect("it is read");
    live.wait_for_records(4);
    live.kill();
    folder.write("dataset.jsonl", DATASET.replace("\"1\"", "\"hunter3\""));
    let ended = folder.ef("resume live --dataset dataset.jsonl").exits(2);
    assert!(!ended.to_string().contains("hunter"), "{ended}");
}
