//! `ef tracestore`: looks after trace stores.

use crate::failure::Failure;
use crate::{Exit, output, stores};

/// Looks after trace stores.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make a trace store where there is none, and check the one that is there
    Init(Init),
}

/// Makes a trace store where there is none, and checks the schema version of the one that is there.
#[derive(Debug, clap::Args)]
struct Init {
    #[command(flatten)]
    store: stores::StoreArgs,
}

pub(crate) async fn execute(args: Args) -> Result<Exit, Failure> {
    let Command::Init(Init { store }) = args.command;
    let uri = store.store.as_deref().unwrap_or(stores::DEFAULT);
    let store = stores::open_or_create(uri).await?;
    store.close().await;
    output::say(&format!("the trace store is ready, schema version {}", ef_store_sqlite::SCHEMA_VERSION));
    Ok(Exit::Done)
}
