//! `cargo xtask lock`: `Cargo.lock` and the list of all third-party packages, brought up to date or checked.

use clap::Args;

use crate::packages::{self, Packages};
use crate::step::{self, Failure, cargo};

mod ranges;
mod third_party;

/// Where the list of third-party packages is kept.
const THIRD_PARTY: &str = "docs/third-party.md";

/// Arguments of `cargo xtask lock`.
#[derive(Debug, Default, Args)]
pub(crate) struct Arguments {
    /// Change nothing; fail when either file is stale.
    #[arg(long)]
    check: bool,
    /// Take the newest version of every package that its range allows; without it, only what has to change does.
    #[arg(long, conflicts_with = "check")]
    upgrade: bool,
    /// Use only what this machine has downloaded already.
    #[arg(long)]
    offline: bool,
}

impl Arguments {
    /// Those of a check.
    pub(crate) fn check() -> Self {
        Self { check: true, ..Self::default() }
    }
}

/// Brings both files up to date, or checks them.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    if !arguments.check {
        update(arguments)?;
    }
    let packages = read(arguments)?;
    let findings = ranges::findings(&packages);
    for finding in &findings {
        eprintln!("    {finding}");
    }
    let locked = packages::locked(&step::read_text(&step::root().join("Cargo.lock"))?)?;
    let list = third_party::list(&locked, &packages)?;
    let path = step::root().join(THIRD_PARTY);
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    if arguments.check && before != list {
        return Err(Failure::new(format!("{THIRD_PARTY} is stale: run `cargo xtask lock` and commit what it changes")));
    }
    if before != list {
        step::write(&path, &list)?;
        eprintln!("    {THIRD_PARTY} written");
    }
    eprintln!("    {} packages, of which {} are third-party", locked.len(), third_party::count(&locked));
    if findings.is_empty() {
        return Ok(());
    }
    Err(Failure::new(
        "a dependency is not pinned to a compatible range: correct [workspace.dependencies] in Cargo.toml",
    ))
}

fn update(arguments: &Arguments) -> Result<(), Failure> {
    let mut update = cargo(["update"]);
    if !arguments.upgrade {
        update.arg("--workspace");
    }
    if arguments.offline {
        update.arg("--offline");
    }
    step::run(&mut update)
}

fn read(arguments: &Arguments) -> Result<Packages, Failure> {
    let mut metadata = cargo(["metadata", "--format-version", "1", "--locked"]);
    if arguments.offline {
        metadata.arg("--offline");
    }
    Packages::of(&mut metadata).map_err(explained)
}

/// What cargo says of a lock file that does not fit, in the words of this task.
fn explained(failure: Failure) -> Failure {
    if failure.message.contains("--locked") && failure.message.contains("cannot update the lock file") {
        return Failure::new("Cargo.lock is stale: run `cargo xtask lock` and commit what it changes");
    }
    failure
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_file_that_does_not_fit_its_manifest_is_stale() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let manifest = "[package]\nname = \"small\"\nversion = \"1.0.0\"\nedition = \"2024\"\n[workspace]\n";
        step::write(&folder.path().join("Cargo.toml"), manifest).expect("written");
        step::write(&folder.path().join("src/lib.rs"), "").expect("written");
        let lock = "version = 4\n\n[[package]]\nname = \"small\"\nversion = \"0.9.0\"\n";
        step::write(&folder.path().join("Cargo.lock"), lock).expect("written");
        let failure = Packages::locked(folder.path()).map(drop).map_err(explained).expect_err("it does not fit");
        assert!(failure.message.starts_with("Cargo.lock is stale: run `cargo xtask lock`"), "{failure}");
        let other = Failure::new("`cargo metadata` failed: no manifest");
        assert_eq!(explained(other).message, "`cargo metadata` failed: no manifest");
    }
}
