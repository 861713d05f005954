//! `cargo xtask verify`: whether a release is what its makers signed, whole and unchanged, and says where it comes from.

use std::path::{Path, PathBuf};

use clap::Args;
use minisign_verify::{PublicKey, Signature};

use super::dist::SBOM_INSIDE;
use super::provenance::{self, Claims};
use super::sums::{self, Sums};
use super::{ARCHIVE, PROVENANCE, SBOM, SIGNATURE, SUMS, archive, sha256};
use crate::sbom;
use crate::step::{self, Failure};

/// Arguments of `cargo xtask verify`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The folder with all the files of one release.
    dir: PathBuf,
    /// The public key of the makers: a file, or the key itself. Take it from a place that you trust, not from the release.
    #[arg(long, value_name = "FILE|KEY")]
    public_key: String,
    /// The commit that it has to be built from.
    #[arg(long)]
    commit: Option<String>,
    /// Who has to have built it, as an address; without it, a person or the release workflow of this repository.
    #[arg(long, value_name = "ADDRESS")]
    builder: Option<String>,
}

/// Verifies a release.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let key = public_key(&arguments.public_key)?;
    let claims = verify(arguments, &key)?;
    eprintln!("    signature, sums, provenance and SBOM are right");
    eprintln!("    built from commit {} for {}", claims.commit, claims.target);
    eprintln!("    by {}", claims.builder);
    Ok(())
}

fn public_key(given: &str) -> Result<PublicKey, Failure> {
    let path = Path::new(given);
    let text = if path.is_file() { step::read_text(path)? } else { given.to_owned() };
    let text = text.trim();
    PublicKey::decode(text)
        .or_else(|_| PublicKey::from_base64(text))
        .map_err(|_| Failure::new(format!("`{given}` is neither a public key of minisign nor a file with one")))
}

/// Checks the signature first: without it, nothing else that the folder says counts.
fn verify(arguments: &Arguments, key: &PublicKey) -> Result<Claims, Failure> {
    let folder = &arguments.dir;
    let text = signed(folder, key).map_err(|failure| refused(&[failure.message]))?;
    let sums = sums::parse(&text)?;
    let differences = sums::differences(folder, &sums)?;
    if !differences.is_empty() {
        return Err(refused(&differences));
    }
    let files = Files::read(folder, &sums).map_err(|failure| refused(&[failure.message]))?;
    let claims = provenance::claims(&files.provenance).map_err(|failure| refused(&[failure.message]))?;
    let mut problems = origin(&claims, arguments);
    problems.extend(contents(&files, &claims));
    if problems.is_empty() { Ok(claims) } else { Err(refused(&problems)) }
}

fn refused(problems: &[String]) -> Failure {
    let problems: String = problems.iter().map(|problem| format!("\n        {problem}")).collect();
    Failure::new(format!("do not use this release:{problems}"))
}

/// The text of the sums, if the key signed it.
fn signed(folder: &Path, key: &PublicKey) -> Result<String, Failure> {
    let text = step::read_text(&folder.join(SUMS))?;
    let signature = step::read_text(&folder.join(SIGNATURE))?;
    let signature = Signature::decode(&signature).map_err(|_| Failure::new(format!("{SIGNATURE} is no signature")))?;
    key.verify(text.as_bytes(), &signature, false)
        .map_err(|error| Failure::new(format!("{SUMS} is not signed by this key ({error})")))?;
    Ok(text)
}

/// The files of a release. All have the same name but for its end.
struct Files {
    name: String,
    /// The names and sums of the two files that the provenance has to be about.
    subjects: Sums,
    archive: Vec<u8>,
    sbom: Vec<u8>,
    provenance: Vec<u8>,
}

impl Files {
    fn read(folder: &Path, sums: &Sums) -> Result<Self, Failure> {
        let name = sums.keys().find_map(|file| file.strip_suffix(ARCHIVE)).unwrap_or_default();
        let read = |ending: &str| {
            let file = format!("{name}{ending}");
            let sum = sums.get(&file).ok_or_else(|| Failure::new(format!("{SUMS} names no file *{ending}")))?;
            let content = step::read(&folder.join(&file))?;
            // Read a second time since the sums were compared: it may not have changed in between.
            if sha256(&content) == *sum { Ok(content) } else { Err(Failure::new(format!("{file} changes"))) }
        };
        if sums.len() != 3 {
            return Err(Failure::new(format!(
                "{SUMS} names {} files and not archive, SBOM and provenance",
                sums.len()
            )));
        }
        let about = |file: &&String| file.ends_with(ARCHIVE) || file.ends_with(SBOM);
        Ok(Self {
            name: name.to_owned(),
            subjects: sums.iter().filter(|(file, _)| about(file)).map(|(a, b)| (a.clone(), b.clone())).collect(),
            archive: read(ARCHIVE)?,
            sbom: read(SBOM)?,
            provenance: read(PROVENANCE)?,
        })
    }
}

/// Whether it was built by whom and from what it should.
fn origin(claims: &Claims, arguments: &Arguments) -> Vec<String> {
    let known = [provenance::by_hand(), provenance::by_workflow()];
    let expected = arguments.builder.as_ref().map_or(&known[..], std::slice::from_ref);
    let mut problems = Vec::new();
    if !expected.contains(&claims.builder) {
        problems.push(format!("it was built by {}, and not by {}", claims.builder, expected.join(" or ")));
    }
    if let Some(commit) = arguments.commit.as_ref().filter(|commit| **commit != claims.commit) {
        problems.push(format!("it was built from commit {}, and not from {commit}", claims.commit));
    }
    problems
}

/// Whether provenance, SBOM and archive are about one another.
fn contents(files: &Files, claims: &Claims) -> Vec<String> {
    let mut problems = Vec::new();
    if claims.subjects != files.subjects {
        problems.push("the provenance is about other files".to_owned());
    }
    let summary = sbom::summary(&files.sbom);
    let inside = |path: &str| archive::file(&files.archive, &files.name, path);
    match (&summary, inside(sbom::PROGRAM)) {
        (Ok(summary), Ok(program)) => {
            let name = format!("{}-{}-{}", sbom::PROGRAM, summary.version, claims.target);
            if summary.sha256 != Some(sha256(&program)) {
                problems.push("the SBOM is about another program than the one in the archive".to_owned());
            }
            if summary.commit != claims.commit || summary.target != claims.target || name != files.name {
                problems.push("the SBOM is about another commit, version or target".to_owned());
            }
        }
        (sbom, program) => {
            problems.extend(sbom.as_ref().err().map(ToString::to_string));
            problems.extend(program.err().map(|failure| failure.message));
        }
    }
    match inside(SBOM_INSIDE) {
        Ok(inside) if inside == files.sbom => {}
        Ok(_) => problems.push("the SBOM in the archive is another one".to_owned()),
        Err(failure) => problems.push(failure.message),
    }
    problems
}

#[cfg(test)]
mod tests;
