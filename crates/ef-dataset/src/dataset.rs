//! Opening a dataset, and its rows as items.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io;
use std::path::Path;

use ef_model::{
    DatasetRow, Digest, ItemField, ItemId, ItemSource, JsonFault, JsonFaultKind, RowFault, RowFaultKind, SourceError,
    check_strict,
};

use crate::array::Elements;
use crate::columns::Columns;
use crate::delimited::Records;
use crate::format::FileName;
use crate::lines::Lines;
use crate::mapping::{Mapping, Misfit};
use crate::row::{Broken, Place, RawRow, RowReader, printable};
use crate::stored::{Source, Stored};
use crate::window::Window;
use crate::{Compression, Format};

/// How a dataset is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatasetOptions {
    /// The format, where the file's name does not say it or says it wrongly.
    pub format: Option<Format>,
    /// Which column holds which field; dots reach inside objects. Empty where the columns are the fields.
    pub fields: BTreeMap<ItemField, String>,
    /// Rows to read at most, those that are faulty among them.
    pub max_items: Option<u64>,
    /// Bytes that a row may have in the file (of Parquet: as JSON). A longer one is a fault, and is never held in memory
    /// whole unless it comes from Parquet.
    pub max_item_bytes: u64,
    /// Whether the digest of the stored bytes is taken while they are read.
    pub digest: bool,
}

impl Default for DatasetOptions {
    /// Everything, in the format that the name says, without a mapping, in rows of at most 1 MiB, with the digest.
    fn default() -> Self {
        Self { format: None, fields: BTreeMap::new(), max_items: None, max_item_bytes: 1 << 20, digest: true }
    }
}

/// A dataset, read row by row in constant memory.
pub struct Dataset {
    name: Name,
    format: Format,
    reader: Box<dyn RowReader>,
    mapping: Mapping,
    /// Rows that may still be read.
    left: Option<u64>,
    /// A row that was read while looking for one after it, or for itself.
    next: Option<DatasetRow>,
    hashed: bool,
    /// Whether a row has been seen whose columns fit the mapping.
    fits: bool,
    state: State,
}

enum State {
    Reading,
    Ended(Option<Digest>),
    Failed { message: String, hint: Option<String> },
}

/// What a dataset is called.
struct Name {
    /// In errors that end the reading: the path as given.
    path: String,
    /// In the faults of rows, which are kept with the run: without folders, which differ between machines.
    file: String,
    /// In default item ids.
    stem: String,
}

impl Name {
    fn new(path: &str, file: &str, stem: &str) -> Self {
        // Room for ':' and 20 digits in an item id of 512 bytes.
        const LONGEST: usize = 480;
        let mut stem: String = stem.chars().map(|c| if c.is_control() { '_' } else { c }).collect();
        stem.truncate(stem.floor_char_boundary(LONGEST));
        Self { path: printable(path), file: printable(file), stem }
    }

    fn broken(&self, broken: Broken) -> SourceError {
        let Broken { place, what, hint } = broken;
        let message = match place {
            Some(place) => format!("{}{place}: {what}", self.path),
            None => format!("{}: {what}", self.path),
        };
        SourceError { message, hint }
    }

    fn misfit(&self, place: Option<Place>, misfit: Misfit) -> SourceError {
        self.broken(Broken { place, what: misfit.what, hint: Some(misfit.hint) })
    }
}

