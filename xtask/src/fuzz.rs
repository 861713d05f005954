//! `cargo xtask fuzz`: throws bytes at everything that reads from outside, with cargo-fuzz.
//!
//! What has to hold is in the crate under `fuzz/`; its binaries under `fuzz/libfuzzer/` are built by a nightly toolchain,
//! with the address sanitizer.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args;

use crate::step::{self, Failure, cargo};
use figures::Figures;

mod figures;

/// The version of cargo-fuzz that is used, whatever else is installed.
const CARGO_FUZZ: &str = "0.13.2";
const NIGHTLY: &str = "nightly";
/// MiB of memory and seconds that one input may take.
const MOST_MEMORY: u32 = 2048;
const MOST_SECONDS: u32 = 10;
/// The longest input that is tried, in bytes.
const LONGEST_INPUT: u32 = 4096;

/// Throw bytes at everything that reads from outside: specs, datasets, store URIs, payloads, records.
///
/// Needs a nightly toolchain, which is not installed by this task. cargo-fuzz is: in target/tools, where it is not there
/// in the version that is used. The first build takes some minutes.
///
/// An input that breaks a promise is left in fuzz/libfuzzer/artifacts/TARGET/. Copy it to fuzz/crashes/TARGET/: from then
/// on `cargo xtask test` tries it too.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The target; without it, each in turn.
    target: Option<String>,
    /// Seconds for each target.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..), value_name = "N")]
    seconds: u32,
}

/// Builds the binaries and runs one or all of them.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let chosen = chosen(&targets()?, arguments.target.as_deref())?;
    check_nightly()?;
    let program = cargo_fuzz()?;
    step::run(command(&program, "build").args(&arguments.target))?;
    let mut broken = Vec::new();
    println!("{}", Figures::HEADER);
    for target in &chosen {
        match one(&program, target, arguments.seconds)? {
            Ok(figures) => println!("{target:<20}{figures}"),
            Err(log) => {
                println!("{target:<20}BROKEN");
                broken.push(told(target, &log));
            }
        }
    }
    if broken.is_empty() { Ok(()) } else { Err(Failure::new(broken.join("\n"))) }
}

fn folder() -> PathBuf {
    step::root().join("fuzz")
}

/// The targets that there are: one binary each.
fn targets() -> Result<Vec<String>, Failure> {
    let folder = folder().join("libfuzzer/fuzz_targets");
    let entries = fs::read_dir(&folder).map_err(|error| Failure::new(format!("{}: {error}", folder.display())))?;
    let stems = entries.flatten().filter_map(|entry| Some(entry.path().file_stem()?.to_str()?.to_owned()));
    let mut targets: Vec<String> = stems.collect();
    targets.sort();
    Ok(targets)
}

fn chosen(targets: &[String], named: Option<&str>) -> Result<Vec<String>, Failure> {
    match named {
        None => Ok(targets.to_vec()),
        Some(name) if targets.iter().any(|target| target == name) => Ok(vec![name.to_owned()]),
        Some(name) => Err(Failure::new(format!("there is no target {name}; there are {}", targets.join(", ")))),
    }
}

fn check_nightly() -> Result<(), Failure> {
    if step::succeeds(Command::new("rustup").args(["run", NIGHTLY, "rustc", "--version"])) {
        return Ok(());
    }
    Err(Failure::new(format!(
        "fuzzing needs a nightly toolchain, and there is none; this task does not install one.\n    \
         To install it: rustup toolchain install {NIGHTLY} --profile minimal"
    )))
}

/// The program of the version that is used: installed by an earlier run, or now.
fn cargo_fuzz() -> Result<PathBuf, Failure> {
    let tools = step::root().join("target/tools");
    let program = tools.join("bin/cargo-fuzz");
    let installed = Command::new(&program).arg("--version").output();
    if installed.is_ok_and(|output| is_version(&String::from_utf8_lossy(&output.stdout))) {
        return Ok(program);
    }
    eprintln!("==> cargo-fuzz {CARGO_FUZZ} is not in {}: installing it", tools.display());
    let version = format!("={CARGO_FUZZ}");
    step::run(cargo(["install", "cargo-fuzz", "--locked", "--force", "--version", &version, "--root"]).arg(&tools))?;
    Ok(program)
}

fn is_version(said: &str) -> bool {
    said.split_whitespace().last() == Some(CARGO_FUZZ)
}

