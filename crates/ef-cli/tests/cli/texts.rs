//! What `ef` prints about itself, and specs brought to another schema version.

use serde_json::json;

use crate::folder::{Folder, SPEC, assert_seen};

#[test]
fn help_and_version_go_to_standard_output_and_are_no_error() {
    let folder = Folder::empty();
    let help = folder.ef("--help").exits(0);
    assert_seen("help", &help);
    assert_eq!(folder.ef("help").exits(0).stdout, help.stdout);
    assert_seen("help_run", folder.ef("help run").exits(0));
    assert_eq!(folder.ef("--version").exits(0).stdout, format!("ef {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn every_command_says_what_it_does() {
    let folder = Folder::empty();
    for command in ef_cli::command().get_subcommands() {
        let help = folder.ef(&format!("{} --help", command.get_name())).exits(0);
        assert!(help.stderr.is_empty() && help.stdout.contains("Usage: ef "), "{help}");
    }
}

#[test]
fn what_is_not_a_command_is_bad_usage() {
    let folder = Folder::empty();
    assert_seen("unknown_command", folder.ef("rnu").exits(2));
    assert_seen("unknown_option", folder.ef("run spec.yaml --datset x").exits(2));
    assert_eq!(folder.ef("").exits(2).stdout, "");
    assert_eq!(folder.ef("run").exits(2).stdout, "");
}

#[test]
fn every_exit_code_is_documented_once() {
    let codes: Vec<_> = ef_cli::EXIT_CODES.iter().map(|(exit, _)| exit.code()).collect();
    assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 7, 130]);
}

#[test]
fn schemas_are_json_schemas_that_tell_right_from_wrong() {
    let folder = Folder::empty();
    let schema = |of: &str| {
        let schema = folder.ef(&format!("schema {of}")).exits(0).json();
        jsonschema::validator_for(&schema).unwrap_or_else(|error| panic!("{of}: {error}"))
    };
    let spec = ef_spec::parse("spec.yaml", SPEC.as_bytes()).expect("a spec").spec.to_value();
    let mut wrong = spec.clone();
    wrong["runtime"]["max_concurent"] = json!(3);
    let cases = [("spec", spec, wrong), ("item", json!({"input": 1, "metadata": {}}), json!({"question": 1}))];
    for (of, right, wrong) in cases {
        let schema = schema(of);
        assert!(schema.is_valid(&right), "{of}: {right}");
        assert!(!schema.is_valid(&wrong), "{of}: {wrong}");
    }
    assert!(!schema("run").is_valid(&json!({})));
    assert_eq!(folder.ef("schema nothing").exits(2).stdout, "");
}

#[test]
fn completions_know_the_commands_and_their_options() {
    let folder = Folder::empty();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = folder.ef(&format!("completions {shell}")).exits(0).stdout;
        for word in ["gate", "tracestore", "max-items"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    // Bash itself finds the script right, where there is a bash.
    folder.write("ef.bash", folder.ef("completions bash").stdout);
    if let Ok(checked) = std::process::Command::new("bash").arg("-n").arg(folder.path("ef.bash")).output() {
        assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
    }
}

#[test]
fn man_prints_a_page_or_writes_all_of_them() {
    let folder = Folder::empty();
    let page = folder.ef("man").exits(0).stdout;
    assert!(page.contains(".TH ef 1") && page.contains("SYNOPSIS"), "{page}");
    folder.ef("man --output pages/man1").exits(0);
    for name in ["ef.1", "ef-run.1", "ef-tracestore-init.1"] {
        assert!(folder.has(&format!("pages/man1/{name}")), "{name}");
    }
    folder.write("file", "");
    assert_seen("man_refused", folder.ef("man --output file/man1").exits(2));
}

#[test]
fn migrate_writes_a_new_file_and_leaves_the_spec_as_it_is() {
    let folder = Folder::new();
    let spec = format!("# keep me\n{SPEC}");
    folder.write("spec.yaml", &spec);
    assert_seen("migrate", folder.ef("migrate spec.yaml --to 1 --output new.yaml").exits(0));
    assert_eq!(folder.read("new.yaml"), spec.as_bytes(), "comments included");
    folder.write("there.yaml", "mine");
    assert_seen("migrate_onto_a_file", folder.ef("migrate spec.yaml --to 1 --output there.yaml").exits(2));
    assert_eq!(folder.read("there.yaml"), b"mine");
    assert_seen("migrate_to_9", folder.ef("migrate spec.yaml --to 9 --output nine.yaml").exits(2));
    folder.write("wrong.yaml", "schema_version: \"1\"\nid: x\n");
    assert_seen("migrate_wrong", folder.ef("migrate wrong.yaml --to 1 --output w.yaml").exits(2));
    assert!(!folder.has("nine.yaml") && !folder.has("w.yaml"));
}
