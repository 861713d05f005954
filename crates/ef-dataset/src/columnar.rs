//! Parquet: rows as the JSON that arrow writes for them.
//!
//! Nulls are written out; integers, decimals, dates and times keep their digits; instants are in UTC; bytes are written as hexadecimal
//! strings, and a float that is not finite as null.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema};
use arrow::error::ArrowError;
use arrow::json::WriterBuilder;
use arrow::json::writer::{Encoder, EncoderFactory, EncoderOptions, LineDelimited, NullableEncoder};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use ef_model::Digest;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::Compression;
use parquet::file::metadata::{ParquetMetaData, ParquetStatisticsPolicy, RowGroupMetaData};

use crate::footer;
use crate::row::{Broken, Place, RawRow, RowReader, printable, shown};
use crate::stored::Stored;

/// About how much is decoded at a time, in bytes.
const BATCH: u64 = 256 * 1024;

pub(crate) const DAMAGED: &str = "the file is damaged, was cut short or is no Parquet file: make it again";

/// Reads the rows of a Parquet file.
pub(crate) struct Rows {
    batches: ParquetRecordBatchReader,
    file: File,
    limit: u64,
    header: Vec<String>,
    /// The rows of the batch, as JSON lines.
    text: Vec<u8>,
    /// How much of the text has been given.
    given: usize,
    /// Rows so far.
    count: u64,
}

impl Rows {
    pub(crate) fn new(mut file: File, limit: u64) -> Result<Self, Broken> {
        footer::check(&mut file)?;
        let copy = file.try_clone().map_err(|error| Broken::reading(None, &error, false))?;
        guarded(|| Self::open(file, copy, limit)).unwrap_or_else(|| Err(damaged_from(None)))
    }

    fn open(file: File, copy: File, limit: u64) -> Result<Self, Broken> {
        let options = ArrowReaderOptions::new()
            .with_column_stats_policy(ParquetStatisticsPolicy::SkipAll)
            .with_size_stats_policy(ParquetStatisticsPolicy::SkipAll);
        // What the footer says is schema, so that the error may be shown.
        let unreadable = |error: parquet::errors::ParquetError| {
            Broken::new(None, format!("cannot be read as Parquet: {}", printable(&error.to_string())), DAMAGED)
        };
        let mut footer = ArrowReaderMetadata::load(&file, options.clone()).map_err(unreadable)?;
        check_compression(footer.metadata())?;
        let schema = Schema::new(footer.schema().fields().iter().map(in_utc).collect::<Fields>());
        if schema.fields() != footer.schema().fields() {
            let options = options.with_schema(Arc::new(schema));
            footer = ArrowReaderMetadata::try_new(Arc::clone(footer.metadata()), options).map_err(unreadable)?;
        }
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, footer);
        let header: Vec<String> = builder.schema().fields().iter().map(|field| field.name().clone()).collect();
        let mut seen = HashSet::new();
        if let Some(twice) = header.iter().find(|name| !seen.insert(*name)) {
            let hint = "give every column a name of its own";
            return Err(Broken::new(None, format!("has the column {} twice", shown(twice)), hint));
        }
        let rows = batch_rows(builder.metadata());
        let batches = builder.with_batch_size(rows).build().map_err(unreadable)?;
        Ok(Self { batches, file: copy, limit, header, text: Vec::new(), given: 0, count: 0 })
    }

    /// Decodes the next batch. False at the end of the file.
    fn fill(&mut self) -> Result<bool, Broken> {
        let place = Some(Place::Row(self.count + 1));
        self.text.clear();
        self.given = 0;
        let (batches, text) = (&mut self.batches, &mut self.text);
        let written = guarded(|| match batches.next() {
            None => Ok(false),
            // The decoder's own words could quote what it decodes.
            Some(Err(_)) => Err(damaged_from(place)),
            Some(Ok(batch)) => write_rows(&batch, text).map(|()| true).map_err(|error| {
                let hint = "leave such columns out, or write them in another way";
                Broken::new(place, format!("cannot be written as JSON: {}", unwritable(&error)), hint)
            }),
        });
        written.unwrap_or_else(|| Err(damaged_from(place)))
    }
}

impl RowReader for Rows {
    fn header(&self) -> Option<&[String]> {
        Some(&self.header)
    }

    fn next(&mut self) -> Result<Option<RawRow<'_>>, Broken> {
        while self.given == self.text.len() {
            if !self.fill()? {
                return Ok(None);
            }
        }
        let rest = &self.text[self.given..];
        let length = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
        let raw = &rest[..length];
        self.given = (self.given + length + 1).min(self.text.len());
        self.count += 1;
        let place = Place::Row(self.count);
        if length as u64 > self.limit {
            return Ok(Some(RawRow::oversized(place, self.limit, length as u64, Digest::of(raw))));
        }
        Ok(Some(RawRow::Json { place, raw, text: raw }))
    }

    /// Parquet is not read from front to back, so that the file is hashed by itself.
    fn digest(&mut self) -> io::Result<Digest> {
        let mut file = self.file.try_clone()?;
        file.seek(SeekFrom::Start(0))?;
        Stored::new(Box::new(file), Some(crate::Compression::None), true)?.digest()
    }
}

