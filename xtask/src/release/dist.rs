//! `cargo xtask dist`: a release for this platform, built from the commit that is checked out.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;

use super::archive::{self, File};
use super::build::{self, Program};
use super::commit::Commit;
use super::provenance::{self, Origin};
use super::toolchain::Toolchain;
use super::{ARCHIVE, PROVENANCE, SBOM, SUMS, sha256, sums};
use crate::packages::Packages;
use crate::sbom;
use crate::step::{self, Failure};

/// The program that is released.
pub(super) const EF: Program<'static> = Program { package: "ef-cli", binary: sbom::PROGRAM };

/// The SBOM's name within the archive.
pub(super) const SBOM_INSIDE: &str = "ef.cdx.json";

/// Arguments of `cargo xtask dist`.
#[derive(Debug, Default, Args)]
pub(crate) struct Arguments {
    /// Where the files go: a folder that is empty or not there yet. Without it, they replace those in `dist` in the target
    /// directory.
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Who builds, for the provenance: the release workflow instead of a person.
    #[arg(long)]
    by_workflow: bool,
}

/// Builds a release.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let root = step::root();
    let target_directory = Packages::locked(&root)?.target_directory;
    let output = match &arguments.output {
        Some(output) => empty(output)?,
        None => target_directory.join("dist"),
    };
    let commit = Commit::read(&root)?;
    tell(&commit, &root)?;
    let scratch = target_directory.join("dist-build");
    step::remove(&scratch)?;
    let source = scratch.join("source");
    commit.export(&root, &source)?;
    let toolchain = Toolchain::read(&source)?;
    let binary = build::release(&source, &scratch.join("target"), EF, &toolchain, commit.seconds)?;
    let sbom = sbom::document(&source, &commit, &toolchain.host, Some(sha256(&step::read(&binary)?)))?;
    let files = contents(&source, &binary, &scratch, sbom.clone())?;
    let origin = Origin {
        commit: commit.id.clone(),
        target: toolchain.host.clone(),
        profile: "release",
        lock: sha256(&step::read(&source.join("Cargo.lock"))?),
        builder: if arguments.by_workflow { provenance::by_workflow() } else { provenance::by_hand() },
    };
    let version = sbom::summary(&sbom)?.version;
    if arguments.output.is_none() {
        step::remove(&output)?;
    }
    let sums = write(&output, &version, &files, &sbom, &origin, &toolchain, commit.seconds)?;
    eprintln!("    {}:", output.display());
    eprint!("{sums}");
    eprintln!("    next: cargo xtask sign {} --key FILE", output.display());
    step::remove(&scratch)
}

/// Says what is built: the commit, and not what is changed in the working tree.
pub(super) fn tell(commit: &Commit, root: &Path) -> Result<(), Failure> {
    eprintln!("    commit {} of {}", commit.id, commit.time);
    match Commit::changes(root)? {
        0 => {}
        changes => eprintln!("    {changes} files are changed and not committed: they are no part of it"),
    }
    Ok(())
}

fn empty(folder: &Path) -> Result<PathBuf, Failure> {
    let holds_something = std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
    if holds_something {
        return Err(Failure::new(format!("{} is not empty: give a new folder", folder.display())));
    }
    Ok(folder.to_owned())
}

/// What is in the archive: the program, what it says of itself for man and the shells, and the texts.
pub(super) fn contents(source: &Path, ef: &Path, scratch: &Path, sbom: Vec<u8>) -> Result<Vec<File>, Failure> {
    let mut files = vec![
        File { executable: true, ..File::new(sbom::PROGRAM, step::read(ef)?) },
        File::new(SBOM_INSIDE, sbom),
        File::new("LICENSE", step::read(&source.join("LICENSE"))?),
        File::new("README.md", step::read(&source.join("README.md"))?),
        File::new("THIRD-PARTY.md", step::read(&source.join("docs/third-party.md"))?),
    ];
    for (shell, path) in [("bash", "completions/ef.bash"), ("zsh", "completions/_ef"), ("fish", "completions/ef.fish")]
    {
        files.push(File::new(path, step::text(Command::new(ef).args(["completions", shell]))?));
    }
    let manual = scratch.join("man");
    step::remove(&manual)?;
    step::text(Command::new(ef).args(["man", "--output"]).arg(&manual))?;
    let failed = |error: std::io::Error| Failure::new(format!("{}: {error}", manual.display()));
    for page in std::fs::read_dir(&manual).map_err(failed)? {
        let page = page.map_err(failed)?;
        files.push(File::new(format!("man/{}", page.file_name().to_string_lossy()), step::read(&page.path())?));
    }
    Ok(files)
}

/// Writes the files of a release, and gives their sums as they are in the file of sums.
pub(super) fn write(
    output: &Path,
    version: &str,
    files: &[File],
    sbom: &[u8],
    origin: &Origin,
    toolchain: &Toolchain,
    seconds: u64,
) -> Result<String, Failure> {
    let name = format!("{}-{version}-{}", sbom::PROGRAM, origin.target);
    let archive = archive::pack(&name, files, seconds)?;
    let mut sums = BTreeMap::new();
    let mut add = |ending: &str, content: &[u8]| {
        let file = format!("{name}{ending}");
        step::write(&output.join(&file), content)?;
        sums.insert(file, sha256(content));
        Ok::<_, Failure>(sums.clone())
    };
    add(ARCHIVE, &archive)?;
    let subjects = add(SBOM, sbom)?;
    let statement = provenance::statement(&subjects, origin, toolchain);
    let sums = sums::write(&add(PROVENANCE, format!("{statement:#}\n").as_bytes())?);
    step::write(&output.join(SUMS), &sums)?;
    Ok(sums)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_holds_something_is_left_alone() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        empty(folder.path()).expect("it is empty");
        empty(&folder.path().join("new")).expect("it is not there yet");
        step::write(&folder.path().join("mine"), "mine").expect("written");
        let failure = empty(folder.path()).expect_err("it holds something");
        assert!(failure.message.ends_with("is not empty: give a new folder"), "{failure}");
    }

    #[test]
    fn an_archive_has_the_program_its_manual_its_completions_and_the_texts() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let ef = folder.path().join("ef");
        let script = "#!/bin/sh\n[ \"$1\" = man ] && mkdir -p \"$3\" && echo page > \"$3/ef.1\" || echo \"for $2\"\n";
        step::write(&ef, script).expect("written");
        step::run(Command::new("chmod").arg("+x").arg(&ef)).expect("it is a program");
        let files = contents(&step::root(), &ef, &folder.path().join("scratch"), b"{}".to_vec()).expect("all is there");
        let mut paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
        paths.sort_unstable();
        let expected = [
            "LICENSE",
            "README.md",
            "THIRD-PARTY.md",
            "completions/_ef",
            "completions/ef.bash",
            "completions/ef.fish",
            "ef",
            "ef.cdx.json",
            "man/ef.1",
        ];
        assert_eq!(paths, expected);
        assert!(files[0].executable && files[1..].iter().all(|file| !file.executable));
        assert!(files.contains(&File::new("completions/_ef", "for zsh\n")));
    }
}
