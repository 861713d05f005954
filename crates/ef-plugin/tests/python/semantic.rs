//! The worked example: a sentence-embedding model as a judge.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use super::driver::{environment, fixture, judge_of, number, python, skip};

/// A virtual environment with the example's requirements, made once and kept.
fn installed() -> Option<PathBuf> {
    let python = python()?;
    let requirements = fixture("semantic").join("requirements.txt");
    let wanted = fs::read(&requirements).expect("the example is there");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("semantic-venv");
    let done = folder.join("installed-requirements.txt");
    if fs::read(&done).is_ok_and(|installed| installed == wanted) {
        return Some(folder);
    }
    let made =
        Command::new(python.program()).args(["-m", "venv", "--clear"]).arg(&folder).output().expect("Python runs");
    if !made.status.success() {
        return skip("Python cannot make a virtual environment");
    }
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--retries", "1", "-r"];
    let pip = Command::new(folder.join("bin/python")).args(pip).arg(&requirements).output().expect("Python runs");
    if !pip.status.success() {
        return skip(&format!("pip cannot install the model: {}", String::from_utf8_lossy(&pip.stderr)));
    }
    fs::write(done, wanted).expect("written");
    Some(folder)
}

#[tokio::test]
async fn answers_that_mean_the_same_score_higher_than_answers_that_do_not() {
    let Some(venv) = installed() else { return };
    let folder = fixture("semantic");
    let found = ef_plugin::python::Interpreter::find(Some(&venv), &folder, &environment(&[]));
    let python = found.expect("there").expect("named");
    let plugin =
        python.module("semantic", "semantic:SemanticSimilarity", &folder, "ef.toml", &environment(&[])).expect("found");
    let (plugin, judge) = judge_of(plugin.command, "fixtures.semantic", json!({ "threshold": 0.4 })).await;
    assert_eq!(judge.model(), Some("all-MiniLM-L6-v2"));
    let rows = fs::read_to_string(folder.join("dataset.jsonl")).expect("the example is there");
    for row in rows.lines() {
        let row: Value = serde_json::from_str(row).expect("JSON");
        let text = |pointer: &str| row.pointer(pointer).and_then(Value::as_str).expect("a text");
        let near = number(&judge, text("/reference_output"), text("/metadata/answer"), Some("is_near")).await;
        assert_eq!(Value::from(near > 0.5), row["metadata"]["is_right"], "{}", row["item_id"]);
    }
    plugin.shutdown().await;
}
