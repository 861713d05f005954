//! Datasets that are wrong: a broken row is a record, a broken file ends the run, and what was done is kept.

use serde_json::json;

use crate::folder::{DATASET, Folder, SPEC, assert_seen};
use crate::live::row;

/// Rows of which three cannot be used, one of them too long.
fn faulty() -> Vec<u8> {
    let long = "x".repeat(500);
    let mut rows = format!("{DATASET}{{\"input\": broken\n{{\"input\": \"{long}\"}}\n").into_bytes();
    rows.extend_from_slice(b"{\"input\": \"caf\xe9\"}\n{\"input\": \"5\", \"reference_output\": \"5\"}\n");
    rows
}

fn short_rows(on_failure: &str) -> String {
    format!("{SPEC}runtime: {{max_item_bytes: 100, on_failure: {on_failure}}}\n")
}

#[test]
fn rows_that_cannot_be_used_are_counted_and_shown_and_never_lost() {
    let folder = Folder::new();
    folder.write("spec.yaml", short_rows("skip"));
    folder.write("faulty.jsonl", faulty());
    let ran = folder.ef("run spec.yaml --dataset faulty.jsonl --run-id one").exits(0);
    assert!(ran.stdout.contains("skipped 3"), "{ran}");
    assert_seen("faulty_rows", &ran);
    assert_seen("faulty_rows_listed", folder.ef("show one --status skipped").exits(0));
    assert_seen("faulty_row", folder.ef("show one --item faulty:6 --payloads").exits(0));
    let skipped = folder.ef("show one --status skipped --format json").exits(0).json_lines();
    let rows: Vec<_> = skipped.iter().map(|record| record["row"].as_u64()).collect();
    assert_eq!(rows, [Some(5), Some(6), Some(7)]);
}

/// Runs one bad row before a thousand good ones under `on_failure: abort`, one task at a time.
fn aborts(name: &str, bad: &str) {
    let folder = Folder::new();
    folder.write("spec.yaml", short_rows("abort"));
    folder.write("d.jsonl", format!("{DATASET}{bad}\n{}", (0..1000).map(row).collect::<String>()));
    let ended = folder.ef("run spec.yaml --dataset d.jsonl --run-id one --concurrency 1").exits(3);
    let reason = "reason     item d:5 (row 5) failed, and the spec says on_failure: abort";
    assert!(ended.stdout.contains(reason), "{name}: {ended}");
    assert_eq!(ended.stderr, "next    ef resume one\n", "{name}");
    let shown = folder.ef("show one --format json").exits(0).json();
    assert_eq!((&shown["status"], &shown["metrics"]), (&json!("aborted"), &json!([])));
    assert_eq!(
        folder.records("one").len(),
        5,
        "{name}: the four before it and itself, and nothing is started after it"
    );
    assert!(!folder.has("runs/one.json"), "no artifact that looks whole");
}

#[test]
fn on_failure_abort_ends_the_run_at_the_first_row_that_cannot_be_used() {
    aborts("malformed", "{\"input\": broken");
    aborts("oversized", &format!("{{\"input\": \"{}\"}}", "x".repeat(500)));
}

#[test]
fn on_failure_abort_ends_the_run_at_the_first_judge_that_fails() {
    aborts("a judge without a reference", "{\"input\": \"no reference\"}");
}

#[test]
fn a_broken_array_ends_the_run_and_the_rows_before_it_are_kept() {
    let folder = Folder::new();
    let rows = DATASET.lines().collect::<Vec<_>>().join(",\n");
    folder.write("broken.json", format!("[{rows},\n{{\"input\": \"5\"}} oops"));
    assert_seen("broken_array", folder.ef("run spec.yaml --dataset broken.json --run-id one").exits(2));
    assert_eq!(folder.records("one").len(), 5);
    assert_seen("broken_array_runs", folder.ef("runs").exits(0));
    assert_seen("broken_array_shown", folder.ef("show one").exits(0));
    let json = folder.ef("run spec.yaml --dataset broken.json --format json").exits(2);
    assert_eq!(json.json()["status"], "aborted");
}

#[test]
fn a_compressed_file_that_ends_early_ends_the_run() {
    let folder = Folder::new();
    let whole = zstd::encode_all(DATASET.as_bytes(), 0).expect("memory can be read");
    folder.write("cut.jsonl.zst", &whole[..whole.len() - 5]);
    assert_seen("cut_file", folder.ef("run spec.yaml --dataset cut.jsonl.zst").exits(2));
}

#[test]
fn a_column_that_nothing_is_made_of_is_an_error_that_names_it() {
    let folder = Folder::new();
    folder.write("d.jsonl", "{\"input\": \"1\", \"expected\": \"1\"}\n");
    assert_seen("unknown_column", folder.ef("run spec.yaml --dataset d.jsonl").exits(2));
    folder.write("d.csv", "question,answer\n1,1\n");
    assert_seen("unmapped_csv", folder.ef("run spec.yaml --dataset d.csv").exits(2));
    assert!(!folder.has("runs/runs.db") || folder.ef("runs --format json").json_lines().is_empty(), "no run began");
}

#[test]
fn an_item_id_twice_is_a_conflict_that_names_both_rows() {
    let folder = Folder::new();
    folder.write("d.jsonl", format!("{DATASET}{{\"item_id\": \"b\", \"input\": \"again\"}}\n"));
    let run = "run spec.yaml --dataset d.jsonl --concurrency";
    assert_seen("duplicate_id", folder.ef(&format!("{run} 1 --run-id one")).exits(2));
    assert_eq!(folder.ef("show one --format json").exits(0).json()["status"], "aborted");
    assert_eq!(folder.records("one").len(), 4, "what was done is kept");
    // Whichever of the two is done first.
    let ended = folder.ef(&format!("{run} 64 --run-id two")).exits(2);
    assert!(ended.stderr.contains("row 2 ") && ended.stderr.contains("row 5 "), "{ended}");
    assert_eq!(folder.records("two").len(), 4, "what was done is kept");
}

#[test]
fn a_dataset_that_cannot_be_read_leaves_no_run_behind() {
    let folder = Folder::new();
    folder.write("empty.json", "");
    folder.write("empty.csv", "");
    for (name, line) in [
        ("dataset_missing", "--dataset nowhere.jsonl"),
        ("dataset_folder", "--dataset ."),
        ("dataset_empty_array", "--dataset empty.json"),
        ("dataset_empty_csv", "--dataset empty.csv"),
        ("dataset_parquet_on_stdin", "--dataset - --dataset-format parquet"),
        ("dataset_empty_stdin", "--dataset -"),
        ("dataset_not_parquet", "--dataset dataset.jsonl --dataset-format parquet"),
    ] {
        assert_seen(name, folder.ef(&format!("run spec.yaml {line}")).exits(2));
    }
    let runs = if folder.has("runs/runs.db") { folder.ef("runs --format json").stdout } else { String::new() };
    assert_eq!(runs, "");
}

#[test]
fn a_dataset_without_rows_is_a_run_without_data() {
    let folder = Folder::new();
    folder.write("d.jsonl", "\n\n");
    assert_seen("no_rows", folder.ef("run spec.yaml --dataset d.jsonl").exits(0));
    assert_seen("no_rows_gate", folder.ef("gate latest --metric accuracy --min 0").exits(7));
}