/// Opens a dataset file. Format and compression are taken from its suffixes (`.jsonl`, `.ndjson`, `.json`, `.csv`,
/// `.parquet`, before `.gz` or `.zst`); a compressed file without such a suffix is recognised by its first bytes.
///
/// # Errors
///
/// When there is no such file, it cannot be read, its format is unknown, or its columns are known before its first row
/// (CSV, Parquet) and do not fit the mapping.
pub fn open(path: &Path, options: DatasetOptions) -> Result<Dataset, SourceError> {
    let file_name = FileName::of(path);
    let base = path.file_name().map_or_else(|| path.to_string_lossy(), |name| name.to_string_lossy());
    let name = Name::new(&path.to_string_lossy(), &base, &file_name.stem);
    let file = open_file(path).map_err(|broken| name.broken(broken))?;
    let format = options.format.or(file_name.format).ok_or_else(|| name.broken(unknown_format()))?;
    if format == Format::Parquet {
        if file_name.compression.is_some() {
            let hint = "decompress it: Parquet compresses its columns itself";
            return Err(name.broken(Broken::new(None, "a compressed Parquet file cannot be read", hint)));
        }
        let reader = parquet_rows(file, options.max_item_bytes).map_err(|broken| name.broken(broken))?;
        return Dataset::new(name, format, reader, options);
    }
    let stored = stored(&name, Box::new(file), file_name.compression, options.digest)?;
    from_text(name, stored, Some(format), options)
}

/// Reads a dataset from a stream such as standard input, which is called `stem` in messages and default item ids. A
/// compressed stream is recognised by its first bytes. Without [`DatasetOptions::format`], a stream that begins with
/// `{` is JSONL and one that begins with `[` is a JSON array. Blocks until the first bytes are there.
///
/// # Errors
///
/// When the format is Parquet, which needs a file, or is unknown, or as of [`open`].
pub fn from_reader(stem: &str, reader: Source, options: DatasetOptions) -> Result<Dataset, SourceError> {
    let stem = if stem.is_empty() { "dataset" } else { stem };
    let name = Name::new(stem, stem, stem);
    if options.format == Some(Format::Parquet) {
        return Err(name.broken(parquet_needs_a_file()));
    }
    let stored = stored(&name, reader, None, options.digest)?;
    let format = options.format;
    from_text(name, stored, format, options)
}

/// A dataset in one of the formats that are text.
fn from_text(
    name: Name,
    stored: Stored,
    format: Option<Format>,
    options: DatasetOptions,
) -> Result<Dataset, SourceError> {
    let compressed = stored.is_compressed();
    let unreadable = |name: &Name, error: &io::Error| name.broken(Broken::reading(None, error, compressed));
    let mut window = Window::new(stored);
    if matches!(window.peek(2).map_err(|error| unreadable(&name, &error))?, [0xff, 0xfe] | [0xfe, 0xff]) {
        let hint = "convert it: iconv -f UTF-16 -t UTF-8";
        return Err(name.broken(Broken::new(None, "is UTF-16, and a dataset is UTF-8", hint)));
    }
    window.skip_byte_order_mark().map_err(|error| unreadable(&name, &error))?;
    let format = match format {
        Some(format) => format,
        None => match window.skip_whitespace().map_err(|error| unreadable(&name, &error))? {
            Some(b'{') => Format::Jsonl,
            Some(b'[') => Format::Json,
            Some(b'P') if window.peek(4).is_ok_and(|magic| magic == b"PAR1") => {
                return Err(name.broken(parquet_needs_a_file()));
            }
            None => return Err(name.broken(Broken::new(None, "is empty: its format is not known", SAY_THE_FORMAT))),
            Some(_) => return Err(name.broken(unknown_format())),
        },
    };
    let limit = options.max_item_bytes;
    let reader: Box<dyn RowReader> = match format {
        Format::Jsonl => Box::new(Lines::new(window, limit)),
        Format::Json => Box::new(Elements::new(window, limit)),
        Format::Csv => Box::new(Records::new(window, limit).map_err(|broken| name.broken(broken))?),
        Format::Parquet => return Err(name.broken(parquet_needs_a_file())),
    };
    Dataset::new(name, format, reader, options)
}

