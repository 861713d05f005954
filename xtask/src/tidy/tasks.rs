//! Every task that a document or a workflow calls is there, and takes the arguments that it is called with.

use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser as _};

use super::Finding;
use super::tree::Tree;

const CALL: &str = "cargo xtask ";

pub(super) fn check(tree: &Tree) -> Vec<Finding> {
    let tasks: Vec<String> =
        crate::Arguments::command().get_subcommands().map(|task| task.get_name().to_owned()).collect();
    let texts = tree.ending(".yml").chain(tree.ending(".md"));
    texts.flat_map(|(path, text)| [unknown(path, text, &tasks), refused(path, text)].concat()).collect()
}

/// The calls that stand as commands, a line each, whose arguments a task refuses.
fn refused(path: &str, text: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim_start().trim_start_matches("- ");
        let Some(commands) = line.strip_prefix("$ ").or_else(|| line.strip_prefix("run: ")) else { continue };
        let commands = commands.split(" #").next().unwrap_or_default();
        for arguments in commands.split(" && ").filter_map(|command| command.strip_prefix(CALL)) {
            // What a shell puts in for a variable is not known; a number does for text as well.
            let words = arguments.split_whitespace().map(|word| if word.contains('$') { "1" } else { word });
            if let Err(error) = crate::Arguments::try_parse_from(std::iter::once("xtask").chain(words)) {
                // A task that is not there is found by its name.
                if error.kind() != ErrorKind::InvalidSubcommand && error.kind() != ErrorKind::DisplayHelp {
                    let problem = format!("`{CALL}{arguments}` is refused");
                    findings.push(Finding::new(format!("{path}:{number}"), problem, "see: cargo xtask help"));
                }
            }
        }
    }
    findings
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

    #[test]
    fn a_call_that_its_task_refuses_is_found_with_its_line() {
        let text = "\
            $ cargo xtask bench network --runs 3   # and more\n\
            $ cargo xtask bench noise\n\
            - run: cargo xtask simulate --seeds 100 --from \"${NUMBER}000\" && cargo xtask tidy --exact --fast\n\
            `cargo xtask bench --never` in a sentence, $ cargo xtask fly\n\
            - run: cargo xtask help && cargo xtask fly\n";
        let places: Vec<_> = refused("a.yml", text).iter().map(|it| format!("{}: {}", it.place, it.problem)).collect();
        let expected =
            ["a.yml:2: `cargo xtask bench noise` is refused", "a.yml:3: `cargo xtask tidy --exact --fast` is refused"];
        assert_eq!(places, expected);
    }
}
