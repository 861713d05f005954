//! The bridge itself, and the host at its other end.

use std::fs;
use std::path::Path;
use std::process::Command;

use ef_model::{CreateError, ErrorKind};
use ef_plugin::process::ExternalPlugin;
use futures_util::future::join_all;
use serde_json::json;

use super::driver::{ask, create, environment, fixture, judge_of, number, python};

#[test]
fn the_bridge_passes_its_own_tests() {
    let Some(python) = python() else { return };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("python");
    let output = Command::new(python.program())
        .args(["-W", "error", "-m", "unittest", "discover", "tests", "-t", "."])
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .current_dir(folder)
        .output()
        .expect("Python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_bridge_is_written_in_the_python_of_3_9() {
    let Some(python) = python() else { return };
    let script = "import ast, pathlib\n\
        for path in pathlib.Path('.').rglob('*.py'): ast.parse(path.read_text('utf-8'), str(path), feature_version=(3, 9))";
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("python");
    let output = Command::new(python.program()).args(["-c", script]).current_dir(folder).output().expect("Python runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn a_file_beside_the_project_is_a_plugin() {
    let Some(python) = python() else { return };
    let folder = fixture("polite");
    let plugin = python.module("polite", "polite:polite", &folder, "ef.toml", &environment(&[])).expect("found");
    let (plugin, judge) = judge_of(plugin.command, "fixtures.polite", json!({ "least": 2 })).await;
    assert_eq!((judge.identity().version.as_str(), judge.determinism().as_str()), ("1.0.0", "deterministic"));
    let verdict = ask(&judge, "", "Hello, thank you!").await.expect("a verdict");
    assert_eq!(verdict.rationale.expect("why").expose(), r#""hello, thank you""#);
    assert!(number(&judge, "", "Please.", Some("score")).await.abs() < f64::EPSILON, "one polite word of two");
    plugin.shutdown().await;
}

#[tokio::test]
async fn a_config_that_does_not_fit_is_told_at_its_place() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let source = "def make(**config):\n    if 'x' not in config: raise ValueError('x is needed')\n    return lambda item, output: 1\n";
    fs::write(folder.path().join("one.py"), format!("{source}def two(item, output, *, least): return least\n"))
        .expect("written");
    let module = |name| python.module("one", name, folder.path(), "ef.toml", &environment(&[])).expect("found").command;

    let plugin = ExternalPlugin::new(module("one:two"));
    let error = create(&plugin, "one.two", json!({ "most": 1 })).await.err().expect("refused");
    let CreateError::Config(problems) = error else { panic!("{error}") };
    let told: Vec<_> = problems.iter().map(|problem| format!("{}: {}", problem.pointer, problem.message)).collect();
    assert_eq!(told, ["/most: `most` is not known", ": `least` is missing"]);
    plugin.shutdown().await;
}

#[tokio::test]
async fn an_import_that_fails_is_told_with_its_place() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("bad.py"), "import json\nimport gone_from_here\n").expect("written");
    let plugin = python.module("bad", "bad:x", folder.path(), "ef.toml", &environment(&[])).expect("found");
    let error = ExternalPlugin::new(plugin.command).describe().await.expect_err("broken").to_string();
    assert!(error.contains("ModuleNotFoundError: No module named 'gone_from_here' ("), "{error}");
    assert!(error.contains("bad.py, line 2, in <module>"), "{error}");
}

#[tokio::test]
async fn blocking_functions_run_side_by_side_and_errors_stay_typed() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let source = "import threading\n\
        meeting = threading.Barrier(32, timeout=20)\n\
        class Busy(Exception):\n    retry_after = 0.25\n\
        def judge(item, output):\n\
        \x20   print('noise')\n\
        \x20   if output.output == 'busy': raise Busy('Alice')\n\
        \x20   meeting.wait()\n\
        \x20   return float('nan') if output.output == 'nan' else 0.5\n";
    fs::write(folder.path().join("meet.py"), source).expect("written");
    let plugin = python.module("meet", "meet:judge", folder.path(), "ef.toml", &environment(&[])).expect("found");
    let (plugin, judge) = judge_of(plugin.command, "meet.judge", json!({})).await;
    let busy = ask(&judge, "", "busy").await.expect_err("busy");
    assert_eq!(
        (busy.kind, &*busy.code, busy.retry_after.map(|wait| wait.as_millis())),
        (ErrorKind::Transient, "busy", Some(250))
    );
    assert!(!busy.to_string().contains("Alice"), "{busy}");
    let outputs: Vec<_> = (0..32).map(|n| if n == 7 { "nan" } else { "good" }).collect();
    let verdicts = join_all(outputs.iter().map(|output| ask(&judge, "", output))).await;
    let bad: Vec<_> = verdicts.iter().filter_map(|verdict| verdict.as_ref().err()).collect();
    let [error] = &bad[..] else { panic!("{bad:?}") };
    assert_eq!((error.kind, &*error.code), (ErrorKind::InvalidOutput, "not_json"));
    plugin.shutdown().await;
}

#[cfg(feature = "contract")]
#[tokio::test]
async fn a_python_judge_keeps_the_contract() {
    use ef_plugin::contract::{ContractOptions, Subject, check};

    let Some(python) = python() else { return };
    let plugin =
        python.module("polite", "polite:polite", &fixture("polite"), "ef.toml", &environment(&[])).expect("found");
    let plugin = ExternalPlugin::new(plugin.command);
    let factory = plugin.factories().await.expect("it starts").judges.remove(0);
    let report = check(&Subject::Judge(factory), &ContractOptions::default()).await;
    assert!(report.passed(), "{:?}", report.checks);
    plugin.shutdown().await;
}
