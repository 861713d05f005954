//! `ef-plugins.lock`: what the plugins of a project were when somebody last looked.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use ef_model::Identity;
use ef_plugin::ComponentKind;
use toml::de::{DeTable, DeValue};

use super::candidate::Candidate;
use crate::Exit;
use crate::failure::{self, Failure};

/// The file's name.
pub(crate) const FILE: &str = "ef-plugins.lock";

const HEADER: &str = "# What `ef run --locked` insists on. Written by `ef plugins lock`; nothing else changes it.\n";
const VERSION: &str = "1";
const TELL: &str = "`ef plugins lock` writes it anew";

/// One component of a plugin.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Locked {
    pub(crate) kind: String,
    pub(crate) id: String,
    pub(crate) version: String,
    pub(crate) plugin: String,
    pub(crate) source: String,
    pub(crate) sha256: String,
}

impl Locked {
    pub(crate) fn of(kind: ComponentKind, identity: &Identity, plugin: &str) -> Self {
        Self {
            kind: kind.to_string(),
            id: identity.id.to_string(),
            version: identity.version.clone(),
            plugin: plugin.to_owned(),
            source: identity.source.clone(),
            sha256: identity.digest.to_string(),
        }
    }
}

/// A lock file.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Lock {
    components: Vec<Locked>,
}

impl Lock {
    /// A lock of these components; the order does not matter.
    pub(crate) fn new(mut components: Vec<Locked>) -> Self {
        components.sort();
        Self { components }
    }

    /// How many components it has.
    pub(crate) fn len(&self) -> usize {
        self.components.len()
    }

    /// The lock file of a folder.
    pub(crate) fn read(folder: &Path) -> Result<Self, Failure> {
        let path = folder.join(FILE);
        let refused =
            |what: String| Failure::new(Exit::Component, format!("the lock file {} {what}", path.display())).hint(TELL);
        let text = std::fs::read_to_string(&path)
            .map_err(|error| refused(format!("cannot be read: {}", failure::reason(&error))))?;
        Self::parse(&text).ok_or_else(|| refused("is not one that this ef can read".to_owned()))
    }

    fn parse(text: &str) -> Option<Self> {
        let root = DeTable::parse(text).ok()?;
        let root = root.get_ref();
        let number = root.get("version")?.get_ref().as_integer()?.as_str();
        if number != VERSION || root.keys().any(|key| !["version", "component"].contains(&key.get_ref().as_ref())) {
            return None;
        }
        let Some(list) = root.get("component") else { return Some(Self::default()) };
        let component = |value: &DeValue<'_>| {
            let table = value.as_table().filter(|table| table.len() == 6)?;
            let text = |key: &str| Some(table.get(key)?.get_ref().as_str()?.to_owned());
            Some(Locked {
                kind: text("kind")?,
                id: text("id")?,
                version: text("version")?,
                plugin: text("plugin")?,
                source: text("source")?,
                sha256: text("sha256")?,
            })
        };
        list.get_ref().as_array()?.iter().map(|value| component(value.get_ref())).collect::<Option<_>>().map(Self::new)
    }

    /// The file's text: the same for the same components.
    pub(crate) fn to_text(&self) -> String {
        let mut text = format!("{HEADER}version = {VERSION}\n");
        for Locked { kind, id, version, plugin, source, sha256 } in &self.components {
            let fields = [
                ("kind", kind),
                ("id", id),
                ("version", version),
                ("plugin", plugin),
                ("source", source),
                ("sha256", sha256),
            ];
            text += "\n[[component]]\n";
            for (key, value) in fields {
                // Writing to a string does not fail.
                let _ = writeln!(text, "{key} = {}", quoted(value));
            }
        }
        text
    }

    /// All that is not as it was: of the plugins that there are, and of the components in use.
    pub(crate) fn drift<'c>(
        &self,
        candidates: impl Iterator<Item = &'c Candidate>,
        used: &[(ComponentKind, &Identity)],
    ) -> Vec<String> {
        let now: BTreeMap<_, _> = candidates
            .map(|candidate| {
                let command = candidate.plugin.command();
                (candidate.name.as_str(), (command.source.as_str(), command.digest.to_string()))
            })
            .collect();
        let mut drift = self.plugin_drift(&now);
        let sources: BTreeSet<_> = now.values().map(|(source, _)| *source).collect();
        for (kind, identity) in used.iter().filter(|(_, identity)| sources.contains(identity.source.as_str())) {
            drift.extend(self.component_drift(*kind, identity));
        }
        drift
    }

    fn plugin_drift(&self, now: &BTreeMap<&str, (&str, String)>) -> Vec<String> {
        let mut drift = Vec::new();
        let was: BTreeMap<_, _> =
            self.components.iter().map(|locked| (locked.plugin.as_str(), (&*locked.source, &*locked.sha256))).collect();
        for (name, (source, sha256)) in now {
            match was.get(name) {
                None => drift.push(format!("the plugin `{name}` is not in it")),
                Some((old, _)) if old != source => {
                    drift.push(format!("the plugin `{name}` was found as {old:?}, and is now {source:?}"));
                }
                Some((_, old)) if old != sha256 => {
                    drift.push(format!(
                        "the plugin `{name}` has changed: its SHA-256 was {old:.12}…, and is now {sha256:.12}…"
                    ));
                }
                Some(_) => {}
            }
        }
        let gone = was.keys().filter(|name| !now.contains_key(*name));
        drift.extend(gone.map(|name| format!("the plugin `{name}` is not there any more")));
        drift
    }

    fn component_drift(&self, kind: ComponentKind, identity: &Identity) -> Option<String> {
        let locked = self
            .components
            .iter()
            .find(|locked| locked.kind == kind.to_string() && *locked.id == *identity.id.as_str());
        match locked {
            None => Some(format!("the {kind} `{}` is not in it", identity.id)),
            Some(locked) if locked.version != identity.version => Some(format!(
                "the {kind} `{}` was version {}, and is now {}",
                identity.id, locked.version, identity.version
            )),
            Some(_) => None,
        }
    }
}

