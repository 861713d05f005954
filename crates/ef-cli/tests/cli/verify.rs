//! Whoever changes a stored run is found out, and whoever does not is left alone.

use std::process::Command;

use ef_model::TaskRecord;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::folder::{Ended, Folder, assert_seen};
use crate::forgeries::FORGERIES;

const SPEC: &str = r#"schema_version: "1"
id: test/verified
version: 1.0.0
evaluator: {id: eval_fabric.recorded, config: {field: metadata.output}}
judges:
  - {id: eval_fabric.exact_match, name: right}
scoring:
  metrics:
    - {name: accuracy, from: right}
"#;

/// Right, wrong, malformed, without an output, without a reference, right.
const DATASET: &str = r#"{"item_id": "aa", "input": "first", "reference_output": "1", "metadata": {"output": "1"}}
{"item_id": "bb", "input": "second", "reference_output": "2", "metadata": {"output": "3"}}
{"item_id": "cc", "input":
{"item_id": "dd", "input": "fourth", "reference_output": "4", "metadata": {}}
{"item_id": "ee", "input": "fifth", "metadata": {"output": "5"}}
{"item_id": "ff", "input": "sixth", "reference_output": "6", "metadata": {"output": "6"}}
"#;

/// A completed run `one`, its store and its artifact as they were made.
struct Evidence {
    folder: Folder,
    store: Vec<u8>,
    artifact: Vec<u8>,
}

impl Evidence {
    fn new() -> Self {
        let folder = Folder::empty();
        folder.write("spec.yaml", SPEC);
        folder.write("dataset.jsonl", DATASET);
        folder.ef("run spec.yaml --dataset dataset.jsonl --run-id one").exits(0);
        let (store, artifact) = (folder.read("runs/runs.db"), folder.read("runs/one.json"));
        Self { folder, store, artifact }
    }

    /// Makes everything as it was, changes the store, and verifies the run.
    fn after(&self, change: impl FnOnce(&Connection)) -> Ended {
        self.folder.write("runs/runs.db", &self.store);
        let store = Connection::open(self.folder.path("runs/runs.db")).expect("SQLite");
        store
            .execute_batch("PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON")
            .expect("a forger has no scruples");
        change(&store);
        store.close().expect("it closes");
        self.folder.ef("verify one")
    }

    /// The same with a statement.
    fn after_sql(&self, sql: &str) -> Ended {
        self.after(|store| {
            store.execute_batch(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
            assert_ne!(
                store.query_row("SELECT total_changes()", [], |row| row.get(0)),
                Ok(0),
                "{sql} changes something"
            );
        })
    }

    fn artifact(&self) -> Value {
        serde_json::from_slice(&self.artifact).expect("JSON")
    }
}

/// What was said, with one space where columns are apart.
fn said(ended: &Ended) -> String {
    ended.stdout.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ") + "\n").collect()
}

/// Checks that no content of the dataset was shown.
#[track_caller]
fn assert_discreet(ended: &Ended) {
    for payload in ["first\"", "second", "fourth", "fifth", "sixth", "\"output\"", "\"cc\""] {
        assert!(!ended.to_string().contains(payload), "{payload} is shown: {ended}");
    }
}

#[test]
fn a_run_that_nobody_touched_is_verified_and_left_as_it_is() {
    let evidence = Evidence::new();
    let folder = &evidence.folder;
    assert_seen("verify", folder.ef("verify one").exits(0));
    assert_seen("verify_json", folder.ef("verify one --format json").exits(0));
    assert_eq!(folder.read("runs/runs.db"), evidence.store, "verifying writes nothing");
    assert_eq!(folder.read("runs/one.json"), evidence.artifact);
    assert_discreet(&folder.ef("verify one --format json"));
}

#[test]
fn a_run_that_is_not_there_or_not_clear_is_bad_usage() {
    let folder = Evidence::new().folder;
    folder.ef("run spec.yaml --dataset dataset.jsonl --run-id onto").exits(0);
    assert_seen("verify_unknown", folder.ef("verify two").exits(2));
    assert_seen("verify_ambiguous", folder.ef("verify on").exits(2));
    assert_seen("verify_nothing", folder.ef("verify").exits(2));
    folder.ef("verify latest --store sqlite://nowhere.db").exits(4);
    folder.ef("verify latest").exits(0);
}

#[test]
fn every_kind_of_change_is_found_and_its_place_is_named() {
    let evidence = Evidence::new();
    for (what, sql, says) in FORGERIES {
        let ended = evidence.after_sql(sql).exits(6);
        assert!(said(&ended).contains(says), "{what}: {says:?} is not said: {ended}");
        assert_discreet(&ended);
    }
}

#[test]
fn a_change_of_any_byte_of_what_was_recorded_is_found() {
    let evidence = Evidence::new();
    let columns = [
        ("payloads", "content", "content = '\"first\"'"),
        ("traces", "item_id", "row = 2"),
        ("traces", "status", "row = 2"),
        ("traces", "json_extract(judgments, '$[0].score')", "row = 2"),
        ("traces", "leaf", "row = 1"),
        ("traces", "output", "row = 1"),
    ];
    let mut changed = 0;
    for (table, column, which) in columns {
        let mut offset = 0;
        loop {
            let mut is_past_end = false;
            let ended = evidence.after(|store| is_past_end = !flip(store, table, column, which, offset));
            if is_past_end {
                break;
            }
            assert_eq!(ended.code, Some(6), "byte {offset} of {column}: {ended}");
            changed += 1;
            // Of a digest, some bytes will do.
            offset += if matches!(column, "leaf" | "output") { 11 } else { 1 };
        }
    }
    assert_eq!(changed, 7 + 2 + 2 + 5 + 3 + 3);
}

/// Changes the lowest bit of one byte of a value. Whether there is such a byte.
fn flip(store: &Connection, table: &str, column: &str, which: &str, offset: usize) -> bool {
    // A score is part of a larger text.
    if column.starts_with("json") {
        let text: String = store
            .query_row(&format!("SELECT judgments FROM {table} WHERE {which}"), [], |row| row.get(0))
            .expect("there is a value");
        let begin = text.find("\"score\":").expect("a score") + "\"score\":".len();
        let end = begin + text[begin..].find([',', '}']).expect("its end");
        return begin + offset < end && {
            let mut bytes = text.into_bytes();
            bytes[begin + offset] ^= 1;
            set(store, &format!("UPDATE {table} SET judgments = CAST(?1 AS TEXT) WHERE {which}"), &bytes);
            true
        };
    }
    let mut bytes: Vec<u8> = store
        .query_row(&format!("SELECT CAST({column} AS BLOB) FROM {table} WHERE {which}"), [], |row| row.get(0))
        .expect("there is a value");
    let kind = if matches!(column, "leaf" | "output") { "BLOB" } else { "TEXT" };
    match bytes.get_mut(offset) {
        None => false,
        Some(byte) => {
            *byte ^= 1;
            set(store, &format!("UPDATE {table} SET {column} = CAST(?1 AS {kind}) WHERE {which}"), &bytes);
            true
        }
    }
}

fn set(store: &Connection, sql: &str, bytes: &[u8]) {
    assert_eq!(store.execute(sql, [bytes]), Ok(1), "{sql}");
}

#[test]
fn a_record_that_was_forged_with_its_digest_changes_the_set() {
    let evidence = Evidence::new();
    let stored = evidence.folder.records("one").remove(1);
    let mut record: TaskRecord = serde_json::from_value(stored.clone()).expect("a record");
    assert_eq!(json!(record.leaf()), stored["leaf"]);
    record.trace.duration_us += 1;
    let ended = evidence.after(|store| {
        let forged = store.execute(
            "UPDATE traces SET duration_us = duration_us + 1, leaf = unhex(?1) WHERE row = 2",
            [record.leaf().to_string()],
        );
        assert_eq!(forged, Ok(1));
    });
    assert_seen("verify_forged", ended.exits(6));
}

#[test]
fn the_file_of_the_result_is_compared_with_the_store() {
    let evidence = Evidence::new();
    let folder = &evidence.folder;
    let with = |change: fn(&mut Value)| {
        let mut artifact = evidence.artifact();
        change(&mut artifact);
        folder.write("runs/one.json", artifact.to_string());
        folder.ef("verify one")
    };
    with(|_| {}).exits(0);
    let says = |change: fn(&mut Value), what: &str| {
        let ended = with(change).exits(6);
        assert!(said(&ended).contains(&format!("artifact FAILED: ./runs/one.json {what}")), "{ended}");
    };
    says(
        |artifact| artifact["metrics"][0]["value"] = json!(1),
        "differs from the result in the store at /metrics/0/value",
    );
    says(|artifact| artifact["spec"]["id"] = json!("x"), "differs from the result in the store at /spec/id");
    says(|artifact| artifact["note"] = json!("secret words"), "has another shape than the result in the store");
    says(|artifact| *artifact = json!([]), "has another shape than the result in the store");
    folder.write("runs/one.json", "{\"a\": 1, \"a\": 2}");
    assert_seen("verify_artifact_twice", folder.ef("verify one").exits(6));
    for bytes in [&b"\xff"[..], b"", b"{"] {
        folder.write("runs/one.json", bytes);
        folder.ef("verify one").exits(6);
    }
}

#[test]
fn a_result_whose_file_is_elsewhere_or_nowhere() {
    let evidence = Evidence::new();
    let folder = &evidence.folder;
    std::fs::create_dir(folder.path("kept")).expect("a folder");
    folder.write("kept/one.json", &evidence.artifact);
    std::fs::remove_file(folder.path("runs/one.json")).expect("it goes");
    let nowhere = folder.ef("verify one").exits(0);
    assert!(said(&nowhere).contains("artifact not checked: ./runs/one.json: there is no such"), "{nowhere}");
    for place in ["--output kept", "--artifact kept/one.json"] {
        let found = folder.ef(&format!("verify one {place}")).exits(0);
        assert!(said(&found).contains("artifact ok: kept/one.json"), "{found}");
    }
    assert_seen("verify_artifact_absent", folder.ef("verify one --artifact kept/two.json").exits(2));
    // A folder is no file, wherever it is.
    std::fs::create_dir(folder.path("runs/one.json")).expect("a folder");
    let folder_there = folder.ef("verify one").exits(0);
    assert!(said(&folder_there).contains("artifact not checked"), "{folder_there}");
}

#[test]
fn a_run_that_is_not_completed_is_checked_and_not_called_verified() {
    let folder = Folder::empty();
    folder.write("spec.yaml", SPEC);
    folder.write("broken.json", "[{\"item_id\": \"a\", \"input\": \"x\"}, oops");
    folder.ef("run spec.yaml --dataset broken.json --run-id broken").exits(2);
    assert_seen("verify_unfinished", folder.ef("verify broken").exits(7));
    assert_seen("verify_unfinished_proof", folder.ef("verify broken --item a").exits(7));
    let store = Connection::open(folder.path("runs/runs.db")).expect("SQLite");
    store.execute("UPDATE traces SET attempts = 9", []).expect("changed");
    store.close().expect("it closes");
    folder.ef("verify broken").exits(6);
}

#[test]
fn a_gate_judges_nothing_that_is_not_as_it_was_recorded() {
    let evidence = Evidence::new();
    let folder = &evidence.folder;
    folder.ef("run spec.yaml --dataset dataset.jsonl --run-id two").exits(0);
    let store = Connection::open(folder.path("runs/runs.db")).expect("SQLite");
    let changed =
        store.execute("UPDATE runs SET result = json_set(result, '$.metrics[0].value', 1.0) WHERE run_id = 'one'", []);
    assert_eq!(changed, Ok(1));
    store.close().expect("it closes");
    let missing = "gate one --metric accuracy --min 0.9";
    let refused = folder.ef(missing).exits(6);
    assert_seen("gate_tampered", &refused);
    assert_eq!(
        folder.ef(&format!("{missing} --no-verify")).code,
        folder.ef("gate two --metric accuracy --min 0.9 --no-verify").code
    );
    let baseline = folder.ef("gate two --metric accuracy --baseline one --max-drop 1").exits(6);
    assert!(baseline.stderr.contains("the run one is not as it was recorded"), "{baseline}");
    let json = folder.ef("gate two --metric accuracy --min 0.1 --format json --no-verify").json();
    assert_eq!(json["verified"], json!(false));
    assert_eq!(folder.ef("gate two --metric accuracy --min 0.1 --format json").json()["verified"], json!(true));
}

#[test]
fn an_item_is_proven_to_be_part_of_the_run_without_anything_else() {
    let folder = Folder::empty();
    folder.write("spec.yaml", format!("{SPEC}runtime: {{repeats: 3}}\n"));
    folder.write("dataset.jsonl", DATASET);
    folder.ef("run spec.yaml --dataset dataset.jsonl --run-id one").exits(0);
    let root_digest = folder.ef("show one --format json").json()["root_digest"].clone();
    for (item, records) in [("bb", 3), ("dataset:3", 1)] {
        let proof = folder.ef(&format!("verify one --item {item}")).exits(0);
        assert_discreet(&proof);
        assert!(!proof.stdout.contains("\\\"ee\\\""), "no other item: {proof}");
        let elsewhere = Folder::empty();
        elsewhere.write("proof.json", &proof.stdout);
        let holds = elsewhere.ef("verify --proof proof.json --format json").exits(0).json();
        assert_eq!((&holds["outcome"], &holds["root_digest"]), (&json!("holds"), &root_digest));
        let proven = holds["records"].as_array().expect("records");
        assert_eq!(proven.len(), records);
        assert!(proven.iter().all(|record| record["item_id"] == item), "{proven:?}");
    }
    let proof = folder.ef("verify one --item bb").stdout;
    folder.write("proof.json", &proof);
    assert_seen("verify_proof", folder.ef("verify --proof proof.json").exits(0));
    assert_seen("verify_item_unknown", folder.ef("verify one --item nobody").exits(2));
}

#[test]
fn a_proof_that_does_not_hold_is_told_from_a_file_that_is_none() {
    let folder = Evidence::new().folder;
    let proof = folder.ef("verify one --item bb").exits(0).json();
    let check = |proof: &str| {
        folder.write("proof.json", proof);
        folder.ef("verify --proof proof.json")
    };
    let changed = |pointer: &str, change: fn(&str) -> String| {
        let mut proof = proof.clone();
        let value = proof.pointer_mut(pointer).expect("it is there");
        *value = json!(change(value.as_str().expect("a text")));
        check(&proof.to_string()).exits(6)
    };
    assert_seen("proof_other_run", changed("/run", |run| run.replace("\"one\"", "\"two\"")));
    assert_seen("proof_other_record", changed("/records/0/record", |record| record.replace("false", "true")));
    changed("/root_digest", |digest| digest.chars().rev().collect());
    changed("/records/0/audit_path/path/0", |digest| digest.chars().rev().collect());
    assert_seen("proof_none", check("{\"format_version\": 1}").exits(2));
    assert_seen("proof_newer", check("{\"format_version\": 2}").exits(2));
    assert_seen("proof_text", check("hello").exits(2));
    assert_seen("proof_absent", folder.ef("verify --proof nowhere.json").exits(2));
    folder.ef("verify one --proof proof.json").exits(2);
}

#[test]
fn a_proof_can_be_checked_with_the_page_alone() {
    let page = include_str!("../../../../docs/verification.md");
    let (_, program) = page.split_once("```python\n").expect("the page has a program");
    let (program, _) = program.split_once("```").expect("it ends");
    let folder = Evidence::new().folder;
    let proof = folder.ef("verify one --item ff").exits(0).stdout;
    folder.write("check.py", program);
    folder.write("good.json", &proof);
    folder.write("bad.json", proof.replace("\\\"score\\\":true", "\\\"score\\\":false"));
    let python = |proof: &str| {
        Command::new("python3")
            .args(["check.py", proof])
            .current_dir(folder.path(""))
            .output()
            .map(|ended| ended.status)
    };
    match (python("good.json"), python("bad.json")) {
        (Ok(good), Ok(bad)) => assert!(good.success() && !bad.success(), "{good}, {bad}"),
        _ => eprintln!("SKIPPED: there is no python3"),
    }
}

/// A generator of offsets that are the same in every run (splitmix64).
fn draws(mut state: u64) -> impl FnMut(usize) -> usize {
    move |below| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut drawn = state;
        drawn = (drawn ^ (drawn >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        drawn = (drawn ^ (drawn >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (drawn ^ (drawn >> 31)) as usize % below
    }
}

/// What is wrong with the answer to a damaged file: it panics, says anything but that the file is damaged, or says that all
/// is well where it is not.
fn wrong_answer(ended: &Ended, undisturbed: &Ended) -> Option<String> {
    let right = !ended.stderr.contains("a defect")
        && match ended.code {
            // What was damaged is no part of the evidence: free space, an index that nobody asked.
            Some(0) => ended.stdout == undisturbed.stdout,
            // Its id is another.
            Some(2) => ended.stderr.contains("no run has an id"),
            code => matches!(code, Some(4 | 6)),
        };
    (!right).then(|| ended.to_string())
}

/// Flips a bit in a hundred places of a store, each in a copy of its own, among the bytes that are `told`. Returns the wrong
/// answers, and how many were another than that the run is verified.
fn flipped(seed: u64, told: fn(u8) -> bool) -> (Vec<String>, u32) {
    let evidence = Evidence::new();
    let folder = &evidence.folder;
    let undisturbed = folder.ef("verify one").exits(0);
    let places: Vec<usize> = (0..evidence.store.len()).filter(|&at| told(evidence.store[at])).collect();
    let mut draw = draws(seed);
    let (mut wrong, mut found) = (Vec::new(), 0);
    for _ in 0..100 {
        let (place, bit) = (places[draw(places.len())], draw(8));
        let mut bytes = evidence.store.clone();
        bytes[place] ^= 1 << bit;
        folder.write("runs/runs.db", &bytes);
        let ended = folder.ef("verify one");
        wrong.extend(wrong_answer(&ended, &undisturbed).map(|said| format!("bit {bit} of byte {place}: {said}")));
        found += u32::from(ended.code != Some(0));
    }
    (wrong, found)
}

#[test]
fn a_bit_flipped_anywhere_in_the_file_never_makes_a_wrong_verdict_or_a_panic() {
    let (wrong, _) = flipped(4, |_| true);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_bit_flipped_where_something_is_stored_is_found_more_often_than_not() {
    // Most of a small file is free space, which is zero.
    let (wrong, found) = flipped(6, |byte| byte != 0);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(found > 50, "{found} of 100");
}

#[test]
fn a_file_that_ends_early_is_told() {
    let evidence = Evidence::new();
    let folder = &evidence.folder;
    let undisturbed = folder.ef("verify one").exits(0);
    let whole = evidence.store.len();
    // Of the last page, the end may be free.
    for length in [0, 1, 99, 100, 1000, 1 << 14, whole / 2, whole - (1 << 14)] {
        folder.write("runs/runs.db", &evidence.store[..length]);
        let ended = folder.ef("verify one");
        assert_eq!(wrong_answer(&ended, &undisturbed), None, "{length} of {whole} bytes");
        assert_ne!(ended.code, Some(0), "{length} of {whole} bytes: {ended}");
    }
}
