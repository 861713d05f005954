//! The log on standard error.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use crate::folder::{Ended, Folder};
use crate::slow::Slow;
use crate::world::{ef, variables};

/// A folder with a run in which an attempt fails, a task fails and a row is skipped.
fn troubled() -> (Folder, ef_testkit::model_server::ModelServer) {
    use ef_testkit::model_server::{ModelServer, Reply, Script};
    let script = Script::always(Reply::text("x")).when(|call| call.mentions("broken"), Reply::error(400));
    let server = ModelServer::start(script.first(1, Reply::error(500)));
    let folder = Folder::empty();
    folder.write("spec.yaml", format!(
        "schema_version: \"1\"\nid: test/log\nversion: 1.0.0\nevaluator: {{id: eval_fabric.openai_chat, config: {{base_url: \"{}\", model: m}}}}\njudges:\n  - {{id: eval_fabric.contains, config: {{expected: x}}}}\n",
        server.openai_url()
    ));
    folder.write(
        "dataset.jsonl",
        "{\"item_id\": \"a\", \"input\": \"one\"}\n{\"item_id\": \"b\", \"input\": \"broken\"}\nno row\n",
    );
    (folder, server)
}

fn run(more: &str, level: Option<&str>) -> Ended {
    let (folder, _server) = troubled();
    let level: Vec<_> = level.map(|level| ("EVAL_FABRIC_LOG_LEVEL", level)).into_iter().collect();
    ef(&folder, &format!("run spec.yaml --dataset dataset.jsonl --run-id logged {more}"), &variables(&level)).exits(0)
}

/// The level of a line of the log, where it is one.
fn level(line: &str) -> Option<&str> {
    let (time, rest) = line.split_at_checked("2026-11-22T23:10:00.123Z".len())?;
    let is_time = |(byte, model): (u8, u8)| if model.is_ascii_digit() { byte.is_ascii_digit() } else { byte == model };
    let is_line = time.bytes().zip(*b"2026-11-22T23:10:00.123Z").all(is_time);
    let level = rest.split_whitespace().next()?;
    (is_line && ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"].contains(&level)).then_some(level)
}

fn lines<'a>(ended: &'a Ended, wanted: &str) -> Vec<&'a str> {
    ended.stderr.lines().filter(|line| level(line) == Some(wanted)).collect()
}

#[test]
fn at_info_a_run_says_what_it_does_and_each_line_says_which_run() {
    let ended = run("", None);
    let told: Vec<_> = ended.stderr.lines().filter(|line| level(line).is_some()).collect();
    for wanted in ["run started", "run finished", "attempt failed"] {
        assert_eq!(told.iter().filter(|line| line.contains(wanted)).count(), 1, "{wanted}: {ended}");
    }
    let from = told.iter().position(|line| line.contains("run started")).expect("it is there");
    assert!(told[from..].iter().all(|line| line.contains("run_id=logged")), "{ended}");
    assert_eq!(lines(&ended, "WARN").len(), 1, "the retry: {ended}");
    assert!(told.len() <= 12, "few lines and useful ones: {ended}");
    assert!(!ended.stderr.contains('\u{1b}'), "no colours where there is no terminal");
    assert!(!ended.stderr.contains("item b"), "nothing of items at INFO");
}

#[test]
fn as_json_each_line_of_standard_error_is_an_object_with_time_level_target_message_and_run() {
    let ended = run("--log-format json", None);
    let told: Vec<Value> = ended
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    for line in &told {
        for key in ["timestamp", "level", "target", "message"] {
            assert!(line[key].is_string(), "{line}");
        }
    }
    let from = told.iter().position(|line| line["message"] == "run started").expect("it is there");
    assert!(told[from..].iter().all(|line| line["run_id"] == "logged"), "{ended}");
    let retry = told.iter().find(|line| line["level"] == "WARN").expect("an attempt failed");
    assert_eq!((&retry["component_id"], &retry["attempt"]), (&"eval_fabric.openai_chat".into(), &1.into()), "{retry}");
}

#[test]
fn levels_are_as_they_are_asked_for() {
    let told = |asked: &str| {
        let ended = run("", Some(asked));
        ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"].map(|level| !lines(&ended, level).is_empty())
    };
    assert_eq!(told("off"), [false; 5]);
    assert_eq!(told("error"), [false; 5]);
    assert_eq!(told("warn"), [false, true, false, false, false]);
    assert_eq!(told("WARN"), told("warn"));
    assert_eq!(told("info"), [false, true, true, false, false]);
    assert_eq!(told("debug")[..4], [false, true, true, true]);
    assert_eq!(told("trace")[..4], [false, true, true, true]);
}

