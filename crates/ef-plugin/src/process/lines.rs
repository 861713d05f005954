//! Bytes that arrive in pieces, as lines of a bounded length.

/// How many bytes are read at once.
const CHUNK: usize = 64 << 10;
/// A buffer that one long line made larger than this is given back.
const KEPT: usize = 1 << 20;

/// Splits bytes that arrive in pieces into lines. It never holds more than one line of the greatest length and one piece.
pub(super) struct LineBuffer {
    bytes: Vec<u8>,
    /// Where the line begins that has not been taken yet.
    start: usize,
    /// Up to where there is no line break.
    scanned: usize,
    most: usize,
}

/// What there is at the front of the buffer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// A line, without its line break.
    Whole(&'a [u8]),
    /// The beginning of a line, perhaps of none.
    Partial,
    /// A line that is longer than allowed, as far as it is here.
    TooLong(&'a [u8]),
}

impl LineBuffer {
    /// A buffer for lines of at most `most` bytes.
    pub(super) const fn new(most: usize) -> Self {
        Self { bytes: Vec::new(), start: 0, scanned: 0, most }
    }

    /// Where the next piece is to be appended.
    pub(super) fn space(&mut self) -> &mut Vec<u8> {
        self.bytes.drain(..self.start);
        self.scanned -= self.start;
        self.start = 0;
        if self.bytes.capacity() > KEPT && self.bytes.len() < CHUNK {
            self.bytes.shrink_to(CHUNK);
        }
        self.bytes.reserve(CHUNK);
        &mut self.bytes
    }

    /// Takes the next line, if it is here.
    pub(super) fn next_line(&mut self) -> Line<'_> {
        match memchr::memchr(b'\n', &self.bytes[self.scanned..]) {
            Some(length) => {
                let end = self.scanned + length;
                let line = self.start..end;
                (self.start, self.scanned) = (end + 1, end + 1);
                let is_too_long = line.len() > self.most;
                let line = &self.bytes[line];
                if is_too_long { Line::TooLong(line) } else { Line::Whole(line) }
            }
            None => {
                self.scanned = self.bytes.len();
                if self.bytes.len() - self.start > self.most { Line::TooLong(self.rest()) } else { Line::Partial }
            }
        }
    }

    /// What has come since the last line break.
    pub(super) fn rest(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn lines_are_the_same_however_the_bytes_arrive(
            lines in prop::collection::vec(prop::collection::vec(any::<u8>().prop_filter("no break", |byte| *byte != b'\n'), 0..40), 0..20),
            rest in prop::collection::vec(any::<u8>().prop_filter("no break", |byte| *byte != b'\n'), 0..40),
            pieces in prop::collection::vec(1_usize..50, 1..60),
        ) {
            let mut bytes = Vec::new();
            for line in &lines {
                bytes.extend_from_slice(line);
                bytes.push(b'\n');
            }
            bytes.extend_from_slice(&rest);
            let (mut buffer, mut found, mut left, mut sizes) = (LineBuffer::new(40), Vec::new(), &bytes[..], pieces.iter().cycle());
            while !left.is_empty() {
                let (piece, others) = left.split_at((*sizes.next().expect("endless")).min(left.len()));
                left = others;
                buffer.space().extend_from_slice(piece);
                while let Line::Whole(line) = buffer.next_line() {
                    found.push(line.to_vec());
                }
            }
            prop_assert_eq!(found, lines);
            prop_assert_eq!(buffer.rest(), &rest[..]);
        }

        #[test]
        fn a_line_is_too_long_as_soon_as_it_is(most in 1_usize..30, length in 0_usize..60, ends in any::<bool>()) {
            let mut buffer = LineBuffer::new(most);
            buffer.space().extend(std::iter::repeat_n(b'x', length));
            if ends {
                buffer.space().push(b'\n');
            }
            let line = buffer.next_line();
            prop_assert_eq!(matches!(line, Line::TooLong(_)), length > most);
            prop_assert_eq!(matches!(line, Line::Whole(_)), ends && length <= most);
        }
    }

    #[test]
    fn a_long_line_does_not_keep_its_memory() {
        let mut buffer = LineBuffer::new(8 << 20);
        buffer.space().extend(std::iter::repeat_n(b'x', 4 << 20));
        buffer.space().push(b'\n');
        assert!(matches!(buffer.next_line(), Line::Whole(_)));
        assert!(buffer.space().capacity() <= KEPT);
    }
}
