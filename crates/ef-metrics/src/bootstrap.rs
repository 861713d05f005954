//! Seeded percentile bootstrap intervals.

use std::thread;

use crate::draw::{Generator, generator};

/// How a metric is resampled.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bootstrap<'a> {
    /// The metric's name: metrics of one seed must not share their luck.
    pub(crate) name: &'a str,
    pub(crate) seed: u64,
    pub(crate) resamples: u32,
}

/// Below this much work, another thread costs more than it saves.
const WORK_OF_A_THREAD: u64 = 2_000_000;

impl Bootstrap<'_> {
    /// The 95 % percentile interval of a statistic over resamples (Efron and Tibshirani, *An Introduction to the
    /// Bootstrap*, 1993, chapter 13). `draws` says how much work a resample is; `None` without resamples.
    ///
    /// Each resample has a generator of its own, seeded with its index, so that the interval does not depend on how
    /// the resamples are shared among threads.
    pub(crate) fn interval(&self, draws: u64, statistic: impl Fn(&mut Generator) -> f64 + Sync) -> Option<(f64, f64)> {
        let mut values = vec![0.0; self.resamples as usize];
        let work = draws.saturating_mul(u64::from(self.resamples));
        let useful = usize::try_from(work / WORK_OF_A_THREAD + 1).unwrap_or(usize::MAX);
        let threads = thread::available_parallelism().map_or(1, usize::from).min(useful);
        let share = values.len().div_ceil(threads).max(1);
        let fill = |first: usize, values: &mut [f64]| {
            for (index, value) in values.iter_mut().enumerate() {
                *value = statistic(&mut self.generator(first + index));
            }
        };
        let all_spawned = thread::scope(|scope| {
            let mut shares = values.chunks_mut(share).enumerate();
            let own = shares.next();
            let mut all_spawned = true;
            for (index, values) in shares {
                let work = move || fill(index * share, values);
                all_spawned &= thread::Builder::new().spawn_scoped(scope, work).is_ok();
            }
            if let Some((_, values)) = own {
                fill(0, values);
            }
            all_spawned
        });
        if !all_spawned {
            // A machine without a thread to spare gets the same interval, later.
            fill(0, &mut values);
        }
        values.sort_unstable_by(f64::total_cmp);
        Some((percentile(&values, 0.025)?, percentile(&values, 0.975)?))
    }

    fn generator(&self, index: usize) -> Generator {
        generator(&format!("eval-fabric bootstrap 1\n{}\n{}\n{index}", self.seed, self.name))
    }
}

/// The percentile by linear interpolation between order statistics: definition 7 of Hyndman and Fan, *The American
/// Statistician* 50 (1996), 361–365, the default of R and NumPy. `None` of nothing.
fn percentile(sorted: &[f64], share: f64) -> Option<f64> {
    let place = sorted.len().checked_sub(1)? as f64 * share;
    let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    Some(low + (high - low) * place.fract())
}

#[cfg(test)]
mod tests {
    use rand_xoshiro::rand_core::Rng as _;

    use super::*;

    fn uniform(generator: &mut Generator) -> f64 {
        (generator.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    #[test]
    fn percentiles_are_those_of_r_and_numpy() {
        // quantile(c(1, 2, 4, 8, 16), c(0.025, 0.975))
        let values = [1.0, 2.0, 4.0, 8.0, 16.0];
        let close =
            |share, expected: f64| percentile(&values, share).is_some_and(|value| (value - expected).abs() < 1e-12);
        assert!(close(0.025, 1.1) && close(0.975, 15.2) && close(0.5, 4.0));
        assert_eq!(percentile(&[], 0.5), None);
        assert_eq!(percentile(&[3.0], 0.975), Some(3.0));
    }

    #[test]
    fn the_interval_does_not_depend_on_the_number_of_threads() {
        let bootstrap = Bootstrap { name: "accuracy", seed: 42, resamples: 1001 };
        assert_eq!(bootstrap.interval(1, uniform), bootstrap.interval(u64::MAX, uniform));
    }

    #[test]
    fn name_and_seed_both_change_the_draws() {
        let bootstrap = Bootstrap { name: "a", seed: 1, resamples: 100 };
        let interval = bootstrap.interval(1, uniform);
        assert_ne!(interval, Bootstrap { name: "b", ..bootstrap }.interval(1, uniform));
        assert_ne!(interval, Bootstrap { seed: 2, ..bootstrap }.interval(1, uniform));
        assert_eq!(Bootstrap { resamples: 0, ..bootstrap }.interval(1, uniform), None);
    }
}
