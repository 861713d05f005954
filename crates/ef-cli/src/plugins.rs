//! Plugins: where they are looked for, and how they join what a spec can name.
//!
//! Nothing is started before a spec names something that only a plugin can have. What a manifest declares is found without
//! starting anything; only for an id that nobody declares, the plugins that declare nothing are asked.

pub(crate) mod candidate;
pub(crate) mod lock;
pub(crate) mod manifest;
pub(crate) mod problem;
pub(crate) mod python;
pub(crate) mod sandbox;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ef_model::{ComponentId, Environment, Identity};
use ef_plugin::process::{ExternalPlugin, PluginError};
use ef_plugin::{ComponentKind, Registry};

use crate::failure::Failure;
use crate::{Exit, failure};

use candidate::Candidate;
use lock::Lock;
use manifest::{Entry, Manifest};

/// The file that names a project's plugins.
pub(crate) const PROJECT_FILE: &str = "ef.toml";

/// What a spec may name: an id, and what it is to be.
pub(crate) type Wanted = (ComponentKind, ComponentId);

/// All plugins that can be found. Those that are in use are held here, to be ended.
pub(crate) struct Plugins {
    environment: Environment,
    /// The project's manifest first, then those of the user's data folder, by their names.
    manifests: Vec<Manifest>,
    /// Where `ef-plugins.lock` lies.
    folder: PathBuf,
    opened: BTreeMap<String, Candidate>,
    /// Plugins that were asked for an id and could not answer.
    broken: Vec<PluginError>,
    has_distributions: bool,
    lock: Option<Lock>,
}

impl Plugins {
    /// Reads the manifests, and nothing else. With `locked`, also the lock file.
    pub(crate) fn find(environment: &Environment, locked: bool) -> Result<Self, Failure> {
        let here = std::env::current_dir().map_err(|error| {
            Failure::usage(format!("the current folder cannot be read: {}", failure::reason(&error)))
        })?;
        let project = project_file(&here)?;
        let folder = project.as_deref().and_then(Path::parent).unwrap_or(&here).to_owned();
        let paths = project.into_iter().chain(user_manifests(environment)?);
        let manifests: Vec<_> = paths
            .map(|path| Manifest::read(&path).map_err(|problems| Failure::diagnostic(Exit::Usage, problems)))
            .collect::<Result<_, _>>()?;
        refuse_conflicts(&manifests)?;
        if !manifests.is_empty() {
            let plugins: usize = manifests.iter().map(|manifest| manifest.plugins.len()).sum();
            tracing::info!(manifests = manifests.len(), plugins, "manifests of plugins read");
        }
        let lock = if locked { Some(Lock::read(&folder)?) } else { None };
        Ok(Self {
            environment: environment.clone(),
            manifests,
            folder,
            opened: BTreeMap::new(),
            broken: Vec::new(),
            has_distributions: false,
            lock,
        })
    }

    /// Where the lock file lies: beside `ef.toml`, or in the current folder where there is none.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Registers what the plugins have of these ids. With `--locked`, plugins that have changed are refused before any is
    /// started.
    pub(crate) async fn provide(&mut self, registry: &mut Registry, wanted: &[Wanted]) -> Result<(), Failure> {
        self.require_lock(&[]).await?;
        let missing = |registry: &Registry| -> Vec<Wanted> {
            wanted.iter().filter(|(kind, id)| !has(registry, *kind, id)).cloned().collect()
        };
        let unknown = missing(registry);
        let declares = |entry: &Entry| unknown.iter().any(|(kind, id)| entry.declared().any(|has| has == (*kind, id)));
        for name in self.names(declares) {
            self.open(&name)?.declared().register(registry)?;
        }
        if missing(registry).is_empty() {
            return Ok(());
        }
        for name in self.names(|entry| entry.declared().next().is_none()) {
            let candidate = self.open(&name)?;
            match candidate.plugin.factories().await {
                Ok(factories) => factories.register(registry)?,
                Err(error) => self.broken.push(error),
            }
        }
        self.open_distributions().await?;
        let unknown = missing(registry);
        for candidate in self.opened.values().filter(|candidate| candidate.is_distribution) {
            if unknown.iter().any(|wanted| candidate.declares(wanted)) {
                candidate.declared().register(registry)?;
            }
        }
        if !missing(registry).is_empty() {
            self.register_names(registry);
        }
        Ok(())
    }

