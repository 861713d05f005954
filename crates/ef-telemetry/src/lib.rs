#![doc = include_str!("../README.md")]

mod console;
mod exporters;
mod gate;
mod levels;
mod line;
mod log_lines;
mod meters;
mod numbers;
mod outlet;
mod patience;
mod process;
mod propagator;
mod queue;
mod records;
mod sender;
mod settings;
mod spans;
mod store;
mod transport;

use std::fmt;
use std::sync::Arc;

pub use self::process::Telemetry;

/// What a log line looks like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// A line for people: time, level, message, fields.
    #[default]
    Human,
    /// An object on a line, for programs: `timestamp`, `level`, `target`, `message`, `run_id`, and the fields beside them.
    Json,
}

/// How log lines look and where they go.
#[derive(Clone)]
pub struct Logs {
    /// What a line looks like.
    pub format: LogFormat,
    /// Whether lines for people are coloured.
    pub color: bool,
    /// Whether our own lines at `ERROR` are written. Whoever tells a person what has ended a run leaves them out; what is
    /// exported has them in any case.
    pub errors: bool,
    /// Gets whole lines, without a newline at the end. It is called from any thread, and must not log anything itself.
    pub write: Arc<dyn Fn(&str) + Send + Sync>,
}

impl fmt::Debug for Logs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logs")
            .field("format", &self.format)
            .field("color", &self.color)
            .field("errors", &self.errors)
            .finish_non_exhaustive()
    }
}
