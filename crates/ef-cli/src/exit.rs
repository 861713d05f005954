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
    /// A run or a proof is not what it says.
    Verification,
    /// Gate and verify: cannot conclude.
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
    (
        Exit::Verification,
        "verification failed: a run or a proof is not as it was recorded, or a judge differs from itself beyond what it declares",
    ),
    (
        Exit::Inconclusive,
        "cannot conclude (gate: no data, run unfinished, or errors and unscored over 5 %; verify and replay: run unfinished; judge verify: nothing to compare)",
    ),
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
            Self::Verification => 6,
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
