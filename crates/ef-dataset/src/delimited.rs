//! CSV (RFC 4180): a row is a record after the header.
//!
//! The records are found here and not by the `csv` crate, because that one takes a quote that is never closed for a cell
//! that reaches to the end of the file, holds it in memory, and reports nothing. A test holds the two to the same cells.

use std::borrow::Cow;
use std::collections::HashSet;
use std::io;

use ef_model::Digest;

use crate::row::{Broken, Place, RawRow, RowReader, shown};
use crate::stored::Stored;
use crate::window::{Lost, RowEnd, Taken, Window};

const QUOTES: &str = "a quote inside a quoted cell is written twice, and a cell that begins with a quote ends with one";

/// Reads comma-separated values.
pub(crate) struct Records {
    window: Window<Stored>,
    limit: u64,
    /// How much of the window the record given last still occupies.
    given: usize,
    /// Records after the header so far.
    count: u64,
    header: Vec<String>,
    /// Each column's name as JSON, with what stands before and after it in an object.
    keys: Vec<Vec<u8>>,
    /// The record given last, as a JSON object.
    text: Vec<u8>,
}

/// A record that was found.
enum Found {
    Kept(usize),
    Oversized { bytes: u64, sha256: Digest },
    Nothing,
}

impl Records {
    /// Reads the header.
    pub(crate) fn new(window: Window<Stored>, limit: u64) -> Result<Self, Broken> {
        let mut records =
            Self { window, limit, given: 0, count: 0, header: Vec::new(), keys: Vec::new(), text: Vec::new() };
        records.header = records.read_header()?;
        for (index, name) in records.header.iter().enumerate() {
            let mut key = vec![if index == 0 { b'{' } else { b',' }];
            write_string(&mut key, name);
            key.push(b':');
            records.keys.push(key);
        }
        Ok(records)
    }

    fn read_header(&mut self) -> Result<Vec<String>, Broken> {
        const HINT: &str = "the first record of a CSV dataset names its columns";
        let (found, place) = self.find()?;
        let wrong = |what: String| Broken::new(Some(place), what, HINT);
        let length = match found {
            Found::Kept(length) => length,
            Found::Oversized { bytes, .. } => return Err(wrong(format!("the header row has {bytes} bytes"))),
            Found::Nothing => return Err(Broken::new(None, "is empty: it has no header row", HINT)),
        };
        let Ok(text) = std::str::from_utf8(&self.window.data()[..length]) else {
            return Err(wrong("the header row is not UTF-8".to_owned()));
        };
        let names: Vec<String> = Cells::of(text).map(Cow::into_owned).collect();
        self.given = length;
        let mut seen = HashSet::new();
        match names.iter().find(|name| !seen.insert(*name)) {
            Some(twice) => Err(wrong(format!("the header row has the column {} twice", shown(twice)))),
            None => Ok(names),
        }
    }

    /// Finds the next record that is not empty, and where it is.
    fn find(&mut self) -> Result<(Found, Place), Broken> {
        loop {
            self.window.consume(std::mem::take(&mut self.given));
            let line = self.window.line();
            let is_header = self.keys.is_empty();
            let place = if is_header { Place::Line(line) } else { Place::Record { row: self.count + 1, line } };
            let mut end = RecordEnd::default();
            let extent = self
                .window
                .take_row(&mut end, self.limit)
                .map_err(|lost| Broken::lost(place, &lost, self.window.source().is_compressed()))?;
            if extent.at_end && end.cell == Cell::Quoted {
                return Err(Broken::new(Some(place), "a quote that opens in this record is never closed", QUOTES));
            }
            let found = match extent.taken {
                Taken::Kept(0) if extent.at_end => Found::Nothing,
                // An empty line, or the second half of a CRLF.
                Taken::Kept(0) => {
                    self.given = 1;
                    continue;
                }
                Taken::Kept(length) => Found::Kept(length),
                Taken::Oversized { bytes, sha256 } => Found::Oversized { bytes, sha256 },
            };
            return Ok((found, place));
        }
    }
}

impl RowReader for Records {
    fn header(&self) -> Option<&[String]> {
        Some(&self.header)
    }

    fn next(&mut self) -> Result<Option<RawRow<'_>>, Broken> {
        let (found, place) = self.find()?;
        let length = match found {
            Found::Nothing => return Ok(None),
            Found::Kept(length) => length,
            Found::Oversized { bytes, sha256 } => {
                self.count += 1;
                return Ok(Some(RawRow::oversized(place, self.limit, bytes, sha256)));
            }
        };
        self.count += 1;
        self.given = length;
        let raw = &self.window.data()[..length];
        if raw.contains(&0) {
            return Ok(Some(RawRow::malformed(place, "a NUL byte", raw)));
        }
        let Ok(record) = std::str::from_utf8(raw) else {
            return Ok(Some(RawRow::Json { place, raw, text: raw }));
        };
        match write_object(&mut self.text, &self.keys, record) {
            Ok(()) => Ok(Some(RawRow::Json { place, raw, text: &self.text })),
            Err(count) => {
                let cells = if count == 1 { "cell" } else { "cells" };
                let what = format!("{count} {cells}, and the header has {}", self.keys.len());
                Ok(Some(RawRow::malformed(place, what, raw)))
            }
        }
    }

    fn digest(&mut self) -> io::Result<Digest> {
        self.window.source_mut().digest()
    }
}

