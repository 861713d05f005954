//! Medians and their resamples.

use crate::draw::{Generator, Indices};
use crate::multiset::{Ordered, Run, size};
use crate::resample::Population;

/// The two ranks, from 0, in the middle of `n` values; the same rank twice for an odd `n`. `n` is at least 1.
const fn middle(n: u64) -> (u64, u64) {
    ((n - 1) / 2, n / 2)
}

/// The median over sorted runs; of an even number the mean of the middle two. `None` of nothing.
pub(crate) fn median(runs: &[Run<Ordered>]) -> Option<f64> {
    let n = size(runs);
    let counted = || runs.iter().map(|&(score, count)| (score.get(), count));
    (n > 0).then(|| middle_of(n, counted))?
}

/// The mean of the middle two of `n` values that come sorted with their counts.
fn middle_of<I: Iterator<Item = (f64, u64)>>(n: u64, counted: impl Fn() -> I) -> Option<f64> {
    let (first, second) = middle(n);
    let mut counted = counted();
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
    /// Score, cluster and how often, sorted by score.
    scores: Vec<(Ordered, u32, u64)>,
    /// How many scores each cluster has.
    sizes: Vec<u64>,
}

impl ClusteredScores {
    /// Takes each cluster's scores with their counts.
    pub(crate) fn new(clusters: impl Iterator<Item = Vec<Run<Ordered>>>) -> Self {
        let (mut scores, mut sizes) = (Vec::new(), Vec::new());
        for (cluster, runs) in (0..).zip(clusters) {
            sizes.push(size(&runs));
            scores.extend(runs.into_iter().map(|(score, count)| (score, cluster, count)));
        }
        scores.sort_unstable();
        Self { scores, sizes }
    }

    /// How many clusters there are.
    pub(crate) fn clusters(&self) -> usize {
        self.sizes.len()
    }

    /// How much work a resample is.
    pub(crate) fn work(&self) -> u64 {
        (self.sizes.len() + self.scores.len()) as u64
    }

    /// The median over a resample of the clusters, of which there are at least two.
    pub(crate) fn resampled(&self, generator: &mut Generator) -> f64 {
        let mut times = vec![0_u32; self.sizes.len()];
        let mut n = 0;
        for cluster in Indices::below(self.sizes.len() as u32, generator).take(self.sizes.len()) {
            times[cluster as usize] += 1;
            n += self.sizes[cluster as usize];
        }
        let counted = || {
            self.scores.iter().map(|&(score, cluster, count)| (score.get(), count * u64::from(times[cluster as usize])))
        };
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
