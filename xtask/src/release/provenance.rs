//! Where a release comes from: an in-toto statement (version 1) with SLSA provenance (version 1) about its archive and its
//! SBOM. It holds no times of the build, so that building again gives the same bytes.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::toolchain::Toolchain;
use crate::step::Failure;

/// <https://in-toto.io/Statement/v1>
const STATEMENT: &str = "https://in-toto.io/Statement/v1";

/// <https://slsa.dev/spec/v1.0/provenance>
const PREDICATE: &str = "https://slsa.dev/provenance/v1";

/// The repository of this workspace.
const REPOSITORY: &str = env!("CARGO_PKG_REPOSITORY");

/// Who built: a person on a machine of their own.
pub(super) fn by_hand() -> String {
    format!("{REPOSITORY}/builders/by-hand")
}

/// Who built: the release workflow of this repository.
pub(super) fn by_workflow() -> String {
    format!("{REPOSITORY}/.github/workflows/release.yml")
}

/// What a release was built from, and how.
#[derive(Debug, Clone)]
pub(super) struct Origin {
    /// The commit, in hexadecimal.
    pub(super) commit: String,
    /// The target triple.
    pub(super) target: String,
    /// Cargo's profile.
    pub(super) profile: &'static str,
    /// SHA-256 of `Cargo.lock`, in hexadecimal.
    pub(super) lock: String,
    /// Who built, as an address.
    pub(super) builder: String,
}

/// The statement about files, each a name and its SHA-256.
pub(super) fn statement(subjects: &BTreeMap<String, String>, origin: &Origin, toolchain: &Toolchain) -> Value {
    let Origin { commit, target, profile, lock, builder } = origin;
    let subjects = subjects.iter().map(|(name, sha256)| json!({"name": name, "digest": {"sha256": sha256}}));
    json!({
        "_type": STATEMENT,
        "subject": subjects.collect::<Vec<_>>(),
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": format!("{REPOSITORY}/blob/main/docs/CONTRIBUTING.md#releases"),
                "externalParameters": {
                    "repository": REPOSITORY,
                    "commit": commit,
                    "target": target,
                    "profile": profile,
                },
                "internalParameters": {"cc": toolchain.cc},
                "resolvedDependencies": [
                    {"uri": format!("git+{REPOSITORY}@{commit}"), "digest": {"gitCommit": commit}},
                    {"name": "Cargo.lock", "digest": {"sha256": lock}},
                    {
                        "name": format!("rustc {}", toolchain.rustc),
                        "uri": format!("git+https://github.com/rust-lang/rust@{}", toolchain.commit),
                        "digest": {"gitCommit": toolchain.commit},
                    },
                ],
            },
            "runDetails": {"builder": {"id": builder}},
        },
    })
}

/// What a statement says that can be compared with something else.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Claims {
    /// The files that it is about, each with its SHA-256.
    pub(super) subjects: BTreeMap<String, String>,
    pub(super) builder: String,
    pub(super) commit: String,
    pub(super) target: String,
}

