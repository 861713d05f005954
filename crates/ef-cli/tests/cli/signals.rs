//! Ctrl-C and SIGTERM: what was done is kept, and the program ends.

use std::thread;
use std::time::{Duration, Instant};

use crate::folder::{Folder, SPEC, assert_seen};
use crate::live::Live;

/// One signal while a run waits for more of its dataset.
fn ends_gently(signal: &str) {
    let folder = Folder::new();
    let mut live = Live::start(&folder);
    live.feed(1..=3).expect("it is read");
    live.wait_for_records(3);
    live.signal(signal);
    // The pipe stays open: the run must not wait for it.
    let ended = live.ended().exits(130);
    assert_seen("interrupted", ended);
    let shown = folder.ef("show live --format json").exits(0).json();
    assert_eq!((shown["status"].as_str(), &shown["counts"]["ok"]), (Some("aborted"), &3.into()));
    assert_eq!(shown["abort_reason"], "interrupted");
    assert_eq!((folder.records("live").len(), &shown["counts"]["scored"]), (3, &3.into()));
    assert!(!folder.has("runs/live.json"), "no artifact that looks whole");
}

#[test]
fn sigint_ends_a_run_gently_and_keeps_what_was_done() {
    ends_gently("INT");
}

#[test]
fn sigterm_ends_a_run_gently_and_keeps_what_was_done() {
    ends_gently("TERM");
}

/// A run that has all its records and then computes for minutes.
fn slow_metrics() -> String {
    let metric =
        |n: u32| format!("    - {{name: m{n}, aggregator: median, bootstrap: true, bootstrap_samples: 100000}}\n");
    let spec = SPEC.replace("eval_fabric.exact_match", "eval_fabric.identity");
    spec + &(0..50).map(metric).collect::<String>()
}

/// A run that only computes any more, for minutes.
fn computing(folder: &Folder) -> Live<'_> {
    folder.write("spec.yaml", slow_metrics());
    let mut live = Live::start(folder);
    // Scores that are numbers, all different.
    live.feed_text(&(0..2000).map(|n| format!("{{\"input\": {n}.5}}\n")).collect::<String>()).expect("it is read");
    live.wait_for_records(2000);
    live.end_dataset();
    thread::sleep(Duration::from_millis(300));
    live
}

#[test]
fn the_second_signal_ends_the_program_at_once() {
    let folder = Folder::new();
    let mut live = computing(&folder);
    live.signal("INT");
    assert!(live.line_of_stderr().starts_with("stopping: "));
    assert!(live.is_running(), "there is still something to do that one signal does not end");
    let begun = Instant::now();
    live.signal("TERM");
    let ended = live.ended().exits(130);
    assert!(begun.elapsed() < Duration::from_secs(2), "{ended}");
    assert_eq!(ended.stdout, "");
    assert_eq!(folder.records("live").len(), 2000, "what was done is kept");
    assert_eq!(folder.ef("runs --format json").exits(0).json()["status"], "running");
}

#[test]
fn two_signals_at_the_same_time_are_two() {
    let folder = Folder::new();
    let mut live = computing(&folder);
    // The system makes one of two that are the same.
    live.signals(&["INT", "TERM"]);
    live.ended().exits(130);
    assert_eq!(folder.records("live").len(), 2000, "what was done is kept");
}
