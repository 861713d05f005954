//! The list of all third-party packages, made from `Cargo.lock` and what each package says of its licence.

use std::collections::BTreeMap;

use crate::packages::{Locked, Package, Packages};
use crate::step::Failure;

const HEAD: &str = "\
# Third-party packages

Made by `cargo xtask lock` from `Cargo.lock`; do not edit. Every package that building or testing on any platform may use
is here; those that end up in `ef` on one platform are in the SBOM of its release. The licence is what the package
declares, the checksum the SHA-256 of the crate as it was published.

";

/// How many of the packages are other people's.
pub(super) fn count(locked: &[Locked]) -> usize {
    locked.iter().filter(|package| package.source.is_some()).count()
}

/// The list as Markdown.
pub(super) fn list(locked: &[Locked], packages: &Packages) -> Result<String, Failure> {
    let known: BTreeMap<(&str, &str), &Package> =
        packages.packages.iter().map(|package| ((package.name.as_str(), package.version.as_str()), package)).collect();
    let mut text = format!("{HEAD}{} packages.\n\n", count(locked));
    text.push_str("| package | version | licence | checksum |\n|---|---|---|---|\n");
    for package in locked.iter().filter(|package| package.source.is_some()) {
        let Locked { name, version, .. } = package;
        let Some(about) = known.get(&(name.as_str(), version.as_str())) else {
            return Err(Failure::new(format!("Cargo.lock has {name} {version}, of which cargo knows nothing")));
        };
        let checksum = package.checksum.as_deref().unwrap_or("none");
        let licence = licence(about);
        text.push_str(&format!("| {name} | {version} | {licence} | `{checksum}` |\n"));
    }
    Ok(text)
}

/// What a package says of its licence. `/` is the old way to write OR.
fn licence(package: &Package) -> String {
    match (&package.license, &package.license_file) {
        (Some(license), _) => license.split('/').map(str::trim).collect::<Vec<_>>().join(" OR "),
        (None, Some(_)) => "see its licence file".to_owned(),
        (None, None) => "none declared".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn locked(name: &str) -> Locked {
        Locked {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            source: Some("registry+x".to_owned()),
            checksum: Some("ab".repeat(32)),
        }
    }

    fn packages(license: Option<&str>, license_file: Option<&str>) -> Packages {
        let package =
            json!({"id": "a", "name": "a", "version": "1.0.0", "license": license, "license_file": license_file});
        let packages = json!({"packages": [package], "workspace_members": [], "target_directory": ""});
        serde_json::from_value(packages).expect("it has the shape of cargo's metadata")
    }

    #[test]
    fn a_package_is_listed_with_version_licence_and_checksum() {
        let member = Locked { source: None, checksum: None, ..locked("ef-model") };
        let list = list(&[locked("a"), member], &packages(Some("MIT/Apache-2.0"), None)).expect("cargo knows it");
        let table = list.split_once("|---|---|---|---|\n").expect("there is a table").1;
        assert_eq!(table, format!("| a | 1.0.0 | MIT OR Apache-2.0 | `{}` |\n", "ab".repeat(32)));
        assert!(list.contains("\n1 packages.\n"), "{list}");
    }

    #[test]
    fn a_package_without_a_licence_says_so() {
        assert_eq!(licence(&packages(None, None).packages[0]), "none declared");
        assert_eq!(licence(&packages(None, Some("LICENSE")).packages[0]), "see its licence file");
    }

    #[test]
    fn a_package_that_cargo_does_not_know_is_no_guess() {
        let failure = list(&[locked("b")], &packages(None, None)).expect_err("there is no b");
        assert!(failure.message.contains("b 1.0.0"), "{failure}");
    }
}
