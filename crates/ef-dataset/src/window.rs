//! A sliding view of a stream, in which rows are found without being copied and without being kept when they are too
//! long.

use std::io::{self, Read};

use ef_model::Digest;
use memchr::memchr;
use sha2::{Digest as _, Sha256};

/// How much is read at a time.
const CHUNK: usize = 64 * 1024;

/// The part of a stream that is in memory.
pub(crate) struct Window<R> {
    source: R,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    line: u64,
    column: u64,
}

/// Finds where a row ends.
pub(crate) trait RowEnd {
    /// Looks at the next bytes of a row: how many of them belong to it, if it ends here. Without an answer, all of them
    /// do.
    ///
    /// # Errors
    ///
    /// When the data's structure is lost.
    fn find(&mut self, more: &[u8]) -> Result<Option<usize>, Lost>;
}

/// What was found of a row.
pub(crate) struct Extent {
    /// The row.
    pub(crate) taken: Taken,
    /// Whether the data ended and nothing else did.
    pub(crate) at_end: bool,
}

/// A row that was found.
pub(crate) enum Taken {
    /// It is the first so many bytes of the window, which the caller consumes when it is done with them.
    Kept(usize),
    /// It was longer than allowed, and has passed.
    Oversized {
        /// Its length.
        bytes: u64,
        /// SHA-256 of its bytes.
        sha256: Digest,
    },
}

/// Why no row could be found.
#[derive(Debug)]
pub(crate) enum Lost {
    /// The stream failed.
    Io(io::Error),
    /// What comes cannot be told apart into rows any more.
    Structure {
        /// What is wrong.
        what: &'static str,
        /// What to do.
        hint: &'static str,
    },
}

impl From<io::Error> for Lost {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl<R: Read> Window<R> {
    pub(crate) fn new(source: R) -> Self {
        Self { source, buffer: Vec::new(), start: 0, end: 0, line: 1, column: 1 }
    }

