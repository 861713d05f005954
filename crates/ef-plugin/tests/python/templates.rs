//! What `ef plugins new` begins with works as it is.
#![allow(clippy::print_stderr, reason = "a test that checks nothing says so")]

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ef_model::Digest;
use ef_plugin::process::{ExternalPlugin, PluginCommand};
use ef_plugin::templates::{Language, files};
use serde_json::json;

use super::driver::{create, environment, number, python, skip};

fn written(language: Language, folder: &Path) {
    for (path, text) in files(language, "acme-mentions").expect("a name") {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, text).expect("written");
    }
}

fn succeeds(command: &mut Command) {
    let output = command.output().expect("it runs");
    let [stdout, stderr] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    assert!(output.status.success(), "{stdout}{stderr}");
}

/// Whether the new plugin judges as its template says.
async fn judges(command: PluginCommand) {
    let plugin = ExternalPlugin::new(command);
    let judge = create(&plugin, "acme_mentions.mentions", json!({})).await.expect("made");
    assert!((number(&judge, "Paris", "It is PARIS.", None).await - 1.0).abs() < f64::EPSILON);
    assert!(number(&judge, "Paris", "No idea.", None).await.abs() < f64::EPSILON);
    let strict = create(&plugin, "acme_mentions.mentions", json!({ "ignore_case": false })).await.expect("made");
    assert!(number(&strict, "Paris", "It is PARIS.", None).await.abs() < f64::EPSILON);
    plugin.shutdown().await;
}

fn command(folder: &Path, program: PathBuf, arguments: &[&str]) -> PluginCommand {
    let mut command = PluginCommand::new("new", program, "ef.toml", Digest::of(b"new"));
    command.arguments = arguments.iter().map(OsString::from).collect();
    command.environment = environment(&[]);
    command.working_directory = Some(folder.to_owned());
    command
}

#[tokio::test]
async fn a_new_plugin_in_python_passes_its_test_and_judges() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    written(Language::Python, folder.path());
    let test = ["-m", "unittest", "discover", "tests"];
    let mut line = Command::new(python.program());
    succeeds(line.args(test).current_dir(folder.path()).env("PYTHONDONTWRITEBYTECODE", "1"));
    let plugin =
        python.module("new", "acme_mentions:Mentions", folder.path(), "ef.toml", &environment(&[])).expect("found");
    judges(plugin.command).await;
}

#[tokio::test]
async fn a_new_plugin_in_node_passes_its_test_and_judges() {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let Some(node) = std::env::split_paths(&path).map(|folder| folder.join("node")).find(|node| node.is_file()) else {
        eprintln!("NOTHING IS CHECKED: there is no Node.js on the PATH");
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    written(Language::Node, folder.path());
    succeeds(Command::new(&node).args(["--test", "test/"]).current_dir(folder.path()));
    judges(command(folder.path(), node, &["plugin.mjs"])).await;
}

#[tokio::test]
async fn a_new_plugin_in_rust_passes_its_test_and_judges() {
    let folder = tempfile::tempdir().expect("a folder");
    written(Language::Rust, folder.path());
    // The same versions as this workspace has, which are at hand.
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../Cargo.lock");
    if fs::copy(lock, folder.path().join("Cargo.lock")).is_err() {
        let _: Option<()> = skip("there is no Cargo.lock to take versions from");
        return;
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("template-rust");
    let mut cargo = Command::new(env!("CARGO"));
    succeeds(cargo.args(["test", "--offline", "--quiet", "--target-dir"]).arg(&target).current_dir(folder.path()));
    judges(command(folder.path(), target.join("debug/acme-mentions"), &[])).await;
}
