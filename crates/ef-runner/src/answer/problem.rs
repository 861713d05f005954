//! Why answers are not taken.

use std::fmt;

use ef_model::{ItemId, RunId, StoreError};

/// Why no answer was taken.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// Some of them cannot be taken. In their order; never empty.
    #[error("{}", told(.0))]
    Refused(
        /// Those that cannot.
        Vec<RefusedAnswer>,
    ),
    /// The spec that is kept with the run cannot be read: a newer ef made it, or the store is damaged.
    #[error("the spec that is kept with the run {0} is not one that this ef understands")]
    Spec(
        /// The run.
        RunId,
    ),
    /// The store failed, has no such run, or somebody else writes it.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AnswerError {
    /// The error as a code, for the run's span.
    pub(super) const fn code(&self) -> &'static str {
        match self {
            Self::Refused(_) => "refused",
            Self::Spec(_) => "spec",
            Self::Store(_) => "store",
        }
    }
}

fn told(refused: &[RefusedAnswer]) -> String {
    match refused {
        [first, others @ ..] if !others.is_empty() => format!("{first} (and {} more)", others.len()),
        [only, ..] => only.to_string(),
        [] => "no answer was refused".to_owned(),
    }
}

/// An answer that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedAnswer {
    /// Its place in the list, from 0.
    pub answer: usize,
    /// Why not.
    pub problem: AnswerProblem,
}

impl fmt::Display for RefusedAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "answer {}: {}", self.answer + 1, self.problem)
    }
}

/// Why an answer cannot be taken. It holds nothing of the answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerProblem {
    /// The run has no record of this row and repeat.
    #[error("the run has no record of this row and repeat")]
    NoRecord,
    /// The row is another item's.
    #[error("the row is that of the item {item_id}")]
    OtherItem {
        /// The item that the run has of the row.
        item_id: ItemId,
    },
    /// The record is not as it was recorded.
    #[error("the record is not as it was recorded: `ef verify` tells more")]
    NotAsRecorded,
    /// It has no score, and does not say that there is none to give.
    #[error("it says nothing yet")]
    NoVerdict,
    /// The record has no judgment by this judge.
    #[error("the record has no judgment by a judge of this name")]
    NoJudgment,
    /// The judge has judged by itself.
    #[error("the judge does not ask people: its judgment is {status}")]
    NotAsked {
        /// What the judgment is, in one word.
        status: &'static str,
    },
    /// The run has another verdict, which stays.
    #[error("there is a verdict already, and it is another one")]
    SaidOtherwise,
    /// An answer before it says otherwise.
    #[error("an earlier answer gives another verdict on the same output")]
    SaidTwice,
}
