//! A run beside its baseline: what changed, and what became of each item.

use serde_json::{Value, json};

use crate::folder::{DATASET, Folder, SPEC, assert_seen};

/// The folder's spec with an evaluator that takes its outputs from the dataset, and three metrics.
const RECORDED: &str = r#"schema_version: "1"
id: test/recorded
version: 1.0.0
evaluator: {id: eval_fabric.recorded, config: {field: metadata.answer}}
judges:
  - {id: eval_fabric.numeric_match, name: right}
scoring:
  metrics:
    - {name: accuracy, from: right}
    - {name: by_document, from: right, cluster_by: doc}
    - {name: answered, from: right, aggregator: count}
"#;

/// A dataset of these items: id, and the answer that is recorded, if one is. Two items in a row are of one document.
fn recorded(items: &[(u32, Option<u32>)]) -> String {
    let row = |&(item, answer): &(u32, Option<u32>)| {
        let (id, input, doc) = (format!("q{item}"), format!("SECRET {item}"), format!("SECRET doc {}", item / 2));
        let metadata = json!({"answer": answer.map(|answer| format!("SECRET {answer}")), "doc": doc});
        let row = json!({"item_id": id, "input": input, "reference_output": item.to_string(), "metadata": metadata});
        format!("{row}\n")
    };
    items.iter().map(row).collect()
}

/// Runs `before` and `after`: of ten items each, eight in both, in another order. Of these the evaluator fails on one,
/// two improve and one worsens.
fn two_runs() -> Folder {
    let folder = Folder::empty();
    folder.write("spec.yaml", RECORDED);
    let before: Vec<_> = (0..10).map(|item| (item, Some(if item < 4 { item + 100 } else { item }))).collect();
    folder.write("before.jsonl", recorded(&before));
    folder.ef("run spec.yaml --dataset before.jsonl --run-id before").exits(0);
    let after = (2..12).rev().map(|item| match item {
        4 => (4, Some(100)),
        5 => (5, None),
        _ => (item, Some(item)),
    });
    folder.write("after.jsonl", recorded(&after.collect::<Vec<_>>()));
    folder.ef("run spec.yaml --dataset after.jsonl --run-id after").exits(0);
    folder
}

#[test]
fn a_comparison_tells_what_changed_and_what_became_of_each_item() {
    let folder = two_runs();
    assert_seen("diff", folder.ef("diff after before --items").exits(0));
    assert_seen("diff_json", folder.ef("diff after before --items --limit 1 --by dataset --format json").exits(0));
    let back = folder.ef("diff before after --format json").exits(0).json();
    assert_eq!(back["judges"][0]["improved"], 1);
    assert_eq!(back["judges"][0]["worsened"], 2);
    assert_eq!(back["pairs"]["appeared"], 2);
    assert_eq!(back.get("flips"), None);
}

#[test]
fn the_same_two_runs_give_the_same_bytes_and_no_payload() {
    let folder = two_runs();
    for format in ["text", "json"] {
        let line = format!("diff after before --items --format {format}");
        let ended = folder.ef(&line).exits(0);
        assert_eq!(ended.stdout, folder.ef(&line).exits(0).stdout);
        assert!(!ended.to_string().contains("SECRET"), "{ended}");
        assert!(ended.stderr.is_empty(), "{ended}");
    }
}

#[test]
fn that_the_judge_differs_is_said_before_any_number() {
    let folder = two_runs();
    folder.write("spec.yaml", RECORDED.replace("name: right}", "name: right, config: {tolerance: 200}}"));
    folder.ef("run spec.yaml --dataset before.jsonl --run-id tolerant").exits(0);
    let ended = folder.ef("diff tolerant before --by judges,spec --items").exits(0);
    assert_seen("diff_other_judge", &ended);
    let note = ended.stdout.find("the judge right is not the same").expect("it is said");
    assert!(note < ended.stdout.find("improved").expect("there are counts"), "{ended}");
    let json = folder.ef("diff tolerant before --format json").exits(0);
    assert_eq!(json.json()["judges_that_differ"], json!(["right"]));
    assert_eq!(json.json()["judges"][0]["moved_with_same_output"], 4, "the evaluator said the same");
    assert!(json.stdout.find("judges_that_differ") < json.stdout.find("\"improved\""), "{json}");
}

