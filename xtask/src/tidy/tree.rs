//! The files of the repository, as far as the checks read them.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;

use crate::step::Failure;

/// Folders that are not part of the repository.
const OUTSIDE: [&str; 3] = [".git", "runs", "target"];
/// Files whose text is read.
const READ: [&str; 4] = [".md", ".rs", ".toml", ".yml"];

/// Paths relative to the root, with `/` between folders, and the texts of those that are read.
#[derive(Debug, Default)]
pub(super) struct Tree {
    paths: BTreeSet<String>,
    texts: BTreeMap<String, String>,
}

impl Tree {
    /// Reads the repository at `root`.
    pub(super) fn read(root: &Path) -> Result<Self, Failure> {
        let mut tree = Self::default();
        tree.enter(root, "").map_err(|error| Failure::new(format!("{}: {error}", root.display())))?;
        Ok(tree)
    }

    fn enter(&mut self, folder: &Path, prefix: &str) -> io::Result<()> {
        for entry in std::fs::read_dir(folder)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = format!("{prefix}{name}");
            if entry.file_type()?.is_dir() {
                if !(prefix.is_empty() && OUTSIDE.contains(&name.as_str())) {
                    self.enter(&entry.path(), &format!("{path}/"))?;
                    self.paths.insert(path);
                }
            } else {
                if READ.iter().any(|ending| name.ends_with(ending)) {
                    let text = String::from_utf8_lossy(&std::fs::read(entry.path())?).into_owned();
                    self.texts.insert(path.clone(), text);
                }
                self.paths.insert(path);
            }
        }
        Ok(())
    }

    /// Whether there is a file or folder of that path.
    pub(super) fn has(&self, path: &str) -> bool {
        path.is_empty() || self.paths.contains(path)
    }

    /// The text of the file, if it is one that is read.
    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.texts.get(path).map(String::as_str)
    }

    /// The files that are read and whose path ends so, in order.
    pub(super) fn ending(&self, ending: &str) -> impl Iterator<Item = (&str, &str)> {
        self.texts
            .iter()
            .filter(move |(path, _)| path.ends_with(ending))
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// The Rust sources of all members.
    pub(super) fn sources(&self) -> impl Iterator<Item = (&str, &str)> {
        const MEMBERS: [&str; 3] = ["crates/", "fuzz/", "xtask/"];
        self.ending(".rs").filter(|(path, _)| MEMBERS.iter().any(|folder| path.starts_with(folder)))
    }

    #[cfg(test)]
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        let mut tree = Self::default();
        for &(path, text) in files {
            tree.texts.insert(path.to_owned(), text.to_owned());
            tree.paths.insert(path.to_owned());
            for (at, _) in path.match_indices('/') {
                tree.paths.insert(path[..at].to_owned());
            }
        }
        tree
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_has_what_is_in_the_repository_and_nothing_that_is_built() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        for path in ["crates/a/src/lib.rs", "target/debug/build.rs", "docs/picture.svg"] {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().expect("it has a parent")).expect("a folder");
            std::fs::write(path, "//! Text.").expect("a file");
        }
        let tree = Tree::read(folder.path()).expect("it can be read");
        assert!(tree.has("crates/a") && tree.has("docs/picture.svg") && !tree.has("target"));
        assert_eq!(tree.text("crates/a/src/lib.rs"), Some("//! Text."));
        assert_eq!(tree.text("docs/picture.svg"), None);
    }
}