impl Dataset {
    fn new(
        name: Name,
        format: Format,
        reader: Box<dyn RowReader>,
        options: DatasetOptions,
    ) -> Result<Self, SourceError> {
        let text_cells = matches!(format, Format::Csv | Format::Parquet);
        let mapping = Mapping::new(options.fields, text_cells);
        if let Some(header) = reader.header() {
            let names: Vec<&str> = header.iter().map(String::as_str).collect();
            mapping.check_names(&names).map_err(|misfit| name.misfit(None, misfit))?;
        }
        Ok(Self {
            name,
            format,
            reader,
            mapping,
            left: options.max_items,
            next: None,
            hashed: options.digest,
            fits: false,
            state: State::Reading,
        })
    }

    /// The format that it is read as.
    #[must_use]
    pub const fn format(&self) -> Format {
        self.format
    }

    fn read_row(&mut self) -> Result<Option<DatasetRow>, SourceError> {
        let raw = self.reader.next().map_err(|broken| self.name.broken(broken))?;
        let (place, raw, text) = match raw {
            None => return Ok(None),
            Some(RawRow::Json { place, raw, text }) => (place, raw, text),
            Some(RawRow::Faulty { place, kind, what, bytes, sha256 }) => {
                return Ok(Some(faulty(&self.name, place, kind, &what, bytes, sha256)));
            }
        };
        let malformed = |what: &str| {
            let fault = faulty(&self.name, place, RowFaultKind::Malformed, what, raw.len() as u64, Digest::of(raw));
            Ok(Some(fault))
        };
        let text = match std::str::from_utf8(text) {
            Ok(text) => text,
            Err(error) => return malformed(&format!("invalid UTF-8 after {} bytes", error.valid_up_to())),
        };
        if let Err(fault) = check_strict(text) {
            return malformed(&json_fault(place, fault));
        }
        let Some(columns) = Columns::of(text) else { return malformed("not a JSON object") };
        if !self.fits {
            self.mapping.check_first(&columns).map_err(|misfit| self.name.misfit(Some(place), misfit))?;
            self.fits = true;
        }
        match self.mapping.item(&columns, place.row(), || default_id(&self.name, place)) {
            Ok(item) => Ok(Some(DatasetRow::Item(item))),
            Err(what) => malformed(&what),
        }
    }

    fn ended(&mut self) -> Result<State, SourceError> {
        if !self.hashed {
            return Ok(State::Ended(None));
        }
        let digest = self.reader.digest().map_err(|error| self.name.broken(Broken::reading(None, &error, false)))?;
        Ok(State::Ended(Some(digest)))
    }
}

impl ItemSource for Dataset {
    fn next_row(&mut self) -> Result<Option<DatasetRow>, SourceError> {
        match self.next.take() {
            Some(row) => Ok(Some(row)),
            None => self.read_next(),
        }
    }

    fn skip_to(&mut self, row: u64) -> Result<(), SourceError> {
        if self.next.as_ref().is_some_and(|next| next.row() >= row) {
            return Ok(());
        }
        self.next = None;
        if matches!(self.state, State::Reading) {
            let most = self.left.unwrap_or(u64::MAX);
            let passed = self.reader.skip_to(row, most).map_err(|broken| self.fail(broken))?;
            if let Some(passed) = passed {
                self.left = self.left.map(|left| left - passed);
                return Ok(());
            }
        }
        while let Some(next) = self.read_next()? {
            if next.row() >= row {
                self.next = Some(next);
                break;
            }
        }
        Ok(())
    }

    fn digest(&self) -> Option<Digest> {
        match self.state {
            State::Ended(digest) => digest,
            State::Reading | State::Failed { .. } => None,
        }
    }
}

impl Dataset {
    /// Remembers why no more can be read.
    fn fail(&mut self, broken: Broken) -> SourceError {
        let error = self.name.broken(broken);
        self.state = State::Failed { message: error.message.clone(), hint: error.hint.clone() };
        error
    }