/// Runs a decoder, which for some damaged files panics where it should return an error. What it was working on is not
/// used again.
fn guarded<T>(decode: impl FnOnce() -> T) -> Option<T> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(decode)).ok()
}

fn damaged_from(place: Option<Place>) -> Broken {
    Broken::new(place, "the Parquet data cannot be decoded from here on", DAMAGED)
}

/// Refuses codecs that this build cannot decompress, before the first row.
fn check_compression(metadata: &ParquetMetaData) -> Result<(), Broken> {
    let columns = metadata.row_groups().iter().flat_map(RowGroupMetaData::columns);
    for column in columns {
        let known = matches!(
            column.compression(),
            Compression::UNCOMPRESSED | Compression::SNAPPY | Compression::GZIP(_) | Compression::ZSTD(_)
        );
        if !known {
            let codec = column.compression().to_string();
            let codec = codec.split('(').next().unwrap_or(&codec);
            let what = format!("its columns are compressed with {codec}, which is not supported");
            return Err(Broken::new(None, what, "write it with zstd, snappy, gzip or no compression"));
        }
    }
    Ok(())
}

/// The same column with its instants in UTC: they are the same instants, and the names of time zones need not be known.
fn in_utc(field: &FieldRef) -> FieldRef {
    let data_type = match field.data_type() {
        DataType::Timestamp(unit, Some(_)) => DataType::Timestamp(*unit, Some("+00:00".into())),
        DataType::List(of) => DataType::List(in_utc(of)),
        DataType::LargeList(of) => DataType::LargeList(in_utc(of)),
        DataType::ListView(of) => DataType::ListView(in_utc(of)),
        DataType::LargeListView(of) => DataType::LargeListView(in_utc(of)),
        DataType::FixedSizeList(of, length) => DataType::FixedSizeList(in_utc(of), *length),
        DataType::Map(of, sorted) => DataType::Map(in_utc(of), *sorted),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(in_utc).collect()),
        other => other.clone(),
    };
    Arc::new(Field::clone(field).with_data_type(data_type))
}

/// How many rows make up about [`BATCH`] bytes.
fn batch_rows(metadata: &ParquetMetaData) -> usize {
    const MOST: u64 = 1024;
    let groups = metadata.row_groups();
    let bytes: u64 = groups.iter().map(|group| u64::try_from(group.total_byte_size()).unwrap_or(0)).sum();
    let rows: u64 = groups.iter().map(|group| u64::try_from(group.num_rows()).unwrap_or(0)).sum();
    let fitting = BATCH.saturating_mul(rows) / bytes.max(1);
    usize::try_from(fitting.clamp(1, MOST)).unwrap_or(1)
}

/// Why rows cannot be written. The encoder's own words are about types; those of casts would quote a cell.
fn unwritable(error: &ArrowError) -> String {
    match error {
        ArrowError::JsonError(_) | ArrowError::InvalidArgumentError(_) | ArrowError::NotYetImplemented(_) => {
            printable(&error.to_string())
        }
        _ => "a value has no form there".to_owned(),
    }
}

fn write_rows(batch: &RecordBatch, text: &mut Vec<u8>) -> Result<(), ArrowError> {
    WriterBuilder::new()
        .with_explicit_nulls(true)
        .with_encoder_factory(Arc::new(ExactTimes))
        .build::<_, LineDelimited>(text)
        .write(batch)
}

/// Writes dates and times. Where arrow's own encoder would put an error's text in the place of one that is out of range,
/// this one leaves the place empty: the row is not JSON then, and is found to be malformed.
#[derive(Debug)]
struct ExactTimes;

impl EncoderFactory for ExactTimes {
    fn make_default_encoder<'a>(
        &self,
        _: &'a FieldRef,
        array: &'a dyn Array,
        _: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        if !array.data_type().is_temporal() {
            return Ok(None);
        }
        let options = FormatOptions::new().with_display_error(false);
        let encoder = TimeEncoder(ArrayFormatter::try_new(array, &options)?);
        Ok(Some(NullableEncoder::new(Box::new(encoder), array.nulls().cloned())))
    }
}

struct TimeEncoder<'a>(ArrayFormatter<'a>);

impl Encoder for TimeEncoder<'_> {
    fn encode(&mut self, index: usize, out: &mut Vec<u8>) {
        if let Ok(time) = self.0.value(index).try_to_string() {
            out.push(b'"');
            out.extend_from_slice(time.as_bytes());
            out.push(b'"');
        }
    }
}
