//! People as judges: a run that waits for them, their verdicts, and the run that comes of it.

use serde_json::Value;

use crate::folder::Folder;

const SPEC: &str = "schema_version: \"1\"
id: test/people
version: 1.0.0
evaluator: {id: eval_fabric.examples.echo}
judges:
  - {id: eval_fabric.exact_match, name: right}
  - {id: eval_fabric.human, name: kind, config: {question: Is it kind?, scale: {min: 1, max: 5}}}
scoring:
  metrics:
    - {name: accuracy, from: right}
    - {name: kindness, from: kind}
";

/// A run of four items that waits for people.
fn awaiting() -> (Folder, Vec<Value>) {
    let folder = Folder::new();
    folder.write("spec.yaml", SPEC);
    let ended = folder.ef("run spec.yaml --dataset dataset.jsonl --run-id asked --format json").exits(0);
    let result = ended.json();
    assert_eq!((&result["status"], &result["counts"]["pending"]), (&"awaiting".into(), &4.into()), "{ended}");
    assert_eq!(result["metrics"], serde_json::json!([]), "nothing is computed of what is not whole");
    let queue = String::from_utf8(folder.read("runs/asked.queue.jsonl")).expect("UTF-8");
    let lines = queue.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    (folder, lines)
}

fn answered(lines: &[Value], score: impl Fn(usize) -> Value) -> String {
    let line = |(index, line): (usize, &Value)| {
        let mut line = line.clone();
        line["score"] = score(index);
        line["rationale"] = "because SECRET-REASON".into();
        format!("{line}\n")
    };
    lines.iter().enumerate().map(line).collect()
}

#[test]
fn a_run_waits_for_people_and_is_completed_by_their_verdicts() {
    let (folder, lines) = awaiting();
    assert_eq!(lines.len(), 4);
    assert_eq!((&lines[0]["question"], &lines[0]["input"]), (&"Is it kind?".into(), &"1".into()));
    folder.ef("gate asked --metric accuracy --min 0.5").exits(7);

    // Half of them now.
    folder.write("some.jsonl", answered(&lines, |index| if index < 2 { 4.into() } else { Value::Null }));
    let ended = folder.ef("judge import asked some.jsonl").exits(0);
    assert!(ended.stderr.contains("2 pending"), "{ended}");
    // The rest, and what was there already again.
    folder.write("all.jsonl", answered(&lines, |index| if index < 2 { 4.into() } else { 5.into() }));
    let result = folder.ef("judge import asked all.jsonl --format json").exits(0).json();
    assert_eq!((&result["status"], result.get("abort_reason")), (&"completed".into(), Some(&Value::Null)));
    let value = |name: usize| result["metrics"][name]["value"].as_f64();
    assert_eq!((value(0), value(1)), (Some(0.75), Some(4.5)), "{result:#}");
    folder.ef("verify asked").exits(0);
    folder.ef("gate asked --metric kindness --min 1").exits(0);
    assert!(folder.has("runs/asked.json"));
    folder.ef("judge import asked all.jsonl").exits(0);
}

#[test]
fn a_wrong_line_is_named_and_nothing_is_imported() {
    let (folder, lines) = awaiting();
    let cases = [
        (answered(&lines, |index| if index == 2 { 9.into() } else { 4.into() }), "bad.jsonl:3:"),
        (answered(&lines, |index| if index == 1 { "SECRET-SCORE".into() } else { 4.into() }), "bad.jsonl:2:"),
        (answered(&lines, |_| 4.into()).replacen("\"item_id\":\"a\"", "\"item_id\":\"other\"", 1), "bad.jsonl:1:"),
        (answered(&lines, |_| 4.into()).replacen("\"judge\":\"kind\"", "\"judge\":\"right\"", 1), "bad.jsonl:1:"),
        (answered(&lines, |_| 4.into()).replacen("\"run_id\":\"asked\"", "\"run_id\":\"else\"", 1), "bad.jsonl:1:"),
        (format!("{}not json SECRET", answered(&lines, |_| 4.into())), "bad.jsonl:5:"),
    ];
    for (file, place) in cases {
        folder.write("bad.jsonl", file);
        let ended = folder.ef("judge import asked bad.jsonl").exits(2);
        assert!(ended.stderr.contains(place), "{place} {ended}");
        assert!(!ended.stderr.contains("SECRET"), "{ended}");
    }
    let records = folder.records("asked");
    assert_eq!(records.len(), 4, "no revision was added");
}

#[test]
fn the_queue_is_written_again_of_what_is_left() {
    let (folder, lines) = awaiting();
    folder.write("some.jsonl", answered(&lines, |index| if index == 0 { 3.into() } else { Value::Null }));
    folder.ef("judge import asked some.jsonl").exits(0);
    folder.ef("judge queue asked --output left.jsonl").exits(0);
    let left = String::from_utf8(folder.read("left.jsonl")).expect("UTF-8");
    assert_eq!(left.lines().count(), 3);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(folder.path("left.jsonl")).expect("a file").permissions().mode();
        assert_eq!(mode & 0o077, 0, "a queue holds payloads");
    }
}

#[test]
fn a_judge_at_the_terminal_is_refused_where_there_is_none() {
    let folder = Folder::new();
    folder.write("spec.yaml", SPEC.replace("question: Is it kind?", "ask: terminal, question: Is it kind?"));
    let ended = folder.ef("run spec.yaml --dataset dataset.jsonl").exits(2);
    assert!(ended.stderr.contains("terminal"), "{ended}");
}
