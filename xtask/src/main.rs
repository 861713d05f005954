//! The tasks of the workspace, as `cargo xtask <task>`: one file each, and no dependency on the crates that they are
//! about, so that a task is ready in seconds and runs when nothing else compiles.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "tasks talk to the person who runs them")]

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod bench;
mod ci;
mod measure;
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
    /// What has to pass before a change lands, besides the tests: format, clippy, tidy, docs.
    Ci,
    /// Check the rules of the house: imports, docs, links, manifests, generated files, each crate alone.
    Tidy(tidy::Arguments),
    /// Measure `ef run` beside the bare cost of writing the same bytes to SQLite.
    Bench(bench::Arguments),
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
