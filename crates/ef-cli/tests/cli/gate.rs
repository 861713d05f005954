//! The verdict for continuous integration: its exit code is what a pipeline goes by.

use crate::folder::{DATASET, Folder, SPEC, assert_seen};

fn with_run() -> Folder {
    let folder = Folder::new();
    folder.ef("run spec.yaml --dataset dataset.jsonl --run-id three-of-four").exits(0);
    folder
}

#[test]
fn a_metric_that_is_good_enough_passes_and_one_that_is_not_fails() {
    let folder = with_run();
    assert_seen("gate_pass", folder.ef("gate latest --metric accuracy --min 0.75").exits(0));
    assert_seen("gate_fail", folder.ef("gate latest --metric accuracy --min 0.76").exits(1));
    assert_seen("gate_json", folder.ef("gate latest --metric accuracy --min 0.76 --format json").exits(1));
    assert_seen("gate_negative", folder.ef("gate latest --metric accuracy --min -1").exits(0));
}

#[test]
fn a_gate_that_is_asked_wrongly_says_so() {
    let folder = with_run();
    assert_seen("gate_unknown_metric", folder.ef("gate latest --metric acuracy --min 0.5").exits(2));
    for line in [
        "gate latest --metric accuracy",
        "gate latest --min 0.5",
        "gate latest --metric accuracy --baseline latest",
        "gate latest --metric accuracy --max-drop 0.1",
        "gate latest --metric accuracy --min much",
        "gate nowhere --metric accuracy --min 0.5",
        "gate latest --metric accuracy --max-drop 0.1 --baseline nowhere",
    ] {
        let ended = folder.ef(line).exits(2);
        assert!(ended.stdout.is_empty() && !ended.stderr.is_empty(), "{line}: {ended}");
    }
}

#[test]
fn a_run_without_data_is_neither_good_nor_bad() {
    let folder = Folder::new();
    folder.write("d.jsonl", "not json\n");
    folder.ef("run spec.yaml --dataset d.jsonl").exits(0);
    assert_seen("gate_no_data", folder.ef("gate latest --metric accuracy --min 0").exits(7));
    assert_seen("gate_no_number", with_run().ef("gate latest --metric accuracy --min nan").exits(7));
}

#[test]
fn a_run_that_is_not_whole_concludes_nothing() {
    let folder = with_run();
    folder.write("broken.json", "[{\"input\": \"1\", \"reference_output\": \"1\"}, oops");
    folder.ef("run spec.yaml --dataset broken.json --run-id broken").exits(2);
    assert_seen("gate_aborted", folder.ef("gate broken --metric accuracy --min 0").exits(7));
    let baseline = folder.ef("gate three --metric accuracy --baseline broken --max-drop 1").exits(7);
    assert_seen("gate_aborted_baseline", baseline);
}

#[test]
fn more_than_five_percent_missing_concludes_nothing_and_five_do() {
    let folder = Folder::new();
    let rows = |missing: u32| {
        let whole = (missing..100).map(|n| format!("{{\"input\": \"{n}\", \"reference_output\": \"{n}\"}}\n"));
        let without_reference = (0..missing).map(|n| format!("{{\"input\": \"{n}\"}}\n"));
        whole.chain(without_reference).collect::<String>()
    };
    for (missing, code) in [(5, 0), (6, 7)] {
        folder.write("d.jsonl", rows(missing));
        folder.ef("run spec.yaml --dataset d.jsonl").exits(0);
        let gate = folder.ef("gate latest --metric accuracy --min 0.9").exits(code);
        assert_seen(&format!("gate_{missing}_percent_missing"), gate);
    }
}

#[test]
fn a_drop_is_measured_against_a_baseline() {
    let folder = with_run();
    folder.write("worse.jsonl", DATASET.replace("\"input\": \"1\"", "\"input\": \"0\""));
    folder.ef("run spec.yaml --dataset worse.jsonl --run-id two-of-four").exits(0);
    let gate = |drop: &str| format!("gate two --metric accuracy --baseline three --max-drop {drop}");
    assert_seen("gate_drop_pass", folder.ef(&gate("0.25")).exits(0));
    assert_seen("gate_drop_fail", folder.ef(&gate("0.2")).exits(1));
    assert_eq!(folder.ef(&format!("{} --min 0.9", gate("0.25"))).exits(1).code, Some(1), "both conditions hold");
    let better = folder.ef("gate three --metric accuracy --baseline two --max-drop 0").exits(0);
    assert!(better.stdout.contains("pass"), "{better}");
}

#[test]
fn runs_that_were_judged_differently_are_noted() {
    let folder = with_run();
    folder.write("spec.yaml", SPEC.replace("name: right}", "name: right, config: {trim: true}}"));
    folder.ef("run spec.yaml --dataset dataset.jsonl --run-id trimmed").exits(0);
    let gate = "gate trimmed --metric accuracy --baseline three --max-drop 0";
    assert_seen("gate_other_judges", folder.ef(gate).exits(0));
    let json = folder.ef(&format!("{gate} --format json")).exits(0);
    assert_eq!(json.json()["checks"][0]["verdict"], "pass", "the note is not in the way of the JSON");
}
