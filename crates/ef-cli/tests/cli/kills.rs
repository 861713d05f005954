//! Killed at a hundred moments and resumed each time: nothing is lost, nothing is there twice, and the result is that of a
//! run that nobody disturbed.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::Value;

use crate::folder::{Ended, Folder};
use crate::live::Live;

/// Items of a run, most of which are killed many times.
const ITEMS: u64 = 1200;
/// Kills of one test.
const KILLS: usize = 25;
/// How long a process lives, at most.
const LONGEST_LIFE_MS: u64 = 300;

/// Tasks that take a while.
fn spec(delay_ms: u64) -> String {
    format!(
        "schema_version: \"1\"
id: test/slow-echo
version: 1.0.0
evaluator: {{id: eval_fabric.examples.echo, config: {{delay_ms: {delay_ms}}}}}
judges:
  - {{id: eval_fabric.exact_match, name: right}}
scoring:
  metrics:
    - {{name: accuracy, from: right}}
    - {{name: resampled, from: right, bootstrap: true, bootstrap_samples: 100}}
runtime: {{max_concurrent: 4}}
"
    )
}

/// Rows of which most are right, some are wrong, and some cannot be used.
fn dataset(items: u64) -> String {
    (1..=items).fold(String::new(), |mut text, row| {
        let _ = match row % 50 {
            0 => writeln!(text, "{{\"item_id\": \"i{row}\", \"input\": "),
            n => {
                let reference = if n < 10 { "x".to_owned() } else { row.to_string() };
                writeln!(
                    text,
                    "{{\"item_id\": \"i{row}\", \"input\": \"{row}\", \"reference_output\": \"{reference}\"}}"
                )
            }
        };
        text
    })
}

pub(crate) fn slow_folder(items: u64, delay_ms: u64) -> Folder {
    let folder = Folder::empty();
    folder.write("spec.yaml", spec(delay_ms));
    folder.write("dataset.jsonl", dataset(items));
    folder
}

/// What a run came to, without its times and what is made of them.
pub(crate) fn timeless(folder: &Folder, run: &str) -> (Vec<Value>, Value, Value) {
    timeless_by(run, |line| folder.ef(line))
}

/// The same of a run in whatever store `ef` is told to look into.
pub(crate) fn timeless_by(run: &str, ef: impl Fn(&str) -> Ended) -> (Vec<Value>, Value, Value) {
    let mut records = ef(&format!("show {run} --traces --format json")).exits(0).json_lines();
    for record in &mut records {
        let record = record.as_object_mut().expect("a record is a map");
        record.remove("leaf");
        for call in record.values_mut().flat_map(|part| match part {
            Value::Array(judgments) => judgments.iter_mut().collect(),
            trace => vec![trace],
        }) {
            if let Some(call) = call.as_object_mut() {
                call.remove("started_at_us");
                call.remove("duration_us");
            }
        }
    }
    let result = ef(&format!("show {run} --format json")).exits(0).json();
    assert_eq!(result["status"], "completed");
    (records, result["metrics"].clone(), result["counts"].clone())
}

/// What a crash left of a run, seen in a copy, so that the resumed run finds the store as it was left.
struct Left {
    status: Option<String>,
    /// Leaves by item, repeat and revision.
    leaves: BTreeMap<(String, u32, u32), String>,
}

fn left(folder: &Folder, run: &str) -> Left {
    let copies = tempfile::tempdir().expect("a temporary folder");
    let copy = copies.path().join("runs.db");
    for suffix in ["", "-wal"] {
        let name = format!("runs/runs.db{suffix}");
        if folder.has(&name) {
            std::fs::copy(folder.path(&name), copies.path().join(format!("runs.db{suffix}")))
                .expect("it can be copied");
        }
    }
    let nothing = || Left { status: None, leaves: BTreeMap::new() };
    if !copy.exists() {
        return nothing();
    }
    let database = Connection::open(&copy).expect("SQLite");
    let verdict: String = database.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("a verdict");
    assert_eq!(verdict, "ok");
    let Ok(status) = database.query_row("SELECT status FROM runs WHERE run_id = ?", [run], |row| row.get(0)) else {
        return nothing();
    };
    let mut records = database
        .prepare(
            "SELECT item_id, repeat, revision, hex(leaf) FROM traces WHERE run = (SELECT id FROM runs WHERE run_id = ?)",
        )
        .expect("SQL");
    let row = |row: &rusqlite::Row<'_>| Ok(((row.get(0)?, row.get(1)?, row.get(2)?), row.get(3)?));
    let leaves = records.query_map([run], row).expect("SQL").collect::<Result<_, _>>().expect("records");
    Left { status, leaves }
}

/// Splitmix64 (Steele, Lea and Flood, 2014).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}

/// Starts `ef`, kills it after a while, and says whether it was alive then.
pub(crate) fn killed(folder: &Folder, line: &str, life: Duration) -> bool {
    killed_with(folder, line, &[], life)
}

