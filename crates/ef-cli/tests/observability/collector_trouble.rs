//! A collector that misbehaves: the run's result is what it would be, and its time, too.

use std::time::Duration;

use ef_testkit::otlp_server::{Mode, OtlpServer, Protocol};
use serde_json::{Value, json};

use crate::folder::{Ended, Folder};
use crate::process::Running;
use crate::slow::Slow;
use crate::world::{Variables, variables};

const RUN: &str = "run spec.yaml --dataset dataset.jsonl --run-id same --format json";
/// How much longer a run may take.
const TENTH: f64 = 0.1;
/// What the machine adds to the time of any process, while others are busy on it.
const NOISE: Duration = Duration::from_millis(60);

/// A run of four seconds.
fn slow() -> Slow {
    Slow::new(200, Duration::from_millis(80))
}

/// What a run says, without what differs from time to time.
fn lasting(folder: &Folder, ended: &Ended) -> Value {
    let mut told = json!({ "result": ended.json(), "records": folder.records("same") });
    forget(&mut told);
    told
}

fn forget(value: &mut Value) {
    match value {
        Value::Object(members) => {
            // The service gives each answer an id and a time, which are metadata of the output; where it listens is in the spec.
            let differs = |name: &str| {
                name.ends_with("_us")
                    || ["leaf", "output_metadata", "records_root", "root_digest", "spec_digest"].contains(&name)
            };
            members.retain(|name, _| !differs(name));
            members.values_mut().for_each(forget);
        }
        Value::Array(items) => items.iter_mut().for_each(forget),
        _ => (),
    }
}

/// Both runs at the same time, so that what else the machine does is the same for both; the shortest times of a few.
fn compared(disturbed: impl Fn(&Folder) -> (Ended, Duration) + Sync) -> Ended {
    let (mut plainest, mut shortest) = (Duration::MAX, Duration::MAX);
    for attempt in 0.. {
        let (plain, troubled) = (slow(), slow());
        let ((plain_ended, plain_took), (ended, took)) = std::thread::scope(|scope| {
            let one = scope.spawn(|| Running::start(&plain.folder, RUN, &[]).ended());
            let other = scope.spawn(|| disturbed(&troubled.folder));
            (one.join().expect("it ended"), other.join().expect("it ended"))
        });
        let (plain_ended, ended) = (plain_ended.exits(0), ended.exits(0));
        let mut told =
            [lasting(&plain.folder, &plain_ended), lasting(&troubled.folder, &ended)].map(|value| value.to_string());
        // The address of the service is part of the spec.
        for (text, slow) in told.iter_mut().zip([&plain, &troubled]) {
            *text = text.replace(&slow.server.base_url(), "[SERVER]");
        }
        assert_eq!(told[0], told[1], "the result differs");
        (plainest, shortest) = (plainest.min(plain_took), shortest.min(took));
        if shortest <= plainest.mul_f64(1.0 + TENTH) + NOISE {
            return ended;
        }
        assert!(attempt < 3, "with this collector the run took {shortest:?}, without {plainest:?}: {ended}");
    }
    unreachable!("it returns or fails")
}

/// The lines that tell of something dropped.
fn told(ended: &Ended) -> Vec<&str> {
    ended.stderr.lines().filter(|line| line.contains("telemetry was dropped")).collect()
}

/// A run whose collector is in this mode all the time. Returns what it got.
fn under(mode: Mode, protocol: Protocol) -> (Ended, Vec<OtlpServer>) {
    let servers = std::sync::Mutex::new(Vec::new());
    let ended = compared(|folder| {
        let server = OtlpServer::start();
        server.set_mode(mode);
        let ended = Running::start(folder, RUN, &server.variables(protocol)).ended();
        servers.lock().expect("no test panicked in it").push(server);
        ended
    });
    (ended, servers.into_inner().expect("no test panicked in it"))
}

#[track_caller]
fn assert_dropped(ended: &Ended) {
    let [line] = &told(ended)[..] else { panic!("it is told once: {ended}") };
    assert!(line.contains("WARN") && line.contains("spans=") && line.contains("log_records="), "{line}");
    let warned = ended.stderr.lines().filter(|line| line.contains("spans cannot be sent")).count();
    assert_eq!(warned, 1, "a failing collector is told of once: {ended}");
}

/// The variables of a receiver that has gone away.
fn gone(protocol: Protocol) -> Variables {
    let server = OtlpServer::start();
    server.variables(protocol)
}

#[test]
fn invariant_10_over_http_a_collector_that_is_down_changes_nothing() {
    assert_dropped(&compared(|folder| Running::start(folder, RUN, &gone(Protocol::Http)).ended()));
}

#[test]
fn invariant_10_over_grpc_a_collector_that_is_down_changes_nothing() {
    assert_dropped(&compared(|folder| Running::start(folder, RUN, &gone(Protocol::Grpc)).ended()));
}

