//! The artifact of a run: `<output>/<run_id>.json`.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use ef_model::RunResult;

use crate::Exit;
use crate::failure::{self, Failure};

/// Writes the result, whole or not at all, readable by its owner alone.
pub(crate) fn write(folder: &Path, result: &RunResult) -> Result<PathBuf, Failure> {
    let run_id = &result.head.run_id;
    let path = folder.join(format!("{run_id}.json"));
    let unfinished = folder.join(format!(".{run_id}.json.part"));
    let written = create_folder(folder)
        .and_then(|()| write_private(&unfinished, ef_report::json(result).as_bytes()))
        .and_then(|()| fs::rename(&unfinished, &path));
    match written {
        Ok(()) => {
            tracing::info!(path = %path.display(), "result written");
            Ok(path)
        }
        Err(error) => {
            let _ = fs::remove_file(&unfinished);
            let message = format!("the result cannot be written to {}: {}", path.display(), failure::reason(&error));
            let hint = format!("the run is whole and in the store: `ef show {run_id} --format json` prints the same");
            Err(Failure::new(Exit::Usage, message).hint(hint))
        }
    }
}

/// Bytes that a result or a proof has, at most: whatever is larger is something else.
const MAX_BYTES: u64 = 64 << 20;

/// Reads a result, or what was made of one.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
}

/// Finds out before a run whether its result can be written.
pub(crate) fn check(folder: &Path) -> Result<(), Failure> {
    create_folder(folder).map_err(|error| {
        let message = format!("the output folder {} cannot be made: {}", folder.display(), failure::reason(&error));
        Failure::usage(message).hint("name another with --output")
    })
}

fn create_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(content)?;
    file.sync_all()
}
