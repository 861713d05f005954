//! What a run is when it has ended.

use serde::{Deserialize, Serialize};

use crate::{Digest, JudgmentResult, RunBinding, RunHead, RunStatus, RunUsage, TaskRecord, TraceOutcome, TraceStatus};

/// A run that has ended: what began, what came of it, and the digest that holds it together. This is the artifact
/// `<run_id>.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RunResult {
    /// The version of this format.
    pub format_version: u32,
    /// What began.
    #[serde(flatten)]
    pub head: RunHead,
    /// How it ended.
    pub status: RunStatus,
    /// Why it ended early, for a person; absent in a completed run.
    pub abort_reason: Option<String>,
    /// When it ended, in µs since 1970-01-01 UTC.
    pub finished_at_us: i64,
    /// SHA-256 over the dataset's bytes; absent where reading stopped before its end.
    pub dataset_digest: Option<Digest>,
    /// How many of what.
    pub counts: Counts,
    /// What its calls used, as far as they told.
    #[serde(default, skip_serializing_if = "RunUsage::is_unknown")]
    pub usage: RunUsage,
    /// The metrics of the spec, in its order; none unless the run is completed.
    pub metrics: Vec<Metric>,
    /// RFC 6962 root over the records' leaves in `(row, repeat, revision)` order; none unless the run is completed.
    pub records_root: Option<Digest>,
    /// SHA-256 that binds run id, spec, dataset, evaluator, judges, record count and `records_root`; none unless the
    /// run is completed.
    pub root_digest: Option<Digest>,
}

impl RunResult {
    /// The version of the format that this build writes.
    pub const FORMAT_VERSION: u32 = 1;

    /// The digest that binds a completed run together: SHA-256 over the RFC 8785 form of the run's id, the digests of
    /// its spec and dataset, the identities of its evaluator and judges, its record count and the root over its records.
    #[must_use]
    pub fn bind(head: &RunHead, dataset_digest: Option<Digest>, records: u64, records_root: Digest) -> Digest {
        RunBinding::new(head, dataset_digest, records, records_root).digest()
    }
}

/// How many of what a run has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Counts {
    /// Traces with an output.
    pub ok: u64,
    /// Traces that timed out.
    pub timeout: u64,
    /// Traces that failed.
    pub error: u64,
    /// Rows that were malformed or oversized.
    pub skipped: u64,
    /// Judgments with a score.
    pub scored: u64,
    /// Judgments without one.
    pub unscored: u64,
    /// Judges' calls that failed.
    pub judge_error: u64,
    /// Judgments that wait for a person.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub pending: u64,
    /// Judgments that were reused from an earlier run instead of made again; they are also counted as scored or unscored.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reused: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "what serde asks for")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Counts {
    /// Adds one task.
    pub fn add(&mut self, record: &TaskRecord) {
        match record.trace.outcome {
            TraceOutcome::Ok { .. } => self.ok += 1,
            TraceOutcome::Timeout { .. } => self.timeout += 1,
            TraceOutcome::Error { .. } => self.error += 1,
            TraceOutcome::Skipped { .. } => self.skipped += 1,
        }
        for judgment in &record.judgments {
            self.reused += u64::from(judgment.reused_from.is_some());
            match judgment.result {
                JudgmentResult::Scored { .. } => self.scored += 1,
                JudgmentResult::Unscored { .. } => self.unscored += 1,
                JudgmentResult::Pending => self.pending += 1,
                JudgmentResult::Error { .. } => self.judge_error += 1,
            }
        }
    }

    /// Tasks in all.
    #[must_use]
    pub const fn tasks(&self) -> u64 {
        self.ok + self.timeout + self.error + self.skipped
    }

    /// Tasks of one status.
    #[must_use]
    pub const fn of(&self, status: TraceStatus) -> u64 {
        match status {
            TraceStatus::Ok => self.ok,
            TraceStatus::Timeout => self.timeout,
            TraceStatus::Error => self.error,
            TraceStatus::Skipped => self.skipped,
        }
    }
}

/// One number of a run, with what makes it honest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Metric {
    /// The name that the spec gives it.
    pub name: String,
    /// How it is computed.
    pub aggregator: String,
    /// The judge (or `judge.key`) that it is taken from; absent for all judges.
    pub from: Option<String>,
    /// The value; absent where there is no data.
    pub value: Option<f64>,
    /// The standard error of a mean.
    pub standard_error: Option<f64>,
    /// Lower end of the 95 % interval.
    pub ci_low: Option<f64>,
    /// Upper end of the 95 % interval.
    pub ci_high: Option<f64>,
    /// How the interval was made.
    pub ci_method: Option<IntervalMethod>,
    /// The p-value of a test.
    pub p_value: Option<f64>,
    /// Judgments that entered the value.
    pub n: u64,
    /// Judgments that are missing because the evaluator or the judge failed.
    pub n_error: u64,
    /// Judgments that are missing for another reason: a skipped row, a judge that gave no score, a score without a number.
    pub n_unscored: u64,
}

/// How a 95 % interval was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum IntervalMethod {
    /// Wilson's score interval for a proportion.
    Wilson,
    /// Student's t around the mean.
    StudentT,
    /// Percentiles of seeded bootstrap resamples.
    Bootstrap,
}
