//! The files that are made from the code are as the code would make them now.

use std::process::Command;

use super::metadata::Metadata;
use super::{Finding, refused};
use crate::step::{self, Failure, cargo};

/// Asks the generator whether it would write anything else.
///
/// It is built with the features of the whole workspace, as the tests are, so that nothing is built twice for it.
pub(super) fn check(metadata: &Metadata) -> Result<Vec<Finding>, Failure> {
    let finding = |problem: &str| {
        Finding::new("crates/ef-cli/examples/generate.rs", problem, "run: cargo run -p ef-cli --example generate")
    };
    let mut build = cargo(["build", "--quiet", "--workspace", "--example", "generate"]);
    if let Some(finding) = refused(&mut build, finding("the generator does not build"))? {
        return Ok(vec![finding]);
    }
    let mut generate = Command::new(metadata.target_directory.join("debug/examples/generate"));
    generate.arg("--check").current_dir(step::root());
    let differs = finding("generated files are not as the code would make them");
    Ok(refused(&mut generate, differs)?.into_iter().collect())
}
