//! The advisories of an audit: the live database, or a local copy of it.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Deny;
use crate::packages::Packages;
use crate::step::{self, Failure};

/// The variable by which `deny.toml` learns where the advisories are kept.
pub(super) const FOLDER: &str = "EVAL_FABRIC_ADVISORIES";

/// Where cargo-deny gets the live database.
const LIVE: &str = "https://github.com/RustSec/advisory-db";

/// Advisories that are ready to be used.
pub(super) struct Advisories {
    folder: PathBuf,
    what: String,
}

impl fmt::Display for Advisories {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl Advisories {
    /// The folder that cargo-deny keeps them in.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes them ready: takes them from the copy, or fetches them, or, offline, uses what was fetched last.
    pub(super) fn ready(deny: &Deny, copy: Option<&Path>, offline: bool) -> Result<Self, Failure> {
        let folder = Packages::locked(&step::root())?.target_directory.join("advisories");
        match copy {
            Some(copy) => Self::local(deny, copy, &folder),
            None if offline => {
                Ok(Self { folder: folder.join("live"), what: "those that were fetched last".to_owned() })
            }
            None => Self::live(deny, &folder),
        }
    }

    fn live(deny: &Deny, folder: &Path) -> Result<Self, Failure> {
        let folder = folder.join("live");
        step::text(deny.command(&folder).args(["fetch", "db"]).env("GIT_TERMINAL_PROMPT", "0")).map_err(|failure| {
            Failure::new(format!(
                "{failure}\n    the advisories could not be fetched: nothing was audited. Connect and try again, give a \
                 copy with `cargo xtask audit --advisory-db DIR`, or use those that were fetched last with `--offline`"
            ))
        })?;
        Ok(Self { folder, what: "live".to_owned() })
    }

    /// cargo-deny takes advisories from git alone, so the copy becomes a repository, and git is told to go there when it
    /// is asked for the live one. Nothing is written into the copy.
    fn local(deny: &Deny, copy: &Path, folder: &Path) -> Result<Self, Failure> {
        if !copy.join("crates").is_dir() {
            return Err(Failure::new(format!(
                "{} is no copy of the RustSec database: there is no folder `crates` in it",
                copy.display()
            )));
        }
        let copy = &std::fs::canonicalize(copy)
            .map_err(|error| Failure::new(format!("{} could not be found: {error}", copy.display())))?;
        let (repository, folder) = (folder.join("copy.git"), folder.join("copy"));
        step::remove(&repository)?;
        step::remove(&folder)?;
        step::text(git().args(["init", "--quiet", "--bare", "--initial-branch=main"]).arg(&repository))?;
        let in_copy = |arguments: &[&str]| {
            let mut git = git();
            git.arg("--git-dir").arg(&repository).args(["--work-tree", ".", "-c", "commit.gpgSign=false"]);
            git.args(["-c", "user.name=audit", "-c", "user.email=audit@localhost"]);
            step::text(git.args(arguments).current_dir(copy))
        };
        in_copy(&["add", "--all", "--force", "."])?;
        in_copy(&["commit", "--quiet", "--allow-empty", "--message", "A copy"])?;
        let mut fetch = deny.command(&folder);
        fetch.env("GIT_CONFIG_COUNT", "1").env("GIT_CONFIG_VALUE_0", LIVE);
        fetch.env("GIT_CONFIG_KEY_0", format!("url.{}.insteadOf", repository.display()));
        step::text(fetch.args(["fetch", "db"]))?;
        Ok(Self { folder, what: format!("a copy in {}, {}", copy.display(), age(copy)) })
    }
}

/// git without what the person who runs this has set up for their own commits.
fn git() -> Command {
    let mut git = Command::new("git");
    git.args(["-c", "core.hooksPath=/dev/null", "-c", "core.autocrlf=false"]);
    for variable in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"] {
        git.env_remove(variable);
    }
    git
}

/// How old a copy is: by its last commit where it is a checkout, else by what its README says, else by its newest advisory.
fn age(copy: &Path) -> String {
    let commit = || {
        copy.join(".git").exists().then_some(())?;
        let date = step::text(git().args(["log", "-1", "--format=%cs"]).current_dir(copy)).ok()?;
        Some(format!("last changed {}", date.trim()))
    };
    let readme = || {
        let text = std::fs::read_to_string(copy.join("README.md")).ok()?;
        Some(format!("as of {}", text.split("as of ").skip(1).find_map(date)?))
    };
    let newest = || {
        let folders = std::fs::read_dir(copy.join("crates")).ok()?;
        let files = folders.flatten().filter_map(|folder| std::fs::read_dir(folder.path()).ok()).flatten().flatten();
        let texts = files.filter_map(|file| std::fs::read_to_string(file.path()).ok());
        let dates = texts.filter_map(|text| text.split("\ndate = \"").nth(1).and_then(date).map(str::to_owned));
        Some(format!("whose newest advisory is of {}", dates.max()?))
    };
    commit().or_else(readme).or_else(newest).unwrap_or_else(|| "of unknown age".to_owned())
}

/// The date that a text begins with, as in `2026-08-20`.
pub(super) fn date(text: &str) -> Option<&str> {
    let date = text.get(..10)?;
    let form = |(at, byte): (usize, u8)| if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() };
    date.bytes().enumerate().all(form).then_some(date)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_age_of_a_copy_is_what_it_says_itself() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let copy = folder.path();
        assert_eq!(age(copy), "of unknown age");
        step::write(&copy.join("crates/a/A-1.md"), "```toml\nid = \"A-1\"\ndate = \"2020-05-06\"\n").expect("written");
        step::write(&copy.join("crates/b/B-1.md"), "```toml\nid = \"B-1\"\ndate = \"2021-02-03\"\n").expect("written");
        assert_eq!(age(copy), "whose newest advisory is of 2021-02-03");
        step::write(&copy.join("README.md"), "Good as of today, as of 2021-03-04 to be exact.").expect("written");
        assert_eq!(age(copy), "as of 2021-03-04");
    }

    #[test]
    fn what_is_no_date_is_not_taken_for_one() {
        assert_eq!(date("2026-08-20 (a licence)"), Some("2026-08-20"));
        for text in ["", "2026-08", "2026/08/20", "20 August 2026", "２０２６-08-20"] {
            assert_eq!(date(text), None, "{text}");
        }
    }

    #[test]
    fn a_folder_that_is_no_copy_is_refused() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let deny = Deny { program: "/no/such/program".into() };
        let failure = Advisories::local(&deny, folder.path(), folder.path()).err().expect("there are no advisories");
        assert!(failure.message.contains("no copy of the RustSec database"), "{failure}");
    }
}
