//! The Kolmogorov–Smirnov test.

use crate::multiset::{Ordered, Run, add_up, size};

/// What a Kolmogorov–Smirnov test says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KsTest {
    /// D, the largest distance between the two distribution functions: 0 to 1.
    pub statistic: f64,
    /// The probability of a distance this large where both come from one distribution.
    pub p_value: f64,
}

/// The two-sample test: do these scores come from one distribution?
///
/// The p-value is the asymptotic one, Q(√n_eff · D) with n_eff = n·m / (n+m) and Kolmogorov's limit distribution
/// (Kolmogorov 1933; Smirnov, Ann. Math. Statist. 19 (1948), 279–281): R's `ks.test(exact = FALSE)`. It holds for
/// continuous scores; ties make it conservative, that is, too large.
///
/// `None` where a sample is empty or holds NaN.
#[must_use]
pub fn ks_two_sample(a: &[f64], b: &[f64]) -> Option<KsTest> {
    if a.iter().chain(b).any(|score| score.is_nan()) {
        return None;
    }
    two_sample(&count(a), &count(b))
}

fn count(scores: &[f64]) -> Vec<Run<Ordered>> {
    let mut runs = scores.iter().map(|&score| (Ordered::new(score), 1)).collect();
    add_up(&mut runs);
    runs
}

/// The two-sample test over sorted runs.
pub(crate) fn two_sample(a: &[Run<Ordered>], b: &[Run<Ordered>]) -> Option<KsTest> {
    let (n, m) = (size(a) as f64, size(b) as f64);
    if n == 0.0 || m == 0.0 {
        return None;
    }
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    let (mut below_a, mut below_b, mut statistic) = (0, 0, 0.0_f64);
    while let Some(score) = a.peek().into_iter().chain(b.peek()).map(|run| run.0).min() {
        below_a += a.next_if(|run| run.0 == score).map_or(0, |run| run.1);
        below_b += b.next_if(|run| run.0 == score).map_or(0, |run| run.1);
        statistic = statistic.max((below_a as f64 / n - below_b as f64 / m).abs());
    }
    Some(KsTest { statistic, p_value: kolmogorov_tail((n * m / (n + m)).sqrt() * statistic) })
}

/// The one-sample test over sorted runs against the uniform distribution on [0, 1]; n_eff is n.
pub(crate) fn against_uniform(runs: &[Run<Ordered>]) -> Option<KsTest> {
    let n = size(runs) as f64;
    if n == 0.0 {
        return None;
    }
    let (mut below, mut statistic) = (0, 0.0_f64);
    for &(score, count) in runs {
        let expected = score.get().clamp(0.0, 1.0);
        statistic = statistic.max(expected - below as f64 / n);
        below += count;
        statistic = statistic.max(below as f64 / n - expected);
    }
    Some(KsTest { statistic, p_value: kolmogorov_tail(n.sqrt() * statistic) })
}

