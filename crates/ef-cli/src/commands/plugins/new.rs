//! `ef plugins new`.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use ef_plugin::templates::{self, Language};

use crate::failure::{self, Failure};
use crate::{Exit, console};

/// Begin a plugin
///
/// Makes a folder with a plugin that works: a judge, a test of it, an ef.toml that names it, and a spec with a dataset that
/// uses it. Nothing that is there is overwritten.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Its name, such as acme-polite: also that of the folder
    name: String,
    /// What it is written in
    #[arg(long, value_name = "python|rust|node")]
    lang: Language,
    /// The folder, where it is not to have the plugin's name
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

pub(crate) fn execute(args: &Args) -> Result<Exit, Failure> {
    let files = templates::files(args.lang, &args.name).map_err(|error| Failure::usage(error.to_string()))?;
    let folder = args.dir.clone().unwrap_or_else(|| PathBuf::from(&args.name));
    let present: Vec<_> = files.iter().filter(|(path, _)| folder.join(path).exists()).collect();
    if !present.is_empty() {
        let present: Vec<_> = present.iter().map(|(path, _)| path.display().to_string()).collect();
        let message = format!("{} has {} already", folder.display(), present.join(", "));
        return Err(Failure::usage(message).hint("choose another name or folder; nothing was written"));
    }
    for (path, text) in &files {
        let path = folder.join(path);
        write(&path, text).map_err(|error| {
            Failure::usage(format!("{} cannot be made: {}", path.display(), failure::reason(&error)))
        })?;
    }
    console::say(&format!("made a plugin in {}", folder.display()));
    console::advise("next    its README.md tells how it is tested and used");
    Ok(Exit::Done)
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    fs::OpenOptions::new().write(true).create_new(true).open(path)?.write_all(text.as_bytes())
}
