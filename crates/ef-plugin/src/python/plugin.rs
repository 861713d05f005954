//! Python plugins for the host.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ef_model::{ComponentId, Environment};
use serde_json::{Value, json};

use super::files::{self, NamedFile};
use super::listing::{self, ListedDistribution};
use super::{Interpreter, PythonError, bridge};
use crate::process::{Declared, DeclaredComponent, PluginCommand};

/// How many calls one process takes at a time: four times as many as a run makes by default. As many threads at most.
const MAX_IN_FLIGHT: u32 = 256;

/// A Python plugin that can be started.
pub struct PythonPlugin {
    /// What the host starts. Its environment is the one that was given.
    pub command: PluginCommand,
    /// The files and folders that it reads code from, for a sandbox to allow.
    pub needed: Vec<PathBuf>,
}

/// An installed distribution that has evaluators or judges.
pub struct Distribution {
    /// Its name, such as `acme-judges`.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it provides, by its entry points. Their versions are known once it has started.
    pub declared: Declared,
    /// What is wrong with its other entry points, one line each.
    pub problems: Vec<String>,
    /// What is started.
    pub plugin: PythonPlugin,
}

impl Interpreter {
    /// The distributions installed for this interpreter that have entry points in the groups `eval_fabric.evaluators` and
    /// `eval_fabric.judges`, by name; none of their code is imported. What the Python package `eval-fabric` itself has is
    /// left out: it is built in.
    ///
    /// It blocks for as long as Python takes to start, some tens of milliseconds, and to read the distributions' files.
    ///
    /// # Errors
    ///
    /// When the interpreter does not run, or a distribution's files cannot be read.
    pub fn distributions(&self, environment: &Environment) -> Result<Vec<Distribution>, PythonError> {
        let listing = listing::list(self, environment, &[], &[])?;
        let place = Place { program: listing.executable, folders: listing.folders };
        listing.distributions.into_iter().map(|listed| distribution(listed, &place, environment)).collect()
    }

    /// A plugin of an object in a module, `module:object`, or of a module and all that it decorates. The module is looked
    /// for in `folder` first, then among what is installed. It is not imported.
    ///
    /// It blocks like [`Interpreter::distributions`].
    ///
    /// # Errors
    ///
    /// When the interpreter does not run, there is no such module, or its files cannot be read.
    pub fn module(
        &self,
        name: &str,
        reference: &str,
        folder: &Path,
        source: &str,
        environment: &Environment,
    ) -> Result<PythonPlugin, PythonError> {
        let mut listing = listing::list(self, environment, &[folder.to_owned()], &[reference])?;
        let found = listing.references.pop().filter(|listed| listed.is_found).ok_or_else(|| PythonError::NoModule {
            interpreter: self.program().to_owned(),
            module: reference.split(':').next().unwrap_or_default().to_owned(),
            folder: folder.to_owned(),
        })?;
        let options = json!({
            "name": name,
            "references": [reference],
            "path": [folder],
            "max_in_flight": MAX_IN_FLIGHT,
        });
        let code = Code { name, what: reference, source, files: found.files, options };
        plugin(code, &Place { program: listing.executable, folders: listing.folders }, environment)
    }

    /// The interpreter's version, such as `3.12.1`.
    ///
    /// # Errors
    ///
    /// When it does not run.
    pub fn version(&self, environment: &Environment) -> Result<String, PythonError> {
        Ok(listing::list(self, environment, &[], &[])?.version)
    }
}

/// The interpreter itself, and where it reads code from.
struct Place {
    program: PathBuf,
    folders: Vec<PathBuf>,
}

/// What a plugin is made of.
struct Code<'a> {
    name: &'a str,
    /// What of Python's it is, wherever it is installed: the beginning of the digest.
    what: &'a str,
    source: &'a str,
    files: Vec<NamedFile>,
    /// What the bridge is told.
    options: Value,
}

fn distribution(
    listed: ListedDistribution,
    place: &Place,
    environment: &Environment,
) -> Result<Distribution, PythonError> {
    let ListedDistribution { name, version, evaluators, judges, files } = listed;
    let mut problems = Vec::new();
    let (evaluators, declared_evaluators) = valid("evaluator", evaluators, &mut problems);
    let (judges, declared_judges) = valid("judge", judges, &mut problems);
    let options = json!({
        "name": name,
        "version": version,
        "evaluators": evaluators,
        "judges": judges,
        "max_in_flight": MAX_IN_FLIGHT,
    });
    let source = format!("python {name} {version}");
    let plugin = plugin(Code { name: &name, what: &name, source: &source, files, options }, place, environment)?;
    let declared = Declared { evaluators: declared_evaluators, judges: declared_judges };
    Ok(Distribution { name, version, declared, problems, plugin })
}

fn plugin(code: Code<'_>, place: &Place, environment: &Environment) -> Result<PythonPlugin, PythonError> {
    let Code { name, what, source, files, options } = code;
    let is_covered = |path: &Path| place.folders.iter().any(|folder| path.starts_with(folder));
    let others = files.iter().map(|(_, path)| path).filter(|path| !is_covered(path));
    let needed = place.folders.iter().chain(others).cloned().collect();
    let measure = {
        let what = what.to_owned();
        move || files::digest(&what, &files)
    };
    let digest =
        measure().map_err(|error| PythonError::Files { plugin: name.to_owned(), reason: error.to_string() })?;
    let mut command = PluginCommand::new(name, &place.program, source, digest);
    command.arguments = bridge::arguments("serve", &options);
    command.environment = environment.clone();
    command.measure = Some(Arc::new(measure));
    Ok(PythonPlugin { command, needed })
}

/// The entry points whose names can be ids, and those ids.
fn valid(
    kind: &str,
    points: BTreeMap<String, String>,
    problems: &mut Vec<String>,
) -> (BTreeMap<String, String>, Vec<DeclaredComponent>) {
    let (mut kept, mut declared) = (BTreeMap::new(), Vec::new());
    for (name, object) in points {
        match ComponentId::new(name.as_str()) {
            Ok(id) => {
                declared.push(DeclaredComponent { id, version: None, summary: None });
                kept.insert(name, object);
            }
            Err(error) => problems.push(format!("the {kind} `{name}` cannot be named in a spec: {error}")),
        }
    }
    (kept, declared)
}
