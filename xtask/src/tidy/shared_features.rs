//! A view of the workspace in which the dependencies that are not ours have the same features whichever crate is built, so
//! that they are compiled once and not once for each crate.
//!
//! It is a workspace of the same crates and one more, which asks for every dependency with all the features that anyone
//! here asks for. Cargo unites the features of the packages that it is told to build: `--package ef-model --package
//! third-party` leaves the features of our own crates as ef-model alone has them, and gives those of others' the features
//! that a build of the whole workspace gives them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::metadata::{Dependency, Metadata, Package};
use crate::step::{self, Failure};

/// The crate that asks for everything.
pub(super) const THIRD_PARTY: &str = "third-party";

/// Makes the view, and returns the folder of its workspace.
pub(super) fn prepare(metadata: &Metadata) -> Result<PathBuf, Failure> {
    let root = step::root();
    let folder = metadata.target_directory.join("tidy/workspace");
    step::remove(&folder)?;
    step::write(&folder.join("Cargo.toml"), root_manifest(&step::read_text(&root.join("Cargo.toml"))?)?)?;
    // Versions are those of the workspace; cargo adds the one crate that is not in it.
    step::write(&folder.join("Cargo.lock"), step::read(&root.join("Cargo.lock"))?)?;
    step::write(&folder.join(THIRD_PARTY).join("Cargo.toml"), manifest(&metadata.members()))?;
    step::write(&folder.join(THIRD_PARTY).join("src/lib.rs"), "")?;
    link(&root.join("crates"), &folder.join("crates"))?;
    Ok(folder)
}

/// The manifest of the workspace with other members.
fn root_manifest(text: &str) -> Result<String, Failure> {
    let line = text.lines().find(|line| line.starts_with("members = "));
    let line = line.ok_or_else(|| Failure::new("Cargo.toml has no line that begins with `members = `"))?;
    Ok(text.replacen(line, &format!("members = [\"crates/*\", \"{THIRD_PARTY}\"]"), 1))
}

/// The folder of the crates under another name, so that what they read beside themselves is found.
fn link(folder: &Path, name: &Path) -> Result<(), Failure> {
    let linked = std::os::unix::fs::symlink(folder, name);
    linked.map_err(|error| Failure::new(format!("{} could not be made: {error}", name.display())))
}

/// What is asked for of one dependency, on the platforms of one `cfg`; the empty one is all of them.
#[derive(Default)]
struct Wanted<'a> {
    requirement: &'a str,
    has_defaults: bool,
    features: BTreeSet<&'a str>,
}

/// The manifest of the crate that asks for everything that these packages ask for.
fn manifest(packages: &[&Package]) -> String {
    let mut tables: BTreeMap<&str, BTreeMap<&str, Wanted<'_>>> = BTreeMap::new();
    for package in packages {
        for dependency in package.dependencies.iter().filter(|dependency| dependency.path.is_none()) {
            let table = tables.entry(dependency.target.as_deref().unwrap_or_default()).or_default();
            let wanted = table.entry(&dependency.name).or_default();
            wanted.requirement = &dependency.req;
            wanted.has_defaults |= dependency.uses_default_features;
            wanted.features.extend(dependency.features.iter().map(String::as_str));
            wanted.features.extend(switched_on(package, dependency));
        }
    }
    let mut text = format!("[package]\nname = \"{THIRD_PARTY}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n");
    for (target, table) in &tables {
        let heading =
            if target.is_empty() { "dependencies".to_owned() } else { format!("target.'{target}'.dependencies") };
        let _ = write!(text, "\n[{heading}]\n");
        for (name, Wanted { requirement, has_defaults, features }) in table {
            let features: Vec<_> = features.iter().collect();
            let _ = writeln!(
                text,
                "{name} = {{ version = \"{requirement}\", default-features = {has_defaults}, features = {features:?} }}"
            );
        }
    }
    text
}

/// The features of a dependency that the package's own features switch on.
fn switched_on<'a>(package: &'a Package, dependency: &'a Dependency) -> impl Iterator<Item = &'a str> {
    let name = dependency.rename.as_deref().unwrap_or(&dependency.name);
    package.features.values().flatten().filter_map(move |feature| {
        let (of, feature) = feature.split_once('/')?;
        (of.trim_end_matches('?') == name).then_some(feature)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn package(value: serde_json::Value) -> Package {
        serde_json::from_value(value).expect("it has the shape of a package in cargo's metadata")
    }

    #[test]
    fn everything_that_anyone_asks_of_others_is_asked_for_and_nothing_of_our_own() {
        let one = package(json!({
            "id": "ef-one", "name": "ef-one",
            "features": {"default": ["net"], "net": ["tokio/net", "dep:http"], "weak": ["tokio?/fs", "yaml/strict", "net"]},
            "dependencies": [
                {"name": "ef-two", "req": "^0.1", "features": ["schema"], "path": "/somewhere/ef-two"},
                {"name": "tokio", "req": "^1.54", "features": ["sync"], "uses_default_features": false},
                {"name": "serde-saphyr", "rename": "yaml", "req": "=2.1.1", "uses_default_features": false},
                {"name": "http", "req": "^1", "uses_default_features": false},
            ],
        }));
        let two = package(json!({
            "id": "ef-two", "name": "ef-two",
            "dependencies": [
                {"name": "http", "req": "^1", "uses_default_features": true, "kind": "dev"},
                {"name": "tokio", "req": "^1.54", "features": ["test-util"], "uses_default_features": false, "kind": "dev"},
                {"name": "libc", "req": "^0.2", "uses_default_features": true, "target": "cfg(unix)"},
            ],
        }));
        let expected = "\
[package]
name = \"third-party\"
version = \"0.0.0\"
edition = \"2024\"

[dependencies]
http = { version = \"^1\", default-features = true, features = [] }
serde-saphyr = { version = \"=2.1.1\", default-features = false, features = [\"strict\"] }
tokio = { version = \"^1.54\", default-features = false, features = [\"fs\", \"net\", \"sync\", \"test-util\"] }

[target.'cfg(unix)'.dependencies]
libc = { version = \"^0.2\", default-features = true, features = [] }
";
        assert_eq!(manifest(&[&one, &two]), expected);
    }

    #[test]
    fn the_view_has_the_crates_and_the_one_that_asks_for_everything() {
        let text = "[workspace]\nresolver = \"3\"\nmembers = [\"crates/*\", \"xtask\"]\ndefault-members = [\"crates/ef-cli\"]\n";
        let expected = text.replace("xtask", THIRD_PARTY);
        assert_eq!(root_manifest(text).expect("it has members"), expected);
        root_manifest("[package]\n").expect_err("a manifest without members");
    }
}
