//! `ef tracestore migrate`: brings a store's schema to another version.

use ef_model::StoreError;

use super::Subject;
use crate::failure::Failure;
use crate::{Exit, console};

/// Bring a trace store to another schema version
///
/// The migration is made whole or not at all, and what is in the store stays. Older programs cannot read the store
/// afterwards: make a copy first. A store that has the version already is left as it is.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    subject: Subject,
    /// The schema version to bring it to
    #[arg(long, value_name = "N")]
    to: i64,
}

pub(super) async fn execute(args: Args) -> Result<Exit, Failure> {
    let location = args.subject.location()?;
    location.check_presence()?;
    let (admin, to) = (location.admin(), args.to);
    let supported = admin.supported_version();
    if !(1..=supported).contains(&to) {
        let message = format!("there is no schema version {to} that this ef could bring a trace store to");
        return Err(Failure::usage(message).hint(match supported {
            1 => "version 1 is the only one that there is".to_owned(),
            _ => format!("it knows the versions 1 to {supported}"),
        }));
    }
    match admin.migrate(to).await {
        Ok(found) if found == to => console::say(&format!("the trace store has schema version {to} already")),
        Ok(found) => console::say(&format!("the trace store was brought from schema version {found} to {to}")),
        Err(StoreError::SchemaVersion { found, .. }) if found <= supported => {
            let shown = location.shown();
            let message = format!("no migration leads the trace store {shown} from schema version {found} to {to}");
            return Err(Failure::new(Exit::Store, message));
        }
        Err(error) => return Err(location.failed(error)),
    }
    Ok(Exit::Done)
}
