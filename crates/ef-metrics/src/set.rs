//! The metrics of a spec, fed with a run's records.

use std::borrow::Cow;

use ef_model::{Metric, Payload, TaskRecord};
use ef_spec::{Aggregator, JudgeSpec, MetricSpec, Scoring};

use crate::bootstrap::Bootstrap;
use crate::cluster::Clustering;
use crate::column::{Column, Source, judge_name};
use crate::estimate::{self, Estimate, Term};
use crate::ks;
use crate::multiset::{Multiset, Ordered, Run};
use crate::sample::{Sample, merged};

/// The threshold of a `rate_above` that names none.
pub(crate) const DEFAULT_THRESHOLD: f64 = 0.5;

/// Accumulates a run's records for all metrics of a spec.
///
/// What comes out depends only on what was observed, never on its order. Scores are kept as distinct values with their
/// counts, shared by the metrics that take them: a million judgments of few kinds take kilobytes; of scores that all
/// differ each takes 16 bytes, and in clusters 32.
#[derive(Debug)]
pub struct MetricSet {
    metrics: Vec<Plan>,
    columns: Vec<Column>,
    clusterings: Vec<Clustering>,
    tasks: u64,
    /// A task's numbers by column, kept to save an allocation a task.
    numbers: Vec<Option<f64>>,
}

/// One metric, and what it takes from where.
#[derive(Debug)]
struct Plan {
    spec: MetricSpec,
    seed: u64,
    /// Columns with the weights of their judges.
    columns: Vec<(usize, f64)>,
    clustering: Option<usize>,
}

impl MetricSet {
    /// Prepares the metrics of a spec. Without any, there is one mean a judge, named after it. `default_seed` is
    /// `runtime.seed`, for metrics without a seed of their own.
    #[must_use]
    pub fn new(scoring: &Scoring, judges: &[JudgeSpec], default_seed: u64) -> Self {
        let mut set =
            Self { metrics: Vec::new(), columns: Vec::new(), clusterings: Vec::new(), tasks: 0, numbers: Vec::new() };
        if scoring.metrics.is_empty() {
            for judge in judges {
                set.plan(mean_of(judge), judges, default_seed);
            }
        }
        for spec in &scoring.metrics {
            set.plan(spec.clone(), judges, default_seed);
        }
        set.numbers = vec![None; set.columns.len()];
        set
    }

    fn plan(&mut self, spec: MetricSpec, judges: &[JudgeSpec], default_seed: u64) {
        let mut columns = Vec::new();
        for source in Source::select(spec.from.as_deref(), judges) {
            let judge = judges.iter().find(|judge| judge_name(judge) == source.judge);
            columns.push((self.column(source), judge.map_or(1.0, |judge| judge.weight)));
        }
        let (takes_scores, takes_clusters) = match spec.aggregator {
            Aggregator::Count => (false, false),
            Aggregator::KsTest => (true, false),
            Aggregator::Median => (true, spec.cluster_by.is_some() && spec.bootstrap),
            Aggregator::Mean | Aggregator::RateAbove | Aggregator::WeightedMean => {
                (spec.cluster_by.is_none(), spec.cluster_by.is_some())
            }
        };
        let path = spec.cluster_by.as_deref().filter(|_| takes_clusters);
        let clustering = path.map(|path| self.clustering(path));
        for &(column, _) in &columns {
            if takes_scores {
                self.columns[column].scores.get_or_insert_with(Multiset::new);
            }
            if let Some(clustering) = clustering {
                self.clusterings[clustering].keep(column);
            }
        }
        let seed = spec.seed.unwrap_or(default_seed);
        self.metrics.push(Plan { spec, seed, columns, clustering });
    }

    /// The column of a source, made where there is none yet.
    fn column(&mut self, source: Source) -> usize {
        self.columns.iter().position(|column| column.source == source).unwrap_or_else(|| {
            self.columns.push(Column::new(source));
            self.columns.len() - 1
        })
    }

    /// The clustering by a path, made where there is none yet.
    fn clustering(&mut self, path: &str) -> usize {
        self.clusterings.iter().position(|clustering| clustering.path() == path).unwrap_or_else(|| {
            self.clusterings.push(Clustering::new(path.to_owned()));
            self.clusterings.len() - 1
        })
    }

    /// Whether [`MetricSet::observe`] needs the metadata of items, because some metric clusters by it.
    #[must_use]
    pub const fn needs_metadata(&self) -> bool {
        !self.clusterings.is_empty()
    }

