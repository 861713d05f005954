//! Every task that a document or a workflow calls is there.

use clap::CommandFactory as _;

use super::Finding;
use super::tree::Tree;

const CALL: &str = "cargo xtask ";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let tasks: Vec<String> =
        crate::Arguments::command().get_subcommands().map(|task| task.get_name().to_owned()).collect();
    let texts = tree.ending(".yml").chain(tree.ending(".md"));
    texts.flat_map(|(path, text)| unknown(path, text, &tasks)).collect()
}

fn unknown(path: &str, text: &str, tasks: &[String]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        for called in line.split(CALL).skip(1) {
            let name: String = called.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect();
            if !name.is_empty() && name != "help" && !tasks.contains(&name) {
                let remedy = format!("call one of those that there are: {}", tasks.join(", "));
                findings.push(Finding::new(format!("{path}:{number}"), format!("there is no task {name}"), remedy));
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_is_not_there_is_found_with_its_line() {
        let text =
            "Run `cargo xtask test` or `cargo xtask <task> --help`.\n- run: cargo xtask tidy && cargo xtask fly -x\n";
        let found = check(&Tree::of(&[("docs/a.md", text), (".github/workflows/a.yml", text)]));
        let places: Vec<_> = found.iter().map(|it| format!("{}: {}", it.place, it.problem)).collect();
        assert_eq!(places, [".github/workflows/a.yml:2: there is no task fly", "docs/a.md:2: there is no task fly"]);
    }
}
