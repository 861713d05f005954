//! Specs that are wrong or mean harm: told clearly, soon, and before anything is made.

use std::fmt::Write;
use std::time::{Duration, Instant};

use crate::folder::{Folder, SPEC, assert_seen};

fn alias_bomb() -> String {
    let mut text = format!("{SPEC}metadata:\n  a0: &a0 [x, x, x, x, x, x, x, x, x]\n");
    for level in 1..12 {
        let uses = vec![format!("*a{}", level - 1); 9].join(", ");
        writeln!(text, "  a{level}: &a{level} [{uses}]").expect("a text can be written to");
    }
    text
}

/// Each with a name, its bytes and the exit code.
fn specs() -> Vec<(&'static str, Vec<u8>, i32)> {
    let spec = |tail: &str| format!("{SPEC}{tail}").into_bytes();
    let judge = |judge: &str| SPEC.replace("{id: eval_fabric.exact_match, name: right}", judge).into_bytes();
    let regex =
        |pattern: &str| judge(&format!("{{id: eval_fabric.regex, name: right, config: {{pattern: {pattern}}}}}"));
    vec![
        ("an alias bomb", alias_bomb().into_bytes(), 2),
        ("a key twice", spec("description: a\ndescription: b\n"), 2),
        ("1e400", spec("runtime: {task_timeout_seconds: 1e400}\n"), 2),
        ("NUL", spec("description: a\0b\n"), 2),
        ("invalid UTF-8", [SPEC.as_bytes(), b"description: caf\xe9\n"].concat(), 2),
        ("more than 1 MiB", spec(&"# filler\n".repeat(120_000)), 2),
        ("an endless file", vec![b'#'; 40 << 20], 2),
        ("an unknown field", spec("runtime: {max_concurent: 3}\n"), 2),
        (
            "many problems",
            b"schema_version: \"1\"\nid: a b\nversion: one\njudges: []\nruntime: {max_retries: 99}\nextra: 1\n"
                .to_vec(),
            2,
        ),
        ("a version that is not known", SPEC.replace("\"1\"", "\"7\"").into_bytes(), 2),
        ("an unknown judge", judge("{id: eval_fabric.exact_macth, name: right}"), 5),
        ("an unknown evaluator", SPEC.replace("examples.echo", "examples.eco").into_bytes(), 5),
        ("a judge without its config", judge("{id: eval_fabric.regex, name: right}"), 2),
        ("a pattern that is none", regex("\"(\""), 2),
        (
            "a setting of another kind",
            judge("{id: eval_fabric.contains, name: right, config: {ignore_case: maybe}}"),
            2,
        ),
        (
            "a setting that is not there",
            judge("{id: eval_fabric.contains, name: right, config: {ignorecase: true}}"),
            2,
        ),
        ("a variable of the store that is not set", spec("runtime: {trace_store: \"sqlite://${EF_TEST_UNSET}\"}\n"), 2),
        ("a variable that is not set", regex("\"${EF_TEST_UNSET}\""), 2),
        (
            "an unknown judge and a wrong config",
            SPEC.replace("{id: eval_fabric.examples.echo}", "{id: eval_fabric.recorded}")
                .replace("exact_match", "magic")
                .into_bytes(),
            5,
        ),
        (
            "every kind of problem at once",
            SPEC.replace("{id: eval_fabric.examples.echo}", "{id: eval_fabric.recorded, config: {feild: x}}")
                .replace("exact_match", "exact_macth")
                .replace("from: right", "from: rigth")
                .replace("version: 1.0.0", "version: one")
                .into_bytes(),
            2,
        ),
        ("a store that nobody knows, with a password", spec("runtime: {trace_store: \"mongo://u:hunter2@h/d\"}\n"), 2),
        ("an empty file", Vec::new(), 2),
    ]
}

