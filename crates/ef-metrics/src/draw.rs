//! Draws from a generator, made of whole numbers alone: exact, and the same on every platform.

use ef_model::Digest;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng as _, SeedableRng as _};

/// The generator: xoshiro256++, whose stream is defined by its reference implementation.
pub(crate) type Generator = Xoshiro256PlusPlus;

/// The generator that a text names. Its state is the text's SHA-256: xoshiro wants one in which about half of the bits
/// are set, and texts that differ a little must give streams that have nothing to do with each other.
pub(crate) fn generator(text: &str) -> Generator {
    Generator::from_seed(*Digest::of(text.as_bytes()).as_bytes())
}

/// How many of `tosses` fair coins show heads.
fn heads(tosses: u64, generator: &mut Generator) -> u64 {
    let mut heads = 0;
    for _ in 0..tosses / 64 {
        heads += u64::from(generator.next_u64().count_ones());
    }
    let rest = tosses % 64;
    if rest > 0 {
        heads += u64::from((generator.next_u64() >> (64 - rest)).count_ones());
    }
    heads
}

/// A binomial draw: how many of `trials` succeed, each with probability `part / whole` exactly. `part` is at most
/// `whole`, which is above 0 and below 2^63.
///
/// Each trial draws a uniform number bit by bit and compares it with the binary digits of the probability; it is decided
/// at the first digit that differs. All undecided trials toss their next bit together, 64 to a word, so that a draw
/// costs about `trials` / 32 words, half of that for a probability of one half.
pub(crate) fn binomial(trials: u64, part: u64, whole: u64, generator: &mut Generator) -> u64 {
    if part == whole {
        return trials;
    }
    let (mut successes, mut undecided, mut remainder) = (0, trials, part);
    while undecided > 0 && remainder > 0 {
        let ones = heads(undecided, generator);
        remainder *= 2;
        if remainder >= whole {
            remainder -= whole;
            successes += undecided - ones;
            undecided = ones;
        } else {
            undecided -= ones;
        }
    }
    successes
}

/// Uniform numbers below `bound`, without end: as many to a word as fit, those too large rejected. `bound` is at least 2.
pub(crate) struct Indices<'a> {
    generator: &'a mut Generator,
    bound: u32,
    bits: u32,
    word: u64,
    left: u32,
}

impl<'a> Indices<'a> {
    pub(crate) fn below(bound: u32, generator: &'a mut Generator) -> Self {
        Self { generator, bound, bits: 32 - (bound - 1).leading_zeros(), word: 0, left: 0 }
    }
}

impl Iterator for Indices<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        loop {
            if self.left == 0 {
                self.word = self.generator.next_u64();
                self.left = 64 / self.bits;
            }
            let index = (self.word & ((1 << self.bits) - 1)) as u32;
            self.word >>= self.bits;
            self.left -= 1;
            if index < self.bound {
                return Some(index);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stream_is_the_reference_implementations() {
        // xoshiro256plusplus.c, state {1, 2, 3, 4}
        let mut seed = [0; 32];
        for (index, byte) in [(0, 1), (8, 2), (16, 3), (24, 4)] {
            seed[index] = byte;
        }
        let mut generator = Generator::from_seed(seed);
        let first: Vec<_> = (0..4).map(|_| generator.next_u64()).collect();
        assert_eq!(first, [41_943_041, 58_720_359, 3_588_806_011_781_223, 3_591_011_842_654_386]);
    }

    #[test]
    fn a_binomial_draw_has_the_binomial_distribution() {
        let mut generator = super::generator("7");
        let (trials, part, whole) = (5_u64, 3_u64, 10_u64);
        let mut seen = [0_u32; 6];
        for _ in 0..100_000 {
            seen[binomial(trials, part, whole, &mut generator) as usize] += 1;
        }
        // dbinom(0:5, 5, 0.3)
        let expected = [0.16807, 0.36015, 0.30870, 0.13230, 0.02835, 0.00243];
        let chi_square: f64 = seen
            .iter()
            .zip(expected)
            .map(|(&seen, p)| {
                let expected = p * 100_000.0;
                (f64::from(seen) - expected).powi(2) / expected
            })
            .sum();
        assert!(chi_square < 20.5, "χ² of {chi_square} with 5 degrees of freedom: {seen:?}");
    }

    #[test]
    fn a_binomial_draw_knows_its_ends() {
        let mut generator = super::generator("1");
        assert_eq!(binomial(1000, 0, 7, &mut generator), 0);
        assert_eq!(binomial(1000, 7, 7, &mut generator), 1000);
        assert_eq!(binomial(0, 3, 7, &mut generator), 0);
        let many = binomial(1_000_000, (1 << 62) - 1, 1 << 62, &mut generator);
        assert_eq!(many, 1_000_000);
    }

    #[test]
    fn indices_are_uniform_below_the_bound() {
        for bound in [2_u32, 3, 4, 5, 4095, 4096] {
            let mut generator = super::generator("3");
            let mut seen = vec![0_u32; bound as usize];
            let draws = 100 * bound as usize;
            for index in Indices::below(bound, &mut generator).take(draws) {
                seen[index as usize] += 1;
            }
            let chi_square: f64 = seen.iter().map(|&count| (f64::from(count) - 100.0).powi(2) / 100.0).sum();
            let degrees = f64::from(bound - 1);
            let limit = degrees + 4.0 * (2.0 * degrees).sqrt() + 8.0;
            assert!(chi_square < limit, "below {bound}: χ² of {chi_square}");
        }
    }
}
