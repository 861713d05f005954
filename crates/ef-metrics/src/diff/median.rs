//! How far a median moved, by resamples of the pairs.

use crate::draw::Generator;
use crate::median::middle_of;
use crate::multiset::Ordered;
use crate::resample::Population;

/// Pairs in independent units, which are resampled whole: both sides of a pair stay together.
#[derive(Debug)]
pub(super) struct PairedScores {
    /// Which kind each unit is: units of equal pairs may be of one kind.
    kinds: Population<u32>,
    /// How many units are of each kind.
    alike: Vec<u64>,
    /// How many pairs a unit of each kind has.
    sizes: Vec<u64>,
    /// Each side's scores in order, with a kind and how often each occurs there.
    run: Vec<(Ordered, u32, u64)>,
    baseline: Vec<(Ordered, u32, u64)>,
}

impl PairedScores {
    /// Takes the kinds of units: the pairs (run, baseline) of one with their counts, and how many units are alike.
    pub(super) fn new<P: AsRef<[((Ordered, Ordered), u64)]>>(units: &[(P, u64)]) -> Self {
        let side = |score: fn(&(Ordered, Ordered)) -> Ordered| {
            let scores = (0..).zip(units).flat_map(|(kind, (pairs, _))| {
                pairs.as_ref().iter().map(move |(pair, count)| (score(pair), kind, *count))
            });
            let mut scores: Vec<_> = scores.collect();
            scores.sort_unstable();
            scores
        };
        Self {
            kinds: Population::new((0..).zip(units).map(|(kind, &(_, alike))| (kind, alike))),
            alike: units.iter().map(|&(_, alike)| alike).collect(),
            sizes: units.iter().map(|(pairs, _)| pairs.as_ref().iter().map(|&(_, count)| count).sum()).collect(),
            run: side(|pair| pair.0),
            baseline: side(|pair| pair.1),
        }
    }

    /// How much work a resample is.
    pub(super) fn work(&self) -> u64 {
        self.kinds.size() + (self.run.len() + self.baseline.len()) as u64
    }

    /// The run's and the baseline's median over all pairs.
    pub(super) fn medians(&self) -> Option<(f64, f64)> {
        self.of(&self.alike)
    }

    /// How far apart the medians are in a resample of the units, of which there is at least one.
    pub(super) fn resampled(&self, generator: &mut Generator) -> f64 {
        let mut times = vec![0_u64; self.sizes.len()];
        self.kinds.for_each(generator, |kind, count| times[kind as usize] += count);
        self.of(&times).map_or(f64::NAN, |(run, baseline)| run - baseline)
    }

    /// The medians where each kind of unit occurs so often.
    fn of(&self, times: &[u64]) -> Option<(f64, f64)> {
        let n: u64 = times.iter().zip(&self.sizes).map(|(times, size)| times * size).sum();
        if n == 0 {
            return None;
        }
        let median = |scores: &[(Ordered, u32, u64)]| {
            middle_of(n, scores.iter().map(|&(score, kind, count)| (score.get(), count * times[kind as usize])))
        };
        median(&self.run).zip(median(&self.baseline))
    }
}
