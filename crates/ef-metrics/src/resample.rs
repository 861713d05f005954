//! Resampling with replacement, as if each draw were made alone, at the price of far fewer.
//!
//! A population is a list of blocks. How many of the draws fall into each block is drawn by halving the list: the draws
//! of the left half are a binomial number of all. What remains is to draw inside a block: nothing for one that holds a
//! single value, and for the others at most 4,096 values, which stay in the processor's nearest cache.

use std::ops::Range;

use crate::draw::{Generator, Indices, binomial};
use crate::multiset::Run;

/// Something that resamples are summed up of.
pub(crate) trait Addend: Copy {
    const ZERO: Self;
    fn plus(self, other: Self) -> Self;
    fn times(self, count: u64) -> Self;
}

impl Addend for f64 {
    const ZERO: Self = 0.0;

    fn plus(self, other: Self) -> Self {
        self + other
    }

    fn times(self, count: u64) -> Self {
        self * count as Self
    }
}

impl Addend for (f64, f64) {
    const ZERO: Self = (0.0, 0.0);

    fn plus(self, other: Self) -> Self {
        (self.0 + other.0, self.1 + other.1)
    }

    fn times(self, count: u64) -> Self {
        (self.0.times(count), self.1.times(count))
    }
}

/// Values that are drawn with equal probability.
#[derive(Debug)]
pub(crate) struct Population<V> {
    blocks: Vec<Block<V>>,
    /// How many values lie before each block, and in all.
    before: Vec<u64>,
    slots: Vec<V>,
}

#[derive(Debug)]
enum Block<V> {
    /// One value, however often.
    Constant(V),
    /// 2 to 4,096 values at this place in the slots.
    Slots(Range<usize>),
}

const BLOCK: usize = 4096;

impl<V: Copy> Population<V> {
    /// Takes runs in order. There must be at least one value.
    pub(crate) fn new(runs: impl Iterator<Item = Run<V>>) -> Self {
        let mut population = Self { blocks: Vec::new(), before: vec![0], slots: Vec::new() };
        for (value, count) in runs {
            // A block that is open is filled first, even with a part of a run: full ones are the fastest to draw from.
            let room = (BLOCK - population.open()) % BLOCK;
            let filling = count.min(room as u64);
            population.fill(value, filling);
            let rest = count - filling;
            if rest >= BLOCK as u64 {
                population.push(Block::Constant(value), rest);
            } else {
                population.fill(value, rest);
            }
        }
        population.close();
        population
    }

    /// How many slots are in no block yet.
    fn open(&self) -> usize {
        self.slots.len() % BLOCK
    }

    /// Adds slots, no more than the open block has room for.
    fn fill(&mut self, value: V, count: u64) {
        self.slots.extend((0..count).map(|_| value));
        if count > 0 && self.open() == 0 {
            self.push(Block::Slots(self.slots.len() - BLOCK..self.slots.len()), BLOCK as u64);
        }
    }

    /// Makes a block of the slots that are in none yet.
    fn close(&mut self) {
        let (start, end) = (self.slots.len() - self.open(), self.slots.len());
        match self.slots[start..] {
            [] => {}
            [value] => self.push(Block::Constant(value), 1),
            _ => self.push(Block::Slots(start..end), (end - start) as u64),
        }
    }

    fn push(&mut self, block: Block<V>, count: u64) {
        self.blocks.push(block);
        self.before.push(self.size() + count);
    }

    /// How many values there are, and draws in a resample.
    pub(crate) fn size(&self) -> u64 {
        self.before.last().copied().unwrap_or(0)
    }

    /// The sum over a resample as large as the population.
    pub(crate) fn total(&self, generator: &mut Generator) -> V
    where
        V: Addend,
    {
        let mut total = V::ZERO;
        self.deal(0..self.blocks.len(), self.size(), generator, &mut |block, draws, generator| {
            total = total.plus(match block {
                Block::Constant(value) => value.times(draws),
                Block::Slots(range) => total_of_slots(&self.slots[range.clone()], draws, generator),
            });
        });
        total
    }

    /// Gives `f` the values of a resample as large as the population, and how often at once.
    pub(crate) fn for_each(&self, generator: &mut Generator, mut f: impl FnMut(V, u64)) {
        self.deal(0..self.blocks.len(), self.size(), generator, &mut |block, draws, generator| match block {
            Block::Constant(value) => f(*value, draws),
            Block::Slots(range) => {
                for (&value, count) in self.slots[range.clone()].iter().zip(tally(range.len(), draws, generator)) {
                    f(value, count);
                }
            }
        });
    }

