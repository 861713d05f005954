//! Exit codes: they are part of the product.

use std::process::ExitCode;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done; of a gate: passed.
    Done,
    /// Gate: failed.
    GateFailed,
    /// Bad usage, spec or dataset.
    Usage,
    /// The run ended early and is resumable.
    Aborted,
    /// The trace store is unavailable or of another schema version.
    Store,
    /// An evaluator or judge is unknown or broken.
    Component,
    /// Gate: cannot conclude.
    Inconclusive,
    /// Interrupted; what was done is durable.
    Interrupted,
}

/// Every exit code with its meaning.
pub const EXIT_CODES: &[(Exit, &str)] = &[
    (Exit::Done, "done (gate: pass)"),
    (Exit::GateFailed, "gate: fail"),
    (
        Exit::Usage,
        "bad usage, spec or dataset (a broken row under `on_failure: skip` is a record, a file that cannot be read on is not)",
    ),
    (Exit::Aborted, "run ended early: `on_failure: abort`, a spent budget, an exhausted quota; what was done is kept"),
    (Exit::Store, "trace store unavailable, damaged, or of another schema version"),
    (Exit::Component, "evaluator or judge unknown or broken"),
    (Exit::Inconclusive, "gate: cannot conclude (no data, run unfinished, or errors and unscored over 5 %)"),
    (Exit::Interrupted, "interrupted; what was done is durable"),
];

impl Exit {
    /// The number.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::GateFailed => 1,
            Self::Usage => 2,
            Self::Aborted => 3,
            Self::Store => 4,
            Self::Component => 5,
            Self::Inconclusive => 7,
            Self::Interrupted => 130,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
