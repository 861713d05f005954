//! Each crate stands alone: it builds, tests and packages without the features that its neighbours happen to switch on.

use std::process::Command;

use super::metadata::{Metadata, Package};
use super::shared_features::{self, THIRD_PARTY};
use super::{Finding, refused};
use crate::step::{self, Failure, cargo};

/// Which features the dependencies that are not ours have while a crate is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Features {
    /// Those that anyone in the workspace asks for: they are compiled once.
    Shared,
    /// Those that the crate asks for, and no more: they are compiled anew for almost every crate.
    Exact,
}

/// Checks that each crate compiles by itself with its tests and examples, with just the features of our other crates that
/// it asks for: with its default features, and without them where it has any.
pub(super) fn builds(metadata: &Metadata, features: Features) -> Result<Vec<Finding>, Failure> {
    let shared = match features {
        Features::Shared => Some(shared_features::prepare(metadata)?),
        Features::Exact => None,
    };
    let mut findings = Vec::new();
    for member in metadata.crates() {
        let variants: &[&[&str]] =
            if has_default_features(member) { &[&[], &["--no-default-features"]] } else { &[&[]] };
        for extra in variants {
            let mut check = check(&member.name, extra);
            if let Some(folder) = &shared {
                check.current_dir(folder).args(["--offline", "--package", THIRD_PARTY, "--target-dir"]);
                check.arg(&metadata.target_directory);
            }
            findings.extend(compiles(&mut check, &member.name, extra)?);
        }
    }
    Ok(findings)
}

fn has_default_features(package: &Package) -> bool {
    package.features.get("default").is_some_and(|features| !features.is_empty())
}

fn check(name: &str, extra: &[&str]) -> Command {
    let mut check = cargo(["check", "--quiet", "--all-targets", "--package", name]);
    check.args(extra);
    check
}

fn compiles(command: &mut Command, name: &str, extra: &[&str]) -> Result<Option<Finding>, Failure> {
    // With exactly its own features it fails as well, and that is a command for people.
    let remedy = format!("see: {}", step::shown(&check(name, extra)));
    refused(command, Finding::new(name, "it does not compile by itself", remedy))
}

/// Checks that each crate has what a registry asks for, and that cargo can make packages of them all.
pub(super) fn packages(metadata: &Metadata) -> Result<Vec<Finding>, Failure> {
    // What is packaged together may depend on each other before any of it is published; without verification nothing
    // is compiled and nothing fetched.
    let mut package = cargo(["package", "--quiet", "--workspace", "--exclude", "ef-fuzz", "--exclude", "xtask"]);
    package.args(["--no-verify", "--allow-dirty", "--offline"]);
    let remedy = format!("see: {}", step::shown(&package));
    let refused = refused(&mut package, Finding::new("Cargo.toml", "the crates cannot be packaged", remedy))?;
    Ok(metadata.crates().into_iter().flat_map(described).chain(refused).collect())
}

/// What a registry's reader misses in the crate's manifest.
fn described(package: &Package) -> Vec<Finding> {
    let fields = [
        ("description", &package.description),
        ("license", &package.license),
        ("readme", &package.readme),
        ("repository", &package.repository),
    ];
    let missing = fields.into_iter().filter(|(_, value)| value.as_deref().is_none_or(|value| value.trim().is_empty()));
    missing
        .map(|(field, _)| {
            let place = format!("crates/{}/Cargo.toml", package.name);
            Finding::new(place, format!("[package] has no {field}"), format!("add `{field}`"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_that_does_not_compile_by_itself_is_found() {
        // No package of that name: cargo refuses before it compiles anything.
        let found =
            compiles(&mut check("no-such-crate", &[]), "no-such-crate", &[]).expect("cargo runs").expect("a finding");
        assert_eq!(found.place, "no-such-crate");
        assert!(found.problem.contains("no-such-crate"), "{found}");
        assert_eq!(found.remedy, "see: cargo check --quiet --all-targets --package no-such-crate");
    }

    #[test]
    fn a_manifest_without_what_a_registry_asks_for_is_found() {
        let metadata = Metadata::of(&[("ef-bare", &[])]);
        let found = described(metadata.crates()[0]);
        let problems: Vec<&str> = found.iter().map(|finding| finding.problem.as_str()).collect();
        let expected = ["description", "license", "readme", "repository"].map(|it| format!("[package] has no {it}"));
        assert_eq!(problems, expected);
    }
}
