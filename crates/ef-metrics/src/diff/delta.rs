//! How far each metric moved, from its pairs.

use ef_model::{Metric, Payload};
use ef_spec::{Aggregator, EvalSpec, MetricSpec};

use super::mcnemar;
use super::median::PairedScores;
use super::newcombe::Table;
use super::slot::Slot;
use super::{DeltaMethod, MetricDelta, Pairing};
use crate::bootstrap::Bootstrap;
use crate::cluster::ClusterId;
use crate::column::{Source, judge_name};
use crate::estimate::{Scale, Term, resampled_ratio};
use crate::interval::student_t;
use crate::multiset::{Multiset, Ordered, Run, size};
use crate::ratio::{RatioSample, Unit};
use crate::set::{DEFAULT_THRESHOLD, mean_of};
use crate::sum::{Sum, scale_for};

/// The metrics of a spec, fed with pairs.
#[derive(Debug)]
pub(super) struct Metrics(Vec<MetricPairs>);

/// One metric's pairs.
#[derive(Debug)]
struct MetricPairs {
    spec: MetricSpec,
    seed: u64,
    /// Columns with the weights of their judges.
    columns: Vec<(usize, f64)>,
    units: Units,
    pairs: Multiset<Pair>,
}

/// What is taken to be independent.
#[derive(Debug, PartialEq, Eq)]
enum Units {
    /// Each pair: an item has one.
    Pairs,
    /// Each item with all its pairs, of several repeats or judges.
    Items,
    /// All items with the same value at this path of their metadata.
    Clusters(String),
}

/// The scores of both sides, with the unit that they are in and the place of their column in the metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Pair {
    unit: ClusterId,
    place: usize,
    run: Ordered,
    baseline: Ordered,
}

impl Metrics {
    /// Prepares the metrics of the run's spec. What is taken from a source without a column is left out.
    pub(super) fn new(run: &EvalSpec, pairing: Pairing, compared: &[Source]) -> Self {
        let metric = |spec: MetricSpec| {
            let mut columns = Vec::new();
            for source in Source::select(spec.from.as_deref(), &run.judges) {
                let column = compared.iter().position(|other| *other == source);
                columns.extend(column.map(|column| (column, weight(run, &source))));
            }
            let units = match &spec.cluster_by {
                Some(path) => Units::Clusters(path.clone()),
                None if columns.len() > 1 || pairing == Pairing::ItemAndRepeat => Units::Items,
                None => Units::Pairs,
            };
            let seed = spec.seed.unwrap_or(run.runtime.seed);
            MetricPairs { spec, seed, columns, units, pairs: Multiset::new() }
        };
        Self(specs(run).into_iter().map(metric).collect())
    }

    pub(super) fn need_metadata(&self) -> bool {
        self.0.iter().any(|metric| metric.takes_pairs() && matches!(metric.units, Units::Clusters(_)))
    }

    /// The unit of an item for each metric.
    pub(super) fn clusters(&self, row: u64, metadata: Option<&Payload>) -> Vec<ClusterId> {
        let unit = |metric: &MetricPairs| match &metric.units {
            // One for all, so that equal pairs are counted and not kept.
            Units::Pairs => ClusterId::of(0, None, ""),
            Units::Items => ClusterId::of(row, None, ""),
            Units::Clusters(path) => ClusterId::of(row, metadata, path),
        };
        self.0.iter().map(unit).collect()
    }

    /// Adds what both sides of a pair have in each column.
    pub(super) fn observe(&mut self, run: &[Slot], baseline: &[Slot], units: &[ClusterId]) {
        for (metric, &unit) in self.0.iter_mut().zip(units) {
            if !metric.takes_pairs() {
                continue;
            }
            for (place, &(column, _)) in metric.columns.iter().enumerate() {
                if let Some((run, baseline)) = run[column].number().zip(baseline[column].number()) {
                    metric.pairs.insert(Pair { unit, place, run, baseline });
                }
            }
        }
    }

    /// How far each moved, in the order of the spec. The stored metrics are for those that are not taken over pairs.
    pub(super) fn finish(self, run: &[Metric], baseline: &[Metric]) -> Vec<MetricDelta> {
        self.0.into_iter().map(|metric| metric.delta(run, baseline)).collect()
    }
}

/// A spec's metrics: without any, one mean a judge.
pub(super) fn specs(spec: &EvalSpec) -> Vec<MetricSpec> {
    match spec.scoring.metrics.as_slice() {
        [] => spec.judges.iter().map(mean_of).collect(),
        metrics => metrics.to_vec(),
    }
}

fn weight(spec: &EvalSpec, source: &Source) -> f64 {
    let judge = spec.judges.iter().find(|judge| judge_name(judge) == source.judge);
    judge.map_or(1.0, |judge| judge.weight)
}

