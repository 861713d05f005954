//! What came of verifying a run.

use std::fmt;

use serde::Serialize;

use crate::{Digest, ItemId, RunId, RunStatus, TaskRecord};

/// What was checked of a run, in the order of the checks, and what came of each.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verification {
    /// The run.
    pub run_id: RunId,
    /// Where it stands.
    pub status: RunStatus,
    /// Records that were read.
    pub records: u64,
    /// RFC 6962 root over the records that were read; absent where they could not be read to the end.
    pub records_root: Option<Digest>,
    /// The root digest of a run that the records would be, as computed; absent where the run has not been completed or the
    /// records could not be read to the end.
    pub root_digest: Option<Digest>,
    /// The checks.
    pub checks: Vec<Check>,
}

impl Verification {
    /// Adds a check that was made elsewhere, at its place among the others.
    pub fn add(&mut self, check: Check) {
        let place = self.checks.partition_point(|known| known.subject <= check.subject);
        self.checks.insert(place, check);
    }

    /// What all checks come to.
    #[must_use]
    pub fn outcome(&self) -> VerificationOutcome {
        let shows =
            |subject, result| self.checks.iter().any(|check| check.subject == subject && check.result == result);
        if self.first_failure().is_some() {
            VerificationOutcome::Failed
        } else if shows(CheckSubject::Root, CheckResult::Passed) {
            VerificationOutcome::Verified
        } else {
            VerificationOutcome::Unfinished
        }
    }

    /// The first check that failed. Those after it may have failed for the same reason.
    #[must_use]
    pub fn first_failure(&self) -> Option<&Check> {
        self.checks.iter().find(|check| check.result == CheckResult::Failed)
    }
}

/// What all checks come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum VerificationOutcome {
    /// The run is what its root digest was made of, and its numbers are those of its records.
    Verified,
    /// Nothing is wrong with what is there. The run is not completed, so that it has no root digest, and nothing tells
    /// whether a record is missing or was replaced together with its leaf.
    Unfinished,
    /// Something is not as it was recorded.
    Failed,
}

impl VerificationOutcome {
    /// The name used in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Verified => "verified",
            Self::Unfinished => "unfinished",
            Self::Failed => "failed",
        }
    }
}

/// One check.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    /// Of what.
    pub subject: CheckSubject,
    /// What came of it.
    pub result: CheckResult,
    /// The same for a person: what holds, what is wrong, or why it could not be checked. Never holds a payload.
    pub message: String,
    /// The first record that it is about, where it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record: Option<RecordPlace>,
}

/// What a check is about, in the order in which checks are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckSubject {
    /// What the store says of the run agrees with itself.
    Run,
    /// The spec's snapshot has its digest.
    Spec,
    /// Each record has the leaf that was stored with it.
    Records,
    /// Each record names the run's evaluator and judges.
    Components,
    /// Each payload that a record names is there and has its digest.
    Payloads,
    /// The records, all of them and no other, and what they are bound to have the root digest.
    Root,
    /// The counts are those of the records.
    Counts,
    /// The metrics are those of the records.
    Metrics,
    /// The result's file is the result in the store.
    Artifact,
    /// The dataset is the one that was read.
    Dataset,
}

impl CheckSubject {
    /// The name used in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Spec => "spec",
            Self::Records => "records",
            Self::Components => "components",
            Self::Payloads => "payloads",
            Self::Root => "root",
            Self::Counts => "counts",
            Self::Metrics => "metrics",
            Self::Artifact => "artifact",
            Self::Dataset => "dataset",
        }
    }
}

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckResult {
    /// It holds.
    Passed,
    /// It does not.
    Failed,
    /// It could not be made.
    NotChecked,
}

/// Where a record is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecordPlace {
    /// The item's id.
    pub item_id: ItemId,
    /// The dataset row, from 1.
    pub row: u64,
    /// Which repeat, from 0.
    pub repeat: u32,
    /// Which revision, from 0.
    pub revision: u32,
}

impl From<&TaskRecord> for RecordPlace {
    fn from(record: &TaskRecord) -> Self {
        let TaskRecord { item_id, row, repeat, revision, .. } = record;
        Self { item_id: item_id.clone(), row: *row, repeat: *repeat, revision: *revision }
    }
}

impl fmt::Display for RecordPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "item {} (row {}", self.item_id, self.row)?;
        for (name, number) in [("repeat", self.repeat), ("revision", self.revision)] {
            if number > 0 {
                write!(f, ", {name} {number}")?;
            }
        }
        f.write_str(")")
    }
}
