//! `ef completions`: prints a completion script.

use clap_complete::Shell;

use crate::failure::Failure;
use crate::{Exit, output};

/// Print a completion script for a shell
///
/// For bash: `ef completions bash > ~/.local/share/bash-completion/completions/ef`
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(crate) fn execute(args: &Args) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut crate::command(), "ef", &mut script);
    output::print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
