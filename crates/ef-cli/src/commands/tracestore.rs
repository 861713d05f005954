//! `ef tracestore`: looks after trace stores.

use crate::failure::Failure;
use crate::{Exit, output, stores};

/// Look after trace stores
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Init(Init),
}

/// Make a trace store where there is none, and check the one that is there
///
/// Of a store that is there the schema version is checked; nothing in it is changed.
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