    /// What is in memory and not consumed yet.
    pub(crate) fn data(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// The line of the next byte, from 1.
    pub(crate) const fn line(&self) -> u64 {
        self.line
    }

    /// The column of the next byte, in bytes, from 1.
    pub(crate) const fn column(&self) -> u64 {
        self.column
    }

    /// Where the bytes come from.
    pub(crate) const fn source(&self) -> &R {
        &self.source
    }

    /// Where the bytes come from.
    pub(crate) const fn source_mut(&mut self) -> &mut R {
        &mut self.source
    }

    /// Reads more. False at the end of the stream.
    pub(crate) fn fill(&mut self) -> io::Result<bool> {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.buffer.len() - self.end < CHUNK / 4 {
            self.buffer.resize(CHUNK.max(2 * self.buffer.len()), 0);
        }
        let read = loop {
            match self.source.read(&mut self.buffer[self.end..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        self.end += read;
        Ok(read > 0)
    }

    /// The next `count` bytes, fewer at the end of the stream, without consuming them.
    pub(crate) fn peek(&mut self, count: usize) -> io::Result<&[u8]> {
        while self.end - self.start < count && self.fill()? {}
        Ok(&self.data()[..count.min(self.end - self.start)])
    }

    /// The next byte that is not JSON whitespace, which is consumed. `None` at the end of the stream.
    pub(crate) fn skip_whitespace(&mut self) -> io::Result<Option<u8>> {
        loop {
            let blank = self.data().iter().take_while(|byte| is_whitespace(**byte)).count();
            self.consume(blank);
            let next = self.data().first().copied();
            if next.is_some() || !self.fill()? {
                return Ok(next);
            }
        }
    }

    /// Passes over a byte order mark.
    pub(crate) fn skip_byte_order_mark(&mut self) -> io::Result<()> {
        const MARK: [u8; 3] = [0xef, 0xbb, 0xbf];
        if self.peek(MARK.len())? == MARK {
            self.start += MARK.len();
        }
        Ok(())
    }

    /// Passes over the next bytes, all of which are in memory.
    pub(crate) fn consume(&mut self, count: usize) {
        let passed = &self.buffer[self.start..self.start + count];
        let lines = passed.iter().filter(|byte| **byte == b'\n').count();
        if lines == 0 {
            self.column += count as u64;
        } else {
            let rest = passed.iter().rev().take_while(|byte| **byte != b'\n').count();
            self.column = rest as u64 + 1;
            self.line += lines as u64;
        }
        self.start += count;
    }

    /// Passes over lines until this one, at the begin of a line, but over no more than `most` that are not blank. Gives
    /// the number of those that have passed.
    pub(crate) fn skip_to_line(&mut self, line: u64, most: u64) -> io::Result<u64> {
        let mut passed = 0;
        while self.line < line && passed < most {
            let mut blank = true;
            let ended = loop {
                let line_feed = memchr(b'\n', self.data());
                let part = line_feed.unwrap_or(self.data().len());
                blank &= self.data()[..part].iter().all(|byte| is_whitespace(*byte));
                self.start += part;
                self.column += part as u64;
                if line_feed.is_some() {
                    self.start += 1;
                    self.line += 1;
                    self.column = 1;
                    break false;
                }
                if !self.fill()? {
                    break true;
                }
            };
            passed += u64::from(!blank);
            if ended {
                break;
            }
        }
        Ok(passed)
    }

    /// Finds the row that begins here. One longer than `limit` bytes passes through a hash and is never held whole.
    pub(crate) fn take_row(&mut self, end: &mut impl RowEnd, limit: u64) -> Result<Extent, Lost> {
        let mut scanned = 0;
        let (length, at_end) = loop {
            if let Some(more) = end.find(&self.data()[scanned..])? {
                break (scanned + more, false);
            }
            scanned = self.data().len();
            if scanned as u64 > limit {
                return self.pass_row(end);
            }
            if !self.fill()? {
                break (scanned, true);
            }
        };
        let taken = if length as u64 > limit {
            let sha256 = Digest::of(&self.data()[..length]);
            self.consume(length);
            Taken::Oversized { bytes: length as u64, sha256 }
        } else {
            Taken::Kept(length)
        };
        Ok(Extent { taken, at_end })
    }

    /// Passes over a row of which all that is in memory is a part.
    fn pass_row(&mut self, end: &mut impl RowEnd) -> Result<Extent, Lost> {
        let mut hasher = Sha256::new();
        let mut bytes = 0;
        let mut part = self.data().len();
        let mut found = false;
        loop {
            hasher.update(&self.data()[..part]);
            bytes += part as u64;
            self.consume(part);
            if found || !self.fill()? {
                let sha256 = Digest::from_bytes(hasher.finalize().into());
                return Ok(Extent { taken: Taken::Oversized { bytes, sha256 }, at_end: !found });
            }
            let length = end.find(self.data())?;
            found = length.is_some();
            part = length.unwrap_or(self.data().len());
        }
    }
}

/// Whether a byte is whitespace in JSON.
pub(crate) const fn is_whitespace(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Semicolon;

    impl RowEnd for Semicolon {
        fn find(&mut self, more: &[u8]) -> Result<Option<usize>, Lost> {
            Ok(more.iter().position(|byte| *byte == b';'))
        }
    }

    /// Gives one byte at a time.
    struct Drip<'a>(&'a [u8]);

    impl Read for Drip<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.0.len().min(buffer.len()).min(1);
            self.0.read(&mut buffer[..count])
        }
    }

    fn rows(source: impl Read, limit: u64) -> Vec<(String, bool)> {
        let mut window = Window::new(source);
        let mut rows = Vec::new();
        loop {
            let Ok(extent) = window.take_row(&mut Semicolon, limit) else { panic!("reading from memory cannot fail") };
            let row = match extent.taken {
                Taken::Kept(length) => {
                    let text = String::from_utf8_lossy(&window.data()[..length]).into_owned();
                    window.consume(length);
                    text
                }
                Taken::Oversized { bytes, sha256 } => format!("{bytes} {sha256}"),
            };
            rows.push((row, extent.at_end));
            if extent.at_end {
                return rows;
            }
            window.consume(1);
        }
    }

    #[test]
    fn rows_are_the_same_however_the_bytes_arrive() {
        let text = "one;;thirteen;two;".repeat(3);
        let limit = 5;
        let whole = rows(text.as_bytes(), limit);
        assert_eq!(whole, rows(Drip(text.as_bytes()), limit));
        assert_eq!(whole[0], ("one".to_owned(), false));
        assert_eq!(whole[1], (String::new(), false));
        assert_eq!(whole[2], (format!("8 {}", Digest::of(b"thirteen")), false));
        assert_eq!(whole.last(), Some(&(String::new(), true)));
    }

    #[test]
    fn a_row_as_long_as_the_limit_is_kept_and_one_byte_more_is_not() {
        assert_eq!(rows(&b"12345"[..], 5), [("12345".to_owned(), true)]);
        assert_eq!(rows(&b"123456"[..], 5), [(format!("6 {}", Digest::of(b"123456")), true)]);
    }

    #[test]
    fn lines_and_columns_are_counted_over_what_is_consumed() {
        let mut window = Window::new(&b"ab\ncd\n\ne"[..]);
        window.peek(8).expect("memory");
        window.consume(4);
        assert_eq!((window.line(), window.column()), (2, 2));
        window.consume(3);
        assert_eq!((window.line(), window.column()), (4, 1));
    }
}
