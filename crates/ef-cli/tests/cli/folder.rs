//! A folder in which `ef` is run, and what it said.

use std::ffi::OsStr;
use std::fmt;
use std::path::PathBuf;
use std::process::Output;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

/// The echo evaluator under exact match: right wherever the reference is the input.
pub(crate) const SPEC: &str = r#"schema_version: "1"
id: test/echo
version: 1.0.0
evaluator: {id: eval_fabric.examples.echo}
judges:
  - {id: eval_fabric.exact_match, name: right}
scoring:
  metrics:
    - {name: accuracy, from: right}
"#;

/// Four items, of which three are right.
pub(crate) const DATASET: &str = r#"{"item_id": "a", "input": "1", "reference_output": "1"}
{"item_id": "b", "input": "2", "reference_output": "2"}
{"item_id": "c", "input": "3", "reference_output": "x"}
{"item_id": "d", "input": "4", "reference_output": "4"}
"#;

/// A folder with `spec.yaml` and `dataset.jsonl`, gone after the test.
pub(crate) struct Folder(TempDir);

impl Folder {
    /// An empty folder.
    pub(crate) fn empty() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    /// A folder with the spec and the dataset above.
    pub(crate) fn new() -> Self {
        let folder = Self::empty();
        folder.write("spec.yaml", SPEC);
        folder.write("dataset.jsonl", DATASET);
        folder
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), content).expect("a test's file can be written");
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.path(name).exists()
    }

    /// Runs `ef` with these arguments, which are separated by blanks.
    pub(crate) fn ef(&self, line: &str) -> Ended {
        self.ef_with(line.split_whitespace(), "", &[])
    }

    /// The same, with something on standard input.
    pub(crate) fn ef_reading(&self, line: &str, input: impl AsRef<[u8]>) -> Ended {
        self.ef_with(line.split_whitespace(), input, &[])
    }

    /// The same with everything, environment variables too. Only these and no others are set, but that the log is off:
    /// most tests are about what else is said.
    pub(crate) fn ef_with(
        &self,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
        input: impl AsRef<[u8]>,
        environment: &[(&str, &str)],
    ) -> Ended {
        let output = assert_cmd::Command::new(env!("CARGO_BIN_EXE_ef"))
            .args(arguments)
            .env_clear()
            .env("EVAL_FABRIC_LOG_LEVEL", "off")
            .envs(environment.iter().copied())
            .current_dir(self.0.path())
            .write_stdin(input.as_ref())
            // A program that hangs is a failure, not a reason to wait.
            .timeout(Duration::from_secs(60))
            .output()
            .expect("ef can be started");
        Ended::of(&output)
    }

    /// The records of a run, as `ef show` gives them to another program.
    #[track_caller]
    pub(crate) fn records(&self, run: &str) -> Vec<Value> {
        self.ef(&format!("show {run} --traces --format json")).exits(0).json_lines()
    }
}

/// How `ef` ended and what it said. It displays as a person would have seen it.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The exit code; of a program that a signal ended, `None`.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("ef writes UTF-8");
        Self { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }

    /// Checks the exit code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }

    /// Standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self}"))
    }

    /// Standard output as JSON, a value a line.
    #[track_caller]
    pub(crate) fn json_lines(&self) -> Vec<Value> {
        let line = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.stdout.lines().map(line).collect()
    }
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => writeln!(f, "exit {code}")?,
            None => writeln!(f, "ended by a signal")?,
        }
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            if !text.is_empty() {
                writeln!(f, "──── {name}\n{}", text.trim_end_matches('\n'))?;
            }
        }
        Ok(())
    }
}

/// Compares what a person sees with the snapshot of that name: run ids, dates and durations aside.
#[track_caller]
pub(crate) fn assert_seen(name: &str, seen: impl fmt::Display) {
    let mut settings = insta::Settings::clone_current();
    for (pattern, replacement) in [
        (r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "[RUN]"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?Z", "[TIME]"),
        (r" +\d[\d.,]* (µs|ms|s|min)( \d+ s)?( \([\d.,]+ items/s\))?", " [DURATION]"),
        (r"\b[0-9a-f]{64}\b", "[DIGEST]"),
    ] {
        settings.add_filter(pattern, replacement);
    }
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, seen.to_string()));
}