    /// Deals draws to blocks, and shows `visit` those that got some.
    fn deal(
        &self,
        blocks: Range<usize>,
        draws: u64,
        generator: &mut Generator,
        visit: &mut impl FnMut(&Block<V>, u64, &mut Generator),
    ) {
        if draws == 0 {
            return;
        }
        if blocks.len() == 1 {
            return visit(&self.blocks[blocks.start], draws, generator);
        }
        let (left, right, in_left) = self.halve(blocks, draws, generator);
        self.deal(left, in_left, generator, visit);
        self.deal(right, draws - in_left, generator, visit);
    }

    /// Two halves of a list of blocks, and how many of the draws fall into the first. The first is a power of two
    /// blocks: where all blocks are full, it often has a probability of one half, which is the cheapest to draw.
    fn halve(&self, blocks: Range<usize>, draws: u64, generator: &mut Generator) -> (Range<usize>, Range<usize>, u64) {
        let middle = blocks.start + (blocks.len().next_power_of_two() / 2);
        let size = |start: usize, end: usize| self.before[end] - self.before[start];
        let (part, whole) = (size(blocks.start, middle), size(blocks.start, blocks.end));
        (blocks.start..middle, middle..blocks.end, binomial(draws, part, whole, generator))
    }

    /// The values at two ranks, from 0, of a sorted resample as large as the population, whose runs were in order.
    /// `second` is `first` or the rank after it.
    pub(crate) fn order_statistics(&self, first: u64, second: u64, generator: &mut Generator) -> (V, V) {
        self.ranks(0..self.blocks.len(), self.size(), (first, second), generator)
    }

    fn ranks(&self, blocks: Range<usize>, draws: u64, ranks: (u64, u64), generator: &mut Generator) -> (V, V) {
        if blocks.len() > 1 {
            // Only the half that holds the rank is looked into: the rest of the resample need not be drawn.
            let (left, right, in_left) = self.halve(blocks, draws, generator);
            let in_right = draws - in_left;
            return if ranks.1 < in_left {
                self.ranks(left, in_left, ranks, generator)
            } else if ranks.0 >= in_left {
                self.ranks(right, in_right, (ranks.0 - in_left, ranks.1 - in_left), generator)
            } else {
                let (first, _) = self.ranks(left, in_left, (ranks.0, ranks.0), generator);
                let (_, second) = self.ranks(right, in_right, (0, 0), generator);
                (first, second)
            };
        }
        match &self.blocks[blocks.start] {
            Block::Constant(value) => (*value, *value),
            Block::Slots(range) => {
                let slots = &self.slots[range.clone()];
                let mut below = 0;
                let ends: Vec<_> = tally(slots.len(), draws, generator)
                    .map(|count| {
                        below += count;
                        below
                    })
                    .collect();
                let at = |rank| slots[ends.partition_point(|&end| end <= rank).min(slots.len() - 1)];
                (at(ranks.0), at(ranks.1))
            }
        }
    }
}

/// How often each of that many slots is drawn.
fn tally(slots: usize, draws: u64, generator: &mut Generator) -> impl Iterator<Item = u64> + use<> {
    let mut counts = vec![0_u64; slots];
    for index in Indices::below(slots as u32, generator).take(draws as usize) {
        counts[index as usize] += 1;
    }
    counts.into_iter()
}