#[test]
fn at_debug_what_failed_is_told_by_item_and_code() {
    let ended = run("", Some("debug"));
    let failed: Vec<_> = lines(&ended, "DEBUG").into_iter().filter(|line| line.contains("evaluator failed")).collect();
    let [line] = &failed[..] else { panic!("one task failed: {ended}") };
    assert!(line.contains("item_id=b") && line.contains("400"), "{line}");
}

#[test]
fn a_part_of_the_program_can_have_a_level_of_its_own() {
    let ended = run("", Some("warn,ef_runner=debug"));
    assert!(!lines(&ended, "DEBUG").is_empty() && ended.stderr.contains("run started"), "{ended}");
    let ended = run("", Some("info,ef_runner=off"));
    assert!(!ended.stderr.contains("run started") && !ended.stderr.contains("attempt failed"), "{ended}");
}

#[test]
fn the_log_of_a_library_is_shown_where_it_is_named_and_nowhere_else() {
    let of_libraries = |level: &str| {
        let ended = run("--log-format json", Some(level));
        let lines = ended.stderr.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        let targets = lines.map(|line| line["target"].as_str().expect("a target").to_owned());
        targets.filter(|target| !target.starts_with("ef_")).collect::<BTreeSet<_>>()
    };
    assert_eq!(of_libraries("trace"), BTreeSet::new(), "not even at TRACE");
    let named = of_libraries("info,hyper_util=trace");
    assert!(!named.is_empty() && named.iter().all(|target| target.starts_with("hyper_util")), "{named:?}");
}

/// What stands on a screen after all this was written to it: lines, as `\r`, `\n`, erasing and moving up leave them.
fn screen(bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let (mut lines, mut row, mut column): (Vec<Vec<char>>, _, _) = (vec![Vec::new()], 0_usize, 0_usize);
    let mut rest = text.chars().peekable();
    while let Some(character) = rest.next() {
        match character {
            '\r' => column = 0,
            '\n' => {
                row += 1;
                if lines.len() == row {
                    lines.push(Vec::new());
                }
            }
            '\u{1b}' if rest.peek() == Some(&'[') => {
                rest.next();
                let mut number = String::new();
                let command = loop {
                    match rest.next() {
                        Some(digit) if digit.is_ascii_digit() || "?;".contains(digit) => number.push(digit),
                        command => break command,
                    }
                };
                match command {
                    Some('K') if number == "2" => lines[row].clear(),
                    Some('K') => lines[row].truncate(column),
                    Some('J') => {
                        lines.truncate(row + 1);
                        lines[row].truncate(column);
                    }
                    Some('A') => row = row.saturating_sub(number.parse().unwrap_or(1)),
                    Some('B') => {
                        row += number.parse().unwrap_or(1);
                        lines.resize(lines.len().max(row + 1), Vec::new());
                    }
                    Some('G') => column = number.parse().unwrap_or(1) - 1,
                    // Colours, and whether the cursor is seen.
                    Some('m' | 'h' | 'l') => (),
                    other => panic!("a sequence that this screen does not know: {number}{other:?}"),
                }
            }
            character => {
                let line = &mut lines[row];
                if line.len() <= column {
                    line.resize(column + 1, ' ');
                }
                line[column] = character;
                column += 1;
            }
        }
    }
    lines.into_iter().map(|line| line.into_iter().collect::<String>().trim_end().to_owned()).collect()
}

#[test]
fn on_a_terminal_the_log_stands_in_whole_lines_around_the_progress_line() {
    let slow = Slow::new(60, std::time::Duration::from_millis(60));
    let inner = format!(
        "stty cols 160; {} run spec.yaml --dataset dataset.jsonl --run-id logged > result.txt",
        env!("CARGO_BIN_EXE_ef")
    );
    let output = Command::new("script")
        .args(["-qec", &inner, "/dev/null"])
        .current_dir(slow.folder.path(""))
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .envs([("TERM", "xterm"), ("EVAL_FABRIC_LOG_LEVEL", "debug,hyper_util=debug,reqwest=debug")])
        .output();
    let Ok(output) = output else {
        eprintln!("SKIPPED: there is no `script` on the PATH, which gives a program a terminal");
        return;
    };
    let written = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{written}");
    assert!(written.contains("in flight"), "there was a progress line: {written:?}");
    let seen = screen(&output.stdout);
    let log: Vec<_> = seen.iter().filter(|line| level(line).is_some()).collect();
    assert!(log.len() > 20, "{seen:#?}");
    for line in &seen {
        let stamps = line.matches("run_id=logged").count();
        assert!(stamps <= 1, "two lines in one: {line}");
        if line.contains("run_id=logged") {
            assert!(
                level(line).is_some() && line.ends_with("run_id=logged"),
                "something is before or after it: {line}"
            );
        }
    }
}