    fn read_next(&mut self) -> Result<Option<DatasetRow>, SourceError> {
        match &self.state {
            State::Reading => {}
            State::Ended(_) => return Ok(None),
            State::Failed { message, hint } => {
                return Err(SourceError { message: message.clone(), hint: hint.clone() });
            }
        }
        if self.left == Some(0) {
            self.state = State::Ended(None);
            return Ok(None);
        }
        let row = self.read_row().and_then(|row| {
            if row.is_none() {
                self.state = self.ended()?;
            }
            Ok(row)
        });
        match &row {
            Ok(Some(_)) => self.left = self.left.map(|left| left - 1),
            Ok(None) => {}
            Err(error) => {
                self.state = State::Failed { message: error.message.clone(), hint: error.hint.clone() };
            }
        }
        row
    }
}

impl fmt::Debug for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dataset").field("path", &self.name.path).field("format", &self.format).finish_non_exhaustive()
    }
}

fn faulty(name: &Name, place: Place, kind: RowFaultKind, what: &str, bytes: u64, sha256: Digest) -> DatasetRow {
    let message = format!("{}{place}: {what}", name.file);
    DatasetRow::Faulty {
        item_id: default_id(name, place),
        row: place.row(),
        fault: RowFault { kind, message, bytes, sha256 },
    }
}

fn default_id(name: &Name, place: Place) -> ItemId {
    ItemId::new(format!("{}:{}", name.stem, place.row())).expect("a stem is short and has no control characters")
}

/// A fault in a row's JSON, with its place in the file as far as there is one.
fn json_fault(place: Place, fault: JsonFault) -> String {
    let JsonFault { kind, line, column } = fault;
    match place {
        Place::Line(_) => format!("{kind} at column {column}"),
        Place::Element { line: first, column: before, .. } => {
            let column = if line == 1 { before + column as u64 - 1 } else { column as u64 };
            format!("{kind} at line {}, column {column}", first + line as u64 - 1)
        }
        Place::Record { .. } => kind.to_string(),
        Place::Row(_) if kind == JsonFaultKind::Syntax => {
            "a value that JSON cannot hold: a date or time out of range, or more than 128 levels".to_owned()
        }
        Place::Row(_) => kind.to_string(),
    }
}

fn open_file(path: &Path) -> Result<File, Broken> {
    let file = File::open(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Broken::new(None, "there is no such file", "check the path of the dataset"),
        io::ErrorKind::PermissionDenied => {
            Broken::new(None, "there is no permission to read it", "check the file's owner and mode")
        }
        _ => Broken { place: None, what: format!("cannot be opened: {error}"), hint: None },
    })?;
    if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Err(Broken::new(None, "is a directory", "name a file in it: a dataset is one file"));
    }
    Ok(file)
}

fn stored(name: &Name, source: Source, named: Option<Compression>, hashed: bool) -> Result<Stored, SourceError> {
    Stored::new(source, named, hashed).map_err(|error| name.broken(Broken::reading(None, &error, named.is_some())))
}

const SAY_THE_FORMAT: &str = "say which it is: --dataset-format jsonl|json|csv|parquet";

fn unknown_format() -> Broken {
    Broken::new(None, "its format is not known", SAY_THE_FORMAT)
}

fn parquet_needs_a_file() -> Broken {
    Broken::new(
        None,
        "Parquet cannot be read from a stream",
        "save it as a file and name that: Parquet is read from its end",
    )
}

#[cfg(feature = "parquet")]
fn parquet_rows(file: File, limit: u64) -> Result<Box<dyn RowReader>, Broken> {
    if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
        return Err(parquet_needs_a_file());
    }
    Ok(Box::new(crate::columnar::Rows::new(file, limit)?))
}

#[cfg(not(feature = "parquet"))]
fn parquet_rows(_: File, _: u64) -> Result<Box<dyn RowReader>, Broken> {
    Err(Broken::new(None, "this build does not read Parquet", "build ef-dataset with its feature `parquet`"))
}
