//! Why a run has no completed result.

use ef_model::{Counts, RunResult, SourceError, StoreError};

use crate::StopCause;
use crate::check::{DatasetChanged, Refused};

/// Why there is no completed result.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The run did not begin: there is nothing of it in the store.
    #[error("the run did not begin: {cause}")]
    NotBegun {
        /// Why.
        cause: StopCause,
        /// The dataset's own error, where that is the cause.
        source_error: Option<SourceError>,
    },
    /// The run ended early. Everything that was reported as committed is durable.
    #[error("the run ended early: {cause}")]
    Unfinished {
        /// Why.
        cause: StopCause,
        /// The dataset's own error, where that is the cause.
        source_error: Option<SourceError>,
        /// What there is: status `aborted`, counts, and no metrics.
        result: Box<RunResult>,
    },
    /// A run cannot be taken up again: its dataset is not what it was. Nothing was written.
    #[error("{0}")]
    DatasetChanged(#[from] DatasetChanged),
    /// The store failed or refused a record. Everything that was reported as committed is durable.
    #[error("{error}")]
    Store {
        /// How.
        error: StoreError,
        /// What has become durable in this run.
        counts: Box<Counts>,
    },
}

/// The error of a store that failed before anything of the run became durable.
pub(crate) fn failed(error: StoreError) -> RunError {
    RunError::Store { error, counts: Box::default() }
}

impl RunError {
    /// The run's status in its span, and the cause as a code.
    pub(crate) const fn told(&self) -> (&'static str, &'static str) {
        match self {
            Self::NotBegun { cause, .. } => ("not_begun", cause.code()),
            Self::DatasetChanged(_) => ("not_begun", "dataset_changed"),
            Self::Unfinished { cause, .. } => ("aborted", cause.code()),
            Self::Store { .. } => ("failed", "store"),
        }
    }
}

impl From<Refused> for RunError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Changed(changed) => Self::DatasetChanged(changed),
            Refused::Store(error) => failed(error),
            Refused::Source(error) => {
                Self::NotBegun { cause: StopCause::Dataset(error.message.clone()), source_error: Some(error) }
            }
        }
    }
}
