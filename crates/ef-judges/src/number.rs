//! Numbers in a text.
//!
//! A number is ASCII digits, perhaps with a fraction after a point and a power of ten after an `e`: `18`, `.5`,
//! `1,234.5`, `6.02e23`. A comma is a thousands separator where it stands after one to three digits and before exactly
//! three: `1,234,567` is one number, `1,2` and `1234,567` are two each. A sign counts where it is not an operator: `-5` and `-$5` are negative, the 3
//! of `16-3` is not. What stands round a number (a currency sign, a full stop, `%`, a unit) is not part of it, so
//! `$1,234.50.` is 1234.5 and `18%` is 18. A fraction such as `3/4` is two numbers.

use std::borrow::Cow;

use crate::decimal::Decimal;

/// Which of several is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Take {
    /// The first.
    First,
    /// The last.
    #[default]
    Last,
}

impl Take {
    /// The first or the last.
    pub(crate) fn from<T>(self, mut several: impl Iterator<Item = T>) -> Option<T> {
        match self {
            Self::First => several.next(),
            Self::Last => several.last(),
        }
    }
}

/// The first or the last number in a text.
pub(crate) fn find(text: &str, take: Take) -> Option<Decimal> {
    let (start, end) = take.from(Spans { text, at: 0 })?;
    let unsigned = &text[start..end];
    let unsigned = if unsigned.contains(',') { Cow::Owned(unsigned.replace(',', "")) } else { Cow::Borrowed(unsigned) };
    if is_negative(&text[..start]) { Decimal::parse(&format!("-{unsigned}")) } else { Decimal::parse(&unsigned) }
}

/// The unsigned numbers of a text, as byte ranges. Each byte is looked at a bounded number of times.
struct Spans<'t> {
    text: &'t str,
    at: usize,
}

impl Iterator for Spans<'_> {
    type Item = (usize, usize);

    fn next(&mut self) -> Option<(usize, usize)> {
        let bytes = self.text.as_bytes();
        let start = (self.at..bytes.len()).find(|&at| {
            let begins_with_point = bytes[at] == b'.' && run_of_digits(bytes, at + 1) > 0;
            bytes[at].is_ascii_digit() || (begins_with_point && (at == 0 || !bytes[at - 1].is_ascii_digit()))
        });
        let Some(start) = start else {
            self.at = bytes.len();
            return None;
        };
        let mut end = start + run_of_digits(bytes, start);
        if (1..=3).contains(&(end - start)) {
            while bytes.get(end) == Some(&b',') && run_of_digits(bytes, end + 1) == 3 {
                end += 4;
            }
        }
        if bytes.get(end) == Some(&b'.') {
            let fraction = run_of_digits(bytes, end + 1);
            end += if fraction > 0 { 1 + fraction } else { 0 };
        }
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            let power = run_of_digits(bytes, end + 1 + sign);
            end += if power > 0 { 1 + sign + power } else { 0 };
        }
        self.at = end;
        Some((start, end))
    }
}

/// How many digits there are from a place on.
fn run_of_digits(bytes: &[u8], from: usize) -> usize {
    bytes.get(from..).map_or(0, |rest| rest.iter().take_while(|byte| byte.is_ascii_digit()).count())
}

const CURRENCIES: [char; 5] = ['$', '€', '£', '¥', '₹'];

/// Whether what stands before a number makes it negative.
fn is_negative(before: &str) -> bool {
    let before = before.strip_suffix(CURRENCIES).unwrap_or(before);
    let Some(before) = before.strip_suffix(['-', '\u{2212}']) else { return false };
    // After a value the sign is an operator or a hyphen.
    !before.ends_with(|c: char| c.is_alphanumeric() || c == ')' || c == '%')
}
