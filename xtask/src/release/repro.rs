//! `cargo xtask repro`: builds the release of `ef` twice, from two copies of the commit in different folders, and compares.

use std::path::{Path, PathBuf};
use std::time::Instant;

use super::build::{self, Program};
use super::commit::Commit;
use super::dist::{self, EF};
use super::sha256;
use super::toolchain::Toolchain;
use crate::packages::Packages;
use crate::step::{self, Failure};

/// Where the copies are, below the target directory: names of different lengths, at different depths.
const COPIES: [&str; 2] = ["repro/one", "repro/another/and/deeper"];

/// Builds twice and compares. The copies are removed when the binaries are identical, and kept for a look when not.
pub(crate) fn run() -> Result<(), Failure> {
    let root = step::root();
    let target_directory = Packages::locked(&root)?.target_directory;
    let commit = Commit::read(&root)?;
    dist::tell(&commit, &root)?;
    step::remove(&target_directory.join("repro"))?;
    let mut binaries = Vec::new();
    for copy in COPIES.map(|copy| target_directory.join(copy)) {
        let begun = Instant::now();
        commit.export(&root, &copy.join("source"))?;
        binaries.push(in_copy(&copy, EF, commit.seconds)?);
        eprintln!("    built in {} s", begun.elapsed().as_secs());
    }
    let digest = compare(&binaries)?;
    eprintln!("    both are identical: SHA-256 {digest}");
    step::remove(&target_directory.join("repro"))
}

/// Builds a program of the sources in a copy.
fn in_copy(copy: &Path, program: Program<'_>, seconds: u64) -> Result<PathBuf, Failure> {
    let source = copy.join("source");
    build::release(&source, &copy.join("target"), program, &Toolchain::read(&source)?, seconds)
}

/// The SHA-256 that all files have.
fn compare(files: &[PathBuf]) -> Result<String, Failure> {
    let contents = files.iter().map(|file| step::read(file)).collect::<Result<Vec<_>, Failure>>()?;
    let digests: Vec<String> = contents.iter().map(|content| sha256(content)).collect();
    let (Some(first), [one, rest @ ..]) = (digests.first(), contents.as_slice()) else {
        return Err(Failure::new("there is nothing to compare"));
    };
    let Some(other) = rest.iter().find(|other| *other != one) else { return Ok(first.clone()) };
    let at = one.iter().zip(other).position(|(a, b)| a != b).unwrap_or(one.len().min(other.len()));
    let listed = digests.iter().zip(files).map(|(digest, file)| format!("\n        {digest}  {}", file.display()));
    Err(Failure::new(format!(
        "the builds differ, first at byte {at}:{}\n    look for what differs, often a path: `diffoscope` on the two, or \
         `strings` and `diff`",
        listed.collect::<String>()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two copies of a small program, each built as a release is.
    fn build_twice(main: &str) -> Result<String, Failure> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let binaries = ["one", "another/and/deeper"].map(|copy| {
            let copy = folder.path().join(copy);
            let manifest = "[package]\nname = \"small\"\nversion = \"1.0.0\"\nedition = \"2024\"\n[workspace]\n";
            step::write(&copy.join("source/Cargo.toml"), manifest)?;
            let lock = "version = 4\n\n[[package]]\nname = \"small\"\nversion = \"1.0.0\"\n";
            step::write(&copy.join("source/Cargo.lock"), lock)?;
            step::write(&copy.join("source/src/main.rs"), main)?;
            in_copy(&copy, Program { package: "small", binary: "small" }, 0)
        });
        compare(&binaries.into_iter().collect::<Result<Vec<_>, _>>()?)
    }

    #[test]
    fn a_program_is_the_same_from_any_folder_though_it_names_its_sources() {
        // The place of the panic is in the binary.
        let main = "fn main() { assert!(std::env::args().count() < 9, \"many\"); println!(\"{}\", file!()); }";
        build_twice(main).expect("the two are identical");
    }

    #[test]
    fn a_program_that_keeps_its_folder_is_found_out() {
        let failure = build_twice("fn main() { println!(env!(\"CARGO_MANIFEST_DIR\")); }").expect_err("they differ");
        assert!(failure.message.contains("the builds differ, first at byte"), "{failure}");
        assert!(failure.message.contains("another/and/deeper/target/release/small"), "{failure}");
    }
}
