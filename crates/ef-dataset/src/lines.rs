//! JSONL: a row is a line.

use std::io;

use ef_model::Digest;
use memchr::memchr;

use crate::row::{Broken, Place, RawRow, RowReader};
use crate::stored::Stored;
use crate::window::{Lost, RowEnd, Taken, Window, is_whitespace};

/// Reads JSON lines.
pub(crate) struct Lines {
    window: Window<Stored>,
    limit: u64,
    /// How much of the window the row given last still occupies.
    given: usize,
}

impl Lines {
    pub(crate) const fn new(window: Window<Stored>, limit: u64) -> Self {
        Self { window, limit, given: 0 }
    }
}

impl RowReader for Lines {
    fn next(&mut self) -> Result<Option<RawRow<'_>>, Broken> {
        loop {
            self.window.consume(std::mem::take(&mut self.given));
            let place = Place::Line(self.window.line());
            let extent = self
                .window
                .take_row(&mut LineFeed, self.limit)
                .map_err(|lost| Broken::lost(place, &lost, self.window.source().is_compressed()))?;
            let line_feed = usize::from(!extent.at_end);
            match extent.taken {
                Taken::Kept(0) if extent.at_end => return Ok(None),
                Taken::Kept(length) => {
                    self.given = length + line_feed;
                    // Blank lines are no rows, but they are lines.
                    if !self.window.data()[..length].iter().all(|byte| is_whitespace(*byte)) {
                        let raw = &self.window.data()[..length];
                        return Ok(Some(RawRow::Json { place, raw, text: raw }));
                    }
                }
                Taken::Oversized { bytes, sha256 } => {
                    self.given = line_feed;
                    return Ok(Some(RawRow::oversized(place, self.limit, bytes, sha256)));
                }
            }
        }
    }

    fn skip_to(&mut self, row: u64, most: u64) -> Result<Option<u64>, Broken> {
        self.window.consume(std::mem::take(&mut self.given));
        let passed = self.window.skip_to_line(row, most).map_err(|error| {
            let place = Place::Line(self.window.line());
            Broken::reading(Some(place), &error, self.window.source().is_compressed())
        })?;
        Ok(Some(passed))
    }

    fn digest(&mut self) -> io::Result<Digest> {
        self.window.source_mut().digest()
    }
}

struct LineFeed;

impl RowEnd for LineFeed {
    fn find(&mut self, more: &[u8]) -> Result<Option<usize>, Lost> {
        Ok(memchr(b'\n', more))
    }
}
