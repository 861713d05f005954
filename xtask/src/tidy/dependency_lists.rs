//! The crates at the bottom list everything that they bring along, so that whoever adds to it sees it.

use std::collections::BTreeSet;

use super::Finding;
use super::tree::Tree;
use crate::step::{self, Failure, cargo};

/// Who lists its dependencies, and how many there may be.
const LISTED: [(&str, usize); 2] = [("ef-model", 30), ("ef-spec", 55)];
/// Which crates are needed differs a little between platforms.
const PLATFORM: &str = "x86_64-unknown-linux-gnu";

pub(super) fn check(tree: &Tree) -> Result<Vec<Finding>, Failure> {
    let mut findings = Vec::new();
    for (name, most) in LISTED {
        let readme = format!("crates/{name}/README.md");
        let listed = listed(tree.text(&readme).unwrap_or_default());
        findings.extend(compare(&readme, &listed, &needed(name)?, most));
    }
    Ok(findings)
}

/// The names in the first fenced block below the heading `Dependencies`.
fn listed(readme: &str) -> BTreeSet<String> {
    let section = readme.split_once("\n## Dependencies\n").map_or("", |(_, section)| section);
    let block = section.split("\n```").nth(1).and_then(|block| block.split_once('\n')).map_or("", |(_, names)| names);
    block.split_whitespace().map(str::to_owned).collect()
}

/// The names of all crates that a build with default features takes, procedural macros among them.
fn needed(name: &str) -> Result<BTreeSet<String>, Failure> {
    let mut ask = cargo(["tree", "--package", name, "--edges", "normal", "--prefix", "none", "--target", PLATFORM]);
    let said = step::text(&mut ask)?;
    let names = said.lines().filter_map(|line| line.split(' ').next()).filter(|it| !it.is_empty() && *it != name);
    Ok(names.map(str::to_owned).collect())
}

fn compare(readme: &str, listed: &BTreeSet<String>, needed: &BTreeSet<String>, most: usize) -> Vec<Finding> {
    let names = |names: Vec<&String>| names.into_iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let mut findings = Vec::new();
    let missing: Vec<_> = needed.difference(listed).collect();
    if !missing.is_empty() {
        let remedy = "do without, or add them to the list under `## Dependencies`";
        findings.push(Finding::new(readme, format!("the list of dependencies lacks {}", names(missing)), remedy));
    }
    let gone: Vec<_> = listed.difference(needed).collect();
    if !gone.is_empty() {
        let problem = format!("the list of dependencies has {}, which is not needed", names(gone));
        findings.push(Finding::new(readme, problem, "take it off the list"));
    }
    if needed.len() > most {
        let problem = format!("{} dependencies, more than {most}", needed.len());
        findings.push(Finding::new(readme, problem, "do without some: what rests on this crate brings them all along"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    #[test]
    fn the_list_is_the_first_block_of_its_section() {
        let readme = "# a\n\n```rust\nlet no = 1;\n```\n\n## Dependencies\n\nThese:\n\n```text\nb-c d\ne\n```\n\n```text\nno\n```\n";
        assert_eq!(listed(readme), set(&["b-c", "d", "e"]));
        assert_eq!(listed("# a\n"), set(&[]));
    }

    #[test]
    fn what_is_missing_what_is_gone_and_what_is_too_much_is_found() {
        let found = compare("README.md", &set(&["a", "b"]), &set(&["b", "c", "d"]), 2);
        let problems: Vec<_> = found.iter().map(|finding| finding.problem.as_str()).collect();
        let expected = [
            "the list of dependencies lacks c, d",
            "the list of dependencies has a, which is not needed",
            "3 dependencies, more than 2",
        ];
        assert_eq!(problems, expected);
        assert!(compare("README.md", &set(&["a"]), &set(&["a"]), 1).is_empty());
    }

    #[test]
    fn a_crate_s_dependencies_are_found_and_it_is_none_of_them() {
        let needed = needed("ef-model").expect("cargo tree runs");
        assert!(needed.contains("serde") && !needed.contains("ef-model"), "{needed:?}");
    }
}
