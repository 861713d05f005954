//! Plugins in Python: those of an interpreter's entry points, and objects that a manifest names.

use std::path::{Path, PathBuf};

use ef_model::Environment;
use ef_plugin::process::{ExternalPlugin, PluginCommand};
use ef_plugin::python::{Interpreter, PythonError, PythonPlugin};

use super::candidate::Candidate;
use super::manifest::{Entry, Manifest};
use crate::Exit;
use crate::failure::Failure;

/// The plugins that are installed for the interpreter that the project names, or else that of the active virtual environment.
pub(crate) async fn distributions(
    project: Option<&Manifest>,
    environment: &Environment,
) -> Result<Vec<Candidate>, Failure> {
    let named = project.and_then(|manifest| Some((Path::new(manifest.python.as_deref()?), manifest.folder())));
    let (configured, folder) = named.map_or((None, Path::new(".")), |(named, folder)| (Some(named), folder));
    let Some(interpreter) = Interpreter::find(configured, folder, environment).map_err(refused)? else {
        return Ok(Vec::new());
    };
    let environment = environment.clone();
    // Python takes some tens of milliseconds to start.
    let listed = tokio::task::spawn_blocking(move || {
        let from = format!("entry points of {}", interpreter.program().display());
        interpreter.distributions(&environment).map(|found| (found, from))
    });
    let (found, from) = listed.await.expect("listing distributions does not panic").map_err(refused)?;
    let candidates = found.into_iter().map(|distribution| Candidate {
        name: distribution.name,
        from: from.clone(),
        plugin: ExternalPlugin::new(distribution.plugin.command),
        declared: distribution.declared,
        problems: distribution.problems,
        is_distribution: true,
    });
    Ok(candidates.collect())
}

/// The command that serves an object, and the files that it consists of.
pub(crate) fn reference(
    manifest: &Manifest,
    entry: &Entry,
    reference: &str,
    source: &str,
    environment: &Environment,
) -> Result<(PluginCommand, Vec<PathBuf>), Failure> {
    let named = manifest.python.as_deref().map(Path::new);
    let Some(interpreter) = Interpreter::find(named, manifest.folder(), environment).map_err(refused_for(entry))?
    else {
        let message = format!("the plugin `{}`: it is not said which Python runs it", entry.name);
        let hint = format!(
            "write python = \"…\" at the top of {}, or activate a virtual environment",
            manifest.path.display()
        );
        return Err(Failure::new(Exit::Component, message).hint(hint));
    };
    let PythonPlugin { command, needed } = interpreter
        .module(&entry.name, reference, manifest.folder(), source, environment)
        .map_err(refused_for(entry))?;
    Ok((command, needed))
}

fn refused_for(entry: &Entry) -> impl Fn(PythonError) -> Failure {
    |error| Failure::new(Exit::Component, format!("the plugin `{}`: {error}", entry.name)).hint(error.hint())
}

#[expect(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
fn refused(error: PythonError) -> Failure {
    Failure::new(Exit::Component, error.to_string()).hint(error.hint())
}
