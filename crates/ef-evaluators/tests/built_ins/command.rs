//! The evaluator that starts a program.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ef_model::{CallContext, CallError, ErrorKind, EvalItem, Payload, Pricing, TraceContext, Usage};
use serde_json::{Value, json};

use crate::{asking, context, create_in, environment, evaluate, item, made, metadata, problems, run};

const ID: &str = "eval_fabric.command";

/// A config that gives this script to the shell.
fn shell(script: &str) -> Value {
    json!({"argv": ["sh", "-c", script]})
}

fn with(mut config: Value, more: Value) -> Value {
    let Value::Object(more) = more else { panic!("not a map: {more}") };
    config.as_object_mut().expect("a map").extend(more);
    config
}

fn output_of(config: Value, item: &EvalItem) -> Result<String, CallError> {
    evaluate(&*made(ID, config), item).map(|output| output.output.expose().to_owned())
}

fn error_of(config: Value) -> CallError {
    output_of(config, &item(None)).expect_err("an error")
}

fn detail(error: &CallError) -> Value {
    error.detail.as_ref().map(Payload::expose_value).unwrap_or_default()
}

fn is_alive(pid: &str) -> bool {
    // A zombie has ended: only its parent has not looked yet.
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < Duration::from_secs(20), "not within 20 s: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn read_pid(file: &Path) -> String {
    wait_until("the program writes its id", || fs::read_to_string(file).is_ok_and(|pid| pid.ends_with('\n')));
    fs::read_to_string(file).expect("it was there").trim().to_owned()
}

