//! What a run is when it begins.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Digest, Identity, JudgeIdentity, RunId};

/// Everything that is known of a run when it begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RunHead {
    /// The run's id.
    pub run_id: RunId,
    /// When it began, in µs since 1970-01-01 UTC.
    pub started_at_us: i64,
    /// The version of eval-fabric that began it.
    pub ef_version: String,
    /// The spec's id.
    pub spec_id: String,
    /// The spec's version.
    pub spec_version: String,
    /// The spec as it was run, with every default and command-line override in place; `${VAR}` stays as written.
    pub spec: serde_json::Value,
    /// SHA-256 of the RFC 8785 form of `spec`.
    pub spec_digest: Digest,
    /// Where the items come from.
    pub dataset: DatasetRef,
    /// Which evaluator.
    pub evaluator: Arc<Identity>,
    /// Which judges, in the order of the spec.
    pub judges: Vec<Arc<JudgeIdentity>>,
    /// The run that this one was made from, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<RunSource>,
}

/// The run that another was made from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RunSource {
    /// Its id.
    pub run_id: RunId,
    /// What was made of it.
    pub purpose: RunPurpose,
}

/// What a run makes of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RunPurpose {
    /// Its good records are taken over and its failed tasks are done again.
    Retry,
    /// Its outputs are judged again.
    ReplayJudges,
    /// Its items are evaluated and judged again.
    ReplayAll,
}

/// Where a run's items come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct DatasetRef {
    /// The path as given, or `-` for standard input.
    pub path: String,
    /// The format that it was read as.
    pub format: String,
    /// Which column each field was taken from; empty where the columns are the fields.
    pub fields: BTreeMap<String, String>,
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Begun and not ended: going on now, or killed.
    Running,
    /// Everything is done but for verdicts by people.
    Awaiting,
    /// Ended early; what was done is kept.
    Aborted,
    /// Whole. It takes no more records.
    Completed,
}

impl RunStatus {
    /// The name used in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Awaiting => "awaiting",
            Self::Aborted => "aborted",
            Self::Completed => "completed",
        }
    }
}

impl fmt::Display for RunStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