    /// What is declared joins the ids among which the one that was meant is looked for.
    fn register_names(&mut self, registry: &mut Registry) {
        for name in self.names(|entry| entry.declared().next().is_some()) {
            if let Ok(candidate) = self.open(&name) {
                // One that is in conflict is as little to be had as one that cannot be opened.
                let _ = candidate.declared().register(registry);
            }
        }
        for candidate in self.opened.values().filter(|candidate| candidate.is_distribution) {
            let _ = candidate.declared().register(registry);
        }
    }

    /// What has to be known where an id was not found: the plugins that could not say what they have.
    pub(crate) fn broken(&self) -> Option<String> {
        let told: Vec<_> = self.broken.iter().map(ToString::to_string).collect();
        (!told.is_empty()).then(|| told.join("; "))
    }

    /// Opens everything, and starts nothing. What cannot be opened is told beside its name and its manifest.
    pub(crate) async fn open_all(&mut self) -> Result<Vec<Unopened>, Failure> {
        let mut unopened = Vec::new();
        for name in self.names(|_| true) {
            if let Err(failure) = self.open(&name) {
                let from = self.place_of(&name);
                let said = failure.message();
                let reason = said.strip_prefix(&format!("the plugin `{name}`: ")).unwrap_or(&said).to_owned();
                unopened.push(Unopened { name, from, reason });
            }
        }
        self.open_distributions().await?;
        Ok(unopened)
    }

    /// What is open, by name.
    pub(crate) fn opened(&self) -> impl Iterator<Item = &Candidate> {
        self.opened.values()
    }

    /// With `--locked`: refuses where any plugin, or any of these components, is not as the lock file says.
    pub(crate) async fn require_lock(&mut self, used: &[(ComponentKind, &Identity)]) -> Result<(), Failure> {
        if self.lock.is_none() {
            return Ok(());
        }
        let unopened = self.open_all().await?;
        let lock = self.lock.as_ref().expect("it was there a moment ago");
        let mut drift = lock.drift(self.opened.values(), used);
        drift
            .extend(unopened.into_iter().map(|Unopened { name, reason, .. }| format!("the plugin `{name}`: {reason}")));
        if drift.is_empty() { Ok(()) } else { Err(lock::drifted(&drift)) }
    }

    /// Ends all that was started.
    pub(crate) async fn shut_down(&mut self) {
        let ending = std::mem::take(&mut self.opened).into_values().map(|candidate| end(candidate.plugin));
        futures_util::future::join_all(ending.collect::<Vec<_>>()).await;
    }

    fn entries(&self) -> impl Iterator<Item = (&Manifest, &Entry)> {
        self.manifests.iter().flat_map(|manifest| manifest.plugins.iter().map(move |entry| (manifest, entry)))
    }

    fn names(&self, of: impl Fn(&Entry) -> bool) -> Vec<String> {
        self.entries().filter(|(_, entry)| of(entry)).map(|(_, entry)| entry.name.clone()).collect()
    }

    fn place_of(&self, name: &str) -> String {
        let manifest = self.entries().find(|(_, entry)| entry.name == name).map(|(manifest, _)| &manifest.path);
        manifest.map_or_else(String::new, |path| path.display().to_string())
    }

    /// The plugin of a manifest, ready to be started.
    fn open(&mut self, name: &str) -> Result<&Candidate, Failure> {
        if !self.opened.contains_key(name) {
            let (manifest, entry) =
                self.entries().find(|(_, entry)| entry.name == name).expect("only names of manifests are opened");
            let is_project = manifest.path.file_name().is_some_and(|file| file == PROJECT_FILE);
            let candidate = Candidate::of_manifest(manifest, entry, is_project, &self.environment)?;
            log_found(&candidate);
            self.opened.insert(name.to_owned(), candidate);
        }
        Ok(&self.opened[name])
    }

    /// The plugins that are entry points of the project's interpreter.
    async fn open_distributions(&mut self) -> Result<(), Failure> {
        if std::mem::replace(&mut self.has_distributions, true) {
            return Ok(());
        }
        let project =
            self.manifests.iter().find(|manifest| manifest.path.file_name().is_some_and(|file| file == PROJECT_FILE));
        for candidate in python::distributions(project, &self.environment).await? {
            if let Some(first) = self.opened.get(&candidate.name) {
                let message =
                    format!("two plugins are called `{}`: {} and {}", candidate.name, first.from, candidate.from);
                return Err(Failure::new(Exit::Component, message).hint("give the one in the manifest another name"));
            }
            log_found(&candidate);
            self.opened.insert(candidate.name.clone(), candidate);
        }
        Ok(())
    }
}

