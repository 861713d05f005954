//! `xtask measure`: runs one command and writes what it used as JSON. The bench starts itself with it, because the kernel
//! keeps the peak memory of children per parent: a parent of its own for each command keeps the figures apart, and a
//! small one, because a child is charged for its parent's pages until it has become another program.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use clap::Args;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use serde::{Deserialize, Serialize};

use crate::step::{self, Failure};

/// Arguments of `xtask measure`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Where the figures go.
    output: PathBuf,
    /// The command and its arguments, after `--`.
    #[arg(required = true, last = true)]
    command: Vec<String>,
}

/// What one process used.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// From its start to its end, in seconds.
    pub(crate) wall_s: f64,
    /// CPU time in its own code, in seconds, of all threads.
    pub(crate) user_s: f64,
    /// CPU time in the kernel, in seconds, of all threads.
    pub(crate) system_s: f64,
    /// The most memory that it held at once, in bytes.
    pub(crate) peak_rss_bytes: u64,
}

/// Runs the command and writes its [`Usage`]; ends with its exit code.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let (program, rest) = arguments.command.split_first().ok_or_else(|| Failure::new("measure: no command"))?;
    let begun = Instant::now();
    let status = Command::new(program).args(rest).status();
    let wall_s = begun.elapsed().as_secs_f64();
    let status = status.map_err(|error| Failure::new(format!("`{program}` could not be started: {error}")))?;
    if !status.success() {
        let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
        return Err(Failure { message: format!("`{}` failed ({status})", arguments.command.join(" ")), code });
    }
    write(&arguments.output, &of_children(wall_s)?)
}

/// Runs a command through `xtask measure`, and gives what it used and what it printed.
pub(crate) fn measured(command: &Command, scratch: &Path) -> Result<(Usage, String), Failure> {
    measured_with_log(command, scratch).map(|(usage, printed, _)| (usage, printed))
}

/// The same with what it said on standard error.
pub(crate) fn measured_with_log(command: &Command, scratch: &Path) -> Result<(Usage, String, String), Failure> {
    let itself = std::env::current_exe().map_err(|error| Failure::new(format!("where is xtask? {error}")))?;
    let figures = scratch.join("usage.json");
    let mut measure = Command::new(itself);
    measure.arg("measure").arg(&figures).arg("--").arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => measure.env(name, value),
            None => measure.env_remove(name),
        };
    }
    let output = step::output(&mut measure)?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Failure::new(format!("`{}` failed:\n{said}", step::shown(command))));
    }
    let text = std::fs::read(&figures).map_err(|error| Failure::new(format!("{}: {error}", figures.display())))?;
    let usage =
        serde_json::from_slice(&text).map_err(|error| Failure::new(format!("{}: {error}", figures.display())))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok((usage, text(&output.stdout), text(&output.stderr)))
}

fn of_children(wall_s: f64) -> Result<Usage, Failure> {
    // Linux counts peak memory in KiB, macOS in bytes.
    const UNIT: u64 = if cfg!(target_os = "macos") { 1 } else { 1024 };
    let used = getrusage(UsageWho::RUSAGE_CHILDREN).map_err(|error| Failure::new(format!("getrusage: {error}")))?;
    Ok(Usage {
        wall_s,
        user_s: seconds(used.user_time()),
        system_s: seconds(used.system_time()),
        peak_rss_bytes: u64::try_from(used.max_rss()).unwrap_or(0) * UNIT,
    })
}

#[allow(clippy::cast_precision_loss, reason = "CPU times stay far below 2^53 s")]
fn seconds(time: TimeVal) -> f64 {
    time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6
}

fn write(path: &Path, usage: &Usage) -> Result<(), Failure> {
    let text = serde_json::to_vec(usage).map_err(|error| Failure::new(error.to_string()))?;
    std::fs::write(path, text).map_err(|error| Failure::new(format!("{}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measure(output: &Path, command: &[&str]) -> Result<(), Failure> {
        let command = command.iter().map(|&word| word.to_owned()).collect();
        run(&Arguments { output: output.to_owned(), command })
    }

    #[test]
    fn a_measured_command_has_wall_time_cpu_time_and_memory() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let output = folder.path().join("usage.json");
        measure(&output, &["sh", "-c", "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; sleep 0.05"])
            .expect("the loop ends well");
        let usage: Usage = serde_json::from_slice(&std::fs::read(output).expect("figures")).expect("JSON");
        assert!(usage.wall_s >= 0.05, "{usage:?}");
        assert!(usage.user_s + usage.system_s > 0.0, "{usage:?}");
        assert!(usage.peak_rss_bytes > 100_000, "{usage:?}");
    }

    #[test]
    fn a_measured_command_that_fails_gives_its_exit_code_and_no_figures() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let output = folder.path().join("usage.json");
        let failure = measure(&output, &["sh", "-c", "exit 7"]).expect_err("exit 7 is a failure");
        assert_eq!(failure.code, 7);
        assert!(!output.exists());
    }
}