/// Reads a statement.
///
/// # Errors
///
/// When it is none of this kind, contradicts itself, or does not say what it was built from.
pub(super) fn claims(statement: &[u8]) -> Result<Claims, Failure> {
    let statement: Value = serde_json::from_slice(statement).map_err(|error| failure(&error.to_string()))?;
    let definition = &statement["predicate"]["buildDefinition"];
    let parameters = &definition["externalParameters"];
    if statement["_type"] != STATEMENT || statement["predicateType"] != PREDICATE {
        return Err(failure("it is no in-toto statement with SLSA provenance, both of version 1"));
    }
    if parameters["repository"] != REPOSITORY {
        return Err(failure(&format!("it is not about {REPOSITORY}")));
    }
    let subjects = list(&statement["subject"])
        .iter()
        .map(|subject| Some((subject["name"].as_str()?.to_owned(), subject["digest"]["sha256"].as_str()?.to_owned())));
    let subjects: Option<BTreeMap<_, _>> = subjects.collect();
    let commit = hexadecimal(&parameters["commit"], 40).ok_or_else(|| failure("it names no commit"))?;
    let dependencies = list(&definition["resolvedDependencies"]);
    let source = format!("git+{REPOSITORY}@{commit}");
    let has_source = |it: &Value| it["uri"] == source.as_str() && it["digest"]["gitCommit"] == commit.as_str();
    let has_lock = |it: &Value| it["name"] == "Cargo.lock" && hexadecimal(&it["digest"]["sha256"], 64).is_some();
    let is_toolchain = |it: &Value| it["name"].as_str().is_some_and(|name| name.starts_with("rustc "));
    if !dependencies.iter().any(has_source) {
        return Err(failure("the commit that it names is not among what it was built from"));
    }
    if !dependencies.iter().any(has_lock) || !dependencies.iter().any(is_toolchain) {
        return Err(failure("it does not name the lock file and the toolchain"));
    }
    Ok(Claims {
        subjects: subjects.ok_or_else(|| failure("a subject has no name or no SHA-256"))?,
        builder: text(&statement["predicate"]["runDetails"]["builder"]["id"]),
        commit,
        target: text(&parameters["target"]),
    })
}

fn failure(problem: &str) -> Failure {
    Failure::new(format!("the provenance: {problem}"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn hexadecimal(value: &Value, length: usize) -> Option<String> {
    let text = value.as_str()?;
    (text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Value {
        let toolchain = Toolchain {
            rustc: "1.95.0".to_owned(),
            commit: "59807616e1fa2540724bfbac14d7976d7e4a3860".to_owned(),
            host: "t".to_owned(),
            sysroot: "/sysroot".into(),
            cc: "cc 1".to_owned(),
        };
        let origin = Origin {
            commit: "ab".repeat(20),
            target: "t".to_owned(),
            profile: "release",
            lock: "cd".repeat(32),
            builder: by_hand(),
        };
        statement(&BTreeMap::from([("ef.tar.gz".to_owned(), "ef".repeat(32))]), &origin, &toolchain)
    }

    #[test]
    fn a_statement_says_what_it_is_about_and_what_it_was_built_from() {
        let claims = claims(example().to_string().as_bytes()).expect("it is whole");
        assert_eq!(claims.subjects, BTreeMap::from([("ef.tar.gz".to_owned(), "ef".repeat(32))]));
        assert_eq!((claims.builder, claims.commit), (by_hand(), "ab".repeat(20)));
        let rustc = &example()["predicate"]["buildDefinition"]["resolvedDependencies"][2];
        assert_eq!(rustc["name"], "rustc 1.95.0");
    }

    #[test]
    fn a_statement_that_contradicts_itself_or_says_too_little_is_refused() {
        let paths = [
            ("/_type", json!("https://in-toto.io/Statement/v0.1")),
            ("/predicateType", json!("https://slsa.dev/provenance/v0.2")),
            ("/subject/0/digest", json!({"sha512": "ab"})),
            ("/predicate/buildDefinition/externalParameters/repository", json!("https://example.org/other")),
            ("/predicate/buildDefinition/externalParameters/commit", json!("cd".repeat(20))),
            ("/predicate/buildDefinition/externalParameters/commit", json!("main")),
            ("/predicate/buildDefinition/resolvedDependencies/0/digest/gitCommit", json!("cd".repeat(20))),
            ("/predicate/buildDefinition/resolvedDependencies/1/digest", json!({})),
            ("/predicate/buildDefinition/resolvedDependencies/2/name", json!("gcc")),
        ];
        for (path, value) in paths {
            let mut statement = example();
            *statement.pointer_mut(path).expect("the path is there") = value;
            claims(statement.to_string().as_bytes()).expect_err(path);
        }
        for text in ["", "null", "[]", "{\"subject\": 7}"] {
            claims(text.as_bytes()).expect_err(text);
        }
    }
}
