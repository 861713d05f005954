//! `ef init`: makes a small project that runs as it is.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::failure::{self, Failure};
use crate::{Exit, console};

/// Make a small project that runs as it is
///
/// Makes a small project that runs as it is: a spec, a dataset with recorded answers, and the JSON Schema with which an
/// editor completes and checks the spec. Nothing that is there is overwritten.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The folder; it is made where there is none
    dir: PathBuf,
}

/// The project's files, by name.
fn files() -> [(&'static str, String); 5] {
    [
        ("spec.yaml", include_str!("../../templates/init/spec.yaml").to_owned()),
        ("spec.schema.json", format!("{:#}\n", ef_spec::schema::spec())),
        ("dataset.jsonl", include_str!("../../templates/init/dataset.jsonl").to_owned()),
        ("README.md", include_str!("../../templates/init/README.md").to_owned()),
        (".gitignore", include_str!("../../templates/init/gitignore").to_owned()),
    ]
}

pub(crate) fn execute(args: &Args) -> Result<Exit, Failure> {
    let files = files();
    let present: Vec<_> = files.iter().map(|(name, _)| *name).filter(|name| args.dir.join(name).exists()).collect();
    if !present.is_empty() {
        let message = format!("{} has {} already", args.dir.display(), present.join(", "));
        return Err(Failure::usage(message).hint("choose an empty folder; nothing was written"));
    }
    fs::create_dir_all(&args.dir).map_err(|error| refused(&args.dir, &error))?;
    for (name, content) in &files {
        let path = args.dir.join(name);
        let mut file = fs::OpenOptions::new().write(true).create_new(true).open(&path);
        file.as_mut()
            .map_err(|error| refused(&path, error))?
            .write_all(content.as_bytes())
            .map_err(|error| refused(&path, &error))?;
    }
    console::say(&format!("made a project in {}", args.dir.display()));
    console::advise("next    ef run spec.yaml --dataset dataset.jsonl    (in that folder)");
    Ok(Exit::Done)
}

fn refused(path: &Path, error: &std::io::Error) -> Failure {
    Failure::usage(format!("{} cannot be made: {}", path.display(), failure::reason(error)))
}
