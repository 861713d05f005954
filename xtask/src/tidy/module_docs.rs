//! Every crate root and every module file opens with a doc comment that says what it is for.

use super::Finding;
use super::tree::Tree;

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    tree.sources().filter(|(_, text)| !opens_with_docs(text)).map(|(path, _)| missing(path)).collect()
}

fn opens_with_docs(text: &str) -> bool {
    let first = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let comment = first.strip_prefix("//!").is_some_and(|words| !words.trim().is_empty());
    comment || first.starts_with("#![doc = include_str!")
}

fn missing(path: &str) -> Finding {
    Finding::new(path, "it does not open with a doc comment", "say at its top, after `//!`, what it is for")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_doc_comment_at_its_top_is_found() {
        let tree = Tree::of(&[
            ("crates/ef-a/src/lib.rs", "#![doc = include_str!(\"../README.md\")]\n"),
            ("crates/ef-a/src/good.rs", "\n//! What it is for.\nuse std::fmt;\n"),
            ("crates/ef-a/src/late.rs", "use std::fmt;\n//! Too late.\n"),
            ("crates/ef-a/tests/empty.rs", "//!\nfn main() {}\n"),
            ("xtask/src/none.rs", ""),
        ]);
        let found = check(&tree);
        let places: Vec<&str> = found.iter().map(|finding| finding.place.as_str()).collect();
        assert_eq!(places, ["crates/ef-a/src/late.rs", "crates/ef-a/tests/empty.rs", "xtask/src/none.rs"]);
    }
}