/// Q(x) = P(K > x) of Kolmogorov's distribution: 2 Σ (−1)^(k−1) e^(−2k²x²), and for small x, where that converges
/// slowly, 1 − √(2π)/x · Σ e^(−(2k−1)²π²/(8x²)) (Feller, Ann. Math. Statist. 19 (1948), 177–189, 1.4 and 1.5).
fn kolmogorov_tail(x: f64) -> f64 {
    use std::f64::consts::{PI, TAU};

    if x < 0.04 {
        return 1.0;
    }
    let tail = if x < 1.18 {
        let step = PI * PI / (8.0 * x * x);
        let sum: f64 = [7.0, 5.0, 3.0, 1.0_f64].iter().map(|odd| libm::exp(-odd * odd * step)).sum();
        1.0 - TAU.sqrt() / x * sum
    } else {
        let term = |k: f64| libm::exp(-2.0 * k * k * x * x);
        2.0 * (term(1.0) - term(2.0) + term(3.0) - term(4.0))
    };
    tail.clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_tail_is_that_of_the_tables() {
        // SciPy 1.17: special.kolmogorov and the usual critical values by special.kolmogi
        let known = [
            (0.5, 0.963_945_243_664_875_1),
            (0.83, 0.496_190_995_350_503_6),
            (1.0, 0.269_999_671_677_354_6),
            (1.5, 0.022_217_962_616_525_13),
            (2.0, 0.000_670_925_255_779_695_3),
            (1.223_847_87, 0.10),
            (1.358_098_64, 0.05),
            (1.627_623_61, 0.01),
        ];
        for (x, tail) in known {
            assert!((kolmogorov_tail(x) - tail).abs() < 1e-8, "at {x}: {}", kolmogorov_tail(x));
        }
    }

    #[test]
    fn tests_agree_with_those_of_scipy() {
        let scores = [0.3, 0.25, 0.9, 0.91, 0.7, 0.1, 1.0, 0.55];
        // stats.kstest(scores, "uniform", method="asymp")
        let uniform = against_uniform(&count(&scores)).expect("there are scores");
        assert!((uniform.statistic - 0.275).abs() < 1e-15);
        assert!((uniform.p_value - 0.580_617_730_423_519_6).abs() < 1e-14);
        // stats.ks_2samp for D, special.kolmogorov(sqrt(35/12) * D) for p
        let (a, b) = ([0.1, 0.4, 0.4, 0.7, 0.9], [0.3, 0.4, 0.8, 0.8, 0.85, 0.95, 1.0]);
        let test = ks_two_sample(&a, &b).expect("both have scores");
        assert!((test.statistic - 0.514_285_714_285_714_3).abs() < 1e-15);
        assert!((test.p_value - 0.423_364_279_435_853_1).abs() < 1e-14);
    }

    #[test]
    fn the_two_series_meet_and_the_tail_falls() {
        let tails: Vec<_> = (0..400).map(|step| kolmogorov_tail(f64::from(step) * 0.01)).collect();
        assert!(tails.is_sorted_by(|earlier, later| earlier >= later));
        assert!((kolmogorov_tail(1.18 - 1e-12) - kolmogorov_tail(1.18)).abs() < 1e-11);
    }

    #[test]
    fn a_worked_example_by_hand() {
        // Distribution functions after 1, 2, 3, 4, 5: a 1/3, 2/3, 1, 1, 1; b 0, 0, 1/3, 2/3, 1
        let test = ks_two_sample(&[1.0, 2.0, 3.0], &[3.0, 4.0, 5.0]).expect("both have scores");
        assert!((test.statistic - 2.0 / 3.0).abs() < 1e-15);
        assert!((test.p_value - kolmogorov_tail(1.5_f64.sqrt() * 2.0 / 3.0)).abs() < 1e-15);
        // Against the uniform: the step at 0.25 rises from 0 to 1/2, the one at 0.3 to 1: D = 1 − 0.3
        let uniform = against_uniform(&count(&[0.3, 0.25])).expect("there are scores");
        assert!((uniform.statistic - 0.7).abs() < 1e-15);
    }

    #[test]
    fn scores_outside_of_the_unit_interval_are_far_from_uniform() {
        assert_eq!(against_uniform(&count(&[-3.0, -2.0])).map(|test| test.statistic), Some(1.0));
        assert_eq!(against_uniform(&count(&[7.0])).map(|test| test.statistic), Some(1.0));
    }

    #[test]
    fn nothing_is_said_of_nothing() {
        assert_eq!(ks_two_sample(&[], &[1.0]), None);
        assert_eq!(ks_two_sample(&[1.0], &[]), None);
        assert_eq!(ks_two_sample(&[1.0], &[f64::NAN]), None);
        assert_eq!(against_uniform(&[]), None);
    }

    proptest! {
        #[test]
        fn the_statistic_is_the_largest_distance_between_the_distribution_functions(
            a in prop::collection::vec(-5_i8..5, 1..40),
            b in prop::collection::vec(-5_i8..5, 1..40),
        ) {
            let scores = |sample: &[i8]| sample.iter().map(|&score| f64::from(score)).collect::<Vec<_>>();
            let share = |sample: &[i8], at: i8| {
                sample.iter().filter(|&&score| score <= at).count() as f64 / sample.len() as f64
            };
            let distance = (-5..5).map(|at| (share(&a, at) - share(&b, at)).abs()).fold(0.0, f64::max);
            let test = ks_two_sample(&scores(&a), &scores(&b)).expect("both have scores");
            prop_assert!((test.statistic - distance).abs() < 1e-12);
            prop_assert_eq!(Some(test), ks_two_sample(&scores(&b), &scores(&a)));
            prop_assert!((0.0..=1.0).contains(&test.p_value));
        }
    }
}
