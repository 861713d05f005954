//! 95 % intervals from formulas.

/// The 97.5 % quantile of the standard normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// Wilson's score interval for a share `value` of `n` (Wilson, J. Amer. Statist. Assoc. 22 (1927), 209–212). `n` is at
/// least 1.
pub(crate) fn wilson(value: f64, n: u64) -> (f64, f64) {
    let n = n as f64;
    let z2 = Z * Z;
    let centre = value + z2 / (2.0 * n);
    let half = Z * (value * (1.0 - value) / n + z2 / (4.0 * n * n)).sqrt();
    let divisor = 1.0 + z2 / n;
    // At the ends the formula gives the end itself, but for rounding.
    let low = if value <= 0.0 { 0.0 } else { (centre - half) / divisor };
    let high = if value >= 1.0 { 1.0 } else { (centre + half) / divisor };
    (low.max(0.0), high.min(1.0))
}

/// Student's interval around a mean; `degrees` of freedom of at least 1. `None` where there is no spread: a sample that
/// does not vary says nothing of how much it could.
pub(crate) fn student_t(value: f64, standard_error: f64, degrees: u64) -> Option<(f64, f64)> {
    let half = t_quantile(degrees) * standard_error;
    (standard_error > 0.0).then_some((value - half, value + half))
}

/// The 97.5 % quantile of Student's t distribution, to about 13 digits. Written out here, because this one quantile
/// needs nothing but square roots and one arc tangent, which are the same on every platform.
pub(crate) fn t_quantile(degrees: u64) -> f64 {
    if degrees > 1000 {
        return t_quantile_far(degrees as f64);
    }
    let (mut low, mut high) = (Z, 12.8);
    loop {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high {
            return high;
        }
        if t_within(middle, degrees) < 0.95 {
            low = middle;
        } else {
            high = middle;
        }
    }
}

/// P(|T| ≤ t) for whole degrees of freedom: Abramowitz and Stegun, *Handbook of Mathematical Functions*, 26.7.3 (odd)
/// and 26.7.4 (even).
fn t_within(t: f64, degrees: u64) -> f64 {
    let freedom = degrees as f64;
    let cosine2 = freedom / (freedom + t * t);
    let sine = t / (freedom + t * t).sqrt();
    let series = |first: u64| {
        let (mut term, mut sum) = (1.0, 1.0);
        for divisor in (first..degrees).step_by(2).skip(1) {
            term *= cosine2 * (divisor - 1) as f64 / divisor as f64;
            sum += term;
        }
        sum
    };
    if degrees.is_multiple_of(2) {
        return sine * series(0);
    }
    let angle = libm::atan(t / freedom.sqrt());
    let rest = if degrees == 1 { 0.0 } else { sine * cosine2.sqrt() * series(1) };
    (angle + rest) * std::f64::consts::FRAC_2_PI
}

/// The expansion for many degrees of freedom: Abramowitz and Stegun, 26.7.5.
fn t_quantile_far(degrees: f64) -> f64 {
    let z2 = Z * Z;
    let g1 = (z2 + 1.0) / 4.0;
    let g2 = ((5.0 * z2 + 16.0) * z2 + 3.0) / 96.0;
    let g3 = (((3.0 * z2 + 19.0) * z2 + 17.0) * z2 - 15.0) / 384.0;
    let g4 = ((((79.0 * z2 + 776.0) * z2 + 1482.0) * z2 - 1920.0) * z2 - 945.0) / 92_160.0;
    Z * (1.0 + (g1 + (g2 + (g3 + g4 / degrees) / degrees) / degrees) / degrees)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn t_quantiles_are_those_of_the_tables() {
        // SciPy 1.17: stats.t.ppf(0.975, df)
        let known = [
            (1, 12.706_204_736_174_694),
            (2, 4.302_652_729_749_462),
            (3, 3.182_446_305_283_708),
            (4, 2.776_445_105_197_793),
            (5, 2.570_581_835_636_315),
            (7, 2.364_624_251_592_784),
            (10, 2.228_138_851_986_274),
            (30, 2.042_272_456_301_238),
            (100, 1.983_971_518_523_552),
            (1000, 1.962_339_080_826_408),
            (1001, 1.962_336_705_280_88),
            (5000, 1.960_438_551_706_507),
        ];
        for (degrees, expected) in known {
            let quantile = t_quantile(degrees);
            assert!((quantile - expected).abs() < 2e-13, "{degrees} degrees of freedom: {quantile}, not {expected}");
        }
    }

    #[test]
    fn the_two_ways_to_a_t_quantile_meet() {
        for degrees in [400, 999, 1000] {
            assert!((t_quantile(degrees) - t_quantile_far(degrees as f64)).abs() < 1e-12);
        }
        assert!(t_quantile(1000) > t_quantile(1001) && t_quantile(1001) > t_quantile(1 << 53));
        assert!((t_quantile(1 << 53) - Z).abs() < 1e-15);
    }

    #[test]
    fn wilson_is_as_published() {
        // Newcombe, Statistics in Medicine 17 (1998), 857–872, table I, method 3
        let published = [
            (81.0, 263, 0.2553, 0.3662),
            (15.0, 148, 0.0624, 0.1605),
            (0.0, 20, 0.0, 0.1611),
            (1.0, 29, 0.0061, 0.1718),
        ];
        for (hits, n, low, high) in published {
            let interval = wilson(hits / n as f64, n);
            assert!((interval.0 - low).abs() < 5e-5 && (interval.1 - high).abs() < 5e-5, "{hits}/{n}: {interval:?}");
        }
    }

    proptest! {
        #[test]
        fn wilson_contains_the_share_and_is_symmetric(n in 1_u64..1_000_000, share in 0.0..=1.0_f64) {
            let hits = (share * n as f64).round();
            let value = hits / n as f64;
            let (low, high) = wilson(value, n);
            prop_assert!(0.0 <= low && low <= value && value <= high && high <= 1.0);
            let (mirrored_low, mirrored_high) = wilson((n as f64 - hits) / n as f64, n);
            prop_assert!((low + mirrored_high - 1.0).abs() < 1e-12 && (high + mirrored_low - 1.0).abs() < 1e-12);
        }
    }
}
