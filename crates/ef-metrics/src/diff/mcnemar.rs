//! McNemar's exact test.

use crate::sum::Sum;

/// The two-sided p-value of `improved` against `worsened` pairs, as likely as heads and tails if nothing changed: twice
/// the smaller tail of a binomial distribution with probability one half, at most 1 (McNemar, Psychometrika 12 (1947),
/// 153–157; in its exact form Fagerland, Lydersen and Laake, BMC Medical Research Methodology 13:91 (2013), section
/// "McNemar exact conditional test"). Without a pair that changed it is 1.
///
/// The probabilities are added up relative to the largest of them, with nothing but products and quotients, which are
/// the same on every platform. One below about 1e-300 becomes 0.
pub(super) fn p_value(improved: u64, worsened: u64) -> f64 {
    let (fewer, n) = (improved.min(worsened), improved + worsened);
    let centre = n / 2;
    if fewer == centre {
        return 1.0;
    }
    // P(X = k), downwards from the centre, as multiples of P(X = centre).
    let (mut tail, mut below) = (Sum::default(), Sum::default());
    let mut term = 1.0;
    for successes in (0..centre).rev() {
        term *= (successes + 1) as f64 / (n - successes) as f64;
        // Denormal numbers would stay where they are for as long as rounding takes each to itself.
        if term < f64::MIN_POSITIVE {
            break;
        }
        below.add(term);
        if successes <= fewer {
            tail.add(term);
        }
    }
    // The distribution is symmetric: an odd n has the centre twice.
    let centres = if n.is_multiple_of(2) { 1.0 } else { 2.0 };
    (2.0 * tail.get() / (2.0 * below.get() + centres)).min(1.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The binomial sum as the definition has it, in whole numbers.
    fn direct(improved: u32, worsened: u32) -> f64 {
        let n = improved + worsened;
        let (mut choose, mut tail) = (1_u128, 0_u128);
        for successes in 0..=improved.min(worsened) {
            tail += choose;
            choose = choose * u128::from(n - successes) / u128::from(successes + 1);
        }
        (2.0 * tail as f64 / (1_u128 << n) as f64).min(1.0)
    }

    #[test]
    fn it_is_the_p_value_of_the_books() {
        // R: binom.test(c(1, 7))$p.value, the airway example of Fagerland et al. (2013): 0.0703
        assert!((p_value(1, 7) - 0.070_312_5).abs() < 1e-15);
        // R: binom.test(c(6, 16))$p.value
        assert!((p_value(16, 6) - 0.052_478_790_283_203_125).abs() < 1e-14);
        assert_eq!(p_value(0, 0), 1.0);
        assert_eq!(p_value(3, 3), 1.0);
        assert_eq!(p_value(0, 1), 1.0);
        assert_eq!(p_value(0, 6), 0.03125);
    }

    #[test]
    fn many_pairs_neither_overflow_nor_take_long() {
        // Five standard deviations: the normal approximation with continuity correction gives 5.86e-7.
        let p = p_value(502_500, 497_500);
        assert!((p - 5.855e-7).abs() < 1e-8, "{p}");
        assert_eq!(p_value(0, 1 << 30), 0.0);
        assert!(p_value(1 << 30, (1 << 30) + 1) == 1.0);
    }

    proptest! {
        #[test]
        fn it_is_the_binomial_sum(improved in 0_u32..60, worsened in 0_u32..60) {
            let (found, expected) = (p_value(improved.into(), worsened.into()), direct(improved, worsened));
            prop_assert!((found - expected).abs() <= 1e-13 * expected, "{found} {expected}");
            prop_assert_eq!(found, p_value(worsened.into(), improved.into()));
        }
    }
}
