//! Where nothing is asked for, nothing is there. A test of its own process, because it counts threads and the subscriber is
//! the process's.

#![allow(clippy::print_stderr, reason = "a test that cannot look says so")]

use std::sync::{Arc, Mutex};

use ef_model::telemetry::SPAN_TARGET;
use ef_model::{Environment, RunId};
use ef_telemetry::{LogFormat, Logs, Telemetry};

/// How many threads the process has, where the system tells.
fn threads() -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    status.lines().find_map(|line| line.strip_prefix("Threads:")?.trim().parse().ok())
}

#[test]
fn with_nothing_asked_for_there_is_no_thread_and_no_span_but_log_lines() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&lines);
    let write = Arc::new(move |line: &str| kept.lock().expect("no panic").push(line.to_owned()));
    let logs = Logs { format: LogFormat::Json, color: false, errors: true, write };
    let before = threads();
    if before.is_none() {
        eprintln!("SKIPPED: this system does not tell how many threads a process has");
    }

    let telemetry = Telemetry::start(&Environment::default(), logs.clone());
    telemetry.set_run(&RunId::new("r-1").expect("an id"));

    assert_eq!(threads(), before);
    assert!(tracing::info_span!(target: SPAN_TARGET, "eval.task").is_disabled());
    assert!(!tracing::enabled!(target: SPAN_TARGET, tracing::Level::INFO));
    assert!(!tracing::enabled!(target: "hyper", tracing::Level::ERROR), "other crates are silent");
    assert!(!tracing::enabled!(target: "ef_runner", tracing::Level::DEBUG), "the default level is INFO");
    tracing::info!(target: "ef_runner::log", done = 3, "run resumed");

    let second = Telemetry::start(&Environment::default(), logs);
    second.set_run(&RunId::new("r-2").expect("an id"));
    second.shut_down();
    tracing::info!(target: "ef_runner::log", "run finished");
    telemetry.shut_down();

    let lines = lines.lock().expect("no panic").clone();
    assert_eq!(lines.len(), 2, "{lines:?}");
    let of = |line: &str| serde_json::from_str::<serde_json::Value>(line).expect("an object on a line");
    assert_eq!(of(&lines[0])["message"], "run resumed");
    assert_eq!(of(&lines[0])["done"], 3);
    assert_eq!(of(&lines[1])["run_id"], "r-1", "a second Telemetry of a process is without effect");
}