#[test]
fn the_item_goes_in_and_the_output_comes_out_byte_for_byte() {
    let seen = output_of(with(shell("cat"), json!({"output": "json"})), &item(Some(r#"{"a":1.50}"#)));
    let expected = r#"{"item_id":"dev:1","input":{ "question":"q",  "n": 1.50 },"metadata":{"a":1.50}}"#;
    assert_eq!(seen.expect("an output"), expected);
}

#[test]
fn the_reference_is_sent_only_where_the_config_says_so() {
    let seen = |more| -> Value {
        let config = with(with(shell("cat"), json!({"output": "json"})), more);
        serde_json::from_str(&output_of(config, &item(None)).expect("an output")).expect("JSON")
    };
    assert_eq!(seen(json!({})).get("reference_output"), None);
    assert_eq!(seen(json!({"send_reference": true}))["reference_output"], "the reference");
}

#[test]
fn text_is_the_default_and_loses_its_last_line_break() {
    assert_eq!(output_of(shell("echo 18"), &item(None)).expect("an output"), "\"18\"");
    assert_eq!(output_of(with(shell("echo 18"), json!({"output": "json"})), &item(None)).expect("an output"), "18");
    let output = evaluate(&*made(ID, shell("printf 'é'; echo noise >&2")), &item(None)).expect("an output");
    assert_eq!(output.output.expose(), "\"é\"");
    assert_eq!(metadata(&output), json!({}));
    assert_eq!(output.usage, Usage::UNKNOWN);
}

#[test]
fn no_shell_reads_the_arguments() {
    let config = json!({"argv": ["printf", "%s|%s", "$HOME `id`; *", "a b"]});
    assert_eq!(output_of(config, &item(None)).expect("an output"), r#""$HOME `id`; *|a b""#);
}

#[test]
fn an_exit_code_is_an_error_with_the_code_and_its_words_only_in_the_detail() {
    let error = error_of(shell("echo secret; echo hidden >&2; exit 3"));
    assert_eq!((error.kind, error.code.as_ref()), (ErrorKind::Permanent, "exit_3"));
    assert_eq!(error.message, "the program ended with exit code 3");
    assert_eq!(detail(&error), json!({"stdout": "secret\n", "stderr": "hidden\n"}));
}

#[test]
fn an_exit_code_may_mean_try_again() {
    assert_eq!(error_of(shell("exit 75")).kind, ErrorKind::Transient);
    let config = with(shell("exit 9"), json!({"retry_exit_codes": [8, 9]}));
    assert_eq!(error_of(config).kind, ErrorKind::Transient);
    assert_eq!(error_of(with(shell("exit 75"), json!({"retry_exit_codes": []}))).kind, ErrorKind::Permanent);
}

#[test]
fn a_program_that_is_killed_is_an_error_that_names_the_signal() {
    let error = error_of(shell("kill -9 $$"));
    assert_eq!((error.kind, error.code.as_ref()), (ErrorKind::Permanent, "signal_9"));
}

#[test]
fn what_is_not_of_the_form_is_an_invalid_output() {
    for (script, form, code) in [
        ("echo secret", "json", "output_not_json"),
        ("true", "json", "output_not_json"),
        (r#"echo '{"secret":1,"secret":2}'"#, "json", "output_not_json"),
        (r"printf 'secret\377'", "text", "output_not_utf8"),
        (r"printf '\377'", "json", "output_not_utf8"),
    ] {
        let error = error_of(with(shell(script), json!({"output": form})));
        assert_eq!((error.kind, error.code.as_ref()), (ErrorKind::InvalidOutput, code), "{script}");
        assert!(!format!("{error:?} {error}").contains("secret"), "{error}");
    }
}

#[test]
fn a_program_that_does_not_read_its_input_is_no_error() {
    let long = asking(&Value::from("x".repeat(4 << 20)).to_string());
    assert_eq!(output_of(shell("exec <&-; echo done"), &long).expect("an output"), "\"done\"");
    assert_eq!(output_of(shell("head -c 1 >&2; echo done"), &long).expect("an output"), "\"done\"");
}

#[test]
fn a_long_input_and_a_long_output_pass_each_other() {
    let text = Value::from("x".repeat(2 << 20)).to_string();
    let config = with(shell("cat"), json!({"output": "json"}));
    let seen: Value = serde_json::from_str(&output_of(config, &asking(&text)).expect("an output")).expect("JSON");
    assert_eq!(seen["input"].to_string(), text);
}

#[test]
fn a_flood_is_stopped_at_the_limit() {
    let began = Instant::now();
    let error = error_of(with(shell("yes"), json!({"max_output_bytes": 1 << 20})));
    assert_eq!((error.kind, error.code.as_ref()), (ErrorKind::InvalidOutput, "output_too_large"));
    let error = error_of(shell("head -c 1000000000 /dev/zero"));
    assert_eq!(error.code, "output_too_large");
    assert!(error.message.contains("8388608"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[test]
fn exactly_the_limit_is_not_too_much() {
    let at_limit = |script| output_of(with(shell(script), json!({"max_output_bytes": 3})), &item(None));
    assert_eq!(at_limit("printf abc").expect("an output"), "\"abc\"");
    assert_eq!(at_limit("printf abcd").expect_err("too much").code, "output_too_large");
}

#[test]
fn of_a_flood_of_errors_the_end_is_kept() {
    let error = error_of(shell("head -c 50000000 /dev/zero | tr '\\0' x >&2; echo end >&2; exit 1"));
    let kept = detail(&error)["stderr"].as_str().expect("a text").to_owned();
    assert!(kept.ends_with("xx\nend\n") || kept.ends_with("xend\n"), "{}", &kept[kept.len() - 10..]);
    assert_eq!(kept.len(), 8 << 10);
}

#[test]
fn a_dropped_call_ends_the_whole_process_group() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name);
    // The child of the shell ignores what asks it to end.
    let script = format!(
        "sh -c 'trap \"\" TERM; echo $$ > {}; while :; do sleep 0.05; done' & echo $$ > {}; wait",
        file("grandchild").display(),
        file("child").display()
    );
    let evaluator = made(ID, shell(&script));
    run(async {
        let item = item(None);
        let context = context();
        let pids = tokio::task::spawn_blocking({
            let (child, grandchild) = (file("child"), file("grandchild"));
            move || {
                let (child, grandchild) = (read_pid(&child), read_pid(&grandchild));
                assert!(is_alive(&child) && is_alive(&grandchild), "nothing has ended them yet");
                (child, grandchild)
            }
        });
        let (child, grandchild) = tokio::select! {
            _ = evaluator.evaluate(&item, &context) => panic!("it does not end by itself"),
            pids = pids => pids.expect("both are there"),
        };
        // The call is dropped; what ends the group goes on beside the run.
        tokio::task::spawn_blocking(move || {
            wait_until("the shell is gone", || !is_alive(&child));
            wait_until("its child is gone", || !is_alive(&grandchild));
        })
        .await
        .expect("both are gone");
    });
}

#[test]
fn a_program_that_is_told_to_end_may_tidy_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name);
    let (started, tidied) = (file("started"), file("tidied"));
    let script = format!(
        "trap 'echo ending >&2; echo ending; sleep 0.1; echo done > {}; exit' TERM; echo $$ > {}; while :; do sleep 0.01; done",
        tidied.display(),
        started.display()
    );
    let evaluator = made(ID, shell(&script));
    run(async {
        let (item, context) = (item(None), context());
        let found = tokio::task::spawn_blocking(move || read_pid(&started));
        let pid = tokio::select! {
            _ = evaluator.evaluate(&item, &context) => panic!("it does not end by itself"),
            pid = found => pid.expect("it is there"),
        };
        tokio::task::spawn_blocking(move || wait_until("the program is gone", || !is_alive(&pid))).await.expect("gone");
    });
    assert_eq!(fs::read_to_string(tidied).expect("it had time to write"), "done\n");
}

#[test]
fn a_call_that_is_dropped_with_its_runtime_ends_the_process_group_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pid");
    let script = format!("trap '' TERM; echo $$ > {}; while :; do sleep 0.05; done", file.display());
    let evaluator = made(ID, shell(&script));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let (item, context) = (item(None), context());
    drop(runtime.spawn(async move { evaluator.evaluate(&item, &context).await }));
    let pid = read_pid(&file);
    runtime.shutdown_timeout(Duration::from_secs(5));
    wait_until("the program is gone", || !is_alive(&pid));
}

#[test]
fn a_call_that_was_dropped_before_its_runtime_gets_no_more_time_than_that() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pid");
    let script = format!("trap '' TERM; echo $$ > {}; while :; do sleep 0.05; done", file.display());
    let evaluator = made(ID, shell(&script));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let pid = runtime.block_on(async {
        let (item, context) = (item(None), context());
        let found = tokio::task::spawn_blocking(move || read_pid(&file));
        tokio::select! {
            _ = evaluator.evaluate(&item, &context) => panic!("it does not end by itself"),
            pid = found => pid.expect("it is there"),
        }
    });
    assert!(is_alive(&pid), "it may still tidy up");
    let began = Instant::now();
    drop(runtime);
    wait_until("the program is gone", || !is_alive(&pid));
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}

#[test]
fn what_a_program_leaves_behind_is_ended_and_holds_nothing_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pid");
    // It keeps the pipes open.
    let script = format!(
        "sh -c 'echo $$ > {}; exec sleep 600' & while [ ! -s {0} ]; do sleep 0.01; done; echo done",
        file.display()
    );
    let began = Instant::now();
    assert_eq!(output_of(shell(&script), &item(None)).expect("an output"), "\"done\"");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let pid = read_pid(&file);
    wait_until("what was left behind is gone", || !is_alive(&pid));
}

#[test]
fn a_process_that_left_the_group_with_the_pipes_open_holds_nothing_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pid");
    let script = format!(
        "setsid sh -c 'echo $$ > {}; exec sleep 20' & while [ ! -s {0} ]; do sleep 0.01; done; echo done",
        file.display()
    );
    let began = Instant::now();
    assert_eq!(output_of(shell(&script), &item(None)).expect("an output"), "\"done\"");
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let _ = std::process::Command::new("kill").arg(read_pid(&file)).status();
}

