//! `ef migrate`: brings a spec to another schema version.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use crate::failure::{self, Failure};
use crate::{Exit, compose, console};

/// Bring a spec to another schema version
///
/// Writes a spec in another schema version to a new file. The spec itself is left as it is.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The spec
    spec: PathBuf,
    /// The schema version to bring it to
    #[arg(long, value_name = "N")]
    to: String,
    /// The file to write; it must not be there yet
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
}

pub(crate) fn execute(args: &Args) -> Result<Exit, Failure> {
    let bytes = compose::read_spec(&args.spec)?;
    let migrated = ef_spec::migrate(&args.spec.to_string_lossy(), &bytes, &args.to)?;
    let written = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&args.output)
        .and_then(|mut file| file.write_all(migrated.as_bytes()));
    written.map_err(|error| {
        let message = format!("{} cannot be written: {}", args.output.display(), failure::reason(&error));
        Failure::usage(message).hint("name a file that is not there yet with --output")
    })?;
    console::say(&format!("wrote {} in schema version {}", args.output.display(), args.to));
    Ok(Exit::Done)
}
