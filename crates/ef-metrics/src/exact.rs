//! A sum that is rounded once, at its end, so that it does not depend on the order in which it was added up.

/// Bits that doubles reach: from 2^-1074 to below 2^1024, and room for the carries of 2^64 additions.
const LIMBS: usize = (1074 + 1024 + 64usize).div_ceil(64);
/// Bits of a double's significand that are stored.
const STORED: u32 = 52;

/// The exact sum of doubles that are neither negative nor NaN nor infinite, in fixed point: a wide integer that counts
/// multiples of 2^-1074, the smallest double (Kulisch's long accumulator: U. Kulisch, "Computer Arithmetic and Validity",
/// de Gruyter 2008, chapter 8). It takes the same memory for one number as for a billion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExactSum {
    /// The lowest bits first.
    limbs: [u64; LIMBS],
}

impl Default for ExactSum {
    fn default() -> Self {
        Self { limbs: [0; LIMBS] }
    }
}

impl ExactSum {
    /// Adds a number. What is negative, infinite or NaN adds nothing.
    pub fn add(&mut self, value: f64) {
        if !value.is_finite() || value.is_sign_negative() {
            return;
        }
        let bits = value.to_bits();
        let (exponent, fraction) = (bits >> STORED, bits & ((1 << STORED) - 1));
        // Subnormal numbers have the exponent of the smallest normal ones, and no hidden bit.
        let (shift, significand) = match exponent {
            0 => (0, fraction),
            exponent => (exponent - 1, fraction | 1 << STORED),
        };
        let wide = u128::from(significand) << (shift % 64);
        let at = usize::try_from(shift / 64).expect("a double's exponent has eleven bits");
        let mut carry = wide;
        for limb in &mut self.limbs[at..] {
            if carry == 0 {
                break;
            }
            carry += u128::from(*limb);
            *limb = low(carry);
            carry >>= 64;
        }
    }

    /// The sum, rounded to the nearest double, of two equally near to the even one; infinite beyond the largest.
    #[must_use]
    pub fn get(&self) -> f64 {
        let Some(limb) = self.limbs.iter().rposition(|limb| *limb != 0) else { return 0.0 };
        let top = limb * 64 + 63 - self.limbs[limb].leading_zeros() as usize;
        let Some(dropped) = top.checked_sub(STORED as usize).filter(|dropped| *dropped > 0) else {
            // So small that all bits are kept: a double's bits are then the number itself.
            return f64::from_bits(self.limbs[0]);
        };
        let kept = self.bits_from(dropped);
        let is_above_half = self.bit(dropped - 1) && (kept & 1 == 1 || self.any_below(dropped - 1));
        let significand = kept + u64::from(is_above_half);
        // A carry out of the significand raises the exponent by one, as it should.
        let bits = ((dropped as u64) << STORED) + significand;
        f64::from_bits(bits.min(f64::INFINITY.to_bits()))
    }

    /// The 53 bits from this one on, of which the last is the highest that is set.
    fn bits_from(&self, at: usize) -> u64 {
        let wide =
            u128::from(self.limbs[at / 64]) | u128::from(self.limbs.get(at / 64 + 1).copied().unwrap_or(0)) << 64;
        low(wide >> (at % 64)) & ((1 << (STORED + 1)) - 1)
    }

    fn bit(&self, at: usize) -> bool {
        self.limbs[at / 64] >> (at % 64) & 1 == 1
    }

    fn any_below(&self, at: usize) -> bool {
        let below = (1_u64 << (at % 64)) - 1;
        self.limbs[..at / 64].iter().any(|limb| *limb != 0) || self.limbs[at / 64] & below != 0
    }
}

/// The lowest 64 bits.
#[allow(clippy::cast_possible_truncation, reason = "that is what it is for")]
const fn low(wide: u128) -> u64 {
    wide as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sum(values: impl IntoIterator<Item = f64>) -> f64 {
        let mut sum = ExactSum::default();
        values.into_iter().for_each(|value| sum.add(value));
        sum.get()
    }

    #[test]
    fn a_single_number_comes_back_as_it_was() {
        for value in [0.0, 5e-324, 2.2e-308, f64::MIN_POSITIVE, 0.1, 1.0, 3.5e9, f64::MAX] {
            assert_eq!(sum([value]), value);
        }
    }

    #[test]
    fn nothing_is_lost_to_rounding_before_the_end() {
        assert_eq!(sum([1.0].into_iter().chain(std::iter::repeat_n(1e-16, 100_000))), 1.0 + 1e-11);
        assert_eq!(sum([0.1; 10]), 1.0, "0.1 is a little more than a tenth, and ten of them are nearest to one");
        assert_eq!(sum([f64::MAX, 5e-324]), f64::MAX);
        assert_eq!(sum([f64::MAX, f64::MAX]), f64::INFINITY);
        // Half a unit in the last place goes to the even neighbour, and a trace more to the upper one.
        let unit = f64::EPSILON;
        assert_eq!(sum([1.0, unit / 2.0]), 1.0);
        assert_eq!(sum([1.0, unit, unit / 2.0]), 1.0 + 2.0 * unit);
        assert_eq!(sum([1.0, unit / 2.0, 5e-324]), 1.0 + unit);
    }

    #[test]
    fn what_is_no_amount_adds_nothing() {
        assert_eq!(sum([f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, -0.0, 0.25]), 0.25);
    }

    proptest! {
        #[test]
        fn the_order_does_not_matter(mut values in prop::collection::vec(0.0..1e300, 0..50), by in 0_usize..50) {
            let there = sum(values.iter().copied());
            let by = by.min(values.len());
            values.rotate_left(by);
            prop_assert_eq!(there.to_bits(), sum(values.iter().copied()).to_bits());
            values.sort_by(f64::total_cmp);
            prop_assert_eq!(there.to_bits(), sum(values).to_bits());
        }

        #[test]
        fn two_numbers_add_up_as_the_processor_adds_them(one in any::<f64>(), other in any::<f64>()) {
            let (one, other) = (one.abs(), other.abs());
            prop_assume!(one.is_finite() && other.is_finite());
            prop_assert_eq!(sum([one, other]), one + other);
        }

        #[test]
        fn integers_add_up_exactly(values in prop::collection::vec(0_u32.., 0..200)) {
            let exact: u64 = values.iter().copied().map(u64::from).sum();
            prop_assert_eq!(sum(values.into_iter().map(f64::from)), exact as f64);
        }
    }
}
