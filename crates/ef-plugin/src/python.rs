//! Plugins written in Python: which interpreter runs them, what it has to offer, and the bridge that serves it.
//!
//! The bridge is a Python program of the standard library alone (Python 3.9 and later) that this crate holds as text. It is
//! handed to the interpreter on its command line: nothing is written to disk, and the working folder plays no part.
//!
//! An [`Interpreter`] says what its distributions offer without importing any of it, and makes plugins of the host
//! ([`crate::process`]) of distributions and of modules.

mod bridge;
mod files;
mod interpreter;
mod listing;
mod plugin;

pub use interpreter::Interpreter;
pub use plugin::{Distribution, PythonPlugin};

use std::path::PathBuf;

/// Why Python plugins cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum PythonError {
    /// There is no interpreter where one is said to be.
    #[error("there is no Python interpreter at {} ({origin})", path.display())]
    NoInterpreter {
        /// Where it was looked for.
        path: PathBuf,
        /// Who said so.
        origin: &'static str,
    },
    /// The interpreter could not be run, or not to its end.
    #[error("the Python interpreter {} cannot list plugins: {reason}", interpreter.display())]
    Interpreter {
        /// Which one.
        interpreter: PathBuf,
        /// What happened; the last line of what it said, where it said something.
        reason: String,
    },
    /// A module that a reference names is not there.
    #[error(
        "the Python interpreter {} finds no module `{module}`, neither in {} nor among what is installed",
        interpreter.display(), folder.display()
    )]
    NoModule {
        /// Which interpreter.
        interpreter: PathBuf,
        /// The module's name.
        module: String,
        /// The project's folder.
        folder: PathBuf,
    },
    /// A plugin's file cannot be read.
    #[error("the files of the Python plugin `{plugin}` cannot be read: {reason}")]
    Files {
        /// The plugin.
        plugin: String,
        /// Which and why.
        reason: String,
    },
}

impl PythonError {
    /// What to do about it.
    #[must_use]
    pub const fn hint(&self) -> &'static str {
        match self {
            Self::NoInterpreter { .. } => {
                "name an interpreter or a virtual environment as `python = \"…\"` in ef.toml, or activate one"
            }
            Self::Interpreter { .. } => "Python plugins need Python 3.9 or later that starts without errors",
            Self::NoModule { .. } => "install the module's package, or put its file beside ef.toml",
            Self::Files { .. } => "install the package again",
        }
    }
}
