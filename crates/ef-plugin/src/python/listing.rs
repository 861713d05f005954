//! Asking an interpreter what it has, without importing any plugin.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use ef_model::Environment;
use serde::Deserialize;
use serde_json::{Value, json};

use super::files::NamedFile;
use super::{Interpreter, PythonError, bridge};
use crate::masking::Mask;

/// How long an interpreter may take to list what it has; most take a tenth of a second.
const TIME_LIMIT: Duration = Duration::from_secs(60);

/// What an interpreter has.
#[derive(Deserialize)]
pub(super) struct Listing {
    /// The program itself: what was run may be a launcher that chooses by the working folder.
    pub(super) executable: PathBuf,
    /// Its version.
    pub(super) version: String,
    /// Where it reads code from.
    pub(super) folders: Vec<PathBuf>,
    /// The distributions with entry points for `ef`.
    pub(super) distributions: Vec<ListedDistribution>,
    /// What was asked about.
    pub(super) references: Vec<ListedReference>,
}

#[derive(Deserialize)]
pub(super) struct ListedDistribution {
    pub(super) name: String,
    pub(super) version: String,
    /// The entry points: id to `module:object`.
    pub(super) evaluators: BTreeMap<String, String>,
    pub(super) judges: BTreeMap<String, String>,
    pub(super) files: Vec<NamedFile>,
}

#[derive(Deserialize)]
pub(super) struct ListedReference {
    pub(super) is_found: bool,
    pub(super) files: Vec<NamedFile>,
}

/// Runs the interpreter. `path` goes in front of the folders in which it looks for modules.
pub(super) fn list(
    interpreter: &Interpreter,
    environment: &Environment,
    path: &[PathBuf],
    references: &[&str],
) -> Result<Listing, PythonError> {
    let failed = |reason: String| PythonError::Interpreter { interpreter: interpreter.program().to_owned(), reason };
    let options: Value = json!({ "path": path, "references": references });
    let mut command = Command::new(interpreter.program());
    command.args(bridge::arguments("list", &options)).env_clear();
    command.envs(environment.iter().map(|(name, value)| (name, value.expose())));
    if let Some(folder) = path.first() {
        command.current_dir(folder);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| failed(error.to_string()))?;
    let Some((stdout, stderr)) = output(&mut child) else {
        // It may have ended by itself just now.
        let _ = child.kill();
        let _ = child.wait();
        return Err(failed(format!("it takes longer than {} s", TIME_LIMIT.as_secs())));
    };
    let status = child.wait().map_err(|error| failed(error.to_string()))?;
    if !status.success() {
        let stderr = String::from_utf8_lossy(&stderr);
        let said = stderr.lines().rev().find(|line| !line.trim().is_empty());
        let mask = Mask::of_secrets(environment);
        return Err(failed(said.map_or_else(|| status.to_string(), |line| mask.text(line.trim()).into_owned())));
    }
    serde_json::from_slice(&stdout).map_err(|error| {
        // Its words would quote what was printed.
        let place = format!("line {}, column {}", error.line(), error.column());
        failed(format!("its answer is not the list that was asked for, from {place} on"))
    })
}

/// All that a child says, or nothing when that takes too long.
fn output(child: &mut Child) -> Option<(Vec<u8>, Vec<u8>)> {
    let (sender, received) = mpsc::channel();
    let read = |index: usize, stream: Option<Box<dyn Read + Send>>| {
        let sender = sender.clone();
        thread::spawn(move || {
            let mut bytes = Vec::new();
            // What was read before an error is all there is; the exit code tells that something is wrong.
            let _ = stream.map(|mut stream| stream.read_to_end(&mut bytes));
            let _ = sender.send((index, bytes));
        });
    };
    read(0, child.stdout.take().map(|stream| Box::new(stream) as _));
    read(1, child.stderr.take().map(|stream| Box::new(stream) as _));
    let mut outputs = [Vec::new(), Vec::new()];
    for _ in 0..outputs.len() {
        let (index, bytes) = received.recv_timeout(TIME_LIMIT).ok()?;
        outputs[index] = bytes;
    }
    Some(outputs.into())
}
