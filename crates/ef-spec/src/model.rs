//! The EvalSpec, version 1, as types.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use ef_model::{ComponentId, Digest, ItemField, RunId, canonical};

use crate::password;

/// The recipe of an evaluation: what is evaluated, who judges it, how scores become metrics, and within which limits.
/// It is committed to source control and holds no secret and no data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EvalSpec {
    /// The version of this format: "1".
    #[schemars(with = "SchemaVersionOne")]
    pub schema_version: String,
    /// The spec's id, such as `team/name`: 1 to 200 letters, digits, '_', '-', '.' and '/'.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_]+([./-][A-Za-z0-9_]+)*$"), length(min = 1, max = 200))]
    pub id: String,
    /// The spec's version, MAJOR.MINOR.PATCH.
    #[schemars(regex(pattern = r"^(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)([-+][0-9A-Za-z.+-]+)?$"))]
    pub version: String,
    /// What it evaluates, for a person.
    #[serde(default)]
    pub description: String,
    /// The system under test.
    pub evaluator: EvaluatorSpec,
    /// Who scores its outputs; at least one.
    #[schemars(length(min = 1))]
    pub judges: Vec<JudgeSpec>,
    /// How scores become metrics. Without it, one mean a judge.
    #[serde(default)]
    pub scoring: Scoring,
    /// Limits and behaviour of the run.
    #[serde(default)]
    pub runtime: Runtime,
    /// How the dataset is read.
    #[serde(default)]
    pub dataset: DatasetSpec,
    /// Anything else worth keeping with the run.
    #[serde(default)]
    pub metadata: BTreeMap<String, String>,
}

impl EvalSpec {
    /// The spec as JSON, with every default in place: what a run keeps of it. `${VAR}` stays as written; a password in
    /// the URI of the trace store is left out.
    ///
    /// # Panics
    ///
    /// Never: a spec's map keys are texts and its numbers are finite.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut value = serde_json::to_value(self).expect("map keys are texts");
        value["runtime"]["trace_store"] = password::without_password(&self.runtime.trace_store).into();
        value
    }

    /// SHA-256 of the RFC 8785 form of [`to_value`](Self::to_value).
    #[must_use]
    pub fn digest(&self) -> Digest {
        canonical::digest(&self.to_value())
    }
}

#[derive(JsonSchema)]
#[allow(dead_code, reason = "only its JSON Schema is used")]
enum SchemaVersionOne {
    #[serde(rename = "1")]
    One,
}

/// The system under test.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EvaluatorSpec {
    /// `owner.name`, such as `eval_fabric.recorded`.
    pub id: ComponentId,
    /// Its own settings; `${VAR}` in a text is replaced by the environment variable at use.
    #[serde(default)]
    pub config: Map<String, Value>,
    /// Calls at the same time, at most; `runtime.max_concurrent` where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4096))]
    pub max_concurrent: Option<u32>,
}

/// One judge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JudgeSpec {
    /// `owner.name`, such as `eval_fabric.exact_match`.
    pub id: ComponentId,
    /// Its name in this spec, unique; by default the last part of the id.
    #[serde(default)]
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]{1,64}$"))]
    pub name: String,
    /// Its own settings; `${VAR}` in a text is replaced by the environment variable at use.
    #[serde(default)]
    pub config: Map<String, Value>,
    /// Its weight in a weighted mean.
    #[serde(default = "one")]
    #[schemars(range(min = 0.0))]
    pub weight: f64,
    /// Calls at the same time, at most; `runtime.max_concurrent` where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4096))]
    pub max_concurrent: Option<u32>,
}

fn one() -> f64 {
    1.0
}

/// How scores become metrics.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scoring {
    /// The metrics, each with a name of its own.
    #[serde(default)]
    pub metrics: Vec<MetricSpec>,
    /// The run that `ks_test` compares with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline_run_id: Option<RunId>,
}

