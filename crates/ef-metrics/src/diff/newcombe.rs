//! Newcombe's interval for a difference of paired proportions.

use crate::interval::wilson;

/// How many pairs have which scores, each 0 or 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Table {
    /// 1 on both sides.
    pub(super) both: u64,
    /// 1 in the run alone.
    pub(super) improved: u64,
    /// 1 in the baseline alone.
    pub(super) worsened: u64,
    /// 0 on both sides.
    pub(super) neither: u64,
}

impl Table {
    pub(super) fn add(&mut self, run: bool, baseline: bool, count: u64) {
        *match (run, baseline) {
            (true, true) => &mut self.both,
            (true, false) => &mut self.improved,
            (false, true) => &mut self.worsened,
            (false, false) => &mut self.neither,
        } += count;
    }

    const fn n(&self) -> u64 {
        self.both + self.improved + self.worsened + self.neither
    }

    /// The 95 % interval of the run's share less the baseline's: Wilson's intervals of the two shares put together
    /// under their correlation, which is corrected for continuity (Newcombe, Statistics in Medicine 17 (1998),
    /// 2635–2650, method 10). `None` without pairs.
    pub(super) fn interval(&self) -> Option<(f64, f64)> {
        let n = self.n();
        if n == 0 {
            return None;
        }
        let share = |hits: u64| {
            let value = hits as f64 / n as f64;
            let (low, high) = wilson(value, n);
            (value, value - low, high - value)
        };
        let (run, run_below, run_above) = share(self.both + self.improved);
        let (baseline, baseline_below, baseline_above) = share(self.both + self.worsened);
        let correlation = self.correlation();
        let distance =
            |one: f64, other: f64| (one * one - 2.0 * correlation * one * other + other * other).max(0.0).sqrt();
        let delta = run - baseline;
        let low = delta - distance(run_below, baseline_above);
        let high = delta + distance(run_above, baseline_below);
        Some((low.max(-1.0), high.min(1.0)))
    }

    /// φ with its numerator drawn towards 0 by n/2 where it is above 0; 0 where all scores of a side are equal.
    fn correlation(&self) -> f64 {
        let [both, improved, worsened, neither] =
            [self.both, self.improved, self.worsened, self.neither].map(|count| count as f64);
        // In pairs, or the product of four counts might overflow its precision before the root is taken.
        let spread =
            ((both + improved) * (worsened + neither)).sqrt() * ((both + worsened) * (improved + neither)).sqrt();
        if spread == 0.0 {
            return 0.0;
        }
        let product = both * neither - improved * worsened;
        let half = (both + improved + worsened + neither) / 2.0;
        let corrected = if product > 0.0 { (product - half).max(0.0) } else { product };
        corrected / spread
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::draw::generator;
    use crate::resample::Population;

    fn table(both: u64, improved: u64, worsened: u64, neither: u64) -> Table {
        Table { both, improved, worsened, neither }
    }

    #[test]
    fn it_is_as_published() {
        // The examples of Fagerland, Lydersen and Laake, Statistics in Medicine 33 (2014), 2850–2875, to four digits as
        // the R package contingencytables has them, and of Altman et al., Statistics with Confidence (2000), table 6.2
        let published = [
            (table(1, 1, 7, 12), -0.5069, -0.0256),
            (table(59, 6, 16, 80), -0.1186, -0.0046),
            (table(14, 5, 0, 22), 0.0115, 0.2265),
        ];
        for (table, low, high) in published {
            let found = table.interval().expect("there are pairs");
            assert!((found.0 - low).abs() < 5.1e-5 && (found.1 - high).abs() < 5.1e-5, "{table:?}: {found:?}");
        }
    }

    #[test]
    fn pairs_that_all_agree_leave_room_for_a_difference() {
        let (low, high) = table(30, 0, 0, 70).interval().expect("there are pairs");
        assert!(low < -0.01 && high > 0.01 && low > -0.1 && high < 0.1, "{low} {high}");
        let (low, high) = table(1, 0, 0, 0).interval().expect("there is a pair");
        assert!((-1.0..-0.5).contains(&low) && high > 0.5, "{low} {high}");
        assert_eq!(Table::default().interval(), None);
    }

    #[test]
    fn nineteen_of_twenty_intervals_hold_the_true_difference() {
        // Of 100 kinds of pairs: 55 both, 15 improved, 5 worsened, 25 neither. The true difference is 0.1.
        for n in [20_u32, 80, 300] {
            let kinds = (0..n).map(|index| {
                let share = f64::from(index) / f64::from(n);
                let kind = if share < 0.55 {
                    (1.0, 1.0)
                } else if share < 0.7 {
                    (1.0, 0.0)
                } else if share < 0.75 {
                    (0.0, 1.0)
                } else {
                    (0.0, 0.0)
                };
                (kind, 1)
            });
            let population = Population::new(kinds);
            let (mut held, rounds) = (0, 4000);
            for round in 0..rounds {
                let mut sample = Table::default();
                let mut draw = generator(&format!("newcombe {n} {round}"));
                population.for_each(&mut draw, |(run, baseline), count| sample.add(run == 1.0, baseline == 1.0, count));
                let (low, high) = sample.interval().expect("there are pairs");
                held += u32::from((low..=high).contains(&0.1));
            }
            let coverage = f64::from(held) / f64::from(rounds);
            assert!((0.935..=0.975).contains(&coverage), "{n} pairs: {coverage}");
        }
    }

    proptest! {
        #[test]
        fn it_holds_the_difference_and_turns_with_the_sides(
            both in 0_u64..200, improved in 0_u64..200, worsened in 0_u64..200, neither in 0_u64..200,
        ) {
            prop_assume!(both + improved + worsened + neither > 0);
            let found = table(both, improved, worsened, neither);
            let delta = (improved as f64 - worsened as f64) / found.n() as f64;
            let (low, high) = found.interval().expect("there are pairs");
            prop_assert!(-1.0 <= low && low <= delta + 1e-12 && delta - 1e-12 <= high && high <= 1.0, "{low} {high}");
            let (turned_low, turned_high) = table(both, worsened, improved, neither).interval().expect("pairs");
            prop_assert!((low + turned_high).abs() < 1e-12 && (high + turned_low).abs() < 1e-12);
        }
    }
}
