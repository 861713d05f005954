//! Stores that others share are killed at, restarted, and refuse half of what they are given: a run is what it would have
//! been.

use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use ef_testkit::postgres_server::Stop;
use ef_testkit::s3_server::S3Server;
use serde_json::Value;

use crate::folder::Ended;
use crate::kills::{Random, killed_with, slow_folder, timeless, timeless_by};
use crate::shared_stores::{Place, in_bucket, postgres};

/// Items of a run.
const ITEMS: u64 = 800;
/// Kills of one test.
const KILLS: usize = 12;
/// How long a process lives, at most.
const LONGEST_LIFE_MS: u64 = 400;

type Timeless = (Vec<Value>, Value, Value);

/// What the run comes to where nobody disturbs it.
fn undisturbed(place: &Place) -> Timeless {
    place.folder.ef("run spec.yaml --dataset dataset.jsonl --run-id undisturbed").exits(0);
    timeless(&place.folder, "undisturbed")
}

fn status(place: &Place, run: &str) -> Option<String> {
    let listed = place.ef(&format!("runs {run} --format json")).exits(0).json_lines();
    listed.first().and_then(|run| run["status"].as_str().map(str::to_owned))
}

/// Goes on with the run as soon as the one who was killed does not hold it any more.
fn resumed(place: &Place, run: &str) -> Ended {
    let began = Instant::now();
    loop {
        let ended = place.ef(&format!("resume {run}"));
        let is_held = ended.code == Some(4) && ended.stderr.contains("is being written by another process");
        if !is_held || began.elapsed() > Duration::from_secs(20) {
            return ended;
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// Kills the program again and again, and resumes what it left.
fn killed_and_resumed(place: &Place, seed: u64) {
    let expected = undisturbed(place);
    let mut random = Random(seed);
    let (mut run, mut hits) = (0, 0);
    let mut left = 0;
    for _ in 0..KILLS {
        let id = format!("run-{run}");
        let line = match status(place, &id) {
            None => format!("run spec.yaml --dataset dataset.jsonl --run-id {id} --store {}", place.uri),
            Some(_) => format!("resume {id} --store {}", place.uri),
        };
        let life = Duration::from_millis(50 + random.below(LONGEST_LIFE_MS));
        let was_alive = killed_with(&place.folder, &line, &place.variables(), life);
        let now = status(place, &id);
        hits += usize::from(was_alive && now.is_some());
        let records = now
            .as_ref()
            .map_or(0, |_| place.ef(&format!("show {id} --traces --format json")).exits(0).json_lines().len());
        assert!(records >= left, "seed {seed}: {records} of {left} records are left");
        left = records;
        if now.as_deref() == Some("completed") {
            assert_eq!(timeless_by(&id, |line| place.ef(line)), expected, "seed {seed}: {id}");
            (run, left) = (run + 1, 0);
        }
    }
    eprintln!("seed {seed}: {hits} of {KILLS} kills met a run that was going on, {run} runs were completed");
    assert!(hits > KILLS / 2, "seed {seed}: only {hits} of {KILLS} kills met a run that was going on");
    let id = format!("run-{run}");
    if status(place, &id).is_some() {
        resumed(place, &id).exits(0);
        assert_eq!(timeless_by(&id, |line| place.ef(line)), expected, "seed {seed}: {id}");
        place.ef(&format!("verify {id}")).exits(0);
    }
}

#[test]
fn invariant_2_killed_beside_a_database_and_resumed_it_is_the_run_that_it_would_have_been() {
    let Some(server) = postgres() else { return };
    let place = Place::new(slow_folder(ITEMS, 5), server.database());
    place.ef("tracestore init").exits(0);
    killed_and_resumed(&place, 1);
}

#[test]
fn invariant_2_a_run_outlives_restarts_of_its_database() {
    let Some(server) = postgres() else { return };
    let place = Place::new(slow_folder(ITEMS, 10), server.database());
    place.ef("tracestore init").exits(0);
    let expected = undisturbed(&place);
    let mut child = Command::new(env!("CARGO_BIN_EXE_ef"))
        .args(["run", "spec.yaml", "--dataset", "dataset.jsonl", "--run-id", "steady", "--store", &place.uri])
        .current_dir(place.folder.path(""))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("ef can be started");
    thread::sleep(Duration::from_millis(400));
    for how in [Stop::Immediate, Stop::Fast, Stop::Immediate] {
        assert!(child.try_wait().expect("it can be asked").is_none(), "it ended before the server was restarted");
        server.restart(how);
        thread::sleep(Duration::from_millis(200));
    }
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(timeless_by("steady", |line| place.ef(line)), expected);
    place.ef("verify steady").exits(0);
}

#[tokio::test(flavor = "multi_thread")]
async fn invariant_2_killed_beside_object_storage_that_refuses_half_it_is_the_run_that_it_would_have_been() {
    let server = S3Server::start(&["evals"]).await;
    let place = in_bucket(&server, slow_folder(ITEMS, 5));
    place.ef("tracestore init").exits(0);
    server.refuse_writes(50);
    killed_and_resumed(&place, 2);
    assert!(server.refused_writes() > 10, "only {} writes were refused", server.refused_writes());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_not_disturbed_by_object_storage_that_refuses_half_of_its_writes_and_cuts_connections() {
    let server = S3Server::start(&["evals"]).await;
    let place = in_bucket(&server, slow_folder(ITEMS, 2));
    place.ef("tracestore init").exits(0);
    let expected = undisturbed(&place);
    server.refuse_writes(50);
    server.cut_before_write(3);
    server.cut_after_write(3);
    place.ef("run spec.yaml --dataset dataset.jsonl --run-id steady").exits(0);
    assert_eq!(timeless_by("steady", |line| place.ef(line)), expected);
    place.ef("verify steady").exits(0);
}