/// What is known of a delta, before what is not finite is left out.
#[derive(Debug, Default)]
struct Moved {
    sides: Option<(f64, f64)>,
    delta: Option<f64>,
    standard_error: Option<f64>,
    interval: Option<(DeltaMethod, f64, f64)>,
    p_value: Option<f64>,
    units: u64,
}

impl MetricPairs {
    const fn takes_pairs(&self) -> bool {
        !matches!(self.spec.aggregator, Aggregator::Count | Aggregator::KsTest)
    }

    fn delta(mut self, run: &[Metric], baseline: &[Metric]) -> MetricDelta {
        self.pairs.compact();
        let moved = match self.spec.aggregator {
            Aggregator::Mean => self.ratio(Term::Score),
            Aggregator::RateAbove => self.ratio(Term::AtLeast(self.spec.threshold.unwrap_or(DEFAULT_THRESHOLD))),
            Aggregator::WeightedMean => self.ratio(Term::Weighted),
            Aggregator::Median => self.median(),
            Aggregator::Count | Aggregator::KsTest => Moved::default(),
        };
        let finite = |value: Option<f64>| value.filter(|value| value.is_finite());
        let (mut before, mut after) = (moved.sides.map(|sides| sides.1), moved.sides.map(|sides| sides.0));
        let mut delta = moved.delta;
        if !self.takes_pairs() {
            (before, after) = (self.stored(baseline), self.stored(run));
            delta = after.zip(before).map(|(after, before)| after - before);
        }
        let interval = moved.interval.filter(|(_, low, high)| low.is_finite() && high.is_finite());
        let n = size(&self.pairs.runs());
        MetricDelta {
            name: self.spec.name.clone(),
            aggregator: self.spec.aggregator.as_str().to_owned(),
            from: self.spec.from.clone(),
            baseline: finite(before),
            run: finite(after),
            delta: finite(delta),
            standard_error: finite(moved.standard_error),
            ci_low: interval.map(|(_, low, _)| low),
            ci_high: interval.map(|(_, _, high)| high),
            ci_method: interval.map(|(method, ..)| method),
            p_value: moved.p_value,
            n: self.takes_pairs().then_some(n),
            units: self.takes_pairs().then_some(moved.units),
        }
    }

    /// The value of the same metric among those that are stored with a run.
    fn stored(&self, metrics: &[Metric]) -> Option<f64> {
        let spec = &self.spec;
        let same = |metric: &&Metric| {
            metric.name == spec.name && metric.aggregator == spec.aggregator.as_str() && metric.from == spec.from
        };
        metrics.iter().find(same)?.value
    }

