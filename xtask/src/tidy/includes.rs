//! What a crate's sources include lies within the crate: what lies outside is not in its package.

use super::Finding;
use super::tree::Tree;

const MACROS: [&str; 4] = ["include_str!(\"", "include_bytes!(\"", "include!(\"", "#[path = \""];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    // Tests may read what only the repository has; a package's user does not run them.
    for (path, text) in tree.sources().filter(|(path, _)| path.starts_with("crates/") && path.contains("/src/")) {
        for (number, line) in (1..).zip(text.lines()) {
            let included = MACROS.iter().flat_map(|name| line.split(name).skip(1));
            for target in included.filter_map(|rest| rest.split('"').next()).filter(|target| leaves(path, target)) {
                findings.push(Finding::new(
                    format!("{path}:{number}"),
                    format!("it includes {target}, which is outside the crate and not in its package"),
                    "move the file into the crate",
                ));
            }
        }
    }
    findings
}

/// Whether a path relative to a source of `crates/<name>/` leads out of that folder.
fn leaves(source: &str, target: &str) -> bool {
    // The crate's own folders above the source: all but `crates`, the crate's name and the file.
    let mut depth = source.matches('/').count() - 2;
    for part in target.split('/') {
        match (part, depth) {
            ("..", 0) => return true,
            ("..", _) => depth -= 1,
            (".", _) => {}
            _ => depth += 1,
        }
    }
    target.starts_with('/')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_includes_what_its_package_lacks_is_found() {
        let tree = Tree::of(&[
            ("crates/ef-a/src/lib.rs", "#![doc = include_str!(\"../README.md\")]\n"),
            ("crates/ef-a/src/deep/good.rs", "const A: &str = include_str!(\"../../schema/a.sql\");\n"),
            ("crates/ef-a/src/bad.rs", "//! Bad.\nconst B: &[u8] = include_bytes!(\"../../ef-b/README.md\");\n"),
            ("crates/ef-a/tests/free.rs", "const C: &str = include_str!(\"../../../fixtures/c.yaml\");\n"),
        ]);
        let found = check(&tree);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].place, "crates/ef-a/src/bad.rs:2");
    }
}
