//! The packages that `Cargo.lock` fixes and what `cargo metadata` knows about them.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use crate::step::{self, Failure, cargo};

/// What cargo says about a workspace, as far as the tasks about its dependencies need it.
#[derive(Debug, Deserialize)]
pub(crate) struct Packages {
    pub(crate) packages: Vec<Package>,
    pub(crate) workspace_members: Vec<String>,
    pub(crate) target_directory: PathBuf,
}

/// One package: a member of the workspace or something that it needs, on whatever platform.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) license: Option<String>,
    pub(crate) license_file: Option<String>,
    pub(crate) repository: Option<String>,
    #[serde(default)]
    pub(crate) dependencies: Vec<Dependency>,
}

/// One dependency as a manifest declares it.
#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// The versions that are allowed, as cargo writes it out: `^1.2` for `1.2`.
    pub(crate) req: String,
    pub(crate) source: Option<String>,
    /// The folder of a package that is in one.
    pub(crate) path: Option<PathBuf>,
}

impl Packages {
    /// Asks cargo about the workspace in a folder; `Cargo.lock` is left as it is.
    ///
    /// # Errors
    ///
    /// When there is no such workspace, or `Cargo.lock` does not fit its manifests.
    pub(crate) fn locked(workspace: &Path) -> Result<Self, Failure> {
        Self::of(cargo(["metadata", "--format-version", "1", "--locked"]).current_dir(workspace))
    }

    /// What a `cargo metadata` command prints.
    pub(crate) fn of(command: &mut Command) -> Result<Self, Failure> {
        serde_json::from_str(&step::text(command)?)
            .map_err(|error| Failure::new(format!("`{}` printed something else: {error}", step::shown(command))))
    }

    /// The members of the workspace.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| self.workspace_members.contains(&package.id))
    }
}

/// One `[[package]]` of `Cargo.lock`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Locked {
    pub(crate) name: String,
    pub(crate) version: String,
    /// Where it comes from; nothing for a package in a folder.
    pub(crate) source: Option<String>,
    /// SHA-256 of the packed crate, in hexadecimal; nothing for a package in a folder.
    pub(crate) checksum: Option<String>,
}

/// The packages of a `Cargo.lock`. Cargo writes it, always in the same form, so that a reader of lines is enough.
///
/// # Errors
///
/// When it is not of that form, or a package that was downloaded has no checksum.
pub(crate) fn locked(text: &str) -> Result<Vec<Locked>, Failure> {
    let mut packages: Vec<Locked> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        if line.starts_with('[') {
            inside = line == "[[package]]";
            if inside {
                packages.push(Locked { name: String::new(), version: String::new(), source: None, checksum: None });
            }
        } else if let (true, Some(package), Some((key, value))) = (inside, packages.last_mut(), entry(line)) {
            match key {
                "name" => value.clone_into(&mut package.name),
                "version" => value.clone_into(&mut package.version),
                "source" => package.source = Some(value.to_owned()),
                "checksum" => package.checksum = Some(value.to_owned()),
                _ => {}
            }
        }
    }
    match packages.iter().find(|package| !package.is_whole()) {
        None if packages.is_empty() => Err(Failure::new("Cargo.lock lists no package")),
        None => Ok(packages),
        Some(package) => Err(Failure::new(format!(
            "Cargo.lock: the package `{}` has no name, version or checksum; make the file anew with `cargo xtask lock`",
            package.name
        ))),
    }
}

impl Locked {
    fn is_whole(&self) -> bool {
        let digest = |text: &String| text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let named = !self.name.is_empty() && !self.version.is_empty();
        named && (self.source.is_none() || self.checksum.as_ref().is_some_and(digest))
    }
}

/// `key = "value"`.
fn entry(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once(" = ")?;
    Some((key, value.strip_prefix('"')?.strip_suffix('"')?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUM: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn the_packages_of_a_lock_file_have_their_checksums() {
        let text = format!(
            "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"registry+x\"\n\
             checksum = \"{SUM}\"\ndependencies = [\n \"b\",\n]\n\n[[package]]\nname = \"b\"\nversion = \"0.1.0\"\n\
             \n[metadata]\nname = \"c\"\n"
        );
        let found = locked(&text).expect("it is a lock file");
        let a = Locked {
            name: "a".into(),
            version: "1.0.0".into(),
            source: Some("registry+x".into()),
            checksum: Some(SUM.into()),
        };
        let b = Locked { name: "b".into(), version: "0.1.0".into(), source: None, checksum: None };
        assert_eq!(found, [a, b]);
    }

    #[test]
    fn a_lock_file_with_something_missing_is_refused() {
        for text in [
            String::new(),
            "[[package]]\nname = \"a\"\n".to_owned(),
            "[[package]]\nname = \"a\"\nversion = \"1\"\nsource = \"registry+x\"\n".to_owned(),
            "[[package]]\nname = \"a\"\nversion = \"1\"\nsource = \"registry+x\"\nchecksum = \"12\"\n".to_owned(),
            format!("[[package]]\nname = \"a\nversion = \"1\"\nsource = \"registry+x\"\nchecksum = \"{SUM}\"\n"),
        ] {
            locked(&text).expect_err(&text);
        }
    }

    #[test]
    fn this_workspaces_own_lock_file_is_read_whole() {
        let text = step::read_text(&step::root().join("Cargo.lock")).expect("there is a lock file");
        let packages = locked(&text).expect("cargo wrote it");
        assert_eq!(packages.len(), text.matches("[[package]]").count());
        assert!(packages.iter().any(|package| package.name == "ef-cli" && package.source.is_none()));
    }
}
