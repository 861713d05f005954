//! No source file outgrows a reader, and nothing is left for later.

use super::Finding;
use super::tree::Tree;

/// Lines that a source file may have.
const LONGEST: usize = 600;

/// What must not be in a source, and why. Written in pieces, because this file is checked too.
const BANNED: [(&str, &str); 3] = [
    (concat!("todo", "!"), "write it, or leave it out"),
    (concat!("unimplemented", "!"), "write it, or leave it out"),
    (concat!("#[", "ignore"), "a test that does not run keeps no promise: repair it or delete it"),
];

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    tree.sources().flat_map(|(path, text)| too_long(path, text).into_iter().chain(left_for_later(path, text))).collect()
}

fn too_long(path: &str, text: &str) -> Option<Finding> {
    let lines = text.lines().count();
    let problem = format!("it has {lines} lines, more than {LONGEST}");
    (lines > LONGEST).then(|| Finding::new(path, problem, "one idea a file: find the second one and give it its own"))
}

fn left_for_later(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let code = line.split("//").next().unwrap_or(line);
        for (mark, remedy) in BANNED.iter().filter(|(mark, _)| code.contains(mark)) {
            findings.push(Finding::new(format!("{path}:{number}"), format!("`{mark}`"), *remedy));
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_of_more_than_600_lines_is_found() {
        let tree =
            Tree::of(&[("crates/a/src/long.rs", &"x\n".repeat(601)), ("crates/a/src/ok.rs", &"x\n".repeat(600))]);
        let found = check(&tree);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].place, "crates/a/src/long.rs");
        assert_eq!(found[0].problem, "it has 601 lines, more than 600");
    }

    #[test]
    fn what_is_left_for_later_is_found_with_its_line() {
        for (mark, _) in BANNED {
            let text = format!("//! Docs may speak of {mark}.\n    {mark}(\"reason\")\n");
            let found = check(&Tree::of(&[("crates/a/src/lib.rs", &text)]));
            assert_eq!(found.len(), 1, "{mark}: {found:?}");
            assert_eq!(found[0].place, "crates/a/src/lib.rs:2");
        }
    }
}
