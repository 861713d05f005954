//! The arguments.

use clap::{Parser, Subcommand};

use crate::commands;
use crate::console::LogFormat;

/// Runs evaluations of LLM and agent systems and makes their results trustworthy.
#[derive(Debug, Parser)]
#[command(name = "ef", version, propagate_version = true, max_term_width = 100, subcommand_required = true)]
#[command(after_help = "Exit codes and environment variables: docs/cli.md. Begin with `ef init DIR`.")]
pub(crate) struct Cli {
    /// The form of the log and of all else on standard error
    #[arg(long, global = true, value_name = "human|json", value_enum, default_value_t)]
    #[arg(hide_possible_values = true, display_order = 900)]
    pub(crate) log_format: LogFormat,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do. Each command is described where its arguments are.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Init(commands::init::Args),
    Run(commands::run::Args),
    Resume(commands::resume::Args),
    Replay(commands::replay::Args),
    Runs(commands::runs::Args),
    Show(commands::show::Args),
    Diff(commands::diff::Args),
    Gate(commands::gate::Args),
    Verify(commands::verify::Args),
    Judge(commands::judge::Args),
    Plugins(commands::plugins::Args),
    Schema(commands::schema::Args),
    Migrate(commands::migrate::Args),
    Tracestore(commands::tracestore::Args),
    OtelInit(commands::otel_init::Args),
    Completions(commands::completions::Args),
    Man(commands::man::Args),
}
