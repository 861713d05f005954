//! What `cargo metadata` says about the workspace, as far as the checks need it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use crate::step::{self, Failure, cargo};

#[derive(Debug, Deserialize)]
pub(super) struct Metadata {
    pub(super) packages: Vec<Package>,
    pub(super) workspace_members: Vec<String>,
    pub(super) resolve: Resolve,
    pub(super) target_directory: PathBuf,
}

#[derive(Debug, Deserialize)]
pub(super) struct Package {
    pub(super) id: String,
    pub(super) name: String,
    #[serde(default)]
    pub(super) dependencies: Vec<Dependency>,
    #[serde(default)]
    pub(super) features: BTreeMap<String, Vec<String>>,
    pub(super) description: Option<String>,
    pub(super) license: Option<String>,
    pub(super) readme: Option<String>,
    pub(super) repository: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Dependency {
    pub(super) name: String,
    pub(super) kind: Option<Kind>,
    /// What the package calls it, where that is not its name.
    pub(super) rename: Option<String>,
    /// The versions that will do.
    #[serde(default)]
    pub(super) req: String,
    #[serde(default)]
    pub(super) features: Vec<String>,
    #[serde(default)]
    pub(super) uses_default_features: bool,
    /// The platforms that it is for, where it is not for all.
    pub(super) target: Option<String>,
    /// Where it is, where it is not a registry's.
    pub(super) path: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Dev,
    Build,
}

/// The dependencies as they were resolved.
#[derive(Debug, Deserialize)]
pub(super) struct Resolve {
    pub(super) nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Node {
    pub(super) id: String,
    pub(super) deps: Vec<Edge>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Edge {
    pub(super) pkg: String,
    pub(super) dep_kinds: Vec<EdgeKind>,
}

#[derive(Debug, Deserialize)]
pub(super) struct EdgeKind {
    pub(super) kind: Option<Kind>,
}

/// A package and its dependencies, each with its kind, for tests.
#[cfg(test)]
pub(super) type Declared = (&'static str, &'static [(&'static str, Option<&'static str>)]);

impl Metadata {
    /// Asks cargo.
    pub(super) fn read() -> Result<Self, Failure> {
        let output = step::output(&mut cargo(["metadata", "--format-version", "1"]))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(Failure::new(format!("`cargo metadata` failed:\n{said}")));
        }
        serde_json::from_slice(&output.stdout).map_err(|error| Failure::new(format!("cargo metadata: {error}")))
    }

    /// The packages of the workspace, in the order of their names.
    pub(super) fn members(&self) -> Vec<&Package> {
        let mut members: Vec<&Package> =
            self.packages.iter().filter(|package| self.workspace_members.contains(&package.id)).collect();
        members.sort_by(|a, b| a.name.cmp(&b.name));
        members
    }

    /// The crates under `crates/`: all members but those for the repository itself.
    pub(super) fn crates(&self) -> Vec<&Package> {
        self.members().into_iter().filter(|package| !["ef-fuzz", "xtask"].contains(&package.name.as_str())).collect()
    }

    /// A workspace as `cargo metadata` would show it; the packages whose names
    /// begin with `ef-`, and xtask, are its members.
    #[cfg(test)]
    pub(super) fn of(packages: &[Declared]) -> Self {
        use serde_json::{Value, json};

        let member = |name: &str| name.starts_with("ef-") || name == "xtask";
        let declared = |&(name, kind): &(&str, Option<&str>)| json!({"name": name, "kind": kind});
        let resolved = |&(name, kind): &(&str, Option<&str>)| json!({"pkg": name, "dep_kinds": [{"kind": kind}]});
        let package = |&(name, dependencies): &(&str, &[(&str, Option<&str>)])| json!({"id": name, "name": name, "dependencies": dependencies.iter().map(declared).collect::<Vec<Value>>()});
        let node = |&(name, dependencies): &(&str, &[(&str, Option<&str>)])| json!({"id": name, "deps": dependencies.iter().map(resolved).collect::<Vec<Value>>()});
        serde_json::from_value(json!({
            "packages": packages.iter().map(package).collect::<Vec<Value>>(),
            "workspace_members": packages.iter().map(|(name, _)| name).filter(|name| member(name)).collect::<Vec<_>>(),
            "resolve": {"nodes": packages.iter().map(node).collect::<Vec<Value>>()},
            "target_directory": "target",
        }))
        .expect("it has the shape of cargo's metadata")
    }
}
