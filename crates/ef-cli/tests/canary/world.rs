//! A folder in which `ef` is run with a collector beside it, what it said and left behind, and what must not be in that.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ef_testkit::otlp_server::OtlpServer;
use tempfile::TempDir;

use crate::markers::{Kind, Marker, Search};
use crate::way::Way;

/// The header with which the collector is sent a secret: the one place where it may be.
const COLLECTOR_KEY: &str = "x-canary-key";

/// A folder, a collector, and everything that was said.
pub(crate) struct World {
    folder: TempDir,
    collector: OtlpServer,
    way: Way,
    collector_key: Marker,
    markers: RefCell<Vec<Marker>>,
    variables: RefCell<Vec<(String, String)>>,
    /// What a person asked to see with payloads, and files that the test itself wrote.
    allowed: RefCell<BTreeSet<PathBuf>>,
    said: RefCell<Vec<(String, Vec<u8>)>>,
}

/// How a command ended.
pub(crate) struct Ended {
    pub(crate) line: String,
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl World {
    pub(crate) fn new(way: Way) -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
            collector: OtlpServer::start(),
            way,
            collector_key: Marker::new("OTEL_EXPORTER_OTLP_HEADERS", Kind::Secret),
            markers: RefCell::default(),
            variables: RefCell::default(),
            allowed: RefCell::default(),
            said: RefCell::default(),
        }
    }

    /// A new marker for a payload in that place.
    pub(crate) fn payload(&self, place: &str) -> String {
        self.plant(Marker::new(place, Kind::Payload))
    }

    /// A new marker for a secret in that place.
    pub(crate) fn secret(&self, place: &str) -> String {
        self.plant(Marker::new(place, Kind::Secret))
    }

    fn plant(&self, marker: Marker) -> String {
        let text = marker.text.clone();
        self.markers.borrow_mut().push(marker);
        text
    }

    /// A variable for all commands from now on.
    pub(crate) fn set(&self, name: &str, value: impl Into<String>) {
        let mut variables = self.variables.borrow_mut();
        variables.retain(|(known, _)| known != name);
        variables.push((name.to_owned(), value.into()));
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file, which may hold what the test puts in it.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(&path, content).expect("a test's file can be written");
        self.allow(name);
    }

    /// This file may hold payloads: somebody asked for it.
    pub(crate) fn allow(&self, name: &str) {
        self.allowed.borrow_mut().insert(self.path(name));
    }

    pub(crate) fn read(&self, name: &str) -> String {
        String::from_utf8(std::fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}")))
            .expect("UTF-8")
    }

    /// Runs `ef` with these arguments, which are separated by blanks; all that it says is searched.
    #[track_caller]
    pub(crate) fn ef(&self, line: &str, code: i32) -> Ended {
        let ended = self.ef_anyhow(line);
        assert_eq!(ended.code, Some(code), "{:?}: {ended}", self.way);
        ended
    }

    /// The same, however it ends.
    pub(crate) fn ef_anyhow(&self, line: &str) -> Ended {
        let ended = self.start(line);
        let mut said = self.said.borrow_mut();
        said.push((format!("standard output of `ef {line}`"), ended.stdout.clone().into_bytes()));
        said.push((format!("standard error of `ef {line}`"), ended.stderr.clone().into_bytes()));
        drop(said);
        ended
    }

    /// Runs `ef` for somebody who asked to see payloads on standard output. Standard error is searched all the same.
    #[track_caller]
    pub(crate) fn ef_with_payloads(&self, line: &str) -> Ended {
        let ended = self.start(line);
        self.said.borrow_mut().push((format!("standard error of `ef {line}`"), ended.stderr.clone().into_bytes()));
        assert_eq!(ended.code, Some(0), "{:?}: {ended}", self.way);
        ended
    }

    fn start(&self, line: &str) -> Ended {
        let mut command = assert_cmd::Command::new(env!("CARGO_BIN_EXE_ef"));
        command.args(["--log-format", self.way.log_format]).args(line.split_whitespace());
        command.env_clear().current_dir(self.folder.path()).timeout(Duration::from_secs(90));
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.envs(self.collector.variables(self.way.protocol));
        command.env("OTEL_EXPORTER_OTLP_HEADERS", format!("{COLLECTOR_KEY}={}", self.collector_key.text));
        command.envs(self.way.level.map(|level| ("EVAL_FABRIC_LOG_LEVEL", level)));
        command.envs(self.variables.borrow().iter().cloned());
        let output = command.write_stdin("").output().expect("ef can be started");
        Ended {
            line: line.to_owned(),
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }

    /// Runs everything that tells something of the latest run, which has ended as `completed` or not.
    #[track_caller]
    pub(crate) fn tell_everything(&self) {
        for line in [
            "runs",
            "runs --format json",
            "show latest",
            "show latest --format json",
            "show latest --traces",
            "show latest --traces --format json",
            "tracestore info",
            "tracestore info --format json",
        ] {
            self.ef(line, 0);
        }
        let records = self.ef("show latest --traces --format json", 0);
        for id in records.stdout.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok()) {
            let id = id["item_id"].as_str().expect("an id");
            self.ef(&format!("show latest --item {id}"), 0);
        }
    }

    /// The markers of these places have reached the store: nothing passes because nothing was planted.
    #[track_caller]
    pub(crate) fn assert_stored(&self, places: &[&str]) {
        let shown = self.ef_with_payloads("show latest --traces --payloads --format json").stdout;
        let markers = self.markers.borrow();
        for place in places {
            let marker = markers.iter().find(|marker| marker.place == *place);
            let marker = marker.unwrap_or_else(|| panic!("no marker was made for {place}"));
            assert!(shown.contains(&marker.text), "the marker of {place} never arrived:\n{shown}");
        }
    }

    /// Looks for all markers in all that was said, exported and left behind.
    #[track_caller]
    pub(crate) fn assert_silent(self) {
        let received = self.collector.take();
        // Bytes that can be searched: what has to be there is found.
        let exported = received.iter().flat_map(|request| request.body.to_vec()).collect::<Vec<u8>>();
        for known in ["eval.run", "eval.task", "eval_fabric.tasks.completed", "run started"] {
            let is_there = exported.windows(known.len()).any(|bytes| bytes == known.as_bytes());
            assert!(is_there, "{:?}: the collector did not get {known}", self.way);
        }
        let key = Some(self.collector_key.text.as_str());
        assert!(received.iter().all(|request| request.header(COLLECTOR_KEY) == key), "the collector's key is missing");

        let mut evidence = self.said.take();
        assert!(evidence.iter().any(|(_, bytes)| !bytes.is_empty()), "nothing was said");
        evidence.extend(received.iter().map(|request| {
            let mut request = request.clone();
            request.headers.retain(|(name, _)| name != COLLECTOR_KEY);
            (format!("what the collector got at {} ({:?})", request.path, request.protocol), request.bytes())
        }));
        let mut files = Vec::new();
        self.left_behind(self.folder.path(), &mut files);
        evidence.extend(files);

        let mut markers = self.markers.take();
        markers.push(self.collector_key.clone());
        let search = Search::new(&markers);
        for (place, bytes) in &evidence {
            if let Some(found) = search.find(bytes) {
                let from = found.at.saturating_sub(300);
                let around = String::from_utf8_lossy(&bytes[from..bytes.len().min(found.at + 100)]);
                panic!(
                    "{:?}: the {:?} in {} got out, {}, into {place}:\n{around}",
                    self.way, found.marker.kind, found.marker.place, found.form
                );
            }
        }
    }

    /// Every file but those that may hold payloads: stores, queues for people, and what the test wrote itself.
    fn left_behind(&self, folder: &Path, files: &mut Vec<(String, Vec<u8>)>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let may = name.contains(".db") || name.ends_with(".queue.jsonl") || self.allowed.borrow().contains(&path);
            if path.is_dir() && !may {
                self.left_behind(&path, files);
            } else if !may {
                files.push((format!("the file {}", path.display()), std::fs::read(&path).expect("a file")));
            }
        }
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { line, code, stdout, stderr } = self;
        write!(f, "ef {line}\nexit {code:?}\n──── stdout\n{stdout}\n──── stderr\n{stderr}")
    }
}
