//! `cargo xtask sbom`: what is linked into `ef`, as a CycloneDX document. Cargo says which packages and features that are,
//! and the lock file their checksums; the example `sbom` of this package writes the document with the library of the
//! CycloneDX project and checks it. The same commit gives the same bytes.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use clap::Args;
use serde_json::Value;

use crate::packages::{self, Packages};
use crate::release::commit::Commit;
use crate::release::toolchain::Toolchain;
use crate::step::{self, Failure, cargo};

mod linked;
mod tree;

use linked::{Linked, Package};

/// The program, and the package that it is built from.
pub(crate) const PROGRAM: &str = "ef";
const PACKAGE: &str = "ef-cli";

/// Arguments of `cargo xtask sbom`.
#[derive(Debug, Default, Args)]
pub(crate) struct Arguments {
    /// Where the document goes; `ef.cdx.json` in the target directory where it is absent.
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Writes the document of the program as the working tree would build it for this platform.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let root = step::root();
    let document = document(&root, &Commit::read(&root)?, &Toolchain::read(&root)?.host, None)?;
    let default = || Ok(Packages::locked(&root)?.target_directory.join("ef.cdx.json"));
    let output = arguments.output.clone().map_or_else(default, Ok)?;
    step::write(&output, &document)?;
    let components = summary(&document)?.components;
    eprintln!("    {}: {components} packages are linked into {PROGRAM}, CycloneDX 1.5", output.display());
    Ok(())
}

/// The document of the program that a workspace builds for a target; with the program's SHA-256 where there is one.
///
/// # Errors
///
/// When cargo cannot resolve the workspace with its lock file, or the document would not be valid.
pub(crate) fn document(
    workspace: &Path,
    commit: &Commit,
    target: &str,
    sha256: Option<String>,
) -> Result<Vec<u8>, Failure> {
    let linked = linked(workspace, commit, target, sha256)?;
    let input = serde_json::to_vec(&linked).map_err(|error| Failure::new(error.to_string()))?;
    let mut example = cargo(["run", "--quiet", "--locked", "--package", "xtask", "--example", "sbom"]);
    let failed = |error: std::io::Error| Failure::new(format!("the example sbom: {error}"));
    let mut running = example.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(failed)?;
    // It reads everything before it writes anything, so that neither waits for the other.
    let written = running.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(&input));
    let output = running.wait_with_output().map_err(failed)?;
    if !output.status.success() {
        return Err(Failure::new(format!("`{}` failed ({})", step::shown(&example), output.status)));
    }
    written.map_err(failed)?;
    Ok(output.stdout)
}

fn linked(workspace: &Path, commit: &Commit, target: &str, sha256: Option<String>) -> Result<Linked, Failure> {
    let mut tree = cargo(["tree", "--locked", "--package", PACKAGE, "--edges", "normal,no-proc-macro"]);
    tree.args(["--target", target, "--prefix", "depth", "--format", tree::FORMAT]).current_dir(workspace);
    let tree = tree::parse(&step::text(&mut tree)?)?;
    let metadata = Packages::locked(workspace)?;
    let lock = packages::locked(&step::read_text(&workspace.join("Cargo.lock"))?)?;
    let checksums: BTreeMap<_, _> =
        lock.into_iter().map(|package| ((package.name, package.version), package.checksum)).collect();
    let about = |name: &str, version: &str| {
        let package = metadata.packages.iter().find(|package| package.name == name && package.version == version);
        package.ok_or_else(|| Failure::new(format!("cargo knows nothing of {name} {version}")))
    };
    let root = tree.first().ok_or_else(|| Failure::new(format!("nothing is linked into {PACKAGE}")))?.clone();
    let program = about(&root.name, &root.version)?;
    let packages = tree.into_iter().map(|linked| {
        Ok(Package {
            license: about(&linked.name, &linked.version)?.license.clone(),
            checksum: checksums.get(&(linked.name.clone(), linked.version.clone())).cloned().flatten(),
            id: linked.id(),
            name: linked.name,
            version: linked.version,
            features: linked.features,
            uses: linked.uses,
        })
    });
    Ok(Linked {
        name: PROGRAM.to_owned(),
        version: root.version.clone(),
        license: program.license.clone().unwrap_or_default(),
        repository: program.repository.clone().unwrap_or_default(),
        commit: commit.id.clone(),
        time: commit.time.clone(),
        target: target.to_owned(),
        sha256,
        root: root.id(),
        packages: packages.collect::<Result<_, Failure>>()?,
    })
}