    fn bootstrap(&self) -> Option<Bootstrap<'_>> {
        let spec = &self.spec;
        spec.bootstrap.then_some(Bootstrap { name: &spec.name, seed: self.seed, resamples: spec.bootstrap_samples })
    }

    /// Gives `f` the pairs of each unit with their counts, and how many units are alike. The order is always the same.
    fn for_each_unit(&self, mut f: impl FnMut(&[Run<Pair>], u64)) {
        let runs = self.pairs.runs();
        if self.units == Units::Pairs {
            runs.iter().for_each(|&(pair, count)| f(&[(pair, 1)], count));
        } else {
            runs.chunk_by(|one, other| one.0.unit == other.0.unit).for_each(|unit| f(unit, 1));
        }
    }

    /// How far a mean moved: the mean difference of the pairs, a ratio of two sums as the mean itself is.
    fn ratio(&self, term: Term) -> Moved {
        let weight = |pair: Pair| self.columns[pair.place].1;
        let (mut largest, mut heaviest, mut is_binary) = (0.0_f64, 0.0_f64, true);
        for &(pair, _) in self.pairs.runs().iter() {
            for score in [pair.run.get(), pair.baseline.get()] {
                largest = largest.max(score.abs());
                is_binary &= score == 0.0 || score == 1.0;
            }
            heaviest = heaviest.max(weight(pair));
        }
        let is_rate = matches!(term, Term::AtLeast(_));
        let scale = Scale { score: if is_rate { 1.0 } else { scale_for(largest) }, weight: scale_for(heaviest) };
        let is_binary = is_rate || is_binary;

        let (mut units, mut table) = (Vec::new(), Table::default());
        let (mut run, mut baseline, mut all) = (Sum::default(), Sum::default(), Sum::default());
        self.for_each_unit(|pairs, alike| {
            let (mut difference, mut x) = (Sum::default(), Sum::default());
            for &(pair, count) in pairs {
                let (after, weight_of_pair) = term.unit(weight(pair), pair.run.get(), scale);
                let (before, _) = term.unit(weight(pair), pair.baseline.get(), scale);
                difference.add_times(after, count);
                difference.add_times(-before, count);
                x.add_times(weight_of_pair, count);
                run.add_times(after, count * alike);
                baseline.add_times(before, count * alike);
                all.add_times(weight_of_pair, count * alike);
                table.add(after > 0.0, before > 0.0, count * alike);
            }
            units.push((Unit { y: Ordered::new(difference.get()), x: Ordered::new(x.get()) }, alike));
        });
        let units = RatioSample::new(units);
        let Some(estimate) = units.estimate() else { return Moved::default() };
        let standard_error = estimate.standard_error.map(|error| without_rounding(error, units.count()));
        let total = all.get();
        let are_independent = is_binary && self.units == Units::Pairs && term != Term::Weighted;
        let interval = match self.bootstrap() {
            Some(bootstrap) => resampled_ratio(&units, standard_error, &bootstrap)
                .map(|(low, high)| (DeltaMethod::Bootstrap, low / scale.score, high / scale.score)),
            None if are_independent => table.interval().map(|(low, high)| (DeltaMethod::Newcombe, low, high)),
            None => standard_error.and_then(|error| student_t(estimate.value, error, units.count() - 1)).map(
                |(low, high)| {
                    let (low, high) = (low / scale.score, high / scale.score);
                    // Shares are at most 1 apart, whatever the formula says.
                    let (low, high) = if is_binary { (low.max(-1.0), high.min(1.0)) } else { (low, high) };
                    (DeltaMethod::StudentT, low, high)
                },
            ),
        };
        Moved {
            sides: Some((run.divided_by(total) / scale.score, baseline.divided_by(total) / scale.score)),
            delta: Some(estimate.value / scale.score),
            standard_error: standard_error.map(|error| error / scale.score),
            interval,
            p_value: are_independent.then(|| mcnemar::p_value(table.improved, table.worsened)),
            units: units.count(),
        }
    }

    /// How far a median moved. Its interval is a bootstrap's or none.
    fn median(&self) -> Moved {
        let mut units = Vec::new();
        self.for_each_unit(|pairs, alike| {
            let pairs = pairs.iter().map(|&(pair, count)| ((pair.run, pair.baseline), count));
            units.push((pairs.collect::<Box<[_]>>(), alike));
        });
        let count = units.iter().map(|&(_, alike)| alike).sum();
        let scores = PairedScores::new(&units);
        let sides = scores.medians();
        // Pairs that are all alike have no spread to resample.
        let bootstrap = self.bootstrap().filter(|_| self.pairs.runs().len() > 1 && count > 1);
        let interval = bootstrap.and_then(|bootstrap| {
            let (low, high) = bootstrap.interval(scores.work(), |generator| scores.resampled(generator))?;
            Some((DeltaMethod::Bootstrap, low, high))
        });
        let delta = sides.map(|(run, baseline)| run - baseline);
        Moved { sides, delta, interval, units: count, ..Moved::default() }
    }
}

/// The standard error, or nothing where rounding explains all of it: differences of scores near 1 are rounded by about
/// an epsilon, so that pairs which all move by 0.1 seem to move by a little more or less.
fn without_rounding(standard_error: f64, units: u64) -> f64 {
    const ROUNDING: f64 = 16.0 * f64::EPSILON;
    if standard_error * (units as f64).sqrt() <= ROUNDING { 0.0 } else { standard_error }
}

#[cfg(test)]
mod tests {
    use rand_xoshiro::rand_core::Rng as _;

    use super::*;

    /// How many of so many 95 % intervals hold 0.2, the true difference of the run. `units` of `size` pairs each; a
    /// unit moves as a whole, and both sides share what an item is like.
    fn coverage(units: u64, size: u64, spec: &MetricSpec) -> f64 {
        let mut generator = crate::draw::generator("coverage");
        let mut uniform = || (generator.next_u64() >> 11) as f64 / (1_u64 << 53) as f64;
        let (mut held, rounds) = (0, 3000);
        for _ in 0..rounds {
            let mut pairs = Multiset::new();
            for unit in 1..=units {
                let shift = uniform() - 0.5;
                for _ in 0..size {
                    let item = 3.0 * uniform();
                    let run = Ordered::new(item + shift + uniform() + 0.2);
                    let unit = ClusterId::of(unit, None, "");
                    pairs.insert(Pair { unit, place: 0, run, baseline: Ordered::new(item + uniform()) });
                }
            }
            let metric =
                MetricPairs { spec: spec.clone(), seed: 42, columns: vec![(0, 1.0)], units: Units::Items, pairs };
            let delta = metric.delta(&[], &[]);
            held += u32::from(delta.ci_low.zip(delta.ci_high).is_some_and(|(low, high)| low <= 0.2 && 0.2 <= high));
        }
        f64::from(held) / f64::from(rounds)
    }

    #[test]
    fn nineteen_of_twenty_intervals_hold_the_true_difference() {
        let mean = MetricSpec::mean_of("m".to_owned(), None);
        for (units, size) in [(12, 1), (15, 4), (100, 2)] {
            let coverage = coverage(units, size, &mean);
            assert!((0.938..=0.962).contains(&coverage), "{units} units of {size}: {coverage}");
        }
    }
}
