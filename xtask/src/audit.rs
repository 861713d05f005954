//! `cargo xtask audit`: cargo-deny over all dependencies: advisories, yanked releases, licences, bans and sources, by the
//! rules of `deny.toml`. A workspace that has to be refused goes first, so that an audit that finds nothing is known to be
//! able to find something.

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;

use crate::step::{self, Failure, cargo};

mod advisories;
mod policy;
mod proof;
mod tool;

use advisories::Advisories;

/// What a failed audit asks for.
const REMEDY: &str = "\
the audit refuses what is above. For each, in this order of preference:
        - a newer version: `cargo update --package CRATE`, or a new range in [workspace.dependencies]
        - another crate in its place, or none
        - where it does no harm here: an exception in deny.toml with the reason and `look again YYYY-MM-DD`";

/// Arguments of `cargo xtask audit`.
#[derive(Debug, Default, Args)]
pub(crate) struct Arguments {
    /// Take the advisories from a local copy of the RustSec database instead of fetching them.
    #[arg(long, value_name = "DIR")]
    advisory_db: Option<PathBuf>,
    /// Use no network: the advisories that were fetched last, at most 30 days ago, and what this machine last heard about
    /// yanked releases.
    #[arg(long)]
    offline: bool,
}

impl Arguments {
    /// Those of `cargo xtask ci`: a copy of the advisories beside the checkout is taken where there is one.
    pub(crate) fn of_ci() -> Self {
        let root = step::root();
        let copy = root.parent().unwrap_or(&root).join("shared/advisory-db");
        Self { advisory_db: copy.is_dir().then_some(copy), offline: false }
    }
}

/// Audits the workspace.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let policy = step::read_text(&step::root().join("deny.toml"))?;
    policy::check(&policy, &policy::today()?)?;
    let deny = Deny { program: tool::ready(arguments.offline)? };
    let advisories = Advisories::ready(&deny, arguments.advisory_db.as_deref(), arguments.offline)?;
    eprintln!("    advisories: {advisories}");
    if arguments.offline {
        eprintln!("    yanked releases: as this machine last heard of them; without --offline the registry is asked");
    } else {
        refresh_index()?;
        eprintln!("    yanked releases: as the registry says now");
    }
    proof::run(&deny, &advisories, arguments.offline)?;
    let workspace = step::root().join("Cargo.toml");
    step::run(&mut deny.check(&workspace, &advisories, Format::Human))
        .map_err(|failure| Failure { message: format!("{failure}\n        {REMEDY}"), ..failure })
}

/// How findings are told.
#[derive(Clone, Copy)]
enum Format {
    Human,
    Json,
}

/// cargo-deny, as it is used here.
struct Deny {
    program: PathBuf,
}

impl Deny {
    /// The check of one workspace. Everything was fetched before, so that the check itself needs no network, and whatever
    /// it could not find out is a failure rather than a warning.
    fn check(&self, manifest: &Path, advisories: &Advisories, format: Format) -> Command {
        let format = match format {
            Format::Human => "human",
            Format::Json => "json",
        };
        let mut check = self.command(advisories.folder());
        check.args(["--format", format, "--offline", "--locked", "--config", "deny.toml", "--manifest-path"]);
        check.arg(manifest).args(["check", "--deny", "warnings"]);
        check
    }

    /// A command that keeps advisories in a folder, at the root of the workspace.
    fn command(&self, advisories: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.current_dir(step::root()).env(advisories::FOLDER, advisories);
        command
    }
}

/// Asks the registry again about every package of the lock file. cargo-deny judges yanked releases by cargo's index
/// cache, which may be months old.
fn refresh_index() -> Result<(), Failure> {
    step::text(&mut cargo(["update", "--dry-run"])).map(drop).map_err(|failure| {
        Failure::new(format!(
            "{failure}\n    the registry did not say which releases are yanked: nothing was audited. Connect and try \
             again, or accept what this machine last heard with `cargo xtask audit --offline`"
        ))
    })
}