/// What a document says of the program that it is about.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) version: String,
    pub(crate) commit: String,
    pub(crate) target: String,
    /// SHA-256 of the program, in hexadecimal, where the document has one.
    pub(crate) sha256: Option<String>,
    /// How many packages it lists.
    pub(crate) components: usize,
}

/// Reads back the parts of a document that tie it to a program.
///
/// # Errors
///
/// When it is no CycloneDX document about the program, or one that lists nothing.
pub(crate) fn summary(document: &[u8]) -> Result<Summary, Failure> {
    let document: Value =
        serde_json::from_slice(document).map_err(|error| Failure::new(format!("the SBOM is not JSON: {error}")))?;
    let metadata = &document["metadata"];
    let component = &metadata["component"];
    let components = document["components"].as_array().map_or(0, Vec::len);
    if document["bomFormat"] != "CycloneDX" || component["name"] != PROGRAM || components == 0 {
        return Err(Failure::new(format!("the SBOM is no CycloneDX document that lists what is in {PROGRAM}")));
    }
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let property = |name: &str| {
        let properties = metadata["properties"].as_array().map_or(&[][..], Vec::as_slice);
        properties.iter().find(|property| property["name"] == name).map_or(String::new(), |it| text(&it["value"]))
    };
    let hashes = component["hashes"].as_array().map_or(&[][..], Vec::as_slice);
    Ok(Summary {
        version: text(&component["version"]),
        commit: property("eval-fabric:commit"),
        target: property("cdx:rustc:sbom:target:triple"),
        sha256: hashes.iter().find(|hash| hash["alg"] == "SHA-256").map(|hash| text(&hash["content"])),
        components,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_linked_into_ef_has_its_dependencies_and_checksums_and_no_build_tools() {
        let root = step::root();
        let commit = Commit { id: "ab".repeat(20), seconds: 0, time: "1970-01-01T00:00:00Z".to_owned() };
        let target = Toolchain::read(&root).expect("there is a toolchain").host;
        let linked = linked(&root, &commit, &target, None).expect("cargo resolves the workspace");
        let named = |name: &str| linked.packages.iter().find(|package| package.name == name);
        assert_eq!(linked.packages[0].name, PACKAGE);
        let serde = named("serde").expect("ef is built with serde");
        assert!(serde.checksum.as_ref().is_some_and(|sum| sum.len() == 64), "{serde:?}");
        assert!(serde.uses.iter().any(|id| id.starts_with("serde_core ")), "{serde:?}");
        assert!(named("ef-model").is_some_and(|package| package.checksum.is_none()));
        for tool in ["serde_derive", "syn", "cc", "proptest", "tempfile", "xtask", "ef-testkit"] {
            assert!(named(tool).is_none(), "{tool} is not linked into ef");
        }
        let ids: Vec<&str> = linked.packages.iter().map(|package| package.id.as_str()).collect();
        assert!(linked.packages.iter().flat_map(|package| &package.uses).all(|id| ids.contains(&id.as_str())));
    }

    #[test]
    fn a_summary_is_read_from_a_document() {
        let document = json!({
            "bomFormat": "CycloneDX",
            "metadata": {
                "component": {"name": "ef", "version": "1.2.3", "hashes": [{"alg": "SHA-256", "content": "ab"}]},
                "properties": [
                    {"name": "eval-fabric:commit", "value": "cd"},
                    {"name": "cdx:rustc:sbom:target:triple", "value": "t"},
                ],
            },
            "components": [{}, {}],
        });
        let expected = Summary {
            version: "1.2.3".to_owned(),
            commit: "cd".to_owned(),
            target: "t".to_owned(),
            sha256: Some("ab".to_owned()),
            components: 2,
        };
        assert_eq!(summary(document.to_string().as_bytes()).expect("it is whole"), expected);
    }

    #[test]
    fn what_is_no_sbom_of_ef_is_refused() {
        for document in ["", "null", "[]", "{}", r#"{"bomFormat": "CycloneDX", "metadata": 7, "components": [{}]}"#] {
            summary(document.as_bytes()).expect_err(document);
        }
    }
}