#[test]
fn a_hostile_spec_is_told_clearly_and_nothing_is_made() {
    let folder = Folder::new();
    let mut seen = String::new();
    for (name, bytes, code) in specs() {
        folder.write("hostile.yaml", bytes);
        let begun = Instant::now();
        let ended = folder.ef("run hostile.yaml --dataset dataset.jsonl");
        let took = begun.elapsed();
        assert_eq!(ended.code, Some(code), "{name}: {ended}");
        assert_eq!(ended.stdout, "", "{name}");
        assert!(!folder.has("runs"), "{name}: something was made");
        // Far more than it takes: an unoptimised program on a machine that does other things too.
        assert!(took < Duration::from_secs(5), "{name} took {took:?}");
        assert!(!ended.stderr.contains("hunter2"), "{name}: {ended}");
        assert!(!ended.stderr.contains(|c: char| c.is_control() && c != '\n'), "{name}: {:?}", ended.stderr);
        write!(seen, "════ {name}\n{ended}\n").expect("a text can be written to");
    }
    assert_seen("hostile_specs", seen);
}

#[test]
fn a_spec_that_cannot_be_read_says_so() {
    let folder = Folder::new();
    assert_seen("spec_missing", folder.ef("run nowhere.yaml --dataset dataset.jsonl").exits(2));
    assert_seen("spec_folder", folder.ef("run . --dataset dataset.jsonl").exits(2));
    assert!(!folder.has("runs"));
}

#[test]
fn a_baseline_that_is_not_there_is_told_before_anything_runs() {
    let folder = Folder::new();
    folder.write("spec.yaml", SPEC.replace("scoring:", "scoring:\n  baseline_run_id: gone"));
    let ended = folder.ef("run spec.yaml --dataset dataset.jsonl").exits(2);
    assert!(ended.stderr.contains("names the run gone"), "{ended}");
    assert_eq!(folder.ef("runs --format json").exits(0).stdout, "");
}

#[test]
fn a_variable_in_the_stores_uri_is_filled_in_and_kept_as_written() {
    let folder = Folder::new();
    folder.write("spec.yaml", format!("{SPEC}runtime: {{trace_store: \"sqlite://${{EF_TEST_STORE}}.db\"}}\n"));
    let line = ["run", "spec.yaml", "--dataset", "dataset.jsonl", "--format", "json"];
    let ended = folder.ef_with(line, "", &[("EF_TEST_STORE", "elsewhere")]).exits(0);
    assert!(folder.has("elsewhere.db") && !folder.has("runs/runs.db"));
    assert_eq!(ended.json()["spec"]["runtime"]["trace_store"], "sqlite://${EF_TEST_STORE}.db");
    let ended = folder.ef_with(&line[..4], "", &[("EF_TEST_STORE", "elsewhere")]).exits(0);
    assert!(ended.stderr.contains("--traces --store \"sqlite://${EF_TEST_STORE}.db\""), "{ended}");
}

#[test]
fn a_variable_is_used_and_neither_shown_nor_kept() {
    let folder = Folder::new();
    folder.write(
        "spec.yaml",
        SPEC.replace(
            "{id: eval_fabric.exact_match, name: right}",
            "{id: eval_fabric.regex, name: right, config: {pattern: \"${PATTERN}\"}}",
        ),
    );
    let run = |pattern: &str| {
        folder.ef_with(
            ["run", "spec.yaml", "--dataset", "dataset.jsonl", "--format", "json"],
            "",
            &[("PATTERN", pattern)],
        )
    };
    let ran = run("^[12]$|canary").exits(0);
    assert_eq!(ran.json()["metrics"][0]["value"], 0.5);
    assert!(!ran.stdout.contains("canary"), "{ran}");
    let stored =
        ["runs/runs.db", "runs/runs.db-wal"].map(|name| if folder.has(name) { folder.read(name) } else { vec![] });
    assert!(!String::from_utf8_lossy(&stored.concat()).contains("canary"));
    let refused = run("(canary").exits(2);
    assert!(!refused.to_string().contains("canary"), "{refused}");
    assert_seen("variable_that_does_not_fit", refused);
}