/// A command of cargo-fuzz under the nightly toolchain.
fn command(program: &Path, subcommand: &str) -> Command {
    let mut command = Command::new("rustup");
    command.args(["run", NIGHTLY]).arg(program).arg(subcommand);
    command.arg("--fuzz-dir").arg(folder().join("libfuzzer"));
    command.arg("--target-dir").arg(step::root().join("target/fuzz"));
    // They name the toolchain that runs this task.
    for variable in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN"] {
        command.env_remove(variable);
    }
    command.current_dir(step::root());
    command
}

/// Fuzzes one target: its figures, or the log of what broke it.
fn one(program: &Path, target: &str, seconds: u32) -> Result<Result<Figures, PathBuf>, Failure> {
    let kept = step::root().join("target/fuzz/corpus").join(target);
    let failed = |error: std::io::Error| Failure::new(format!("{}: {error}", kept.display()));
    fs::create_dir_all(&kept).map_err(failed)?;
    let path = step::root().join("target/fuzz").join(format!("{target}.log"));
    let log = File::create(&path).map_err(failed)?;

    let mut fuzz = command(program, "run");
    fuzz.arg(target).arg(&kept);
    let given = ["seeds", "crashes"].map(|name| folder().join(name).join(target));
    fuzz.args(given.iter().filter(|folder| folder.is_dir()));
    fuzz.args(["--", "-print_final_stats=1"]);
    fuzz.arg(format!("-max_total_time={seconds}")).arg(format!("-timeout={MOST_SECONDS}"));
    fuzz.arg(format!("-rss_limit_mb={MOST_MEMORY}")).arg(format!("-max_len={LONGEST_INPUT}"));
    if let Some(words) = dictionary(target) {
        fuzz.arg(format!("-dict={}", words.display()));
    }
    eprintln!("==> {target}: {seconds} s, its output is in {}", path.display());
    let status = fuzz.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).status();
    let status = status.map_err(|error| Failure::new(format!("rustup could not be started: {error}")))?;
    let said = fs::read(&path).map_err(failed)?;
    let figures = Figures::of(&String::from_utf8_lossy(&said));
    Ok(figures.filter(|_| status.success()).ok_or(path))
}

/// Words that a reader of this target knows: those of the target, or of its kind (`dataset` for `dataset_csv`).
fn dictionary(target: &str) -> Option<PathBuf> {
    let kind = target.split('_').next().unwrap_or(target);
    let files = [target, kind].map(|name| folder().join("dictionaries").join(format!("{name}.dict")));
    files.into_iter().find(|file| file.is_file())
}

/// What broke a target, and what to do about it.
fn told(target: &str, log: &Path) -> String {
    let said = fs::read(log).unwrap_or_default();
    let said = String::from_utf8_lossy(&said);
    let input = figures::input(&said).unwrap_or("(none was written)");
    format!(
        "{target} is broken:\n    {}\n    The input: {input}\n    Copy it to fuzz/crashes/{target}/, and `cargo xtask test -p ef-fuzz` fails until it \
         is put right.\n    The whole output: {}",
        figures::reasons(&said).join("\n    "),
        log.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_target_is_told_with_those_that_there_are() {
        let targets = ["payload".to_owned(), "spec".to_owned()];
        assert_eq!(chosen(&targets, None).expect("all"), targets);
        assert_eq!(chosen(&targets, Some("spec")).expect("one"), ["spec"]);
        let failure = chosen(&targets, Some("specs")).expect_err("there is no such target");
        assert_eq!(failure.message, "there is no target specs; there are payload, spec");
    }

    #[test]
    fn the_targets_are_those_of_the_binaries() {
        let targets = targets().expect("the folder of the binaries");
        assert!(targets.contains(&"spec".to_owned()) && targets.is_sorted(), "{targets:?}");
    }

    #[test]
    fn another_version_of_cargo_fuzz_does_not_count() {
        assert!(is_version(&format!("cargo-fuzz {CARGO_FUZZ}\n")));
        assert!(!is_version("cargo-fuzz 0.1.0") && !is_version(""));
    }

    #[test]
    fn what_is_broken_is_told_with_its_input_and_the_next_step() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let log = folder.path().join("spec.log");
        let said = "thread 'x' panicked at fuzz/src/spec.rs:1:\nboom\nTest unit written to /x/crash-1\n";
        fs::write(&log, said).expect("a file");
        let message = told("spec", &log);
        assert!(message.contains("panicked at fuzz/src/spec.rs:1:\n    boom\n"), "{message}");
        assert!(message.contains("The input: /x/crash-1\n    Copy it to fuzz/crashes/spec/"), "{message}");
    }
}
