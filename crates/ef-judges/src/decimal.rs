//! Decimal numbers of any length, exactly: 0.1 is a tenth, and 2^53 + 1 is not 2^53.

use std::borrow::Cow;
use std::cmp::Ordering;

/// A decimal number in its only form: equal numbers are equal values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decimal {
    negative: bool,
    /// Most significant first, without zeros at either end; none for zero.
    digits: Vec<u8>,
    /// The number is `digits` times ten to this power; 0 for zero.
    exponent: i64,
}

/// The largest power of ten that is read, so that sums of powers fit 64 bits.
const MAX_EXPONENT: u64 = 1 << 60;

/// The most digits that arithmetic writes out; what is further below the first digit is dropped.
const MAX_DIGITS: usize = 100_000;

impl Decimal {
    pub(crate) const ZERO: Self = Self { negative: false, digits: Vec::new(), exponent: 0 };

    /// Reads a number as JSON writes it; `+5`, `05`, `.5` and `5.` are read too. `None` for what is no number, and for a power
    /// of ten beyond 2^60.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (negative, unsigned) = match text.strip_prefix(['-', '+']) {
            Some(rest) => (text.starts_with('-'), rest),
            None => (false, text),
        };
        let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if (whole.is_empty() && fraction.is_empty()) || !all_digits(whole) || !all_digits(fraction) {
            return None;
        }
        let exponent_digits = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
        if exponent_digits.is_empty() || !all_digits(exponent_digits) {
            return None;
        }
        let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).map(|byte| byte - b'0').collect();
        if digits.iter().all(|digit| *digit == 0) {
            return Some(Self::ZERO);
        }
        let exponent = exponent.parse::<i64>().ok().filter(|exponent| exponent.unsigned_abs() <= MAX_EXPONENT)?;
        Some(Self::normalised(negative, digits, exponent.checked_sub_unsigned(fraction.len() as u64)?))
    }

    /// The decimal that a double is written as in its shortest form; `None` unless it is finite.
    pub(crate) fn from_f64(value: f64) -> Option<Self> {
        Self::parse(&format!("{value:e}"))
    }

    /// Whether the two are at most `absolute`, or `relative` times the size of `expected`, apart.
    pub(crate) fn is_near(&self, expected: &Self, absolute: &Self, relative: &Self) -> bool {
        if self == expected {
            return true;
        }
        if absolute.is_zero() && relative.is_zero() {
            return false;
        }
        let distance = self.distance(expected);
        let is_within = |bound: &Self| distance.compare_size(bound) != Ordering::Greater;
        is_within(absolute) || is_within(&expected.times(relative))
    }

    fn is_zero(&self) -> bool {
        self.digits.is_empty()
    }

    /// Strips the zeros at both ends of the digits, whose last stands for ten to `exponent`.
    fn normalised(negative: bool, mut digits: Vec<u8>, exponent: i64) -> Self {
        let Some(last) = digits.iter().rposition(|digit| *digit != 0) else { return Self::ZERO };
        let stripped = digits.len() - 1 - last;
        digits.truncate(last + 1);
        let zeros = digits.iter().take_while(|digit| **digit == 0).count();
        digits.drain(..zeros);
        Self { negative, digits, exponent: exponent.saturating_add_unsigned(stripped as u64) }
    }

    /// The power of ten above the first digit.
    const fn top(&self) -> i64 {
        self.exponent.saturating_add_unsigned(self.digits.len() as u64)
    }

    /// Compares without the signs.
    fn compare_size(&self, other: &Self) -> Ordering {
        match (self.is_zero(), other.is_zero()) {
            (false, false) => self.top().cmp(&other.top()).then_with(|| self.digits.cmp(&other.digits)),
            (self_is_zero, other_is_zero) => other_is_zero.cmp(&self_is_zero),
        }
    }

    /// How far apart the two are, without a sign.
    fn distance(&self, other: &Self) -> Self {
        let (larger, smaller) = if self.compare_size(other) == Ordering::Less { (other, self) } else { (self, other) };
        if smaller.is_zero() {
            return Self { negative: false, ..larger.clone() };
        }
        // One place more than the larger has, for the carry.
        let top = larger.top() + 1;
        let bottom = larger.exponent.min(smaller.exponent).max(top - MAX_DIGITS as i64);
        let sign = if self.negative == other.negative { -1 } else { 1 };
        let digit = |number: &Self, place: i64| -> i8 {
            let at = usize::try_from(number.top() - 1 - place).ok();
            at.and_then(|at| number.digits.get(at)).map_or(0, |digit| digit.cast_signed())
        };
        let mut carry = 0;
        let mut digits: Vec<u8> = (bottom..top)
            .map(|place| {
                let sum = digit(larger, place) + sign * digit(smaller, place) + carry;
                carry = sum.div_euclid(10);
                sum.rem_euclid(10).cast_unsigned()
            })
            .collect();
        digits.reverse();
        Self::normalised(false, digits, bottom)
    }

    /// The product, without a sign.
    fn times(&self, other: &Self) -> Self {
        let (a, b) = (self.shortened(), other.shortened());
        let mut digits = vec![0_u8; a.digits.len() + b.digits.len()];
        for (i, a) in a.digits.iter().enumerate().rev() {
            let mut carry = 0_u8;
            for (j, b) in b.digits.iter().enumerate().rev() {
                // At most 9 + 81 + 9.
                let sum = digits[i + j + 1] + a * b + carry;
                digits[i + j + 1] = sum % 10;
                carry = sum / 10;
            }
            digits[i] = carry;
        }
        Self::normalised(false, digits, a.exponent + b.exponent)
    }

    /// The number with no more than [`MAX_DIGITS`] digits.
    fn shortened(&self) -> Cow<'_, Self> {
        if self.digits.len() <= MAX_DIGITS {
            return Cow::Borrowed(self);
        }
        let dropped = self.digits.len() - MAX_DIGITS;
        let digits = self.digits[..MAX_DIGITS].to_vec();
        Cow::Owned(Self::normalised(false, digits, self.exponent.saturating_add_unsigned(dropped as u64)))
    }
}
