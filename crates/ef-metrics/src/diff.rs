//! A run compared with a baseline: what changed between them, and what became of each item.
//!
//! [`changes`] compares what is known of two runs before any score is looked at. [`BaselineScores`] takes the baseline's
//! records, [`Comparison`] the run's, each in the order of its rows and without regard to the order of the other; what
//! comes out is a [`Scores`]. Scores are taken as the higher the better, as the gate takes metrics.
//!
//! A record of the baseline is kept in 48 bytes, with 16 more for each judge (or value of its object scores) that is
//! compared; of the run none is kept. Metrics keep their pairs as distinct values with counts, in at most 40 bytes each.

mod changes;
mod delta;
mod fields;
mod flips;
mod mcnemar;
mod median;
mod newcombe;
mod pairs;
mod repeats;
mod slot;

use ef_model::Scalar;
use serde::Serialize;

pub use changes::{Change, Changes, Part, PartChanges, Subject, changes};
pub use flips::{Flip, FlipKind};
pub use pairs::{BaselineScores, Comparison};

/// What became of the scores of two runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scores {
    /// What makes a pair.
    pub pairing: Pairing,
    /// How many pairs there are, and what found no partner.
    pub pairs: PairCounts,
    /// Each judge that is in both runs, and each value of its object scores that a metric takes.
    pub judges: Vec<JudgeCounts>,
    /// The metrics of the run's spec.
    pub metrics: Vec<MetricDelta>,
    /// The pairs of which a judge says something else than before, as many as were asked for: see [`FlipKind`] for
    /// their order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flips: Option<Vec<Flip>>,
}

/// What makes a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pairing {
    /// The same item: neither run repeats items.
    Item,
    /// The same item in the same repeat: both runs repeat items equally often.
    ItemAndRepeat,
    /// The same item, with the mean of its repeats: the runs do not repeat items equally often.
    ItemMean,
}

/// How many pairs there are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct PairCounts {
    /// In both runs.
    pub paired: u64,
    /// Only in the run.
    pub appeared: u64,
    /// Only in the baseline.
    pub vanished: u64,
    /// Of those in both, how many have another input or reference output than they had.
    pub other_content: u64,
}

/// What a judge says of the pairs. The counts add up to the number of pairs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct JudgeCounts {
    /// The judge's name.
    pub judge: String,
    /// Which value of its object scores; absent for the score itself.
    pub key: Option<String>,
    /// A higher number than before.
    pub improved: u64,
    /// A lower number than before.
    pub worsened: u64,
    /// The same score as before.
    pub unchanged: u64,
    /// Another label than before, or a label instead of a number: better or worse cannot be said.
    pub changed: u64,
    /// The evaluator or the judge failed on at least one side: there is nothing to compare.
    pub error: Sides,
    /// No side failed, but at least one has no score.
    pub unscored: Sides,
    /// Of the improved, worsened and changed, how many have the very same output as before.
    pub moved_with_same_output: u64,
}

impl JudgeCounts {
    /// Pairs that have another score than before.
    #[must_use]
    pub const fn moved(&self) -> u64 {
        self.improved + self.worsened + self.changed
    }
}

/// On which sides something is so.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Sides {
    /// Only in the run.
    pub run: u64,
    /// Only in the baseline.
    pub baseline: u64,
    /// In both.
    pub both: u64,
}

impl Sides {
    /// On any side.
    #[must_use]
    pub const fn any(&self) -> u64 {
        self.run + self.baseline + self.both
    }
}

/// How far a metric moved.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MetricDelta {
    /// The name that the run's spec gives it.
    pub name: String,
    /// How it is computed.
    pub aggregator: String,
    /// The judge (or `judge.key`) that it is taken from; absent for all judges.
    pub from: Option<String>,
    /// The baseline's value over the pairs; for `count` and `ks_test` the stored one, of the whole baseline.
    pub baseline: Option<f64>,
    /// The run's value, likewise.
    pub run: Option<f64>,
    /// The run's value less the baseline's.
    pub delta: Option<f64>,
    /// The standard error of the delta of a mean.
    pub standard_error: Option<f64>,
    /// Lower end of the delta's 95 % interval.
    pub ci_low: Option<f64>,
    /// Upper end of the delta's 95 % interval.
    pub ci_high: Option<f64>,
    /// How the interval was made.
    pub ci_method: Option<DeltaMethod>,
    /// McNemar's exact two-sided p-value, where scores are 0 or 1 and pairs independent.
    pub p_value: Option<f64>,
    /// Pairs of numbers that entered; absent for `count` and `ks_test`, which are not taken over pairs.
    pub n: Option<u64>,
    /// The independent units that these pairs make: items, or clusters of them.
    pub units: Option<u64>,
}

/// How the 95 % interval of a delta was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeltaMethod {
    /// Newcombe's interval for a difference of paired proportions.
    Newcombe,
    /// Student's t around the mean difference.
    StudentT,
    /// Percentiles of seeded bootstrap resamples of the pairs.
    Bootstrap,
}

/// What a judge left on one side of a pair.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Outcome {
    /// A score.
    Scored {
        /// The score, or the value of an object score.
        score: Scalar,
    },
    /// No score.
    Unscored,
    /// The evaluator or the judge failed.
    Error,
}