#[test]
fn a_program_is_told_the_call_and_the_span() {
    let evaluator = made(ID, shell("echo $EF_SEED $EF_ATTEMPT $EF_REPEAT $TRACEPARENT $TRACESTATE"));
    let trace = TraceContext { traceparent: "00-aa-bb-01".to_owned(), tracestate: Some("k=v".to_owned()) };
    let context =
        CallContext::new(Instant::now() + Duration::from_secs(60), 3, 2, u64::MAX).with_propagator(Arc::new(trace));
    let output = run(evaluator.evaluate(&item(None), &context)).expect("an output");
    assert_eq!(output.output.expose(), format!("\"{} 3 2 00-aa-bb-01 k=v\"", u64::MAX));
}

#[test]
fn a_program_has_the_environment_that_was_passed_or_what_is_listed_of_it() {
    let environment =
        environment(&[("MY_KEY", "1"), ("OTHER", "2"), ("LC_ALL", "C"), ("bad=name", "3"), ("NUL", "\0")]);
    let seen = |more| {
        let config = with(json!({"argv": ["env"]}), more);
        let evaluator = create_in(&environment, ID, config).unwrap_or_else(|error| panic!("{error:?}"));
        let output = evaluate(&*evaluator, &item(None)).expect("an output").output.expose_value();
        let mut names: Vec<_> = output
            .as_str()
            .expect("a text")
            .lines()
            .map(|l| l.split('=').next().unwrap_or_default().to_owned())
            .collect();
        names.sort();
        names.join(" ")
    };
    assert_eq!(seen(json!({})), "EF_ATTEMPT EF_REPEAT EF_SEED LC_ALL MY_KEY OTHER PATH SSL_CERT_FILE");
    assert_eq!(seen(json!({"env": ["MY_KEY"]})), "EF_ATTEMPT EF_REPEAT EF_SEED LC_ALL MY_KEY PATH");
    assert_eq!(seen(json!({"env": []})), "EF_ATTEMPT EF_REPEAT EF_SEED LC_ALL PATH");
}

