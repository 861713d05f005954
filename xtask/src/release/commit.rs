//! The commit that something is built from.

use std::io::Cursor;
use std::path::Path;
use std::process::Command;

use crate::step::{self, Failure};

/// A commit of this repository.
#[derive(Debug, Clone)]
pub(crate) struct Commit {
    /// Its id, in hexadecimal.
    pub(crate) id: String,
    /// When it was made, in seconds since 1970.
    pub(crate) seconds: u64,
    /// The same as RFC 3339, UTC.
    pub(crate) time: String,
}

impl Commit {
    /// The commit that is checked out in a folder.
    ///
    /// # Errors
    ///
    /// When the folder is no git checkout.
    pub(crate) fn read(folder: &Path) -> Result<Self, Failure> {
        let mut show = git(folder);
        show.args(["show", "--no-patch", "--date=format-local:%Y-%m-%dT%H:%M:%SZ", "--format=%H %ct %cd", "HEAD"]);
        let text = step::text(show.env("TZ", "UTC")).map_err(|failure| {
            Failure::new(format!("{failure}\n    what is released is a commit: run this in a git checkout"))
        })?;
        let mut words = text.split_whitespace();
        let mut word = || words.next().unwrap_or_default().to_owned();
        let (id, seconds, time) = (word(), word(), word());
        let seconds = seconds.parse().map_err(|_| Failure::new(format!("git gave no commit: `{}`", text.trim())))?;
        Ok(Self { id, seconds, time })
    }

    /// How many files of a folder differ from its commit, those counted that git does not know.
    pub(crate) fn changes(folder: &Path) -> Result<usize, Failure> {
        Ok(step::text(git(folder).args(["status", "--porcelain"]))?.lines().count())
    }

    /// Copies the files of the commit from a repository into a folder that is not there yet. What is not committed is not
    /// copied.
    pub(crate) fn export(&self, repository: &Path, into: &Path) -> Result<(), Failure> {
        let mut archive = git(repository);
        let output = step::output(archive.args(["archive", "--format=tar", &self.id]))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(Failure::new(format!("`{}` failed:\n{}", step::shown(&archive), said.trim_end())));
        }
        let mut files = tar::Archive::new(Cursor::new(output.stdout));
        // Times of now, so that cargo takes no older result for one of these files.
        files.set_preserve_mtime(false);
        std::fs::create_dir_all(into)
            .and_then(|()| files.unpack(into))
            .map_err(|error| Failure::new(format!("{}: {error}", into.display())))
    }
}

fn git(folder: &Path) -> Command {
    let mut git = Command::new("git");
    git.current_dir(folder);
    git
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A repository with one commit, made at a known time, and changes since.
    fn repository() -> tempfile::TempDir {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let run = |arguments: &[&str]| {
            let mut git = git(folder.path());
            git.args(["-c", "user.name=a", "-c", "user.email=a@localhost", "-c", "commit.gpgSign=false"]);
            git.args(arguments).env("GIT_COMMITTER_DATE", "2001-02-03T04:05:06+0100");
            step::text(&mut git).expect("git runs");
        };
        run(&["init", "--quiet"]);
        step::write(&folder.path().join("sub/file"), "committed").expect("it is written");
        run(&["add", "."]);
        run(&["commit", "--quiet", "--message", "one"]);
        step::write(&folder.path().join("sub/file"), "changed").expect("it is written");
        step::write(&folder.path().join("new"), "new").expect("it is written");
        folder
    }

    #[test]
    fn a_commit_has_its_id_and_its_time_in_utc() {
        let folder = repository();
        let commit = Commit::read(folder.path()).expect("it is a checkout");
        assert_eq!((commit.id.len(), commit.seconds), (40, 981_169_506));
        assert_eq!(commit.time, "2001-02-03T03:05:06Z");
    }

    #[test]
    fn an_export_has_what_is_committed_and_nothing_else() {
        let folder = repository();
        assert_eq!(Commit::changes(folder.path()).expect("it is a checkout"), 2);
        let into = folder.path().join("export");
        Commit::read(folder.path()).and_then(|commit| commit.export(folder.path(), &into)).expect("it is exported");
        assert_eq!(step::read_text(&into.join("sub/file")).expect("it is there"), "committed");
        assert!(!into.join("new").exists());
    }

    #[test]
    fn a_folder_without_a_commit_is_refused() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let failure = Commit::read(folder.path()).expect_err("it is no checkout");
        assert!(failure.message.contains("run this in a git checkout"), "{failure}");
    }
}
