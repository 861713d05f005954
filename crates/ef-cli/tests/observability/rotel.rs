//! A collector of others, Rotel, gets what `ef` sends, and shows it.

use std::fs::{self, File};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use crate::folder::Folder;
use crate::process::PATIENCE;
use crate::world::{ef, variables};

/// The collector, which does not outlive the test.
struct Rotel {
    process: Child,
    log: PathBuf,
    grpc: u16,
    http: u16,
}

impl Rotel {
    fn start(python: &Path, folder: &Folder) -> Self {
        let port =
            || TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a free port").port();
        let (grpc, http, log) = (port(), port(), folder.path("rotel.log"));
        let environment =
            python.parent().and_then(Path::parent).expect("an interpreter is in a folder of its environment");
        let file = File::create(&log).expect("a file");
        let mut command = Command::new(agent(environment));
        command.args(["start", "--exporter", "blackhole", "--debug-log-verbosity", "detailed", "--log-format", "text"]);
        command.args(["--debug-log", "traces", "--debug-log", "metrics", "--debug-log", "logs"]);
        command.args([
            "--otlp-grpc-endpoint",
            &format!("127.0.0.1:{grpc}"),
            "--otlp-http-endpoint",
            &format!("127.0.0.1:{http}"),
        ]);
        let streams = (file.try_clone().expect("a file"), file);
        let process =
            command.stdin(Stdio::null()).stdout(streams.0).stderr(streams.1).spawn().expect("rotel can be started");
        let mut rotel = Self { process, log, grpc, http };
        let begun = Instant::now();
        while [grpc, http].iter().any(|port| TcpStream::connect(("127.0.0.1", *port)).is_err()) {
            assert!(begun.elapsed() < PATIENCE, "rotel does not listen: {}", rotel.log());
            assert!(rotel.process.try_wait().expect("its state").is_none(), "rotel has ended: {}", rotel.log());
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        rotel
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).expect("its log")
    }

    /// Waits until its log holds all of these after this place.
    fn shows(&self, from: usize, wanted: &[&str]) -> String {
        let begun = Instant::now();
        loop {
            let log = self.log().split_off(from);
            let missing: Vec<_> = wanted.iter().filter(|wanted| !log.contains(**wanted)).collect();
            if missing.is_empty() {
                return log;
            }
            assert!(begun.elapsed() < PATIENCE, "rotel does not show {missing:?}: {log}");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }
}

impl Drop for Rotel {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The program within a Python environment.
fn agent(environment: &Path) -> PathBuf {
    let folders = fs::read_dir(environment.join("lib")).expect("an environment has libraries").filter_map(Result::ok);
    let mut agents = folders.map(|folder| folder.path().join("site-packages/rotel/rotel-agent"));
    agents.find(|agent| agent.exists()).expect("the package brings its program")
}

#[test]
fn a_collector_of_others_takes_spans_metrics_and_logs_over_both_protocols() {
    let environments = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let Some(python) = ef_testkit::python_with(environments, "rotel", &["rotel==0.0.1a15"]) else { return };
    let folder = Folder::new();
    let rotel = Rotel::start(&python, &folder);
    for (protocol, port, run) in [("http/protobuf", rotel.http, "by-http"), ("grpc", rotel.grpc, "by-grpc")] {
        let from = rotel.log().len();
        let all = variables(&[
            ("OTEL_TRACES_EXPORTER", "otlp"),
            ("OTEL_METRICS_EXPORTER", "otlp"),
            ("OTEL_LOGS_EXPORTER", "otlp"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &format!("http://127.0.0.1:{port}")),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
        ]);
        let ended = ef(&folder, &format!("run spec.yaml --dataset dataset.jsonl --run-id {run}"), &all).exits(0);
        assert!(!ended.stderr.contains("cannot be sent") && !ended.stderr.contains("dropped"), "{ended}");
        let names = ["eval.run", "eval.task", "eval.judge.eval_fabric.exact_match", "tracestore.put"];
        let shown = rotel.shows(from, &[&names[..], &["eval_fabric.tasks.completed", "run started", run]].concat());
        assert_eq!(shown.matches("eval.judge.eval_fabric.exact_match").count(), 4, "one for each judgment: {shown}");
    }
}
