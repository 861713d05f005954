//! `ef tracestore init`: makes a store.

use super::Subject;
use crate::failure::Failure;
use crate::{Exit, console};

/// Make a trace store where there is none, and check the one that is there
///
/// Of a store that is there the schema version is checked; nothing in it is changed.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    subject: Subject,
}

pub(super) async fn execute(args: Args) -> Result<Exit, Failure> {
    let location = args.subject.location()?;
    location.init().await?;
    console::say(&format!("the trace store is ready, schema version {}", location.admin().supported_version()));
    Ok(Exit::Done)
}
