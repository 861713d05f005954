//! What `cargo tree` prints, as a graph. It is the only output of stable cargo with the packages and features of one
//! build: `cargo metadata` mixes in those of tests and of other members.

use std::collections::BTreeMap;

use crate::step::Failure;

/// The format that is asked for: the package, then its features.
pub(super) const FORMAT: &str = " {p}\t{f}";

/// A package, the features that it is built with, and what it uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Linked {
    pub(super) name: String,
    pub(super) version: String,
    /// Separated by commas, in the order of their names.
    pub(super) features: String,
    /// The ids of the packages that it uses, sorted.
    pub(super) uses: Vec<String>,
}

impl Linked {
    /// What tells it from the others.
    pub(super) fn id(&self) -> String {
        id(&self.name, &self.version)
    }
}

fn id(name: &str, version: &str) -> String {
    format!("{name} {version}")
}

/// The packages of a tree: the root first, then the others in the order of their ids.
pub(super) fn parse(tree: &str) -> Result<Vec<Linked>, Failure> {
    let mut packages: BTreeMap<String, Linked> = BTreeMap::new();
    // The ids on the way from the root to where we are.
    let mut way: Vec<String> = Vec::new();
    let mut root = None;
    for line in tree.lines().filter(|line| !line.is_empty()) {
        let (depth, linked) =
            package(line).ok_or_else(|| Failure::new(format!("cargo tree printed `{line}`, which is no package")))?;
        let id = linked.id();
        way.truncate(depth);
        if let Some(user) = way.last().and_then(|user| packages.get_mut(user)) {
            user.uses.push(id.clone());
        }
        way.push(id.clone());
        root.get_or_insert_with(|| id.clone());
        packages.entry(id).or_insert(linked);
    }
    for package in packages.values_mut() {
        package.uses.sort();
        package.uses.dedup();
    }
    let first = root.and_then(|root| packages.remove(&root));
    Ok(first.into_iter().chain(packages.into_values()).collect())
}

/// A line: the depth, the package with its version and perhaps its folder, the features, and `(*)` where what it uses was
/// printed before.
fn package(line: &str) -> Option<(usize, Linked)> {
    let (depth, rest) = line.split_once(' ')?;
    let (package, features) = rest.split_once('\t')?;
    let mut words = package.split(' ');
    let name = words.next()?.to_owned();
    let version = words.next()?.strip_prefix('v')?.to_owned();
    let features = features.trim_end_matches("(*)").trim().to_owned();
    Some((depth.parse().ok()?, Linked { name, version, features, uses: Vec::new() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_becomes_a_graph_with_features() {
        let tree = "0 z v1.0.0 (/some where)\tdefault\n1 b v2.0.0\tx,y\n2 c v3.0.0+4\t\n1 c v3.0.0+4\t (*)\n\
                    1 b v2.0.0\tx,y (*)\n";
        let shown: Vec<String> = parse(tree)
            .expect("it is a tree")
            .iter()
            .map(|package| format!("{} [{}] -> {}", package.id(), package.features, package.uses.join(", ")))
            .collect();
        assert_eq!(
            shown,
            ["z 1.0.0 [default] -> b 2.0.0, c 3.0.0+4", "b 2.0.0 [x,y] -> c 3.0.0+4", "c 3.0.0+4 [] -> "]
        );
    }

    #[test]
    fn what_is_no_tree_is_refused() {
        for tree in ["warning: x", "1 a\t", "a b vc\t", "0 a v1.0.0", "0\ta v1\t"] {
            parse(tree).expect_err(tree);
        }
        assert_eq!(parse("").expect("an empty tree"), []);
    }
}
