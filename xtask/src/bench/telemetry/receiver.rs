//! The receiver of the bench: a process of its own, so that what it uses is not charged to `ef`.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use serde::{Deserialize, Serialize};

use crate::step::{self, Failure, cargo};

/// How it treats what it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Manner {
    Serves,
    /// Answers a second late.
    IsSlow,
    /// Answers that it is not available.
    Refuses,
    /// Takes everything and answers nothing.
    Hangs,
    /// Is not there.
    IsDown,
}

/// What it got.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Counts {
    pub(super) spans: u64,
    pub(super) metrics: u64,
    pub(super) logs: u64,
}

/// A receiver, ended when it is dropped.
pub(super) struct Receiver {
    process: Child,
    output: BufReader<ChildStdout>,
    pub(super) endpoint: String,
}

/// Builds it.
pub(super) fn build(target_directory: &Path) -> Result<PathBuf, Failure> {
    let example = ["--package", "ef-testkit", "--features", "otlp-server", "--example", "otlp-server"];
    step::run(cargo(["build", "--release"]).args(example))?;
    Ok(target_directory.join("release/examples/otlp-server"))
}

impl Receiver {
    /// Starts it on a free port, for HTTP and gRPC alike.
    pub(super) fn start(program: &Path, manner: Manner) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::new(format!("{}: {error}", program.display()));
        let how: &[&str] = match manner {
            Manner::Serves | Manner::IsDown => &[],
            Manner::IsSlow => &["--delay-ms", "1000"],
            Manner::Refuses => &["--mode", "refuse"],
            Manner::Hangs => &["--mode", "hang"],
        };
        let mut command = Command::new(program);
        command.args(["--port", "0", "--count"]).args(how).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().map_err(failed)?;
        let stdout = process.stdout.take().ok_or_else(|| Failure::new("the receiver has no output"))?;
        let mut output = BufReader::new(stdout);
        let mut line = String::new();
        output.read_line(&mut line).map_err(failed)?;
        let endpoint = line.split_whitespace().find(|word| word.starts_with("http://"));
        let endpoint = endpoint.ok_or_else(|| Failure::new(format!("the receiver said {line:?}, not where it is")))?;
        let endpoint = endpoint.to_owned();
        let mut receiver = Self { process, output, endpoint };
        if manner == Manner::IsDown {
            receiver.end();
        }
        Ok(receiver)
    }

    /// Ends it and gives what it got.
    pub(super) fn counts(mut self) -> Result<Counts, Failure> {
        // It counts until nobody can tell it anything any more.
        drop(self.process.stdin.take());
        let mut text = String::new();
        let read = self.output.read_to_string(&mut text);
        read.map_err(|error| Failure::new(format!("the receiver's numbers: {error}")))?;
        serde_json::from_str(text.trim()).map_err(|error| Failure::new(format!("the receiver's numbers: {error}")))
    }

    fn end(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.end();
    }
}
