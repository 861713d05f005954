//! The text of a spec as reports show it.

use std::fmt;

use miette::{MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents};

use crate::password;
use crate::tree::Span;

/// A longer line is shown in part, and no longer label is drawn.
const LONGEST_LINE: usize = 160;
const LONGEST_LABEL: usize = 60;

/// A named text. What it shows has the same length in bytes as what was read, with control characters, invalid bytes
/// and passwords replaced: a report goes to terminals and to the logs of build machines.
pub(crate) struct SourceText {
    name: String,
    /// Valid UTF-8, and as long as what was read.
    shown: String,
    line_starts: Vec<usize>,
}

impl fmt::Debug for SourceText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceText").field("name", &self.name).finish_non_exhaustive()
    }
}

impl SourceText {
    pub(crate) fn new(name: &str, bytes: &[u8]) -> Self {
        let shown = password::masked(showable(bytes));
        let line_starts =
            std::iter::once(0).chain(shown.bytes().enumerate().filter(|(_, b)| *b == b'\n').map(|(at, _)| at + 1));
        Self {
            name: name.chars().map(|c| if c.is_control() { '?' } else { c }).collect(),
            line_starts: line_starts.collect(),
            shown,
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The text at a place.
    pub(crate) fn slice(&self, span: Span) -> &str {
        self.shown.get(span.start..span.end).unwrap_or_default()
    }

    /// Line and column of a byte, both from 1; the column counts characters.
    pub(crate) fn position(&self, byte: usize) -> (usize, usize) {
        let line = self.line_of(byte);
        (line + 1, self.shown[self.line_starts[line]..self.floor(byte)].chars().count() + 1)
    }

    /// The part of a span that can be underlined: in one line, and short.
    pub(crate) fn underlined(&self, span: Span) -> SourceSpan {
        let line_end = self.line_end(self.line_of(self.floor(span.start)));
        let start = self.floor(span.start).min(line_end);
        let end = self.floor(span.end.clamp(start, line_end).min(start + LONGEST_LABEL));
        (start, end - start).into()
    }

    /// The character boundary at or before a byte.
    fn floor(&self, byte: usize) -> usize {
        self.shown.floor_char_boundary(byte)
    }

    fn line_of(&self, byte: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= byte).saturating_sub(1)
    }

    /// The end of a line, its line break not included.
    fn line_end(&self, line: usize) -> usize {
        let end = self.line_starts.get(line + 1).map_or(self.shown.len(), |next| next - 1);
        if self.shown[self.line_starts[line]..end].ends_with('\r') { end - 1 } else { end }
    }

    fn is_long(&self, line: usize) -> bool {
        self.line_end(line) - self.line_starts[line] > LONGEST_LINE
    }
}

impl SourceCode for SourceText {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        lines_before: usize,
        lines_after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let (from, to) = (span.offset(), span.offset() + span.len());
        if to > self.shown.len() {
            return Err(MietteError::OutOfBounds);
        }
        let (mut first, mut last) = (self.line_of(from), self.line_of(to));
        let (start, end) = if (first..=last).any(|line| self.is_long(line)) {
            if to - from > LONGEST_LINE {
                // Two labels that lie far apart in one long line: each is shown by itself.
                return Err(MietteError::OutOfBounds);
            }
            let window = self.floor(from.saturating_sub(LONGEST_LINE / 4)).max(self.line_starts[first]);
            (window, self.floor(to + LONGEST_LINE / 4).min(self.line_end(last)))
        } else {
            (0..lines_before).for_each(|_| first -= usize::from(first > 0 && !self.is_long(first - 1)));
            let lines = self.line_starts.len();
            (0..lines_after).for_each(|_| last += usize::from(last + 1 < lines && !self.is_long(last + 1)));
            (self.line_starts[first], self.line_end(last))
        };
        let start = if lines_before == 0 { self.floor(from) } else { start };
        let (line, column) = self.position(start);
        let data = &self.shown.as_bytes()[start..end.max(start)];
        let covered = (start, data.len()).into();
        // Labels that are near are shown in one piece: the count says how far this piece reaches.
        let lines = last - first + 1;
        let contents = MietteSpanContents::new_named(self.name.clone(), data, covered, line - 1, column - 1, lines);
        Ok(Box::new(contents))
    }
}

/// The bytes as text of the same length, without what could move a terminal's cursor or mislead the eye.
fn showable(bytes: &[u8]) -> String {
    let mut shown = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c.len_utf8() {
                _ if matches!(c, '\n' | '\r' | '\t') || !misleads(c) => shown.push(c),
                1 => shown.push('?'),
                2 => shown.push('\u{bf}'),
                _ => shown.push('\u{fffd}'),
            }
        }
        shown.extend(chunk.invalid().iter().map(|_| '?'));
    }
    shown
}

/// Control characters, and those that change the direction of writing.
pub(crate) fn misleads(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_shown_is_as_long_as_what_was_read(bytes in prop::collection::vec(any::<u8>(), 0..60), text in "\\PC{0,20}|[\\u{0}-\\u{9f}\\u{200e}-\\u{202e}]{0,20}") {
            for bytes in [&bytes[..], text.as_bytes()] {
                let source = SourceText::new("x", bytes);
                prop_assert_eq!(source.shown.len(), bytes.len());
                prop_assert!(!source.shown.chars().any(|c| misleads(c) && !"\n\r\t".contains(c)));
            }
        }

        #[test]
        fn every_place_of_a_text_can_be_shown(text in "([a-z😀é]{0,90}(\n|\r\n)?){0,6}", from in 0_usize..600, length in 0_usize..300) {
            let source = SourceText::new("x", text.as_bytes());
            let from = from.min(text.len());
            let label = source.underlined(Span { start: from, end: (from + length).min(text.len()) });
            let context = source.read_span(&label, 1, 1).expect("a label is short");
            let shown = std::str::from_utf8(context.data()).expect("whole characters");
            prop_assert_eq!(&text[context.span().offset()..][..shown.len()], shown);
            prop_assert!(context.span().offset() <= label.offset());
            prop_assert!(label.offset() + label.len() <= context.span().offset() + shown.len());
            prop_assert!(shown.len() <= 3 * LONGEST_LINE + 6, "{}", shown.len());
            prop_assert_eq!(text[..context.span().offset()].matches('\n').count(), context.line());
        }
    }
}
