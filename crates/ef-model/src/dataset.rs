//! Where items come from.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Digest, EvalItem, ItemId};

/// A dataset, read row by row. Reading may block; a runner gives it a thread of its own.
pub trait ItemSource: Send {
    /// The next row, or `None` at the end.
    ///
    /// # Errors
    ///
    /// When the dataset cannot be read on: the run ends there, and what was done is kept. A row that is merely malformed
    /// is a [`DatasetRow::Faulty`].
    fn next_row(&mut self) -> Result<Option<DatasetRow>, SourceError>;

    /// Goes on to the row of this number: rows before it that were not delivered yet are passed over, all of them where
    /// there is no such row. A source that finds rows without taking them apart does better than to deliver them.
    ///
    /// # Errors
    ///
    /// As `next_row`.
    fn skip_to(&mut self, row: u64) -> Result<(), SourceError>;

    /// SHA-256 over the dataset's bytes as they are stored, once `next_row` has returned `None` having read them all;
    /// `None` before that, and for ever when reading stopped early (`max_items`).
    fn digest(&self) -> Option<Digest>;

    /// Whether reading may take long, as from a disk or a pipe. If not, it needs no thread of its own.
    fn may_block(&self) -> bool {
        true
    }
}

/// One row of a dataset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DatasetRow {
    /// A row that can be evaluated.
    Item(EvalItem),
    /// A row that cannot. It becomes a skipped record.
    Faulty {
        /// `<stem>:<row>`.
        item_id: ItemId,
        /// Its place in the dataset, from 1.
        row: u64,
        /// What is wrong with it.
        fault: RowFault,
    },
}

impl DatasetRow {
    /// Its place in the dataset, from 1.
    #[must_use]
    pub const fn row(&self) -> u64 {
        match self {
            Self::Item(item) => item.row,
            Self::Faulty { row, .. } => *row,
        }
    }
}

/// Why a row was skipped, without a byte of its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RowFault {
    /// The kind of fault.
    pub kind: RowFaultKind,
    /// File and row and what is wrong there, for a person; never content.
    pub message: String,
    /// The row's length in bytes, as far as it was known.
    pub bytes: u64,
    /// SHA-256 of the row's bytes.
    pub sha256: Digest,
}

/// The ways in which a row can be unusable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RowFaultKind {
    /// Not JSON, not UTF-8, not an object, or a field of the wrong kind or missing.
    Malformed,
    /// Longer than `runtime.max_item_bytes`.
    Oversized,
}

impl RowFaultKind {
    /// The name used in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Oversized => "oversized",
        }
    }
}

impl fmt::Display for RowFaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A dataset that cannot be read on. The message names the file and the place, never content.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct SourceError {
    /// What went wrong, and where.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}