#[test]
fn invariant_10_over_http_a_collector_that_refuses_changes_nothing() {
    let (ended, servers) = under(Mode::Refuse { status: 503, retry_after: Some(30) }, Protocol::Http);
    assert_dropped(&ended);
    assert!(servers.iter().all(|server| server.counts().requests > 0), "it was asked");
    assert!(!ended.stderr.contains('\u{1b}'), "what it says of itself does not reach the terminal: {:?}", ended.stderr);
}

#[test]
fn invariant_10_over_grpc_a_collector_that_refuses_changes_nothing() {
    let (ended, servers) = under(Mode::Refuse { status: 503, retry_after: None }, Protocol::Grpc);
    assert_dropped(&ended);
    assert!(servers.iter().all(|server| server.counts().requests > 0), "it was asked");
    assert!(!ended.stderr.contains('\u{1b}'), "what it says of itself does not reach the terminal: {:?}", ended.stderr);
}

#[test]
fn invariant_10_over_http_a_collector_that_hangs_changes_nothing() {
    let (ended, _) = under(Mode::Hang, Protocol::Http);
    assert_eq!(told(&ended).len(), 1, "{ended}");
}

#[test]
fn invariant_10_over_grpc_a_collector_that_hangs_changes_nothing() {
    let (ended, _) = under(Mode::Hang, Protocol::Grpc);
    assert_eq!(told(&ended).len(), 1, "{ended}");
}

#[test]
fn invariant_10_one_that_accepts_connections_and_reads_nothing_changes_nothing() {
    let (ended, _) = under(Mode::Deaf, Protocol::Grpc);
    assert_eq!(told(&ended).len(), 1, "{ended}");
}

#[test]
fn invariant_10_one_that_cuts_connections_changes_nothing() {
    assert_dropped(&under(Mode::Close, Protocol::Http).0);
}

#[test]
fn invariant_10_a_slow_collector_gets_everything_and_changes_nothing() {
    for protocol in [Protocol::Http, Protocol::Grpc] {
        let (ended, servers) = under(Mode::Slow(Duration::from_millis(80)), protocol);
        assert!(told(&ended).is_empty(), "{ended}");
        // A run, its tasks and their calls and judgments; commits come in addition.
        assert!(servers.iter().all(|server| server.counts().spans > 1 + 3 * 200));
    }
}

#[test]
fn a_collector_that_dies_in_the_middle_costs_spans_and_no_time() {
    let ended = compared(|folder| {
        let server = OtlpServer::start();
        let mut often = server.variables(Protocol::Http);
        often.extend(variables(&[("OTEL_BSP_SCHEDULE_DELAY", "100")]));
        let running = Running::start(folder, RUN, &often);
        assert!(server.wait_until(Duration::from_secs(20), |counts| counts.spans > 0), "it gets spans");
        server.stop();
        running.ended()
    });
    assert_dropped(&ended);
}

#[test]
fn a_collector_that_comes_back_gets_spans_again() {
    let server = OtlpServer::start();
    let mut often = server.variables(Protocol::Grpc);
    often.extend(variables(&[("OTEL_BSP_SCHEDULE_DELAY", "100")]));
    server.stop();
    let slow = slow();
    let mut running = Running::start(&slow.folder, RUN, &often);
    running.wait_for_records(&slow.folder, "same", 40);
    server.start_again();
    let (ended, _) = running.ended();
    let ended = ended.exits(0);
    let spans = server.spans();
    assert!(spans.iter().any(|span| span.name == "eval.run"), "the last span arrives: {ended}");
    assert!(spans.iter().filter(|span| span.name == "eval.task").count() > 40, "{ended}");
}

#[test]
fn a_fast_run_is_sent_whole_to_a_collector_that_is_well_and_not_held_up_by_one_that_hangs() {
    let items = 4000;
    let folder = Folder::new();
    let row = |item| format!("{{\"item_id\": \"i{item}\", \"input\": \"{item}\", \"reference_output\": \"1\"}}\n");
    folder.write("dataset.jsonl", (0..items).map(row).collect::<String>());
    let run = |variables: &[(String, String)]| {
        let (ended, took) = Running::start(&folder, "run spec.yaml --dataset dataset.jsonl", variables).ended();
        (ended.exits(0), took)
    };
    let server = OtlpServer::start();
    let mut narrow = server.variables(Protocol::Http);
    narrow.extend(variables(&[("OTEL_BSP_MAX_QUEUE_SIZE", "4096"), ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "1024")]));
    // Other programs of the machine may hold up either of the two.
    let mut times = Vec::new();
    for _ in 0..5 {
        server.set_mode(Mode::Serve);
        drop(server.take());
        let (ended, well) = run(&narrow);
        let tasks = server.spans().iter().filter(|span| span.name == "eval.task").count();
        assert_eq!((tasks, told(&ended).len()), (items, 0), "{ended}");
        server.set_mode(Mode::Hang);
        let (ended, hung) = run(&narrow);
        assert_eq!(told(&ended).len(), 1, "{ended}");
        if hung < well + Duration::from_millis(700) {
            return;
        }
        times.push((hung, well));
    }
    panic!("with a collector that hangs, and with one that is well: {times:?}");
}
