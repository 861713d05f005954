//! `cargo xtask tidy`: the rules of the house as checks. Every check takes what it judges as a value and gives its
//! findings, so that each is shown in a test to find something.

use std::fmt;
use std::process::Command;
use std::time::Instant;

use clap::Args;

use crate::step::{self, Failure};

mod alone;
mod dependency_lists;
mod exposure;
mod generated;
mod imports;
mod includes;
mod links;
mod manifests;
mod metadata;
mod module_docs;
mod named_tests;
mod security;
mod shared_features;
mod sources;
mod tasks;
mod tree;
mod workflows;

/// Arguments of `cargo xtask tidy`.
#[derive(Debug, Default, Args)]
pub(crate) struct Arguments {
    /// Only the checks that compile nothing; they take a second.
    #[arg(long)]
    no_build: bool,
    /// Check each crate with exactly the features of others' crates that it asks for, and not with those that any of ours
    /// asks for; takes some minutes more.
    #[arg(long, conflicts_with = "no_build")]
    exact: bool,
}

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    /// The file, with its line where that helps, or the crate.
    place: String,
    /// What is wrong there.
    problem: String,
    /// What to do about it.
    remedy: String,
}

impl Finding {
    fn new(place: impl Into<String>, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { place: place.into(), problem: problem.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}\n    {}", self.place, self.problem, self.remedy)
    }
}

/// Runs a command as a check: what it prints when it fails makes the finding.
fn refused(command: &mut Command, finding: Finding) -> Result<Option<Finding>, Failure> {
    let output = step::output(command)?;
    Ok((!output.status.success()).then(|| {
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        Finding { problem: format!("{}\n{}", finding.problem, said.trim_end()), ..finding }
    }))
}

/// Runs all checks and reports all findings at once.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let tree = tree::Tree::read(&step::root())?;
    let metadata = metadata::Metadata::read()?;

    let mut findings = Vec::new();
    let mut check = |name: &str, found: Vec<Finding>, begun: Instant| {
        let seconds = begun.elapsed().as_secs_f64();
        eprintln!("    {name:<34}{:>3} findings{seconds:>8.1} s", found.len());
        findings.extend(found);
    };
    macro_rules! check {
        ($name:literal, $found:expr) => {{
            let begun = Instant::now();
            check($name, $found, begun);
        }};
    }
    check!("imports", imports::check(&metadata));
    check!("module docs", module_docs::check(&tree));
    check!("paths and links in documents", links::check(&tree));
    check!("manifests", manifests::check(&tree, &metadata));
    check!("sources", sources::check(&tree));
    check!("included files", includes::check(&tree));
    check!("security claims", security::check(&tree));
    check!("who sees content", exposure::check(&tree));
    check!("workflows", workflows::check(&tree));
    check!("tasks that are called", tasks::check(&tree));
    check!("lists of dependencies", dependency_lists::check(&tree)?);
    if !arguments.no_build {
        check!("generated files", generated::check(&metadata)?);
        check!("each crate packages alone", alone::packages(&metadata)?);
        let features = if arguments.exact { alone::Features::Exact } else { alone::Features::Shared };
        check!("each crate and its tests alone", alone::builds(&metadata, features)?);
    }
    report(&findings)
}

fn report(findings: &[Finding]) -> Result<(), Failure> {
    for finding in findings {
        eprintln!("\n{finding}");
    }
    match findings.len() {
        0 => Ok(()),
        1 => Err(Failure::new("tidy found 1 thing to put right")),
        count => Err(Failure::new(format!("tidy found {count} things to put right"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_refuses_is_a_finding_with_what_it_says() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo docs/cli.md differs; exit 1"]);
        let found = refused(&mut command, Finding::new("place", "not up to date", "make it anew")).expect("sh runs");
        assert_eq!(found, Some(Finding::new("place", "not up to date\ndocs/cli.md differs", "make it anew")));
    }

    #[test]
    fn all_findings_end_the_task_together() {
        report(&[]).expect("nothing to put right");
        let finding = Finding::new("place", "problem", "remedy");
        let failure = report(&[finding.clone(), finding]).expect_err("two findings");
        assert_eq!((failure.code, failure.message.as_str()), (1, "tidy found 2 things to put right"));
    }
}