/// Writes a record as a JSON object of strings; or says how many cells it has where they are not as many as the keys.
fn write_object(text: &mut Vec<u8>, keys: &[Vec<u8>], record: &str) -> Result<(), usize> {
    text.clear();
    let mut keys = keys.iter();
    for (index, cell) in Cells::of(record).enumerate() {
        let Some(key) = keys.next() else { return Err(index + 1 + Cells::of(record).skip(index + 1).count()) };
        text.extend_from_slice(key);
        write_string(text, &cell);
    }
    if keys.len() > 0 {
        return Err(Cells::of(record).count());
    }
    text.push(b'}');
    Ok(())
}

fn write_string(text: &mut Vec<u8>, string: &str) {
    serde_json::to_writer(text, string).expect("writing a string to memory cannot fail");
}

const UNQUOTED: Lost = Lost::Structure { what: "a quoted cell goes on after its closing quote", hint: QUOTES };

/// Finds the end of a record: a line feed or carriage return outside quotes.
#[derive(Default)]
struct RecordEnd {
    cell: Cell,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Cell {
    /// Before its first byte.
    #[default]
    Start,
    /// Without quotes round it; a quote inside is a character like any other.
    Plain,
    Quoted,
    /// After a quote in a quoted cell: closed, or the first of two.
    Closed,
}

impl RowEnd for RecordEnd {
    fn find(&mut self, more: &[u8]) -> Result<Option<usize>, Lost> {
        for (index, byte) in more.iter().enumerate() {
            self.cell = match (self.cell, byte) {
                (Cell::Quoted, b'"') => Cell::Closed,
                (Cell::Quoted, _) => Cell::Quoted,
                (Cell::Start | Cell::Closed, b'"') => Cell::Quoted,
                (_, b',') => Cell::Start,
                (_, b'\n' | b'\r') => return Ok(Some(index)),
                (Cell::Closed, _) => return Err(UNQUOTED),
                (Cell::Start | Cell::Plain, _) => Cell::Plain,
            };
        }
        Ok(None)
    }
}

/// The cells of a record whose quotes are in order.
struct Cells<'r> {
    rest: Option<&'r str>,
}

impl<'r> Cells<'r> {
    const fn of(record: &'r str) -> Self {
        Self { rest: Some(record) }
    }
}

impl<'r> Iterator for Cells<'r> {
    type Item = Cow<'r, str>;

    fn next(&mut self) -> Option<Cow<'r, str>> {
        let rest = self.rest?;
        let Some(quoted) = rest.strip_prefix('"') else {
            let (cell, rest) = rest.split_once(',').map_or((rest, None), |(cell, rest)| (cell, Some(rest)));
            self.rest = rest;
            return Some(Cow::Borrowed(cell));
        };
        let mut doubled = false;
        let mut end = 0;
        loop {
            end += quoted[end..].find('"').unwrap_or(quoted.len() - end);
            if !quoted[end..].starts_with("\"\"") {
                break;
            }
            doubled = true;
            end += 2;
        }
        self.rest = quoted[end..].strip_prefix("\",");
        let cell = &quoted[..end];
        Some(if doubled { Cow::Owned(cell.replace("\"\"", "\"")) } else { Cow::Borrowed(cell) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The records that this module finds, or `None` where it finds the quotes out of order.
    fn ours(text: &str) -> Option<Vec<Vec<String>>> {
        let mut records = Vec::new();
        let mut rest = text;
        loop {
            let mut end = RecordEnd::default();
            let length = match end.find(rest.as_bytes()) {
                Err(_) => return None,
                Ok(None) if end.cell == Cell::Quoted => return None,
                Ok(length) => length,
            };
            let record = &rest[..length.unwrap_or(rest.len())];
            if !record.is_empty() {
                records.push(Cells::of(record).map(Cow::into_owned).collect());
            }
            match length {
                Some(length) => rest = &rest[length + 1..],
                None => return Some(records),
            }
        }
    }

    fn theirs(text: &str) -> Vec<Vec<String>> {
        let reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text.as_bytes());
        let records = reader.into_records();
        records.map(|record| record.expect("UTF-8").iter().map(str::to_owned).collect()).collect()
    }

    #[test]
    fn quotes_that_are_out_of_order_are_found() {
        assert_eq!(ours("a,\"b\nc"), None);
        assert_eq!(ours("\"a\" ,b"), None);
        assert_eq!(ours("a,b \"c\"\n"), Some(vec![vec!["a".to_owned(), "b \"c\"".to_owned()]]));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn cells_are_those_that_the_csv_crate_finds(text in "[ab,,\"\"\r\n\né]{0,40}") {
            if let Some(records) = ours(&text) {
                prop_assert_eq!(records, theirs(&text));
            }
        }
    }
}
