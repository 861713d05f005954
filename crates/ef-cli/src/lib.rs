#![doc = include_str!("../README.md")]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "this is the crate that prints")]

mod artifact;
mod cli;
mod commands;
mod compose;
mod evaluation;
mod exit;
mod failure;
mod output;
mod progress;
mod run_ref;
mod signals;
mod stores;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

pub use exit::{EXIT_CODES, Exit};

/// Runs the program: reads its arguments, does what they say, and tells how it ended.
#[must_use]
pub fn main() -> ExitCode {
    failure::install_panic_hook();
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to standard output and are no error; the rest goes to standard error.
            let code = if error.use_stderr() { Exit::Usage } else { Exit::Done };
            let _ = error.print();
            return code.into();
        }
    };
    match commands::execute(cli.command) {
        Ok(exit) => exit.into(),
        Err(failure) => failure.report().into(),
    }
}

/// The whole command line, for the generated documentation.
#[must_use]
pub fn command() -> clap::Command {
    cli::Cli::command()
}
