//! A plugin that was found and can be started.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ef_model::{ComponentId, Environment};
use ef_plugin::ComponentKind;
use ef_plugin::process::{Declared, DeclaredComponent, ExternalPlugin, Factories, PluginCommand};
use ef_plugin::process::{allowed_environment, command_digest};

use super::manifest::{Code, Entry, Manifest};
use super::{Wanted, python};
use crate::Exit;
use crate::failure::{self, Failure};

/// A plugin with what is known of it before it runs.
pub(crate) struct Candidate {
    pub(crate) name: String,
    /// The file or the distribution that names it.
    pub(crate) from: String,
    pub(crate) plugin: ExternalPlugin,
    pub(crate) declared: Declared,
    /// What is wrong with other things of it, a line each.
    pub(crate) problems: Vec<String>,
    /// Whether it was found among a Python interpreter's entry points.
    pub(crate) is_distribution: bool,
}

impl Candidate {
    /// The plugin of a manifest.
    pub(crate) fn of_manifest(
        manifest: &Manifest,
        entry: &Entry,
        is_project: bool,
        environment: &Environment,
    ) -> Result<Self, Failure> {
        let refused = |reason: String| Failure::new(Exit::Component, format!("the plugin `{}`: {reason}", entry.name));
        let file = manifest.path.file_name().unwrap_or_default().to_string_lossy();
        // Without the folder: the same project elsewhere is the same plugin.
        let mut source = match is_project {
            true => format!("{file} [plugins.{}]", entry.name),
            false => format!("user manifest {file} [plugins.{}]", entry.name),
        };
        if let Some(sandbox) = &entry.sandbox {
            source = format!("{source}, {sandbox}");
        }
        let (mut command, mut needed) = match &entry.code {
            Code::Command(line) => program(&entry.name, line, manifest.folder(), &source, environment)?,
            Code::Python(reference) => python::reference(manifest, entry, reference, &source, environment)?,
        };
        command.environment = match &entry.environment {
            None => environment.clone(),
            Some(names) => allowed_environment(environment, names),
        };
        command.working_directory = Some(manifest.folder().to_owned());
        command.processes = entry.processes.unwrap_or(command.processes);
        command.start_timeout = entry.start_timeout.unwrap_or(command.start_timeout);
        if let Some(sandbox) = &entry.sandbox {
            needed.push(command.program.clone());
            command.wrapper = sandbox.wrapper(manifest.folder(), &needed).map_err(refused)?;
        }
        let component = |id: &ComponentId| DeclaredComponent { id: id.clone(), version: None, summary: None };
        let declared = Declared {
            evaluators: entry.evaluators.iter().map(component).collect(),
            judges: entry.judges.iter().map(component).collect(),
        };
        Ok(Self {
            name: entry.name.clone(),
            from: manifest.path.display().to_string(),
            plugin: ExternalPlugin::new(command),
            declared,
            problems: Vec::new(),
            is_distribution: false,
        })
    }

    /// The factories of what it declares.
    pub(crate) fn declared(&self) -> Factories {
        self.plugin.declared(&self.declared)
    }

    /// Whether it declares this.
    pub(crate) fn declares(&self, (kind, id): &Wanted) -> bool {
        let declared = match kind {
            ComponentKind::Evaluator => &self.declared.evaluators,
            ComponentKind::Judge => &self.declared.judges,
        };
        declared.iter().any(|component| component.id == *id)
    }
}

/// A program with its arguments, and the files that it consists of.
fn program(
    name: &str,
    line: &[String],
    folder: &Path,
    source: &str,
    environment: &Environment,
) -> Result<(PluginCommand, Vec<PathBuf>), Failure> {
    let [program, arguments @ ..] = line else { unreachable!("a manifest's command has a program") };
    let Some(path) = find_program(program, folder, environment) else {
        let what = if program.contains('/') { "there is no such file" } else { "it is not on the PATH" };
        let message = format!("the plugin `{name}`: its program {program:?} cannot be started: {what}");
        let hint = format!("a program with a slash in its name is looked for from {}", folder.display());
        return Err(Failure::new(Exit::Component, message).hint(hint));
    };
    let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
    let measure = {
        let (path, arguments, folder) = (path.clone(), arguments.clone(), folder.to_owned());
        move || command_digest(&path, &arguments, Some(&folder))
    };
    let digest = measure().map_err(|error| {
        let message = format!("the plugin `{name}`: its files cannot be read: {}", failure::reason(&error));
        Failure::new(Exit::Component, message)
    })?;
    let needed = arguments.iter().map(|argument| folder.join(argument)).filter(|path| path.is_file()).collect();
    let mut command = PluginCommand::new(name, path, source, digest);
    command.arguments = arguments;
    command.measure = Some(Arc::new(measure));
    Ok((command, needed))
}

/// A program with a slash in its name is a path from the manifest's folder; any other is looked for on the PATH.
pub(crate) fn find_program(program: &str, folder: &Path, environment: &Environment) -> Option<PathBuf> {
    if program.contains('/') {
        return Some(folder.join(program)).filter(|path| path.is_file());
    }
    let path = environment.get("PATH")?;
    std::env::split_paths(path.expose()).map(|entry| folder.join(entry).join(program)).find(|path| is_executable(path))
}

#[cfg(unix)]
fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_executable(path: &Path) -> bool {
    path.is_file()
}
