//! What a factory gets and what it complains about.

use std::collections::BTreeMap;

use crate::Secret;

/// The environment variables that a component may read. The command line fills it; a library never looks by itself.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, Secret>,
}

impl Environment {
    /// An environment of these variables.
    pub fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { variables: variables.into_iter().map(|(name, value)| (name, Secret::new(value))).collect() }
    }

    /// A variable's value, if it is set.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Secret> {
        self.variables.get(name)
    }

    /// All variables, by name, for a component that starts a program with them.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Secret)> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value))
    }
}

/// One thing wrong with a config, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    /// JSON pointer (RFC 6901) into the config; empty for the config as a whole.
    pub pointer: String,
    /// Whether the key at the pointer is at fault (an unknown field), not its value.
    pub at_key: bool,
    /// What is wrong. It may quote the config: a spec holds no secrets.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Why a factory could not make its component.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The config does not fit: an error in the spec.
    #[error("the config does not fit ({} problem{})", .0.len(), if .0.len() == 1 { "" } else { "s" })]
    Config(Vec<ConfigProblem>),
    /// The component itself is broken.
    #[error("{0}")]
    Broken(String),
}