#[test]
fn a_config_that_cannot_work_is_refused_before_anything_runs() {
    let folder = tempfile::tempdir().expect("a folder");
    let plain: PathBuf = folder.path().join("plain");
    fs::write(&plain, "not a program").expect("a file");
    let configs = [
        json!({}),
        json!({"argv": []}),
        json!({"argv": "ls -l"}),
        json!({"argv": [""]}),
        json!({"argv": ["no-such-program-anywhere", "x"]}),
        json!({"argv": ["/no/such/program"]}),
        json!({"argv": ["/tmp/"]}),
        json!({"argv": [plain]}),
        json!({"argv": ["sh", "a\u{0}b"], "env": ["NOT_SET_ANYWHERE"]}),
        json!({"argv": ["sh"], "output": "xml", "retry_exit_codes": [256], "max_output_bytes": 0}),
        json!({"argv": ["sh"], "cost_usd_per_call": -1}),
        json!({"argv": ["sh"], "shell": true}),
    ];
    let environment = environment(&[]);
    let lines: Vec<_> = configs.into_iter().flat_map(|config| problems(&environment, ID, &config)).collect();
    insta::assert_snapshot!(lines.join("\n").replace(&folder.path().display().to_string(), "FOLDER"));
}

#[test]
fn a_program_that_vanished_or_names_a_lost_interpreter_is_an_error_that_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let script = |name: &str, text: &str| {
        let file = folder.path().join(name);
        fs::write(&file, text).expect("a file");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o700)).expect("a mode");
        file
    };
    let gone = script("gone", "#!/bin/sh\n");
    let evaluator = made(ID, json!({"argv": [gone]}));
    fs::remove_file(&gone).expect("it was there");
    let lost = made(ID, json!({"argv": [script("lost", "#!/no/such/interpreter\n")]}));
    let none = made(ID, json!({"argv": [script("none", "echo\n")]}));
    for evaluator in [evaluator, lost, none] {
        let error = evaluate(&*evaluator, &item(None)).expect_err("it cannot be started");
        assert_eq!((error.kind, error.code.as_ref()), (ErrorKind::Permanent, "not_started"), "{error}");
    }
}

#[test]
fn what_a_call_costs_is_what_the_config_says() {
    let evaluator = made(ID, with(shell("exit $(($(wc -c) % 2))"), json!({"cost_usd_per_call": 0.25})));
    assert_eq!(evaluator.pricing(), Pricing::Bounded);
    assert!((evaluator.most_usd(&item(None)) - 0.25).abs() < 1e-12);
    for metadata in [r#"{"a":1}"#, r#"{"ab":1}"#] {
        let usage = match evaluate(&*evaluator, &item(Some(metadata))) {
            Ok(output) => output.usage,
            Err(error) => error.usage,
        };
        assert_eq!(usage, Usage::cost(0.25));
    }
    assert!(matches!(
        made(ID, shell("true")).pricing(),
        Pricing::Unbounded { missing } if missing.contains("cost_usd_per_call")
    ));
    assert_eq!(made(ID, with(shell("true"), json!({"cost_usd_per_call": 0}))).pricing(), Pricing::Bounded);
}
