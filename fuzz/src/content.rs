//! Whether a message gives away what was read.

use std::cell::OnceCell;
use std::collections::HashSet;

/// So many bytes in a row are a quotation. Shorter ones happen by chance: numbers, places, words of the message itself.
const RUN: usize = 32;

/// What was read.
pub(crate) struct Content<'b> {
    bytes: &'b [u8],
    /// Hashes of all runs. A fuzzer sees what bytes are compared with and would put the message into its next input;
    /// hashes tell it nothing.
    runs: OnceCell<HashSet<u64>>,
}

impl<'b> Content<'b> {
    pub(crate) const fn new(bytes: &'b [u8]) -> Self {
        Self { bytes, runs: OnceCell::new() }
    }

    /// Checks that a message quotes nothing but names of columns, which it puts in quotes.
    ///
    /// # Panics
    ///
    /// When it does.
    pub(crate) fn assert_not_in(&self, message: &str) {
        let known = self.runs.get_or_init(|| runs(self.bytes).collect());
        for words in outside_quotes(message) {
            assert!(!runs(words.as_bytes()).any(|run| known.contains(&run)), "the message quotes the input: {message}");
        }
    }
}

fn runs(bytes: &[u8]) -> impl Iterator<Item = u64> {
    let hash = |run: &[u8]| run.iter().fold(0_u64, |hash, byte| hash.wrapping_mul(0x100_0000_01b3) ^ u64::from(*byte));
    bytes.windows(RUN).map(hash)
}

/// The parts of a message that are not within `"…"`. Quotes inside are escaped.
fn outside_quotes(message: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut start, mut quoted, mut escaped) = (0, false, false);
    for (at, c) in message.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = quoted,
            '"' => {
                if !quoted {
                    parts.push(&message[start..at]);
                }
                quoted = !quoted;
                start = at + 1;
            }
            _ => {}
        }
    }
    if !quoted {
        parts.push(&message[start..]);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "the patient said that it hurts since the day before";

    #[test]
    fn a_column_name_may_be_shown() {
        let content = Content::new(SECRET.as_bytes());
        content.assert_not_in("line 3: invalid JSON at column 8");
        content.assert_not_in(&format!("the column {:?} is not a field", format!("{SECRET}\"")));
    }

    #[test]
    #[should_panic(expected = "quotes the input")]
    fn a_quotation_is_found() {
        Content::new(SECRET.as_bytes()).assert_not_in(&format!("expected a number after \"a\\\"b\" in {SECRET}"));
    }
}
