//! Payloads stay in the store: nothing of them is said anywhere unless somebody asks with `--payloads`.

use crate::folder::{Ended, Folder};

/// What every payload holds and nothing else.
const CANARY: &str = "canary-3f9a";

#[track_caller]
fn silent(ended: &Ended) {
    assert!(!ended.stdout.contains(CANARY) && !ended.stderr.contains(CANARY), "{ended}");
}

/// Runs a spec with these judges over these rows, and checks all that is said and written but the store itself.
fn run(rows: &str, judges: &str, code: i32) -> Folder {
    let folder = Folder::empty();
    let spec = format!(
        "schema_version: \"1\"\nid: test/secrets\nversion: 1.0.0\n\
         evaluator: {{id: eval_fabric.recorded, config: {{field: metadata.answer, metadata_field: metadata.more}}}}\n\
         judges: [{judges}]\nruntime: {{max_item_bytes: 2000}}\n"
    );
    folder.write("spec.yaml", spec);
    folder.write("d.jsonl", rows);
    for format in ["text", "json"] {
        let line = format!("run spec.yaml --dataset d.jsonl --run-id {format} --format {format}");
        silent(&folder.ef(&line).exits(code));
        for line in ["show latest", "show latest --traces", "show latest --traces --format json", "runs --format json"]
        {
            silent(&folder.ef(line).exits(0));
        }
        for record in folder.ef("show latest --traces --format json").json_lines() {
            let id = record["item_id"].as_str().expect("an id");
            silent(&folder.ef(&format!("show latest --item {id}")).exits(0));
        }
        let artifact = format!("runs/{format}.json");
        if code == 0 {
            assert!(!String::from_utf8_lossy(&folder.read(&artifact)).contains(CANARY), "{artifact}");
        }
    }
    folder
}

fn payloads_of(folder: &Folder, item: &str) -> String {
    folder.ef(&format!("show latest --item {item} --payloads")).exits(0).stdout
}

/// A row whose every payload holds the canary.
fn row(id: &str, reference: &str) -> String {
    format!(
        "{{\"item_id\": \"{id}\", \"input\": \"in {CANARY}\", {reference} \"metadata\": \
         {{\"answer\": \"out {CANARY}\", \"more\": {{\"note\": \"meta {CANARY}\"}}}}}}\n"
    )
}

#[test]
fn invariant_8_payloads_are_shown_on_request_alone() {
    let rows = row("a", &format!("\"reference_output\": \"ref {CANARY}\","));
    let folder = run(&rows, "{id: eval_fabric.exact_match}", 0);
    let shown = payloads_of(&folder, "a");
    for part in ["in", "out", "ref", "meta"] {
        assert!(shown.contains(&format!("{part} {CANARY}")), "{part}: {shown}");
    }
    let lines = folder.ef("show latest --traces --payloads --format json").exits(0);
    assert!(lines.stdout.contains(CANARY), "{lines}");
}

#[test]
fn invariant_8_judges_that_fail_say_nothing_of_payloads() {
    let canary = format!("\"{CANARY}\"");
    let judges = "{id: eval_fabric.exact_match}, {id: eval_fabric.contains}, {id: eval_fabric.numeric_match}, \
                  {id: eval_fabric.identity}, {id: eval_fabric.json_schema, config: {schema: {type: integer}}}";
    let rows = [
        row("no-reference", ""),
        row("no-number", &format!("\"reference_output\": {canary},")),
        row("wrong-kind", &format!("\"reference_output\": {{{canary}: {canary}}},")),
        row("empty", "\"reference_output\": \"\","),
    ];
    let folder = run(&rows.concat(), judges, 0);
    let records = folder.records("latest");
    let judgments = records.iter().flat_map(|record| record["judgments"].as_array().expect("a list"));
    let errors = judgments.filter(|judgment| judgment["status"] == "error").count();
    assert!(errors >= 8, "only {errors} judgments failed: {records:#?}");
}

#[test]
fn invariant_8_rows_that_cannot_be_used_are_described_without_their_content() {
    let rows = [
        row("answered", "\"reference_output\": 1,"),
        format!("{{\"input\": \"{CANARY}\"\n"),
        format!("{CANARY}\n"),
        format!("[\"{CANARY}\"]\n"),
        format!("{{\"input\": \"{CANARY}\", \"input\": \"{CANARY}\"}}\n"),
        format!("{{\"input\": \"{CANARY}\\ud800\"}}\n"),
        format!("{{\"input\": \"{CANARY}\", \"metadata\": \"{CANARY}\"}}\n"),
        format!("{{\"input\": \"{CANARY}\", \"item_id\": \"{CANARY}\\u0007\"}}\n"),
        format!("{{\"input\": \"{}\"}}\n", CANARY.repeat(1000)),
        // The names of columns are told: they say what to map.
        format!("{{\"input\": \"{CANARY}\", \"unknown\": \"{CANARY}\"}}\n"),
        format!("{{\"reference_output\": \"{CANARY}\"}}\n"),
    ];
    let folder = run(&rows.concat(), "{id: eval_fabric.exact_match}", 0);
    let skipped = folder.ef("show latest --status skipped --format json").exits(0).json_lines();
    assert_eq!(skipped.len(), rows.len() - 1, "all rows but the first");
}

#[test]
fn invariant_8_an_evaluator_that_fails_says_nothing_of_payloads() {
    let rows = format!(
        "{{\"item_id\": \"none\", \"input\": \"{CANARY}\", \"metadata\": {{\"answers\": \"{CANARY}\"}}}}\n\
         {{\"item_id\": \"odd\", \"input\": \"{CANARY}\", \"metadata\": {{\"answer\": 1, \"more\": \"{CANARY}\"}}}}\n"
    );
    let folder = run(&rows, "{id: eval_fabric.exact_match}", 0);
    assert_eq!(folder.ef("show latest --status error --format json").exits(0).json_lines().len(), 2);
}

#[test]
fn invariant_8_a_dataset_that_cannot_be_read_on_is_described_without_its_content() {
    let folder = Folder::new();
    folder.write("broken.json", format!("[{{\"input\": \"{CANARY}\"}} {CANARY}"));
    folder.write("quote.csv", format!("input,reference_output\n\"{CANARY}\n{CANARY}"));
    folder.write("twice.jsonl", [row("a", ""), row("a", "\"reference_output\": 1,")].concat());
    for name in ["broken.json", "quote.csv", "twice.jsonl"] {
        silent(&folder.ef(&format!("run spec.yaml --dataset {name}")).exits(2));
        silent(&folder.ef("show latest").exits(0));
    }
}