/// One metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MetricSpec {
    /// Its name, unique: 1 to 64 letters, digits, '_', '-' and '.'.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_.-]{1,64}$"))]
    pub name: String,
    /// The judge that it is taken from, or `judge.key` for one value of an object score; all judges where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// How it is computed.
    #[serde(default)]
    pub aggregator: Aggregator,
    /// For `rate_above`: the score that counts, itself included; 0.5 where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// Whether the interval is made by a percentile bootstrap instead of a formula.
    #[serde(default)]
    pub bootstrap: bool,
    /// How many resamples a bootstrap draws.
    #[serde(default = "thousand")]
    #[schemars(range(min = 10, max = 100_000))]
    pub bootstrap_samples: u32,
    /// The seed of a bootstrap; `runtime.seed` where it is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_u64))]
    pub seed: Option<u64>,
    /// The metadata key (dots reach inside) whose equal values make a cluster: items that are not independent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_by: Option<String>,
}

const fn thousand() -> u32 {
    1000
}

impl MetricSpec {
    /// A plain mean over one judge, or over all judges.
    #[must_use]
    pub const fn mean_of(name: String, from: Option<String>) -> Self {
        Self {
            name,
            from,
            aggregator: Aggregator::Mean,
            threshold: None,
            bootstrap: false,
            bootstrap_samples: thousand(),
            seed: None,
            cluster_by: None,
        }
    }
}

/// How a metric is computed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Aggregator {
    /// The arithmetic mean.
    #[default]
    Mean,
    /// The median.
    Median,
    /// How many judgments have a score, numeric or not.
    Count,
    /// The share of scores at or above `threshold`.
    RateAbove,
    /// The mean weighted by the judges' weights.
    WeightedMean,
    /// The Kolmogorov–Smirnov statistic against the baseline run's scores, or against the uniform distribution on
    /// [0, 1] where there is no baseline.
    KsTest,
}

impl Aggregator {
    /// The name used in specs and results.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::Median => "median",
            Self::Count => "count",
            Self::RateAbove => "rate_above",
            Self::WeightedMean => "weighted_mean",
            Self::KsTest => "ks_test",
        }
    }
}

/// Limits and behaviour of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Runtime {
    /// Tasks in flight, at most.
    #[schemars(range(min = 1, max = 4096))]
    pub max_concurrent: u32,
    /// Seconds that one attempt of a call may take.
    #[schemars(range(min = 0.001, max = 86_400.0))]
    pub task_timeout_seconds: f64,
    /// How often a transient failure is tried again.
    #[schemars(range(min = 0, max = 20))]
    pub max_retries: u32,
    /// Whether a failed task ends the run.
    pub on_failure: OnFailure,
    /// The URI of the trace store; bare `sqlite://` is `./runs/runs.db`.
    pub trace_store: String,
    /// Rows of the dataset that are read, at most; all where it is absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 9_007_199_254_740_991_u64))]
    pub max_items: Option<u64>,
    /// Bytes of one dataset row, at most.
    #[schemars(range(min = 1, max = 1_073_741_824))]
    pub max_item_bytes: u64,
    /// US dollars after which the run stops.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0))]
    pub max_cost_usd: Option<f64>,
    /// How often each item is evaluated.
    #[schemars(range(min = 1, max = 1000))]
    pub repeats: u32,
    /// The seed of everything that is drawn.
    #[schemars(range(min = 0, max = 9_007_199_254_740_991_u64))]
    pub seed: u64,
}

impl Default for Runtime {
    fn default() -> Self {
        Self {
            max_concurrent: 64,
            task_timeout_seconds: 60.0,
            max_retries: 2,
            on_failure: OnFailure::Skip,
            trace_store: "sqlite://".to_owned(),
            max_items: None,
            max_item_bytes: 1 << 20,
            max_cost_usd: None,
            repeats: 1,
            seed: 42,
        }
    }
}

/// What a failed task does to the run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnFailure {
    /// It is recorded, and the run goes on.
    #[default]
    Skip,
    /// It is recorded, and the run starts nothing more.
    Abort,
}

impl OnFailure {
    /// The name used in specs.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Abort => "abort",
        }
    }
}

/// How the dataset is read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DatasetSpec {
    /// Which column holds which field of the item; dots reach inside (`answer.text`). Columns that are not named go to
    /// the item's metadata. Without any, the columns must be the fields themselves.
    #[serde(default)]
    pub fields: BTreeMap<ItemField, String>,
}
