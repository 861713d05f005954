//! A multiset that stays small while few of its values differ, and forgets the order in which they came.

use std::borrow::Cow;
use std::cmp::Ordering;

/// A double under a total order, so that it can be sorted and counted. Never NaN: scores are finite.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ordered(f64);

impl Ordered {
    pub(crate) fn new(value: f64) -> Self {
        // Adding zero turns -0 into 0: they are the same score.
        Self(value + 0.0)
    }

    pub(crate) const fn get(self) -> f64 {
        self.0
    }
}

impl Ord for Ordered {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ordered {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ordered {}

/// A value and how often it occurs.
pub(crate) type Run<T> = (T, u64);

/// A list of runs in which the same value may wait twice until the list has doubled; then it is sorted and equal values
/// are added up. A million scores of a few kinds take 64 KiB, and an insertion costs the logarithm of the number of
/// kinds. What [`Multiset::runs`] shows depends only on what was inserted.
#[derive(Debug, Clone)]
pub(crate) struct Multiset<T> {
    runs: Vec<Run<T>>,
    /// How many of the runs, from the first, are sorted and distinct.
    compacted: usize,
    limit: usize,
}

impl<T: Ord + Copy> Multiset<T> {
    const MIN_LIMIT: usize = 4096;

    pub(crate) const fn new() -> Self {
        Self { runs: Vec::new(), compacted: 0, limit: Self::MIN_LIMIT }
    }

    pub(crate) fn insert(&mut self, value: T) {
        if self.runs.len() >= self.limit {
            self.compact();
        }
        self.runs.push((value, 1));
    }

    /// Sorts, and adds up what is equal.
    pub(crate) fn compact(&mut self) {
        if self.compacted < self.runs.len() {
            add_up(&mut self.runs);
            self.compacted = self.runs.len();
            self.limit = (2 * self.runs.len()).max(Self::MIN_LIMIT);
        }
    }

    /// The distinct values in order, with their counts.
    pub(crate) fn runs(&self) -> Cow<'_, [Run<T>]> {
        let mut runs = Cow::Borrowed(self.runs.as_slice());
        if self.compacted < self.runs.len() {
            add_up(runs.to_mut());
        }
        runs
    }
}

/// Sorts runs and adds up those of equal value.
pub(crate) fn add_up<T: Ord>(runs: &mut Vec<Run<T>>) {
    runs.sort_unstable_by(|a, b| a.0.cmp(&b.0));
    runs.dedup_by(|later, first| {
        let same = later.0 == first.0;
        if same {
            first.1 += later.1;
        }
        same
    });
}

/// How many values the runs stand for.
pub(crate) fn size<T>(runs: &[Run<T>]) -> u64 {
    runs.iter().map(|&(_, count)| count).sum()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_million_scores_of_two_kinds_stay_small() {
        let mut scores = Multiset::new();
        for index in 0..1_000_000_u32 {
            scores.insert(Ordered::new(f64::from(index % 2)));
        }
        assert!(scores.runs.capacity() <= 2 * Multiset::<Ordered>::MIN_LIMIT);
        assert_eq!(*scores.runs(), [(Ordered::new(0.0), 500_000), (Ordered::new(1.0), 500_000)]);
    }

    #[test]
    fn zero_has_one_sign() {
        let mut scores = Multiset::new();
        scores.insert(Ordered::new(0.0));
        scores.insert(Ordered::new(-0.0));
        assert_eq!(scores.runs().len(), 1);
        assert!(scores.runs()[0].0.get().is_sign_positive());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn it_counts_like_a_map_whether_or_not_it_was_compacted(
            values in prop::collection::vec(0_u32..6000, 0..20_000),
        ) {
            let mut multiset = Multiset::new();
            let mut map = BTreeMap::new();
            for &value in &values {
                multiset.insert(value);
                *map.entry(value).or_insert(0_u64) += 1;
            }
            let before = multiset.runs().into_owned();
            multiset.compact();
            prop_assert!(matches!(multiset.runs(), Cow::Borrowed(_)));
            prop_assert_eq!(&before[..], &multiset.runs()[..]);
            prop_assert_eq!(before, map.into_iter().collect::<Vec<_>>());
        }
    }
}
