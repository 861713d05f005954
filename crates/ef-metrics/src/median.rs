//! Medians and their resamples.

use crate::draw::Generator;
use crate::multiset::{Ordered, Run, add_up, size};
use crate::resample::Population;

/// The two ranks, from 0, in the middle of `n` values; the same rank twice for an odd `n`. `n` is at least 1.
const fn middle(n: u64) -> (u64, u64) {
    ((n - 1) / 2, n / 2)
}

/// The median over sorted runs; of an even number the mean of the middle two. `None` of nothing.
pub(crate) fn median(runs: &[Run<Ordered>]) -> Option<f64> {
    let n = size(runs);
    (n > 0).then(|| middle_of(n, runs.iter().map(|&(score, count)| (score.get(), count))))?
}

/// The mean of the middle two of `n` values that come sorted with their counts. `n` is at least 1.
pub(crate) fn middle_of(n: u64, mut counted: impl Iterator<Item = (f64, u64)>) -> Option<f64> {
    let (first, second) = middle(n);
    let (mut low, mut below) = (None, 0);
    counted.find_map(|(score, count)| {
        below += count;
        if below > first {
            low.get_or_insert(score);
        }
        (below > second).then(|| f64::midpoint(low.unwrap_or(score), score))
    })
}

/// The median of a resample of a population whose runs were in order.
pub(crate) fn resampled(population: &Population<f64>, generator: &mut Generator) -> f64 {
    let (first, second) = middle(population.size());
    let (low, high) = population.order_statistics(first, second, generator);
    f64::midpoint(low, high)
}

/// Scores in clusters, whose clusters are resampled whole.
#[derive(Debug)]
pub(crate) struct ClusteredScores {
    /// Which kind each cluster is: clusters of equal scores are of one kind. Kinds are numbered in the order of their
    /// lowest scores, so that walking the scores in order does not jump about among the kinds.
    kinds: Population<u32>,
    /// How many scores a cluster of each kind has.
    sizes: Vec<u64>,
    /// Scores in order, each with a kind and how often it occurs there.
    scores: Vec<(Ordered, u32, u64)>,
}

impl ClusteredScores {
    /// Takes each cluster's scores, sorted and counted.
    pub(crate) fn new(clusters: impl Iterator<Item = Vec<Run<Ordered>>>) -> Self {
        let mut kinds = clusters.map(|scores| (scores, 1)).collect();
        add_up(&mut kinds);
        let of_kind = |(kind, (runs, _)): (u32, &(Vec<Run<Ordered>>, u64))| {
            runs.iter().map(|&(score, count)| (score, kind, count)).collect::<Vec<_>>()
        };
        let mut scores: Vec<_> = (0..).zip(&kinds).flat_map(of_kind).collect();
        scores.sort_unstable();
        Self {
            kinds: Population::new((0..).zip(&kinds).map(|(kind, &(_, count))| (kind, count))),
            sizes: kinds.iter().map(|(runs, _)| size(runs)).collect(),
            scores,
        }
    }

    /// How many clusters there are.
    pub(crate) fn clusters(&self) -> u64 {
        self.kinds.size()
    }

    /// How much work a resample is.
    pub(crate) fn work(&self) -> u64 {
        self.clusters() + self.scores.len() as u64
    }

    /// The median over a resample of the clusters, of which there is at least one.
    pub(crate) fn resampled(&self, generator: &mut Generator) -> f64 {
        let mut times = vec![0_u64; self.sizes.len()];
        self.kinds.for_each(generator, |kind, count| times[kind as usize] += count);
        let n = times.iter().zip(&self.sizes).map(|(times, size)| times * size).sum();
        let counted = self.scores.iter().map(|&(score, kind, count)| (score.get(), count * times[kind as usize]));
        middle_of(n, counted).unwrap_or(f64::NAN)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn runs(scores: &[f64]) -> Vec<Run<Ordered>> {
        let mut runs = scores.iter().map(|&score| (Ordered::new(score), 1)).collect();
        crate::multiset::add_up(&mut runs);
        runs
    }

    #[test]
    fn the_median_of_an_even_number_is_the_mean_of_the_middle_two() {
        assert_eq!(median(&runs(&[4.0, 1.0, 3.0, 2.0])), Some(2.5));
        assert_eq!(median(&runs(&[3.0, 1.0, 2.0])), Some(2.0));
        assert_eq!(median(&runs(&[1.0, 1.0, 0.0, 0.0])), Some(0.5));
        assert_eq!(median(&runs(&[f64::MAX, f64::MAX])), Some(f64::MAX));
        assert_eq!(median(&[]), None);
    }

    #[test]
    fn clusters_of_one_resample_like_scores() {
        let scores: Vec<_> = (0..200).map(f64::from).collect();
        let clustered = ClusteredScores::new(scores.iter().map(|&score| runs(&[score])));
        let population = Population::new(scores.iter().map(|&score| (score, 1)));
        let mut generator = crate::draw::generator("4");
        let spread = |draw: &mut dyn FnMut() -> f64| {
            let values: Vec<_> = (0..4000).map(|_| draw()).collect();
            let mean = values.iter().sum::<f64>() / 4000.0;
            (mean, (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 4000.0).sqrt())
        };
        let by_cluster = spread(&mut || clustered.resampled(&mut generator));
        let by_score = spread(&mut || resampled(&population, &mut generator));
        assert!((by_cluster.0 - by_score.0).abs() < 0.8, "{by_cluster:?} {by_score:?}");
        assert!((by_cluster.1 / by_score.1 - 1.0).abs() < 0.08, "{by_cluster:?} {by_score:?}");
    }

    proptest! {
        #[test]
        fn the_median_is_the_middle_of_the_sorted_scores(
            mut scores in prop::collection::vec((-4_i8..4).prop_map(f64::from), 1..60),
        ) {
            let found = median(&runs(&scores));
            scores.sort_by(f64::total_cmp);
            let n = scores.len();
            prop_assert_eq!(found, Some(f64::midpoint(scores[(n - 1) / 2], scores[n / 2])));
        }
    }
}