    /// Adds one task. Of the revisions of a `(row, repeat)` only the latest must be added. `item_metadata` is the item's
    /// metadata payload, where it has one and [`MetricSet::needs_metadata`] says so; an item without is a cluster of
    /// its own.
    pub fn observe(&mut self, record: &TaskRecord, item_metadata: Option<&Payload>) {
        self.tasks += 1;
        for (column, number) in self.columns.iter_mut().zip(&mut self.numbers) {
            *number = column.observe(&record.trace.outcome, &record.judgments);
        }
        for clustering in &mut self.clusterings {
            clustering.observe(record.row, item_metadata, &self.numbers);
        }
    }

    /// The metrics, in the order of the spec. `baseline` is a set of the same scoring that observed the baseline run,
    /// for `ks_test`.
    #[must_use]
    pub fn finish(mut self, baseline: Option<&Self>) -> Vec<Metric> {
        // Once, so that metrics of the same scores need not sort them again.
        self.columns.iter_mut().filter_map(|column| column.scores.as_mut()).for_each(Multiset::compact);
        self.clusterings.iter_mut().for_each(Clustering::compact);
        self.metrics.iter().map(|plan| self.metric(plan, baseline)).collect()
    }

    fn metric(&self, plan: &Plan, baseline: Option<&Self>) -> Metric {
        let spec = &plan.spec;
        let columns = || plan.columns.iter().map(|&(column, _)| &self.columns[column]);
        let n = match spec.aggregator {
            Aggregator::Count => columns().map(|column| column.scored).sum(),
            _ => columns().map(|column| column.numbers).sum::<u64>(),
        };
        let n_error = columns().map(|column| column.errors).sum::<u64>();
        let slots = self.tasks * plan.columns.len() as u64;
        let estimate = self.estimate(plan, n, baseline);
        let (ci_low, ci_high, ci_method) = match estimate.interval {
            Some((method, low, high)) => (Some(low), Some(high), Some(method)),
            None => (None, None, None),
        };
        Metric {
            name: spec.name.clone(),
            aggregator: spec.aggregator.as_str().to_owned(),
            from: spec.from.clone(),
            value: estimate.value,
            standard_error: estimate.standard_error,
            ci_low,
            ci_high,
            ci_method,
            p_value: estimate.p_value,
            n,
            n_error,
            n_unscored: slots - n - n_error,
        }
    }

    fn estimate(&self, plan: &Plan, n: u64, baseline: Option<&Self>) -> Estimate {
        let spec = &plan.spec;
        let bootstrap = Bootstrap { name: &spec.name, seed: plan.seed, resamples: spec.bootstrap_samples };
        let bootstrap = spec.bootstrap.then_some(&bootstrap);
        let term = match spec.aggregator {
            Aggregator::Mean => Term::Score,
            Aggregator::RateAbove => Term::AtLeast(spec.threshold.unwrap_or(DEFAULT_THRESHOLD)),
            Aggregator::WeightedMean => Term::Weighted,
            Aggregator::Median => return estimate::median(&self.scores(plan), &self.sample(plan), bootstrap),
            Aggregator::Count => return Estimate { value: Some(n as f64), ..Estimate::default() },
            Aggregator::KsTest => {
                let scores = self.scores(plan);
                return Estimate::from(match baseline {
                    Some(baseline) => ks::two_sample(&scores, &baseline.scores_like(self, plan)),
                    None => ks::against_uniform(&scores),
                });
            }
        };
        estimate::ratio(&self.sample(plan), term, bootstrap)
    }

    /// A metric's independent units, with weights.
    fn sample<'a>(&'a self, plan: &'a Plan) -> Sample<'a> {
        match plan.clustering {
            Some(clustering) => Sample::Clusters(&self.clusterings[clustering], &plan.columns),
            None => Sample::Judgments(
                plan.columns.iter().map(|&(column, weight)| (weight, self.columns[column].runs())).collect(),
            ),
        }
    }

    /// A metric's scores, sorted and counted.
    fn scores(&self, plan: &Plan) -> Cow<'_, [Run<Ordered>]> {
        merged(plan.columns.iter().map(|&(column, _)| self.columns[column].runs()))
    }

    /// This set's scores for a metric of another.
    fn scores_like(&self, other: &Self, plan: &Plan) -> Cow<'_, [Run<Ordered>]> {
        let sources = plan.columns.iter().map(|&(column, _)| &other.columns[column].source);
        let columns = sources.filter_map(|source| self.columns.iter().find(|column| column.source == *source));
        merged(columns.map(Column::runs))
    }
}

/// The metric of a judge in a spec that names none.
pub(crate) fn mean_of(judge: &JudgeSpec) -> MetricSpec {
    let name = judge_name(judge).to_owned();
    MetricSpec {
        from: Some(name.clone()),
        name,
        aggregator: Aggregator::Mean,
        threshold: None,
        bootstrap: false,
        bootstrap_samples: 0,
        seed: None,
        cluster_by: None,
    }
}
