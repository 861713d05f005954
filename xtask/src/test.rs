//! `cargo xtask test`: every test of the workspace, with the best runner that is installed.

mod prerequisites;

use clap::Args;

use crate::step::{self, Failure, cargo};

/// Arguments of `cargo xtask test`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Only the tests of this package; may be given more than once.
    #[arg(short, long, value_name = "PACKAGE")]
    pub(crate) package: Vec<String>,
    /// Passed on to the runner, such as the name of a test. Doctests run without it.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENT")]
    pub(crate) passed_on: Vec<String>,
}

/// Runs the tests, then the doctests, which nextest does not run.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let variables = prerequisites::prepare(&arguments.package)?;
    let nextest = step::succeeds(&mut cargo(["nextest", "--version"]));
    let mut tests = if nextest {
        eprintln!("==> tests, with cargo-nextest");
        cargo(["nextest", "run"])
    } else {
        eprintln!("==> tests, with cargo test (cargo-nextest is not installed)");
        // Cargo counts unit tests of libraries and binaries among --tests.
        cargo(["test", "--tests", "--examples"])
    };
    let selected = tests.args(selection(&arguments.package)).args(&arguments.passed_on);
    step::run(selected.envs(variables.iter().cloned()))?;
    // xtask has no library, and cargo refuses to look for doctests there.
    let libraries: Vec<String> = arguments.package.iter().filter(|&package| package != "xtask").cloned().collect();
    if libraries.is_empty() && !arguments.package.is_empty() {
        return Ok(());
    }
    eprintln!("==> doctests");
    step::run(cargo(["test", "--doc"]).args(selection(&libraries)).envs(variables))
}

fn selection(packages: &[String]) -> Vec<String> {
    if packages.is_empty() {
        return vec!["--workspace".to_owned()];
    }
    packages.iter().flat_map(|package| ["--package".to_owned(), package.clone()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_package_the_whole_workspace_is_tested() {
        assert_eq!(selection(&[]), ["--workspace"]);
        let two = ["ef-model".to_owned(), "ef-spec".to_owned()];
        assert_eq!(selection(&two), ["--package", "ef-model", "--package", "ef-spec"]);
    }
}
