//! A first project, and the runs that it makes.

use crate::folder::{Folder, assert_seen};

fn project() -> Folder {
    let folder = Folder::empty();
    folder.ef("init .").exits(0);
    folder
}

const RUN: &str = "run spec.yaml --dataset dataset.jsonl";

#[test]
fn init_makes_a_project_that_runs_as_it_is() {
    let folder = Folder::empty();
    assert_seen("init", folder.ef("init deep/project").exits(0));
    let ran = folder.ef("run deep/project/spec.yaml --dataset deep/project/dataset.jsonl").exits(0);
    assert_seen("init_run", &ran);
    let next = ran.stderr.lines().find_map(|line| line.strip_prefix("next    ef ")).expect("a next command");
    assert_seen("init_next", folder.ef(next).exits(0));
}

#[test]
fn every_command_that_the_project_readme_and_the_page_show_works() {
    let folder = project();
    let readme = String::from_utf8(folder.read("README.md")).expect("UTF-8");
    let commands: Vec<_> = readme.lines().filter_map(|line| line.strip_prefix("    ef ")).collect();
    assert!(commands.len() >= 3, "{readme}");
    for command in commands {
        folder.ef(command).exits(0);
    }
}

#[test]
fn the_spec_of_a_new_project_names_a_schema_that_is_there_and_that_it_fits() {
    let folder = project();
    let spec = String::from_utf8(folder.read("spec.yaml")).expect("UTF-8");
    assert_eq!(spec.lines().next(), Some("# yaml-language-server: $schema=./spec.schema.json"));
    let schema: serde_json::Value = serde_json::from_slice(&folder.read("spec.schema.json")).expect("JSON");
    assert_eq!(schema, folder.ef("schema spec").json());
    let loaded = ef_spec::parse("spec.yaml", spec.as_bytes()).expect("the spec is right");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    assert!(validator.is_valid(&loaded.spec.to_value()));
}

#[test]
fn init_overwrites_nothing() {
    let folder = Folder::empty();
    folder.write("dataset.jsonl", "mine");
    assert_seen("init_refuses", folder.ef("init .").exits(2));
    assert_eq!(folder.read("dataset.jsonl"), b"mine");
    assert!(!folder.has("spec.yaml"), "nothing is written at all");
    assert_eq!(folder.ef("init dataset.jsonl").exits(2).stdout, "");
}

#[test]
fn runs_lists_every_run_the_latest_first() {
    let folder = project();
    for id in ["first", "second", "third"] {
        folder.ef(&format!("{RUN} --run-id {id}")).exits(0);
    }
    assert_seen("runs", folder.ef("runs").exits(0));
    let ids = |line: &str| {
        let runs = folder.ef(line).exits(0).json_lines();
        runs.iter().map(|run| run["run_id"].as_str().expect("an id").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids("runs --format json"), ["third", "second", "first"]);
    assert_eq!(ids("runs --format json --limit 2"), ["third", "second"]);
    assert_eq!(ids("runs --format json se"), ["second"]);
    assert_eq!(ids("runs --format json nothing"), [""; 0]);
}

#[test]
fn a_run_is_found_by_its_id_a_unique_prefix_or_latest() {
    let folder = project();
    for id in ["nightly-1", "nightly-10", "weekly"] {
        folder.ef(&format!("{RUN} --run-id {id}")).exits(0);
    }
    let found = |reference: &str| {
        let shown = folder.ef(&format!("show {reference} --format json")).exits(0).json();
        shown["run_id"].as_str().expect("an id").to_owned()
    };
    assert_eq!(found("latest"), "weekly");
    assert_eq!(found("w"), "weekly");
    assert_eq!(found("nightly-1"), "nightly-1", "a whole id wins over the ids that it begins");
    assert_eq!(found("nightly-10"), "nightly-10");
    assert_seen("ambiguous_prefix", folder.ef("show night").exits(2));
    assert_seen("unknown_run", folder.ef("show 2025").exits(2));
    // These mean something in a pattern of SQL.
    for reference in ["%", "_eekly", "week*", ""] {
        let ended = folder.ef_with(["show", reference], "", &[]);
        assert_eq!(ended.code, Some(2), "{reference:?}: {ended}");
    }
}

#[test]
fn a_run_id_is_used_once_and_has_to_be_a_name() {
    let folder = project();
    folder.ef(&format!("{RUN} --run-id one")).exits(0);
    assert_seen("run_exists", folder.ef(&format!("{RUN} --run-id one")).exits(2));
    for id in ["latest", "../escape", ".hidden", "a/b"] {
        let ended = folder.ef(&format!("{RUN} --run-id {id}")).exits(2);
        assert_eq!(ended.stdout, "", "{id}");
    }
    assert_eq!(folder.ef("runs --format json").json_lines().len(), 1);
}

#[test]
fn show_tells_a_metric_the_traces_and_an_item() {
    let folder = project();
    folder.ef(&format!("{RUN} --run-id one")).exits(0);
    assert_seen("show_metric", folder.ef("show one --metric accuracy").exits(0));
    assert_seen("show_traces", folder.ef("show one --traces").exits(0));
    assert_seen("show_item", folder.ef("show one --item kenya --payloads").exits(0));
    assert_seen("show_unknown_item", folder.ef("show one --item atlantis").exits(2));
    assert_seen("show_unknown_metric", folder.ef("show one --metric acuracy").exits(2));
    assert_seen("show_payloads_of_what", folder.ef("show one --payloads").exits(2));
    assert_eq!(folder.ef("show one --status error --format json").exits(0).stdout, "");
    assert_eq!(folder.ef("show one --status ok --format json").exits(0).json_lines().len(), 6);
}

#[test]
fn the_next_command_finds_a_store_that_only_the_spec_names() {
    let folder = Folder::new();
    let named = |uri: &str| format!("{}runtime: {{trace_store: \"{uri}\"}}\n", crate::folder::SPEC);
    for (uri, argument) in [
        ("sqlite://kept.db", " --store sqlite://kept.db"),
        ("sqlite://in a folder/it's.db", r" --store 'sqlite://in a folder/it'\''s.db'"),
        ("sqlite:///./runs/runs.db", ""),
    ] {
        folder.write("spec.yaml", named(uri));
        let ran = folder.ef("run spec.yaml --dataset dataset.jsonl --run-id one").exits(0);
        assert!(ran.stderr.ends_with(&format!("next    ef show one --traces{argument}\n")), "{ran}");
        let next = ran.stderr.lines().find_map(|line| line.strip_prefix("next    ")).expect("a next command");
        let shell = std::process::Command::new("sh")
            .args(["-c", &next.replacen("ef", env!("CARGO_BIN_EXE_ef"), 1)])
            .current_dir(folder.path(""))
            .output()
            .expect("there is a shell");
        assert!(shell.status.success(), "{next}: {}", String::from_utf8_lossy(&shell.stderr));
    }
}
