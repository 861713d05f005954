//! The tasks of the workspace, as `cargo xtask <task>`: one file each, and no dependency on the crates that they are
//! about, so that a task is ready in seconds and runs when nothing else compiles.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "tasks talk to the person who runs them")]

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod audit;
mod bench;
mod ci;
mod fuzz;
mod lock;
mod measure;
mod packages;
mod release;
mod sbom;
mod simulate;
mod step;
mod test;
mod tidy;

/// Tasks of the eval-fabric workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Run all tests: with nextest where it is installed, else with cargo test; doctests always.
    Test(test::Arguments),
    /// What has to pass before a change lands, besides the tests: format, clippy, tidy, docs, lock, SBOM, audit.
    Ci,
    /// Check the rules of the house: imports, docs, links, manifests, generated files, each crate alone.
    Tidy(tidy::Arguments),
    /// Measure `ef run` beside the bare cost of writing the same bytes to SQLite.
    Bench(bench::Arguments),
    Fuzz(fuzz::Arguments),
    Simulate(simulate::Arguments),
    /// Bring Cargo.lock and docs/third-party.md up to date.
    Lock(lock::Arguments),
    /// Judge all dependencies: advisories, yanked releases, licences, bans, sources.
    Audit(audit::Arguments),
    /// Write what is linked into `ef` as a CycloneDX document.
    Sbom(sbom::Arguments),
    /// Build `ef` twice in different folders and compare.
    Repro,
    /// Build a release for this platform: archive, SBOM, provenance, sums.
    Dist(release::dist::Arguments),
    /// Sign a release with a minisign key.
    Sign(release::sign::Arguments),
    /// Check a release: signature, sums, provenance, SBOM.
    Verify(release::verify::Arguments),
    /// Run one command and write what it used as JSON.
    #[command(hide = true)]
    Measure(measure::Arguments),
}

fn main() -> ExitCode {
    let done = match Arguments::parse().task {
        Task::Test(arguments) => test::run(&arguments),
        Task::Ci => ci::run(),
        Task::Tidy(arguments) => tidy::run(&arguments),
        Task::Bench(arguments) => bench::run(&arguments),
        Task::Fuzz(arguments) => fuzz::run(&arguments),
        Task::Simulate(arguments) => simulate::run(&arguments),
        Task::Lock(arguments) => lock::run(&arguments),
        Task::Audit(arguments) => audit::run(&arguments),
        Task::Sbom(arguments) => sbom::run(&arguments),
        Task::Repro => release::repro::run(),
        Task::Dist(arguments) => release::dist::run(&arguments),
        Task::Sign(arguments) => release::sign::run(&arguments),
        Task::Verify(arguments) => release::verify::run(&arguments),
        Task::Measure(arguments) => measure::run(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::from(failure.code)
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_of_all_tasks_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn what_test_does_not_know_itself_is_kept_for_the_runner() {
        let parsed = Arguments::parse_from(["xtask", "test", "-p", "ef-model", "digest", "--no-capture"]);
        let Task::Test(arguments) = parsed.task else { panic!("not the task test: {parsed:?}") };
        assert_eq!(arguments.package, ["ef-model"]);
        assert_eq!(arguments.passed_on, ["digest", "--no-capture"]);
    }
}
