//! What some tests need besides the toolchain: a Postgres server's programs, and Python with its `venv`.
//!
//! Where one is missing, it is installed by the system's package manager if that may be done without asking: in continuous
//! integration, or where the tests insist on it. Otherwise those tests are skipped, and both this task and they say so.

use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::step::{self, Failure};

/// Something that tests need.
struct Prerequisite {
    name: &'static str,
    /// The environment variable that makes a test without it fail instead of being skipped.
    required_by: &'static str,
    /// The packages whose tests need it.
    packages: &'static [&'static str],
    is_there: fn() -> bool,
    /// What it is called by apt and by Homebrew.
    apt: &'static str,
    brew: &'static str,
}

const PREREQUISITES: [Prerequisite; 2] = [
    Prerequisite {
        name: "a Postgres server",
        required_by: "EF_REQUIRE_POSTGRES",
        packages: &["ef-store-postgres", "ef-testkit", "ef-cli"],
        is_there: || initdb().is_some(),
        apt: "postgresql",
        brew: BREW_POSTGRES,
    },
    Prerequisite {
        name: "Python with venv",
        required_by: "EF_REQUIRE_PYTHON",
        packages: &["ef-cli", "ef-plugin", "ef-store-parquet"],
        // Without ensurepip, as Debian has it at first, an environment has no pip.
        is_there: || step::succeeds(Command::new("python3").args(["-c", "import venv, ensurepip"])),
        apt: "python3-venv",
        brew: "python",
    },
];

const BREW_POSTGRES: &str = "postgresql@17";

/// Environment variables for the tests.
pub(super) type Variables = Vec<(&'static str, OsString)>;

/// Looks for what the tests of these packages need (of all, where none is named), installs what is missing where that may
/// be done, and returns the variables that the tests are run with.
pub(super) fn prepare(packages: &[String]) -> Result<Variables, Failure> {
    let is_ci = is_set("CI", "true");
    let mut variables = Variables::new();
    for needed in &PREREQUISITES {
        if !packages.is_empty() && !packages.iter().any(|package| needed.packages.contains(&package.as_str())) {
            continue;
        }
        let is_required = match std::env::var_os(needed.required_by) {
            Some(value) => value == "1",
            None => is_ci,
        };
        if !(needed.is_there)() && is_required {
            install(needed)?;
        }
        if !(needed.is_there)() {
            eprintln!(
                "==> SKIPPED: tests that need {}, as there is none here; {}=1 has it installed",
                needed.name, needed.required_by
            );
        }
        if is_required {
            variables.push((needed.required_by, "1".into()));
        }
    }
    // Homebrew keeps a server of a certain version out of PATH.
    if let Some(folder) = brew_postgres() {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(folder).chain(std::env::split_paths(&path));
        variables.extend(std::env::join_paths(folders).ok().map(|path| ("PATH", path)));
    }
    Ok(variables)
}

fn install(needed: &Prerequisite) -> Result<(), Failure> {
    eprintln!("==> installing {}", needed.name);
    if step::succeeds(Command::new("apt-get").arg("--version")) {
        step::run(&mut as_root(&["apt-get", "update", "--quiet"]))?;
        let install = ["apt-get", "install", "--quiet", "--yes", "--no-install-recommends", needed.apt];
        return step::run(as_root(&install).env("DEBIAN_FRONTEND", "noninteractive"));
    }
    if step::succeeds(Command::new("brew").arg("--version")) {
        return step::run(Command::new("brew").args(["install", "--quiet", needed.brew]));
    }
    let Prerequisite { name, required_by, .. } = needed;
    Err(Failure::new(format!("{required_by} is 1, and {name} is neither here nor can it be installed: do so by hand")))
}

/// A command of the administrator's.
fn as_root(command: &[&str]) -> Command {
    let is_root = step::text(Command::new("id").arg("-u")).is_ok_and(|user| user.trim() == "0");
    let (program, arguments) = if is_root { (command[0], &command[1..]) } else { ("sudo", command) };
    let mut command = Command::new(program);
    command.args(arguments);
    command
}

fn is_set(variable: &str, to: &str) -> bool {
    std::env::var_os(variable).is_some_and(|value| value == to)
}

/// The folder of Postgres's programs: in PATH, or where distributions put them.
fn initdb() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    std::env::split_paths(&path)
        .chain(debian.filter_map(|version| Some(version.ok()?.path().join("bin"))))
        .chain(brew_postgres())
        .find(|folder| folder.join("initdb").is_file())
}

fn brew_postgres() -> Option<PathBuf> {
    let prefix = step::text(Command::new("brew").args(["--prefix", BREW_POSTGRES])).ok()?;
    let folder = PathBuf::from(prefix.trim()).join("bin");
    folder.join("initdb").is_file().then_some(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_whose_tests_need_nothing_are_not_held_up() {
        assert_eq!(prepare(&["xtask".to_owned(), "ef-model".to_owned()]).expect("nothing to do").len(), {
            usize::from(brew_postgres().is_some())
        });
    }

    #[test]
    fn each_package_that_is_named_is_one_of_the_workspace() {
        for package in PREREQUISITES.iter().flat_map(|needed| needed.packages) {
            let manifest = step::root().join("crates").join(package).join("Cargo.toml");
            assert!(manifest.is_file(), "{}", manifest.display());
        }
    }
}
