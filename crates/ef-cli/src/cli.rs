//! The arguments.

use clap::{Parser, Subcommand};

use crate::commands;

/// Runs evaluations of LLM and agent systems and makes their results trustworthy.
#[derive(Debug, Parser)]
#[command(name = "ef", version, propagate_version = true, max_term_width = 100, subcommand_required = true)]
#[command(after_help = "Exit codes and environment variables: docs/cli.md. Begin with `ef init DIR`.")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a small project that runs as it is
    Init(commands::init::Args),
    /// Run an evaluation
    Run(commands::run::Args),
    /// List runs
    Runs(commands::runs::Args),
    /// Show a run: its summary, a metric, its traces, or one item
    Show(commands::show::Args),
    /// Turn a metric into a verdict for continuous integration
    Gate(commands::gate::Args),
    /// Print the JSON Schema of a spec, of a dataset row, or of a result
    Schema(commands::schema::Args),
    /// Bring a spec to another schema version
    Migrate(commands::migrate::Args),
    /// Look after trace stores
    Tracestore(commands::tracestore::Args),
    /// Print a completion script for a shell
    Completions(commands::completions::Args),
    /// Print the manual page, or write all of them
    Man(commands::man::Args),
}
