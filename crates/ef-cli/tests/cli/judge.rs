//! `ef judge verify`: whether a judge does what it declares.

use crate::folder::{Folder, SPEC, assert_seen};

#[test]
fn a_judge_is_held_to_what_it_declares_and_nothing_is_stored() {
    let folder = Folder::new();
    let verify = "judge verify spec.yaml --judge right --dataset dataset.jsonl";
    assert_seen("judge_verify", folder.ef(verify).exits(0));
    let json = folder.ef(&format!("{verify} --times 3 --items 2 --format json")).exits(0).json();
    assert_eq!((&json["rows"], &json["calls"], &json["varied"]), (&2.into(), &6.into(), &0.into()));
    assert_eq!((&json["determinism"], &json["verdict"]), (&"deterministic".into(), &"kept".into()));
    assert!(!folder.has("runs"), "nothing is stored");
}

#[test]
fn nothing_to_compare_concludes_nothing() {
    let folder = Folder::new();
    folder.write("without.jsonl", "{\"item_id\": \"a\", \"input\": \"1\"}\nnot json\n");
    let ended = folder.ef("judge verify spec.yaml --judge right --dataset without.jsonl").exits(7);
    assert_seen("judge_verify_nothing", ended);
}

#[test]
fn recorded_outputs_are_judged_as_they_are() {
    let folder = Folder::new();
    let evaluator = "evaluator: {id: eval_fabric.recorded, config: {field: metadata.answer}}";
    folder.write("spec.yaml", SPEC.replace("evaluator: {id: eval_fabric.examples.echo}", evaluator));
    folder.write("d.jsonl", "{\"input\": \"1\", \"reference_output\": \"x\", \"answer\": \"x\"}\n");
    let verify = "judge verify spec.yaml --judge right --dataset d.jsonl --map input=input --map reference_output=reference_output";
    let json = folder.ef(&format!("{verify} --format json")).exits(0).json();
    assert_eq!((&json["compared"], &json["within_item_sd"]), (&1.into(), &0.0.into()));
}

#[test]
fn a_judge_verify_that_is_asked_wrongly_says_so() {
    let folder = Folder::new();
    assert_seen(
        "judge_verify_unknown",
        folder.ef("judge verify spec.yaml --judge wrong --dataset dataset.jsonl").exits(2),
    );
    for line in [
        "judge",
        "judge verify spec.yaml --judge right",
        "judge verify spec.yaml --judge right --dataset nowhere.jsonl",
        "judge verify spec.yaml --judge right --dataset dataset.jsonl --times 1",
    ] {
        let ended = folder.ef(line).exits(2);
        assert!(ended.stdout.is_empty() && !ended.stderr.is_empty(), "{line}: {ended}");
    }
}