/// The same with environment variables besides.
pub(crate) fn killed_with(folder: &Folder, line: &str, environment: &[(&str, &str)], life: Duration) -> bool {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ef"))
        .args(line.split_whitespace())
        .envs(environment.iter().copied())
        .current_dir(folder.path(""))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("ef can be started");
    let began = Instant::now();
    while began.elapsed() < life && child.try_wait().expect("it can be asked").is_none() {
        thread::sleep(Duration::from_millis(1));
    }
    let was_alive = child.try_wait().expect("it can be asked").is_none();
    child.kill().expect("it can be killed");
    child.wait().expect("it ended");
    was_alive
}

fn killed_and_resumed(seed: u64) {
    let folder = slow_folder(ITEMS, 5);
    folder.ef("run spec.yaml --dataset dataset.jsonl --run-id undisturbed --store sqlite://other.db").exits(0);
    let expected = timeless_of(&folder, "undisturbed", "other.db");
    let mut random = Random(seed);
    let (mut run, mut hits) = (0, 0);
    let mut before = left(&folder, "run-0");
    for _ in 0..KILLS {
        let id = format!("run-{run}");
        let line = match before.status {
            None => format!("run spec.yaml --dataset dataset.jsonl --run-id {id}"),
            Some(_) => format!("resume {id}"),
        };
        let was_alive = killed(&folder, &line, Duration::from_millis(random.below(LONGEST_LIFE_MS)));
        let after = left(&folder, &id);
        for (record, leaf) in &before.leaves {
            assert_eq!(after.leaves.get(record), Some(leaf), "seed {seed}: {record:?} is lost or another");
        }
        assert!(after.leaves.keys().all(|(_, repeat, revision)| (*repeat, *revision) == (0, 0)), "done twice");
        let is_unfinished = after.status.as_deref() != Some("completed");
        hits += usize::from(was_alive && is_unfinished);
        before = after;
        if !is_unfinished {
            assert_eq!(timeless(&folder, &id), expected, "seed {seed}: {id} differs from an undisturbed run");
            run += 1;
            before = left(&folder, &format!("run-{run}"));
        }
    }
    eprintln!("seed {seed}: {hits} of {KILLS} kills met a run that was going on, {run} runs were completed");
    assert!(hits * 100 >= KILLS * 80, "seed {seed}: only {hits} of {KILLS} kills met a run that was going on");
    let id = format!("run-{run}");
    if before.status.is_some() {
        folder.ef(&format!("resume {id}")).exits(0);
        assert_eq!(timeless(&folder, &id), expected, "seed {seed}: {id} differs from an undisturbed run");
        folder.ef(&format!("verify {id}")).exits(0);
    }
}

/// What a run in another store came to.
fn timeless_of(folder: &Folder, run: &str, store: &str) -> (Vec<Value>, Value, Value) {
    let elsewhere = Folder::empty();
    std::fs::create_dir_all(elsewhere.path("runs")).expect("a folder");
    std::fs::copy(folder.path(store), elsewhere.path("runs/runs.db")).expect("it can be copied");
    timeless(&elsewhere, run)
}

#[test]
fn invariant_2_killed_and_resumed_it_is_the_run_that_it_would_have_been_1() {
    killed_and_resumed(1);
}

#[test]
fn invariant_2_killed_and_resumed_it_is_the_run_that_it_would_have_been_2() {
    killed_and_resumed(2);
}

#[test]
fn invariant_2_killed_and_resumed_it_is_the_run_that_it_would_have_been_3() {
    killed_and_resumed(3);
}

#[test]
fn invariant_2_killed_and_resumed_it_is_the_run_that_it_would_have_been_4() {
    killed_and_resumed(4);
}

#[test]
fn after_one_signal_and_after_two_the_run_is_resumed_to_what_it_would_have_been() {
    const RUN: &str = "run spec.yaml --dataset dataset.jsonl --run-id";
    let folder = slow_folder(12, 400);
    folder.ef(&format!("{RUN} undisturbed")).exits(0);
    let expected = timeless(&folder, "undisturbed");
    for (run, signals) in [("once", 1), ("twice", 2)] {
        let mut live = Live::start_ef(&folder, &format!("{RUN} {run}"));
        live.wait_for_records_of(run, 1);
        live.signal("INT");
        if signals == 2 {
            assert!(live.line_of_stderr().starts_with("stopping: "));
            live.signal("INT");
        }
        live.ended().exits(130);
        let listed = folder.ef("runs --format json").exits(0).json_lines();
        let status = if signals == 1 { "aborted" } else { "running" };
        let stands = |listed: &Value| listed["run_id"] == run && listed["status"] == status;
        assert!(listed.iter().any(stands), "{run}: {listed:?}");
        assert!(folder.records(run).len() < 12, "the signal came too late to interrupt anything");
        folder.ef(&format!("resume {run}")).exits(0);
        assert_eq!(timeless(&folder, run), expected, "{run}");
    }
}
