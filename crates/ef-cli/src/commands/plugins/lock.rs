//! `ef plugins lock`.

use std::fs;
use std::io::Write as _;

use ef_plugin::ComponentKind;

use crate::compose::Parts;
use crate::failure::{self, Failure};
use crate::plugins::lock::{FILE, Lock, Locked};
use crate::{Exit, console};

/// Write down what the plugins are
///
/// Starts each plugin, asks what it has, and writes ef-plugins.lock beside ef.toml: version, source and SHA-256 of each
/// component. `ef run --locked` then refuses plugins that are anything else. Nothing is written where one is broken.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) async fn execute(_: &Args, parts: &mut Parts) -> Result<Exit, Failure> {
    if let Some(unopened) = parts.plugins.open_all().await?.first() {
        return Err(broken(&format!("the plugin `{}`: {}", unopened.name, unopened.reason)));
    }
    let mut components = Vec::new();
    for candidate in parts.plugins.opened() {
        let factories = candidate.plugin.factories().await.map_err(|error| broken(&error.to_string()))?;
        let evaluators = factories.evaluators.iter().map(|factory| (ComponentKind::Evaluator, factory.identity()));
        let judges = factories.judges.iter().map(|factory| (ComponentKind::Judge, factory.identity()));
        let before = components.len();
        components.extend(evaluators.chain(judges).map(|(kind, identity)| Locked::of(kind, identity, &candidate.name)));
        if components.len() == before {
            return Err(broken(&format!("the plugin `{}` provides neither an evaluator nor a judge", candidate.name)));
        }
        factories.register(&mut parts.registry)?;
    }
    let lock = Lock::new(components);
    let path = parts.plugins.folder().join(FILE);
    write(&path, &lock.to_text()).map_err(|error| {
        Failure::usage(format!("{} cannot be written: {}", path.display(), failure::reason(&error)))
    })?;
    let count = lock.len();
    console::say(&format!("{count} component{} in {}", if count == 1 { "" } else { "s" }, path.display()));
    Ok(Exit::Done)
}

fn broken(reason: &str) -> Failure {
    Failure::new(Exit::Component, format!("nothing was locked: {reason}")).hint("`ef plugins list --health` tells more")
}

/// Whole or not at all.
fn write(path: &std::path::Path, text: &str) -> std::io::Result<()> {
    let unfinished = path.with_extension("lock.part");
    let written = fs::File::create(&unfinished)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&unfinished, path));
    if written.is_err() {
        let _ = fs::remove_file(&unfinished);
    }
    written
}
