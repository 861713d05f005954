//! `ef otel-init`: what it prints is all that has to be set.

use std::process::Command;

use ef_testkit::otlp_server::OtlpServer;

use crate::folder::{Ended, Folder, assert_seen};

/// Has a shell do what `ef otel-init` prints, and then run an evaluation.
fn run_with(folder: &Folder, otel_init: &str, eval: &str) -> Ended {
    let ef = env!("CARGO_BIN_EXE_ef");
    let script = format!("{eval}\n'{ef}' run spec.yaml --dataset dataset.jsonl")
        .replace("SCRIPT", &format!("'{ef}' otel-init {otel_init}"));
    let output = Command::new("sh")
        .args(["-euc", &script])
        .env_clear()
        .current_dir(folder.path(""))
        .output()
        .expect("there is a shell");
    Ended::of(&output)
}

const EVAL: &str = r#"eval "$(SCRIPT)""#;

#[test]
fn what_it_prints_is_for_people_and_shells() {
    let folder = Folder::empty();
    assert_seen("otel_init", folder.ef("otel-init").exits(0));
    assert_seen("otel_init_console", folder.ef("otel-init --exporter console").exits(0));
    assert_seen("otel_init_no_address", folder.ef("otel-init --endpoint collector:4317").exits(2));
    assert!(!folder.has("runs"), "nothing is made");
}

#[test]
fn evaluated_by_a_shell_a_run_tells_a_collector_of_itself() {
    let server = OtlpServer::start();
    for protocol in ["http/protobuf", "grpc"] {
        for eval in [EVAL, "eval $(SCRIPT)"] {
            let folder = Folder::new();
            let _ = server.take();
            let otel_init = format!("--protocol {protocol} --endpoint {}", server.endpoint());
            let ended = run_with(&folder, &otel_init, eval).exits(0);
            let spans = server.spans();
            let count = |name: &str| spans.iter().filter(|span| span.name == name).count();
            assert_eq!((count("eval.run"), count("eval.task")), (1, 4), "{protocol} {eval}: {ended}");
            assert_eq!(count("eval.judge.eval_fabric.exact_match"), 4, "{protocol} {eval}: {ended}");
            let metrics = server.metrics();
            assert!(
                metrics.iter().any(|point| point.metric == "eval_fabric.tasks.completed"),
                "{protocol}: {metrics:?}"
            );
            assert!(
                server.logs().iter().any(|record| record.body == "run finished"),
                "{protocol}: {:?}",
                server.logs()
            );
        }
    }
}

#[test]
fn the_console_shows_spans_and_metrics_on_standard_error_and_results_stay_alone() {
    let folder = Folder::new();
    let ended = run_with(&folder, "--exporter console", EVAL).exits(0);
    for wanted in ["eval.run", "eval.task", "eval.judge.eval_fabric.exact_match", "eval_fabric.tasks.completed"] {
        assert!(ended.stderr.contains(wanted), "{wanted}: {ended}");
        assert!(!ended.stdout.contains(wanted), "{wanted}: {ended}");
    }
    assert_eq!(ended.stderr.matches("run finished").count(), 1, "the log is there once: {ended}");
}

#[test]
fn an_address_from_outside_is_a_value_and_nothing_else() {
    let folder = Folder::new();
    let address = "http://127.0.0.1:1/'$(touch${IFS}hit)`touch${IFS}hit`\"";
    let printed = folder.ef_with(["otel-init", "--endpoint", address], "", &[]).exits(0).stdout;
    folder.write("set.sh", printed);
    let script = ". ./set.sh; printf %s \"$OTEL_EXPORTER_OTLP_ENDPOINT\"";
    let output = Command::new("sh").args(["-euc", script]).current_dir(folder.path("")).output().expect("a shell");
    assert_eq!(String::from_utf8_lossy(&output.stdout), address);
    assert!(!folder.has("hit"));
    let refused = folder.ef("otel-init --endpoint https://me:hunter2@collector.example").exits(2);
    assert!(refused.stderr.contains("OTEL_EXPORTER_OTLP_HEADERS"), "{refused}");
}
