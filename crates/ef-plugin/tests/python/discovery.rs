//! What an interpreter has installed.

use std::fs;
use std::path::Path;

use ef_plugin::Registry;
use ef_plugin::process::ExternalPlugin;
use ef_plugin::python::{Distribution, Interpreter};
use serde_json::{Map, json};

use super::driver::{environment, number, python};

/// Puts a distribution into a folder, as an installer would.
fn install(folder: &Path, points: &str) {
    let info = folder.join("acme_judges-1.2.dist-info");
    fs::create_dir_all(&info).expect("a folder");
    let source = "class Near:\n    id, version, determinism = 'acme.near', '3.1', 'deterministic'\n    def judge(self, item, output):\n        return 0.5\n";
    fs::write(folder.join("acme.py"), source).expect("written");
    fs::write(info.join("METADATA"), "Metadata-Version: 2.1\nName: acme-judges\nVersion: 1.2\n").expect("written");
    fs::write(info.join("entry_points.txt"), points).expect("written");
    fs::write(info.join("RECORD"), "acme.py,,\nacme_judges-1.2.dist-info/METADATA,,\n").expect("written");
}

fn acme(python: &Interpreter, folder: &Path) -> Distribution {
    let environment = environment(&[("PYTHONPATH", folder.to_str().expect("a text"))]);
    let found = python.distributions(&environment).expect("listed");
    found.into_iter().find(|distribution| distribution.name == "acme-judges").expect("found")
}

#[tokio::test]
async fn an_installed_distribution_is_known_before_it_is_started_and_used_under_its_ids() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    install(folder.path(), "[eval_fabric.judges]\nacme.near = acme:Near\nnear = acme:Near\n");
    let found = acme(&python, folder.path());
    assert_eq!((found.version.as_str(), found.plugin.command.source.as_str()), ("1.2", "python acme-judges 1.2"));
    let ids: Vec<_> = found.declared.judges.iter().map(|judge| judge.id.as_str()).collect();
    assert_eq!((ids, found.declared.evaluators.len()), (vec!["acme.near"], 0));
    insta::assert_snapshot!(found.problems.join("\n"), @"the judge `near` cannot be named in a spec: an evaluator's or judge's id is 'owner.name' of letters, digits, '_' and '-', with two or more parts, at most 128 bytes");

    let mut registry = Registry::new();
    let plugin = ExternalPlugin::new(found.plugin.command);
    plugin.declared(&found.declared).register(&mut registry).expect("registered");
    let id = "acme.near".parse().expect("an id");
    let judge = registry.create_judge(&id, &Map::new(), &environment(&[])).await.expect("made");
    assert_eq!((judge.identity().version.as_str(), judge.identity().digest), ("3.1", plugin.command().digest));
    assert!((number(&judge, "", "", None).await - 0.5).abs() < f64::EPSILON);
    plugin.shutdown().await;
}

#[tokio::test]
async fn the_digest_is_of_the_code_wherever_it_is_and_a_change_is_noticed_before_the_start() {
    let Some(python) = python() else { return };
    let [here, there] = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
    for folder in [&here, &there] {
        install(folder.path(), "[eval_fabric.judges]\nacme.near = acme:Near\n");
    }
    let found = acme(&python, here.path());
    assert_eq!(found.plugin.command.digest, acme(&python, there.path()).plugin.command.digest);
    fs::write(here.path().join("acme.py"), "x = 1").expect("written");
    assert_ne!(acme(&python, here.path()).plugin.command.digest, found.plugin.command.digest);
    let error = ExternalPlugin::new(found.plugin.command).describe().await.expect_err("it has changed").to_string();
    assert!(error.contains("changed"), "{error}");
}

#[test]
fn a_module_that_is_not_there_is_told_before_anything_starts() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let found = python.module("p", "nowhere.at_all:x", folder.path(), "ef.toml", &environment(&[]));
    let error = found.err().expect("an error").to_string();
    assert!(error.contains("finds no module `nowhere.at_all`, neither in "), "{error}");
}

#[test]
fn an_interpreter_that_is_none_says_what_it_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = folder.path().join("python");
    fs::write(&program, "#!/bin/sh\necho first >&2\necho 'not today' >&2\nexit 3\n").expect("written");
    fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("executable");
    let python = Interpreter::find(Some(&program), folder.path(), &environment(&[])).expect("found").expect("there");
    let error = python.distributions(&environment(&[])).err().expect("an error").to_string();
    assert!(error.ends_with("cannot list plugins: not today"), "{error}");
    assert_eq!(json!(python.program()), json!(program));
}
