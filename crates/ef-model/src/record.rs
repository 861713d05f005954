//! Records: what happened, in ids, numbers and digests. A payload is named by its SHA-256 and kept apart.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    CallError, Digest, ErrorKind, Identity, ItemId, JudgeIdentity, MerkleRoot, Payload, RecordKey, RowFault, RunId,
    Score, Usage, record_bytes,
};

/// One task: an item's trace with its judgments. It is written whole or not at all.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TaskRecord {
    /// The dataset row's id.
    pub item_id: ItemId,
    /// The dataset row, from 1.
    pub row: u64,
    /// Which repeat of the item this is, from 0.
    pub repeat: u32,
    /// A later revision replaces an earlier one in the metrics; all are kept. From 0.
    pub revision: u32,
    /// The evaluator's call.
    pub trace: Trace,
    /// The judges' calls, in the order of the spec; none unless the trace is `ok`.
    pub judgments: Vec<Judgment>,
}

impl TaskRecord {
    /// Its place among the run's records.
    #[must_use]
    pub const fn key(&self) -> RecordKey {
        RecordKey { row: self.row, repeat: self.repeat, revision: self.revision }
    }

    /// The RFC 6962 leaf digest of the record's RFC 8785 form.
    #[must_use]
    pub fn leaf(&self) -> Digest {
        MerkleRoot::leaf(&record_bytes::of_record(self))
    }
}

/// The evaluator's call on one item.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Trace {
    /// Which code was called.
    pub evaluator: Arc<Identity>,
    /// How many attempts were made; 0 for a skipped row.
    pub attempts: u32,
    /// When the first attempt began, in µs since 1970-01-01 UTC.
    pub started_at_us: i64,
    /// From the first attempt's begin to the last one's end, in µs.
    pub duration_us: u64,
    /// The item's input; absent for a skipped row.
    pub input: Option<Digest>,
    /// The item's reference output, if it has one.
    pub reference_output: Option<Digest>,
    /// The item's metadata, if it has any.
    pub item_metadata: Option<Digest>,
    /// What the evaluator used, over all attempts.
    #[serde(default, skip_serializing_if = "Usage::is_unknown")]
    pub usage: Usage,
    /// What came of it.
    #[serde(flatten)]
    pub outcome: TraceOutcome,
}

impl Trace {
    /// The outcome in one word.
    #[must_use]
    pub const fn status(&self) -> TraceStatus {
        match self.outcome {
            TraceOutcome::Ok { .. } => TraceStatus::Ok,
            TraceOutcome::Timeout { .. } => TraceStatus::Timeout,
            TraceOutcome::Error { .. } => TraceStatus::Error,
            TraceOutcome::Skipped { .. } => TraceStatus::Skipped,
        }
    }
}

/// What came of an evaluator's call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum TraceOutcome {
    /// An output.
    Ok {
        /// The output.
        output: Digest,
        /// What else the evaluator said.
        output_metadata: Option<Digest>,
    },
    /// No output within the time allowed, at the last attempt.
    Timeout {
        /// What is known of it.
        error: ErrorRecord,
    },
    /// A failure, at the last attempt.
    Error {
        /// What is known of it.
        error: ErrorRecord,
    },
    /// The row could not be evaluated; no call was made.
    Skipped {
        /// Why not.
        fault: RowFault,
    },
}

/// A trace's outcome in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum TraceStatus {
    /// The evaluator made an output.
    Ok,
    /// It made none in time.
    Timeout,
    /// It failed.
    Error,
    /// The row was malformed or oversized.
    Skipped,
}

impl TraceStatus {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Ok, Self::Timeout, Self::Error, Self::Skipped];

    /// The name used in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Timeout => "timeout",
            Self::Error => "error",
            Self::Skipped => "skipped",
        }
    }
}

