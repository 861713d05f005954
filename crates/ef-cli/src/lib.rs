#![doc = include_str!("../README.md")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is the crate that prints")]

mod artifact;
mod cli;
mod commands;
mod compose;
mod console;
mod dry_run;
mod evaluation;
mod exit;
mod failure;
mod output;
mod plugins;
mod progress;
mod prompt;
mod queue;
mod run_ref;
mod session;
mod signals;
mod stores;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use ef_plugin::{Registry, RegistryError};

pub use exit::{EXIT_CODES, Exit};

/// Runs the program: reads its arguments, does what they say, and tells how it ended.
#[must_use]
pub fn main() -> ExitCode {
    run(|_| Ok(()))
}

/// Runs the program with evaluators and judges of one's own, which `add` registers. That is all that the `main` of an `ef`
/// of one's own has to do.
#[must_use]
pub fn run(add: impl FnOnce(&mut Registry) -> Result<(), RegistryError>) -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == plugins::sandbox::LAUNCHER) {
        console::say(&plugins::sandbox::launch(arguments));
        return Exit::Component.into();
    }
    failure::install_panic_hook();
    let mut own = Registry::new();
    if let Err(error) = add(&mut own) {
        return failure::Failure::from(error).report().into();
    }
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return refuse(&error).into(),
    };
    console::set_format(cli.log_format);
    match commands::execute(cli.command, own) {
        Ok(exit) => exit.into(),
        Err(failure) => failure.report().into(),
    }
}

/// What to say where the arguments are not understood, or ask for help or the version.
fn refuse(error: &clap::Error) -> Exit {
    // Help and version go to standard output and are no error; the rest goes to standard error.
    if !error.use_stderr() {
        let _ = error.print();
        return Exit::Done;
    }
    let wants_json = |words: &[std::ffi::OsString]| match words {
        [option] => option == "--log-format=json",
        [option, value, ..] => option == "--log-format=json" || (option == "--log-format" && value == "json"),
        [] => false,
    };
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    if (0..arguments.len()).any(|from| wants_json(&arguments[from..])) {
        console::set_format(console::LogFormat::Json);
        failure::Failure::usage(error.render().to_string().trim_start_matches("error: ")).report()
    } else {
        let _ = error.print();
        Exit::Usage
    }
}

/// The whole command line, for the generated documentation.
#[must_use]
pub fn command() -> clap::Command {
    cli::Cli::command()
}