/// The sum of that many draws from 2 to 4,096 values.
fn total_of_slots<V: Addend>(slots: &[V], draws: u64, generator: &mut Generator) -> V {
    use rand_xoshiro::rand_core::Rng as _;

    let Ok(full) = <&[V; BLOCK]>::try_from(slots) else {
        let indices = Indices::below(slots.len() as u32, generator).take(draws as usize);
        return indices.fold(V::ZERO, |total, index| total.plus(slots[index as usize]));
    };
    let slot = |word: u64, place: u32| full[(word >> (12 * place)) as usize % BLOCK];
    // Five sums side by side, or each addition would wait for the one before it.
    let mut totals = [V::ZERO; 5];
    for _ in 0..draws / 5 {
        let word = generator.next_u64();
        totals = std::array::from_fn(|place| totals[place].plus(slot(word, place as u32)));
    }
    let word = generator.next_u64();
    let rest = (0..(draws % 5) as u32).map(|place| slot(word, place));
    totals.into_iter().chain(rest).fold(V::ZERO, V::plus)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A population of every shape of block: constants, full blocks, a partial one and a single value.
    fn mixed() -> Vec<Run<f64>> {
        let mut runs = vec![(-2.0, 9000)];
        runs.extend((0..10_000).map(|index| (f64::from(index) / 10_000.0, 1)));
        runs.extend([(2.0, 5000), (3.0, 1)]);
        runs
    }

    #[test]
    fn a_population_keeps_every_value() {
        let population = Population::new(mixed().into_iter());
        assert_eq!(population.size(), 24_001);
        let shapes: Vec<_> = population
            .blocks
            .iter()
            .map(|block| match block {
                Block::Constant(_) => 1,
                Block::Slots(range) => range.len(),
            })
            .collect();
        assert_eq!(shapes, [1, 4096, 4096, 4096, 2713]);
    }

    #[test]
    fn the_totals_have_the_mean_and_the_spread_of_single_draws() {
        let population = Population::new(mixed().into_iter());
        let n = population.size() as f64;
        let mean = mixed().iter().map(|&(value, count)| value * count as f64).sum::<f64>() / n;
        let variance = mixed().iter().map(|&(value, count)| (value - mean).powi(2) * count as f64).sum::<f64>() / n;
        let mut generator = crate::draw::generator("5");
        let resamples = 2000;
        let means: Vec<_> = (0..resamples).map(|_| population.total(&mut generator) / n).collect();
        let mean_of_means = means.iter().sum::<f64>() / f64::from(resamples);
        let variance_of_means =
            means.iter().map(|value| (value - mean_of_means).powi(2)).sum::<f64>() / f64::from(resamples);
        let expected = variance / n;
        assert!((mean_of_means - mean).abs() < 4.0 * (expected / f64::from(resamples)).sqrt());
        assert!((variance_of_means / expected - 1.0).abs() < 0.13, "{variance_of_means}, not {expected}");
    }

    #[test]
    fn order_statistics_are_those_of_whole_resamples() {
        let runs: Vec<_> = (0..9000).map(|index| (f64::from(index), 1)).collect();
        let population = Population::new(runs.into_iter());
        let mut generator = crate::draw::generator("9");
        let resamples = 500;
        let mut values = Vec::new();
        for _ in 0..resamples {
            let (low, high) = population.order_statistics(4499, 4500, &mut generator);
            assert!(low <= high);
            values.push(f64::midpoint(low, high) / 9000.0);
        }
        // The median of n uniform draws is Beta(n/2, n/2): mean 1/2, variance near 1/(4n).
        let mean = values.iter().sum::<f64>() / f64::from(resamples);
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / f64::from(resamples);
        let expected = 1.0 / (4.0 * 9000.0);
        assert!((mean - 0.5).abs() < 4.0 * (expected / f64::from(resamples)).sqrt(), "{mean}");
        assert!((variance / expected - 1.0).abs() < 0.25, "{variance}, not {expected}");
    }

    #[test]
    fn neighbouring_ranks_may_lie_in_different_blocks() {
        let population = Population::new([(0.0, 5000), (1.0, 5000)].into_iter());
        let mut generator = crate::draw::generator("2");
        let pairs: Vec<_> = (0..2000).map(|_| population.order_statistics(4999, 5000, &mut generator)).collect();
        for pair in [(0.0, 0.0), (0.0, 1.0), (1.0, 1.0)] {
            assert!(pairs.contains(&pair), "{pair:?} never came");
        }
        assert!(!pairs.contains(&(1.0, 0.0)));
    }

    proptest! {
        #[test]
        fn a_resample_draws_as_often_as_there_are_values(
            runs in prop::collection::vec((0.0..1.0_f64, 1_u64..6000), 1..20), seed: u64,
        ) {
            let ones = runs.iter().map(|&(value, count)| ((value, 1.0), count));
            let population = Population::new(ones);
            let (total, draws) = population.total(&mut crate::draw::generator(&seed.to_string()));
            prop_assert_eq!(draws, population.size() as f64);
            let largest = runs.iter().map(|run| run.0).fold(0.0, f64::max);
            prop_assert!(total <= largest * draws * (1.0 + 1e-12));
        }
    }
}
