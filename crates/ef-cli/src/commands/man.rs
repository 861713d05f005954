//! `ef man`: manual pages.

use std::path::PathBuf;

use crate::failure::{self, Failure};
use crate::{Exit, console, output};

/// Print the manual page, or write all of them
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Write the pages of all commands here
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

pub(crate) fn execute(args: &Args) -> Result<Exit, Failure> {
    match &args.output {
        None => {
            let mut page = Vec::new();
            let rendered = clap_mangen::Man::new(crate::command()).render(&mut page);
            rendered
                .map_err(|error| Failure::usage(format!("the page cannot be made: {}", failure::reason(&error))))?;
            output::print(&String::from_utf8_lossy(&page))?;
        }
        Some(folder) => {
            let written =
                std::fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(crate::command(), folder));
            written.map_err(|error| {
                Failure::usage(format!(
                    "the pages cannot be written to {}: {}",
                    folder.display(),
                    failure::reason(&error)
                ))
            })?;
            console::say(&format!("wrote the manual pages to {}", folder.display()));
        }
    }
    Ok(Exit::Done)
}