impl fmt::Display for TraceStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a record keeps of a failure.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ErrorRecord {
    /// What it meant for the runner.
    pub kind: ErrorKind,
    /// A short name for the cause.
    pub code: String,
    /// For a person; never a payload.
    pub message: String,
    /// What may hold one.
    pub detail: Option<Digest>,
}

impl From<&CallError> for ErrorRecord {
    fn from(error: &CallError) -> Self {
        Self {
            kind: error.kind,
            code: error.code.clone().into_owned(),
            message: error.message.clone(),
            detail: error.detail.as_ref().map(Payload::digest),
        }
    }
}

/// A judge's call on one trace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Judgment {
    /// Which judge.
    pub judge: Arc<JudgeIdentity>,
    /// How many attempts were made.
    pub attempts: u32,
    /// When the first attempt began, in µs since 1970-01-01 UTC.
    pub started_at_us: i64,
    /// From the first attempt's begin to the last one's end, in µs.
    pub duration_us: u64,
    /// The run that the judgment was made in, where it was reused instead of made again: then there were no attempts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reused_from: Option<RunId>,
    /// What the judge used, over all attempts; where the judgment was reused, a cost of nothing.
    #[serde(default, skip_serializing_if = "Usage::is_unknown")]
    pub usage: Usage,
    /// What came of it.
    #[serde(flatten)]
    pub result: JudgmentResult,
}

/// What came of a judge's call. An error is not a score, and neither is a missing one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum JudgmentResult {
    /// A score.
    Scored {
        /// The score.
        score: Score,
        /// Why.
        rationale: Option<Digest>,
    },
    /// The judge gave no score.
    Unscored {
        /// Why.
        rationale: Option<Digest>,
    },
    /// A person is still to say; their verdict comes with a later revision.
    Pending,
    /// The judge failed.
    Error {
        /// What is known of it.
        error: ErrorRecord,
    },
}

impl JudgmentResult {
    /// The result in one word, as records say it.
    #[must_use]
    pub const fn status(&self) -> &'static str {
        match self {
            Self::Scored { .. } => "scored",
            Self::Unscored { .. } => "unscored",
            Self::Pending => "pending",
            Self::Error { .. } => "error",
        }
    }
}

/// A record on its way into a store, with the payloads that it refers to and its leaf digest.
#[derive(Debug, Clone)]
pub struct TaskCommit {
    record: TaskRecord,
    payloads: Vec<Payload>,
    leaf: Digest,
    cache_keys: Vec<(usize, Digest)>,
}

impl TaskCommit {
    /// Takes a record with the payloads that it refers to, and computes its leaf digest.
    #[must_use]
    pub fn new(record: TaskRecord, payloads: Vec<Payload>) -> Self {
        let leaf = record.leaf();
        Self { record, payloads, leaf, cache_keys: Vec::new() }
    }

    /// The same with the keys by which some of its judgments can be found again: the place of the judgment, and its key.
    #[must_use]
    pub fn with_cache_keys(mut self, keys: Vec<(usize, Digest)>) -> Self {
        self.cache_keys = keys;
        self
    }

    /// The keys by which some of its judgments can be found again, each with the place of its judgment.
    #[must_use]
    pub fn cache_keys(&self) -> &[(usize, Digest)] {
        &self.cache_keys
    }

    /// The record.
    #[must_use]
    pub const fn record(&self) -> &TaskRecord {
        &self.record
    }

    /// The payloads that the record refers to, in any order.
    #[must_use]
    pub fn payloads(&self) -> &[Payload] {
        &self.payloads
    }

    /// The record's leaf digest.
    #[must_use]
    pub const fn leaf(&self) -> Digest {
        self.leaf
    }

    /// About how much memory it takes, in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        const RECORD: usize = 512;
        const JUDGMENT: usize = 256;
        let payloads: usize = self.payloads.iter().map(Payload::size).sum();
        RECORD + JUDGMENT * self.record.judgments.len() + payloads
    }
}
