//! cargo-deny in the version that this workspace is audited with.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::packages::Packages;
use crate::step::{self, Failure, cargo};

/// The version; another may judge otherwise.
const VERSION: &str = "0.20.2";

/// The program: the installed one where it has the right version, else one of our own below the target directory, which
/// is built when it is not there yet.
pub(super) fn ready(offline: bool) -> Result<PathBuf, Failure> {
    let installed = PathBuf::from("cargo-deny");
    if is_right(&installed) {
        return Ok(installed);
    }
    let folder = Packages::locked(&step::root())?.target_directory.join(format!("tools/cargo-deny-{VERSION}"));
    let own = folder.join("bin/cargo-deny");
    if !is_right(&own) {
        if offline {
            return Err(Failure::new(format!(
                "cargo-deny {VERSION} is not installed: run `cargo xtask audit` once with the network"
            )));
        }
        install(&folder)?;
    }
    Ok(own)
}

fn is_right(program: &Path) -> bool {
    let version = step::output(Command::new(program).arg("--version"));
    version.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).trim() == format!("cargo-deny {VERSION}"))
}

fn install(folder: &Path) -> Result<(), Failure> {
    eprintln!("    cargo-deny {VERSION} is not installed; building it takes a minute or two, once");
    let version = format!("={VERSION}");
    let mut install = cargo(["install", "cargo-deny", "--locked", "--quiet", "--version", &version, "--root"]);
    install.arg(folder);
    // It runs for a second: its own release settings would cost minutes more to build.
    install.env("CARGO_PROFILE_RELEASE_LTO", "off").env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
    install.env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1");
    step::run(&mut install).map_err(|failure| {
        let remedy = format!("install it yourself: `cargo install cargo-deny --locked --version {VERSION}`");
        Failure {
            message: format!("{failure}\n    cargo-deny could not be built, nothing was audited; {remedy}"),
            ..failure
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_pinned_version_is_used() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let program = folder.path().join("cargo-deny");
        assert!(!is_right(&program), "it is not there");
        for (version, right) in [(VERSION, true), ("0.20.20", false), ("0.1.0", false)] {
            step::write(&program, format!("#!/bin/sh\necho cargo-deny {version}\n")).expect("it is written");
            step::run(Command::new("chmod").arg("+x").arg(&program)).expect("it is a program");
            assert_eq!(is_right(&program), right, "{version}");
        }
    }
}