#[test]
fn runs_that_are_hard_to_compare_are_compared_and_said_to_be() {
    let folder = Folder::new();
    folder.ef("run spec.yaml --dataset dataset.jsonl --run-id whole").exits(0);
    assert_seen("diff_with_itself", folder.ef("diff whole whole").exits(0));
    folder.write("broken.json", "[{\"item_id\": \"c\", \"input\": \"3\", \"reference_output\": \"3\"}, oops");
    folder.ef("run spec.yaml --dataset broken.json --run-id broken").exits(2);
    assert_seen("diff_unfinished", folder.ef("diff broken whole").exits(0));
    folder.write("spec.yaml", SPEC.replace("id: test/echo", "id: test/other").replace("name: right", "name: other"));
    folder.write("spec.yaml", folder_text(&folder).replace("from: right", "from: other"));
    folder.ef("run spec.yaml --dataset dataset.jsonl --run-id other").exits(0);
    assert_seen("diff_other_spec", folder.ef("diff other whole --items").exits(0));
}

fn folder_text(folder: &Folder) -> String {
    String::from_utf8(folder.read("spec.yaml")).expect("a spec is text")
}

#[test]
fn repeats_are_paired_one_by_one_or_by_their_means() {
    let folder = Folder::new();
    for repeats in [1, 2, 3] {
        folder.write("spec.yaml", format!("{SPEC}runtime: {{repeats: {repeats}}}\n"));
        folder.ef(&format!("run spec.yaml --dataset dataset.jsonl --run-id times-{repeats}")).exits(0);
    }
    folder.write("spec.yaml", format!("{SPEC}runtime: {{repeats: 2}}\n"));
    folder.write("dataset.jsonl", DATASET.replace("\"input\": \"1\"", "\"input\": \"0\""));
    folder.ef("run spec.yaml --dataset dataset.jsonl --run-id worse").exits(0);
    let diff = |line: &str| folder.ef(&format!("diff {line} --items --format json")).exits(0).json();
    let twice = diff("worse times-2");
    assert_eq!((&twice["pairing"], &twice["pairs"]["paired"]), (&json!("item_and_repeat"), &json!(8)));
    assert_eq!((&twice["metrics"][0]["n"], &twice["metrics"][0]["units"]), (&json!(8), &json!(4)));
    assert_eq!((&twice["metrics"][0]["delta"], &twice["metrics"][0]["p_value"]), (&json!(-0.25), &Value::Null));
    assert_eq!((&twice["flips"][1]["item_id"], &twice["flips"][1]["repeat"]), (&json!("a"), &json!(1)));
    assert_eq!(twice["pairs"]["other_content"], 2);
    let means = diff("times-3 worse");
    assert_eq!((&means["pairing"], &means["pairs"]["paired"]), (&json!("item_mean"), &json!(4)));
    assert_eq!((&means["judges"][0]["improved"], &means["metrics"][0]["delta"]), (&json!(1), &json!(0.25)));
}

#[test]
fn of_a_record_that_was_revised_the_latest_revision_is_compared() {
    let folder = two_runs();
    let store = rusqlite::Connection::open(folder.path("runs/runs.db")).expect("the store");
    // The first item of the baseline was wrong; a second revision says that it was right.
    let revise = "CREATE TEMP TABLE revised AS SELECT * FROM traces WHERE item_id = 'q2'
                      AND run = (SELECT id FROM runs WHERE run_id = 'before');
                  UPDATE revised SET revision = 1, judgments = replace(judgments, 'false', 'true');
                  INSERT INTO traces SELECT * FROM revised;";
    store.execute_batch(revise).expect("a revision");
    drop(store);
    let judges = folder.ef("diff after before --format json").exits(0).json()["judges"][0].clone();
    assert_eq!((&judges["improved"], &judges["unchanged"]), (&json!(1), &json!(5)));
}

#[test]
fn a_comparison_that_is_asked_wrongly_says_so() {
    let folder = two_runs();
    folder.ef("run spec.yaml --dataset before.jsonl --run-id before-2").exits(0);
    assert_seen("diff_unknown_run", folder.ef("diff after nowhere").exits(2));
    for (line, code) in [
        ("diff after", 2),
        ("diff nowhere before", 2),
        ("diff after bef", 2),
        ("diff after before --limit 3", 2),
        ("diff after before --items --limit -1", 2),
        ("diff after before --by payloads", 2),
        ("diff after before --store sqlite://nowhere.db", 4),
    ] {
        let ended = folder.ef(line).exits(code);
        assert!(ended.stdout.is_empty() && !ended.stderr.is_empty(), "{line}: {ended}");
    }
    // Of an id that others begin with, the run of exactly that id is meant.
    folder.ef("diff after before --items --limit 0").exits(0);
}

#[test]
fn a_kept_spec_that_cannot_be_read_is_told_without_its_content() {
    let folder = two_runs();
    let store = rusqlite::Connection::open(folder.path("runs/runs.db")).expect("the store");
    let damage = "UPDATE runs SET head = json_set(head, '$.spec.runtime.SECRET', 1) WHERE run_id = 'before'";
    store.execute(damage, []).expect("a damaged head");
    drop(store);
    assert_seen("diff_unreadable_spec", folder.ef("diff after before").exits(4));
}
