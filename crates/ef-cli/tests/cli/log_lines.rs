//! The log on standard error, for people and for programs.

use serde_json::Value;

use crate::folder::{Ended, Folder, SPEC, assert_seen};

const INFO: &[(&str, &str)] = &[("EVAL_FABRIC_LOG_LEVEL", "info")];

/// Standard error, of which every line is an object.
#[track_caller]
fn objects(ended: &Ended) -> Vec<Value> {
    let object = |line: &str| {
        let value: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}\n{ended}"));
        for key in ["timestamp", "level", "target", "message"] {
            assert!(value[key].is_string(), "{key}: {line}");
        }
        value
    };
    ended.stderr.lines().map(object).collect()
}

fn run(folder: &Folder, arguments: &str, environment: &[(&str, &str)]) -> Ended {
    let line = format!("run spec.yaml --dataset dataset.jsonl --run-id r1 {arguments}");
    folder.ef_with(line.split_whitespace(), "", environment)
}

#[test]
fn a_run_says_a_few_lines_by_default_and_none_when_the_log_is_off() {
    let folder = Folder::new();
    let ended = run(&folder, "", INFO).exits(0);
    let times = without_times(&ended.stderr);
    assert_seen("log_run", times);
    let quiet = Folder::new();
    assert_seen("log_off", run(&quiet, "", &[("EVAL_FABRIC_LOG_LEVEL", "off")]).exits(0).stderr);
    let default = Folder::new();
    let line = "run spec.yaml --dataset dataset.jsonl --run-id r1";
    let by_default = default.ef_with(line.split_whitespace(), "", &[("EVAL_FABRIC_LOG_LEVEL", "")]).exits(0);
    assert_eq!(by_default.stderr.lines().count(), ended.stderr.lines().count(), "INFO is the default: {by_default}");
}

/// Lines without the times that they begin with.
fn without_times(stderr: &str) -> String {
    let line = |line: &str| match line.split_once("Z ") {
        Some((time, rest)) if time.starts_with("20") && time.contains('T') => format!("[TIME] {rest}\n"),
        _ => format!("{line}\n"),
    };
    stderr.lines().map(line).collect()
}

#[test]
fn with_json_every_line_is_an_object_that_says_which_run_it_is_about() {
    let folder = Folder::new();
    let ended = run(&folder, "--log-format json", INFO).exits(0);
    let lines = objects(&ended);
    assert!(lines.iter().all(|line| line["run_id"] == "r1"), "{ended}");
    let messages: Vec<_> = lines.iter().filter_map(|line| line["message"].as_str()).collect();
    for wanted in ["trace store opened", "run started", "run finished", "result written"] {
        assert!(messages.contains(&wanted), "{wanted}: {ended}");
    }
    let opened = &lines[messages.iter().position(|message| *message == "trace store opened").expect("it is there")];
    assert_eq!((&opened["backend"], &opened["schema_version"]), (&Value::from("sqlite"), &Value::from(1)), "{opened}");
    assert!(ended.stdout.contains("accuracy"), "the result is as it was: {ended}");
}

#[test]
fn with_json_what_goes_wrong_is_an_object_with_its_exit_code_places_and_help() {
    let folder = Folder::new();
    let absent = folder.ef("show latest --store sqlite://absent.db --log-format json").exits(4);
    let lines = objects(&absent);
    let [line] = &lines[..] else { panic!("one line: {absent}") };
    assert_eq!((&line["level"], &line["exit_code"]), (&Value::from("ERROR"), &Value::from(4)), "{absent}");
    assert!(line["help"].is_string(), "{absent}");

    folder.write(
        "spec.yaml",
        SPEC.replace("right}\nscoring", "right, wieght: 2}\nscoring")
            .replace("accuracy, from: right", "accuracy, from: rihgt"),
    );
    let wrong = run(&folder, "--log-format=json", &[]).exits(2);
    let lines = objects(&wrong);
    let problems = lines.last().and_then(|line| line["problems"].as_array()).unwrap_or_else(|| panic!("{wrong}"));
    assert!(problems.len() >= 2, "{wrong}");
    for problem in problems {
        assert!(
            problem["message"].is_string() && problem["line"].is_u64() && problem["file"] == "spec.yaml",
            "{wrong}"
        );
    }

    // Even where the arguments are not understood.
    let usage = folder.ef("run spec.yaml --log-format json --datset x").exits(2);
    let lines = objects(&usage);
    assert!(lines[0]["message"].as_str().is_some_and(|message| message.contains("--datset")), "{usage}");
}

#[test]
fn what_ends_a_run_is_told_a_person_once_and_a_program_in_the_log_too() {
    let folder = Folder::new();
    folder.write("broken.json", "[{\"item_id\": \"a\", \"input\": 1}, }");
    let run = |arguments: &str| folder.ef_with(format!("run spec.yaml {arguments}").split_whitespace(), "", INFO);
    let ended = run("--dataset broken.json").exits(2);
    assert!(ended.stderr.contains("trace store opened") && !ended.stderr.contains(" ERROR "), "{ended}");
    assert_eq!(ended.stderr.matches("the file ends before").count(), 1, "{ended}");
    let lines = objects(&run("--dataset broken.json --log-format json").exits(2));
    let errors: Vec<_> = lines.iter().filter(|line| line["level"] == "ERROR").collect();
    let [logged, told] = &errors[..] else { panic!("the log and the command say it: {lines:#?}") };
    assert_eq!((&logged["message"], &told["exit_code"]), (&Value::from("run ended early"), &Value::from(2)));

    folder.write("spec.yaml", format!("{SPEC}runtime: {{on_failure: abort}}\n"));
    folder.write("data.jsonl", "{\"item_id\": \"a\", \"input\": 1}\n{");
    let ended = run("--dataset data.jsonl --format json").exits(3);
    assert_eq!(ended.stderr.matches("the run ended early").count(), 1, "{ended}");
    assert!(ended.stdout.contains("aborted"), "{ended}");
}

#[test]
fn a_setting_that_cannot_be_used_is_named_and_the_run_goes_on() {
    let folder = Folder::new();
    let environment = [("EVAL_FABRIC_LOG_LEVEL", "loud"), ("OTEL_TRACES_EXPORTER", "zipkin")];
    let ended = run(&folder, "", &environment).exits(0);
    for variable in ["EVAL_FABRIC_LOG_LEVEL", "OTEL_TRACES_EXPORTER"] {
        assert_eq!(ended.stderr.matches(variable).count(), 1, "{variable}: {ended}");
    }
}

#[test]
fn commands_that_only_look_say_nothing_of_themselves() {
    let folder = Folder::new();
    run(&folder, "", INFO).exits(0);
    for line in ["runs", "show r1", "verify r1", "diff r1 r1", "gate r1 --metric accuracy --min 0.1", "tracestore info"]
    {
        let ended = folder.ef_with(line.split_whitespace(), "", INFO).exits(0);
        assert_eq!(ended.stderr, "", "{line}");
    }
}

#[test]
fn a_password_in_a_stores_uri_is_in_no_line() {
    let folder = Folder::new();
    let uri = "postgres://me:hunter2@127.0.0.1:1/db?connect_timeout=1";
    let line = format!("run spec.yaml --dataset dataset.jsonl --store {uri} --log-format json");
    let ended = folder.ef_with(line.split_whitespace(), "", &[("EVAL_FABRIC_LOG_LEVEL", "trace")]);
    assert_ne!(ended.code, Some(0), "{ended}");
    assert!(!objects(&ended).is_empty() && !ended.stderr.contains("hunter2"), "{ended}");
}