async fn end(plugin: ExternalPlugin) {
    plugin.shutdown().await;
}

/// Tells the log of a plugin that may be started.
fn log_found(candidate: &Candidate) {
    let command = candidate.plugin.command();
    let digest = format_args!("{:.12}", command.digest);
    tracing::info!(plugin = candidate.name, source = command.source, %digest, from = candidate.from, "plugin found");
}

/// A plugin that cannot even be opened.
pub(crate) struct Unopened {
    pub(crate) name: String,
    pub(crate) from: String,
    pub(crate) reason: String,
}

fn has(registry: &Registry, kind: ComponentKind, id: &ComponentId) -> bool {
    match kind {
        ComponentKind::Evaluator => registry.evaluators().any(|factory| factory.identity().id == *id),
        ComponentKind::Judge => registry.judges().any(|factory| factory.identity().id == *id),
    }
}

/// The `ef.toml` of the current folder or of the nearest folder above that has one.
fn project_file(here: &Path) -> Result<Option<PathBuf>, Failure> {
    let Some(path) = here.ancestors().map(|folder| folder.join(PROJECT_FILE)).find(|path| path.is_file()) else {
        return Ok(None);
    };
    if is_strangers(&path, here) {
        let message = format!("{} belongs to somebody else, and what it names would be started", path.display());
        let hint =
            "run `ef` in the folder of that file if you trust it, or put an ef.toml of your own beside your spec";
        return Err(Failure::usage(message).hint(hint));
    }
    Ok(Some(path))
}

/// Whether a file in a folder above is another user's: in a shared folder such as /tmp anybody can put one.
#[cfg(unix)]
fn is_strangers(path: &Path, here: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let owner = |path: &Path| path.metadata().map(|metadata| metadata.uid()).ok();
    path.parent() != Some(here) && owner(path) != Some(0) && owner(path) != owner(here)
}

#[cfg(not(unix))]
fn is_strangers(_: &Path, _: &Path) -> bool {
    false
}

/// The manifests of the user's data folder, in the order of their names.
fn user_manifests(environment: &Environment) -> Result<Vec<PathBuf>, Failure> {
    let variable =
        |name: &str| environment.get(name).map(|value| PathBuf::from(value.expose())).filter(|path| path.is_absolute());
    let data = variable("XDG_DATA_HOME").or_else(|| Some(variable("HOME")?.join(".local/share")));
    let Some(folder) = data.map(|data| data.join("eval-fabric").join("plugins")) else { return Ok(Vec::new()) };
    let unreadable = |error: std::io::Error| {
        Failure::usage(format!(
            "the folder of plugins {} cannot be read: {}",
            folder.display(),
            failure::reason(&error)
        ))
    };
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(error) => return Err(unreadable(error)),
    };
    let mut paths: Vec<_> =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>().map_err(unreadable)?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml") && path.is_file());
    paths.sort();
    Ok(paths)
}

/// Two plugins may share neither a name nor an id.
fn refuse_conflicts(manifests: &[Manifest]) -> Result<(), Failure> {
    let (mut names, mut ids) = (BTreeMap::new(), BTreeMap::new());
    for (manifest, entry) in
        manifests.iter().flat_map(|manifest| manifest.plugins.iter().map(move |entry| (manifest, entry)))
    {
        if let Some(first) = names.insert(&entry.name, &manifest.path) {
            let message = format!(
                "two plugins are called `{}`: one in {}, one in {}",
                entry.name,
                first.display(),
                manifest.path.display()
            );
            return Err(Failure::new(Exit::Component, message).hint("give one of them another name"));
        }
        for (kind, id) in entry.declared() {
            if let Some((plugin, path)) = ids.insert((kind.to_string(), id), (&entry.name, &manifest.path)) {
                let message = format!(
                    "two {kind}s claim the id `{id}`: the plugin `{plugin}` of {} and the plugin `{}` of {}",
                    path.display(),
                    entry.name,
                    manifest.path.display()
                );
                return Err(Failure::new(Exit::Component, message).hint("take the id from one of them"));
            }
        }
    }
    Ok(())
}
