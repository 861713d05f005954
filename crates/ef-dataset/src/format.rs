//! Which format and which compression a dataset has.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// How rows are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// One JSON object a line.
    Jsonl,
    /// One JSON array of objects.
    Json,
    /// Comma-separated values with a header row (RFC 4180).
    Csv,
    /// Apache Parquet.
    Parquet,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Jsonl, Self::Json, Self::Csv, Self::Parquet];

    /// The name used on the command line and in records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Jsonl => "jsonl",
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Parquet => "parquet",
        }
    }

    fn of_suffix(suffix: &str) -> Option<Self> {
        if suffix.eq_ignore_ascii_case("ndjson") {
            return Some(Self::Jsonl);
        }
        Self::ALL.into_iter().find(|format| suffix.eq_ignore_ascii_case(format.as_str()))
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A name that is no dataset format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a dataset format is jsonl, json, csv or parquet")]
pub struct UnknownFormat;

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(name: &str) -> Result<Self, UnknownFormat> {
        Self::ALL.into_iter().find(|format| format.as_str() == name).ok_or(UnknownFormat)
    }
}

/// How a file's bytes are compressed as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip (RFC 1952), of one or several members.
    Gzip,
    /// Zstandard (RFC 8878), of one or several frames.
    Zstd,
}

impl Compression {
    /// How many bytes [`Compression::of_magic`] looks at.
    pub const MAGIC_BYTES: usize = 4;

    /// What a file's first bytes say. No UTF-8 text begins like a compressed file.
    #[must_use]
    pub fn of_magic(head: &[u8]) -> Self {
        match head {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            _ => Self::None,
        }
    }

    fn of_suffix(suffix: &str) -> Option<Self> {
        if suffix.eq_ignore_ascii_case("gz") {
            Some(Self::Gzip)
        } else if suffix.eq_ignore_ascii_case("zst") {
            Some(Self::Zstd)
        } else {
            None
        }
    }
}

/// What a file's name says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct FileName {
    /// The name without the suffixes that were understood: what default item ids begin with.
    pub(crate) stem: String,
    /// From the suffix, if there is one that is known.
    pub(crate) format: Option<Format>,
    /// From the suffix `.gz` or `.zst`, if there is one.
    pub(crate) compression: Option<Compression>,
}

impl FileName {
    pub(crate) fn of(path: &Path) -> Self {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let (name, compression) = without_suffix(&name, Compression::of_suffix);
        let (stem, format) = without_suffix(name, Format::of_suffix);
        Self { stem: stem.to_owned(), format, compression }
    }
}

/// The name without its last suffix and what that stands for, or the whole name where it stands for nothing.
fn without_suffix<T>(name: &str, known: impl Fn(&str) -> Option<T>) -> (&str, Option<T>) {
    match name.rsplit_once('.') {
        Some((stem, suffix)) if !stem.is_empty() => match known(suffix) {
            Some(meaning) => (stem, Some(meaning)),
            None => (name, None),
        },
        _ => (name, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &str) -> (String, Option<Format>, Option<Compression>) {
        let name = FileName::of(Path::new(path));
        (name.stem, name.format, name.compression)
    }

    #[test]
    fn a_file_name_tells_format_compression_and_stem() {
        assert_eq!(of("data/dev.jsonl"), ("dev".into(), Some(Format::Jsonl), None));
        assert_eq!(of("dev.v2.NDJSON.GZ"), ("dev.v2".into(), Some(Format::Jsonl), Some(Compression::Gzip)));
        assert_eq!(of("dev.csv.zst"), ("dev".into(), Some(Format::Csv), Some(Compression::Zstd)));
        assert_eq!(of("dev.gz"), ("dev".into(), None, Some(Compression::Gzip)));
        assert_eq!(of("dev.txt"), ("dev.txt".into(), None, None));
        assert_eq!(of(".jsonl"), (".jsonl".into(), None, None));
        assert_eq!(of(""), (String::new(), None, None));
    }

    #[test]
    fn a_format_is_parsed_from_the_name_that_it_shows() {
        for format in Format::ALL {
            assert_eq!(format.to_string().parse(), Ok(format));
        }
        assert_eq!("xml".parse::<Format>(), Err(UnknownFormat));
    }
}
