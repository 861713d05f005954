//! What a reader of one format hands on, and how places and names are shown.

use std::borrow::Cow;
use std::fmt;
use std::io;

use ef_model::{Digest, RowFaultKind};

use crate::window::Lost;

/// Reads the rows of one format.
pub(crate) trait RowReader: Send {
    /// The columns, where the format says them before the first row.
    fn header(&self) -> Option<&[String]> {
        None
    }

    /// The next row, or `None` at the end of the data.
    fn next(&mut self) -> Result<Option<RawRow<'_>>, Broken>;

    /// Passes over the rows before this one, but no more than `most`, where they can be found without being taken apart.
    /// Gives the number of those that have passed; `None` where each has to be read.
    fn skip_to(&mut self, _row: u64, _most: u64) -> Result<Option<u64>, Broken> {
        Ok(None)
    }

    /// SHA-256 of the stored bytes, asked for at the end of the data.
    fn digest(&mut self) -> io::Result<Digest>;
}

/// One row as it was found.
pub(crate) enum RawRow<'a> {
    /// What should be a JSON object.
    Json {
        /// Where.
        place: Place,
        /// Its bytes in the file.
        raw: &'a [u8],
        /// Its JSON text: the same bytes where the format is JSON.
        text: &'a [u8],
    },
    /// What cannot be one.
    Faulty {
        /// Where.
        place: Place,
        /// The kind of fault.
        kind: RowFaultKind,
        /// What is wrong, never content.
        what: Cow<'static, str>,
        /// The row's length.
        bytes: u64,
        /// SHA-256 of the row's bytes.
        sha256: Digest,
    },
}

impl RawRow<'_> {
    pub(crate) fn malformed(place: Place, what: impl Into<Cow<'static, str>>, raw: &[u8]) -> Self {
        Self::Faulty {
            place,
            kind: RowFaultKind::Malformed,
            what: what.into(),
            bytes: raw.len() as u64,
            sha256: Digest::of(raw),
        }
    }

    pub(crate) fn oversized(place: Place, limit: u64, bytes: u64, sha256: Digest) -> Self {
        let what = format!("{bytes} bytes, more than the {limit} that a row may have (runtime.max_item_bytes)");
        Self::Faulty { place, kind: RowFaultKind::Oversized, what: what.into(), bytes, sha256 }
    }
}

/// Where a row is. Shown after the file's name, in the form that editors and terminals understand (`file:line`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// A line, which is the row.
    Line(u64),
    /// An element of an array, and the line and column where it begins.
    Element { row: u64, line: u64, column: u64 },
    /// A record after a header, and the line where it begins.
    Record { row: u64, line: u64 },
    /// A row of a file that has no lines.
    #[cfg_attr(not(feature = "parquet"), allow(dead_code, reason = "only Parquet has no lines"))]
    Row(u64),
}

impl Place {
    /// The row's number, from 1.
    pub(crate) const fn row(self) -> u64 {
        match self {
            Self::Line(row) | Self::Element { row, .. } | Self::Record { row, .. } | Self::Row(row) => row,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, ":{line}"),
            Self::Element { row, line, .. } => write!(f, ":{line}: element {row}"),
            Self::Record { row, line } => write!(f, ":{line}: record {row}"),
            Self::Row(row) => write!(f, ": row {row}"),
        }
    }
}

/// A dataset that cannot be read on, before its name is put to it.
#[derive(Debug)]
pub(crate) struct Broken {
    /// Where, if it is known.
    pub(crate) place: Option<Place>,
    /// What is wrong, never content.
    pub(crate) what: String,
    /// What to do.
    pub(crate) hint: Option<String>,
}

impl Broken {
    pub(crate) fn new(place: Option<Place>, what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { place, what: what.into(), hint: Some(hint.into()) }
    }

    /// Data in which no row could be found.
    pub(crate) fn lost(place: Place, lost: &Lost, compressed: bool) -> Self {
        match lost {
            Lost::Io(error) => Self::reading(Some(place), error, compressed),
            Lost::Structure { what, hint } => Self::new(Some(place), *what, *hint),
        }
    }

    /// A failure to read, with a hint that fits compressed files where it is one.
    pub(crate) fn reading(place: Option<Place>, error: &io::Error, compressed: bool) -> Self {
        let hint = compressed.then(|| {
            "the compressed file is damaged, was cut short or is not what its suffix says: make it again".to_owned()
        });
        Self { place, what: format!("cannot be read on: {error}"), hint }
    }
}

/// The longest name that is shown, in characters.
const SHOWN: usize = 64;

/// A column's name for a message: in quotes, cut, and unable to move the cursor.
pub(crate) fn shown(name: &str) -> String {
    match name.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{:?}…", &name[..end]),
        None => format!("{name:?}"),
    }
}

/// A file's name for a message: whole, and unable to move the cursor.
pub(crate) fn printable(name: &str) -> String {
    let mut shown = String::with_capacity(name.len());
    for character in name.chars() {
        if character.is_control() || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
            shown.extend(character.escape_unicode());
        } else {
            shown.push(character);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_in_a_message_is_short_and_cannot_move_the_cursor() {
        assert_eq!(shown("a\u{1b}[2J\n"), r#""a\u{1b}[2J\n""#);
        assert_eq!(shown(&"é".repeat(64)), format!("\"{}\"", "é".repeat(64)));
        assert_eq!(shown(&"é".repeat(65)), format!("\"{}\"…", "é".repeat(64)));
        assert_eq!(printable("dev\u{202e}\u{7}.csv"), r"dev\u{202e}\u{7}.csv");
    }
}
