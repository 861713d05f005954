//! `ef tracestore`: looks after trace stores.

mod export;
mod info;
mod init;
mod migrate;

use crate::Exit;
use crate::failure::Failure;
use crate::stores::{self, Location};

/// Look after trace stores
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Init(init::Args),
    Migrate(migrate::Args),
    Info(info::Args),
    Export(export::Args),
}

/// The store that a command is about: its URI stands by itself or after --store.
#[derive(Debug, clap::Args)]
struct Subject {
    /// The trace store; ./runs/runs.db where none is named
    #[arg(conflicts_with = "store")]
    uri: Option<String>,
    #[command(flatten)]
    store: stores::StoreArgs,
}

impl Subject {
    fn location(&self) -> Result<Location, Failure> {
        Location::parse(self.uri.as_deref().unwrap_or_else(|| self.store.uri()))
    }
}

pub(crate) async fn execute(args: Args) -> Result<Exit, Failure> {
    match args.command {
        Command::Init(args) => init::execute(args).await,
        Command::Migrate(args) => migrate::execute(args).await,
        Command::Info(args) => info::execute(args).await,
        Command::Export(args) => export::execute(args).await,
    }
}
