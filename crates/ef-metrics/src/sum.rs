//! Sums that lose nothing to rounding, so that the mean of equal scores is that score.

/// A compensated sum: what rounding takes from `high` is kept in `low` (Ogita, Rump and Oishi, "Accurate sum and dot
/// product", SIAM J. Sci. Comput. 26 (2005), algorithms 4.3 and 5.3: the result is as if computed in twice the
/// precision). It does the same on every platform; callers add in sorted order, so that the order of arrival is
/// forgotten.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sum {
    high: f64,
    low: f64,
}

impl Sum {
    pub(crate) fn add(&mut self, value: f64) {
        let high = self.high + value;
        let virtual_value = high - self.high;
        self.low += (self.high - (high - virtual_value)) + (value - virtual_value);
        self.high = high;
    }

    /// Adds `value` `count` times.
    pub(crate) fn add_times(&mut self, value: f64, count: u64) {
        let count = count as f64;
        let product = value * count;
        self.add(product);
        // The standard library's fused multiply-add is only as exact as the platform's.
        self.low += libm::fma(value, count, -product);
    }

    pub(crate) fn get(self) -> f64 {
        self.high + self.low
    }

    /// The sum divided by `divisor`, with the quotient's own rounding error made good.
    pub(crate) fn divided_by(self, divisor: f64) -> f64 {
        let quotient = self.get() / divisor;
        let remainder = libm::fma(-quotient, divisor, self.high) + self.low;
        quotient + remainder / divisor
    }
}

/// The factor, a power of two, that brings a magnitude near 1: sums and squares of what it multiplies neither overflow
/// nor vanish, and multiplying by it rounds nothing.
pub(crate) fn scale_for(magnitude: f64) -> f64 {
    let exponent = ((magnitude.to_bits() >> 52) & 0x7ff).clamp(23, 2023);
    f64::from_bits((2046 - exponent) << 52)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_rounding_takes_is_kept() {
        let mut sum = Sum::default();
        for value in [1e100, 1.0, -1e100, 1e-30] {
            sum.add(value);
        }
        assert_eq!(sum.get(), 1.0);

        let mut tenths = Sum::default();
        tenths.add_times(0.1, 10);
        assert_eq!(tenths.divided_by(10.0), 0.1);
    }

    #[test]
    fn a_scale_brings_every_magnitude_near_one() {
        for magnitude in [1.0, 1.5, 0.3, 1e300, f64::MAX, 1e-290] {
            let scaled = magnitude * scale_for(magnitude);
            assert!((1.0..2.0_f64.powi(30)).contains(&scaled), "{magnitude} became {scaled}");
        }
        assert_eq!(scale_for(1.0), 1.0);
        assert_eq!(0.0 * scale_for(0.0), 0.0);
    }

    proptest! {
        #[test]
        fn the_mean_of_equal_values_is_that_value(value in -1e9..1e9, count in 1_u64..1_000_000) {
            let mut sum = Sum::default();
            sum.add_times(value, count);
            prop_assert_eq!(sum.divided_by(count as f64), value);
        }
    }
}