/// The refusal of a locked run.
pub(crate) fn drifted(drift: &[String]) -> Failure {
    let message = format!("the plugins are not those of {FILE}: {}", drift.join("; "));
    Failure::new(Exit::Component, message).hint("if that is meant, `ef plugins lock` takes them as they are now")
}

/// A text of TOML: that of JSON, but for a character that TOML wants escaped too.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace('\u{7f}', "\\u007F")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn locked(id: &str, version: &str) -> Locked {
        let of = |text: &str| text.to_owned();
        Locked {
            kind: of("judge"),
            id: of(id),
            version: of(version),
            plugin: of("p"),
            source: of("ef.toml [plugins.p]"),
            sha256: of("00"),
        }
    }

    proptest! {
        #[test]
        fn what_is_locked_is_read_again_and_written_in_one_order(versions in prop::collection::vec(any::<String>(), 0..4)) {
            let components: Vec<_> = versions.iter().enumerate().map(|(at, version)| locked(&format!("a.b{at}"), version)).collect();
            let text = Lock::new(components.clone()).to_text();
            let reversed = Lock::new(components.into_iter().rev().collect());
            prop_assert_eq!(Lock::parse(&text), Some(reversed));
        }
    }

    #[test]
    fn a_file_of_another_form_is_not_guessed_at() {
        for text in [
            "",
            "version = 2",
            "version = 1\nx = 1",
            "version = 1\n[[component]]\nid = \"a.b\"",
            "version = \"1\"",
            "[",
        ] {
            assert_eq!(Lock::parse(text), None, "{text}");
        }
        assert_eq!(Lock::parse("version = 1"), Some(Lock::default()));
    }

    #[test]
    fn each_way_to_drift_is_told() {
        let lock = Lock::new(vec![locked("a.b", "1.0.0")]);
        let of = |name, source, digest: &str| BTreeMap::from([(name, (source, digest.to_owned()))]);
        assert_eq!(lock.plugin_drift(&of("p", "ef.toml [plugins.p]", "00")), [""; 0]);
        let told = |now| lock.plugin_drift(&now).join("; ");
        assert!(told(of("p", "ef.toml [plugins.p]", "11")).contains("its SHA-256 was 00"), "changed");
        assert!(told(of("p", "elsewhere", "00")).contains("was found as"), "moved");
        assert!(told(BTreeMap::new()).contains("is not there any more"), "gone");
        assert!(told(of("q", "x", "00")).contains("the plugin `q` is not in it"), "new");
    }
}
