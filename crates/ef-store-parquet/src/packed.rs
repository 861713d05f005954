//! Rows on their way into a segment: a column that says the same in every row is kept once.
//!
//! The records of one append have one evaluator, mostly the same judges, and few errors, so that two thirds of their columns
//! are such. What they would take in a journal is written, synced and read again before the run is in its tables.
//!
//! ```text
//! length of the first stream (8 bytes, little-endian) ‖ stream of the other columns ‖ stream of one row      Arrow IPC
//! ```

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, UInt32Array, new_null_array};
use arrow::buffer::Buffer;
use arrow::compute::take;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamDecoder;
use arrow::ipc::writer::StreamWriter;
use bytes::Bytes;

/// The values of a column.
pub(crate) enum Column {
    /// One for each row.
    Each(ArrayRef),
    /// One for all rows.
    Same(ArrayRef),
}

impl Column {
    /// The column of some values.
    pub(crate) fn of<I>(values: I, array: impl FnOnce(std::iter::Take<I>) -> ArrayRef) -> Self
    where
        I: Iterator<Item: PartialEq> + Clone,
    {
        let mut others = values.clone();
        let first = others.next();
        if first.is_some_and(|first| others.all(|other| other == first)) {
            Self::Same(array(values.take(1)))
        } else {
            // The exact number: some arrays reserve memory for as many as there may be.
            let number = values.clone().count();
            Self::Each(array(values.take(number)))
        }
    }
}

/// Rows of a table.
pub(crate) struct Packed {
    schema: SchemaRef,
    /// In the order of the schema. The first has a value for each row, and so tells how many there are.
    columns: Vec<Column>,
}

impl Packed {
    pub(crate) fn new(schema: &SchemaRef, columns: Vec<Column>) -> Self {
        Self { schema: Arc::clone(schema), columns }
    }

    pub(crate) fn to_bytes(&self) -> Bytes {
        let (mut each, mut same) = (Vec::new(), Vec::new());
        for (field, column) in self.schema.fields().iter().zip(&self.columns) {
            match column {
                Column::Each(values) => each.push((Arc::clone(field), Arc::clone(values))),
                Column::Same(value) => same.push((Arc::clone(field), Arc::clone(value))),
            }
        }
        let mut bytes = stream(vec![0; PREFIX], each);
        let length = (bytes.len() - PREFIX) as u64;
        bytes[..PREFIX].copy_from_slice(&length.to_le_bytes());
        if !same.is_empty() {
            bytes = stream(bytes, same);
        }
        bytes.into()
    }

    /// The rows that [`Packed::to_bytes`] made bytes of, or in which way the bytes are none.
    pub(crate) fn read(mut bytes: Bytes, schema: &SchemaRef) -> Result<RecordBatch, String> {
        let early = || "it ends early".to_owned();
        if bytes.len() < PREFIX {
            return Err(early());
        }
        let length = bytes.split_to(PREFIX).iter().rev().fold(0, |length, byte| length << 8 | u64::from(*byte));
        let length = usize::try_from(length).ok().filter(|length| *length <= bytes.len()).ok_or_else(early)?;
        let each = read_stream(bytes.split_to(length))?;
        let same = if bytes.is_empty() { None } else { Some(read_stream(bytes)?) };
        if same.as_ref().is_some_and(|same| same.num_rows() != 1) {
            return Err("a column that is the same in all rows has not one value".to_owned());
        }
        let columns = schema.fields().iter().map(|field| {
            let of = |batch: &RecordBatch| batch.column_by_name(field.name()).cloned();
            match (of(&each), same.as_ref().and_then(of)) {
                (Some(values), _) => Ok(values),
                (None, Some(value)) => repeated(&value, each.num_rows()),
                (None, None) => Err(format!("the column {} is missing", field.name())),
            }
        });
        let columns = columns.collect::<Result<_, String>>()?;
        RecordBatch::try_new(Arc::clone(schema), columns).map_err(|_| "it has other columns".to_owned())
    }
}

/// Bytes before the first stream.
const PREFIX: usize = 8;

fn repeated(value: &ArrayRef, rows: usize) -> Result<ArrayRef, String> {
    if value.is_null(0) {
        return Ok(new_null_array(value.data_type(), rows));
    }
    take(value, &UInt32Array::from(vec![0; rows]), None).map_err(|_| "it is too long".to_owned())
}

/// Writes columns behind what is there.
fn stream(bytes: Vec<u8>, columns: Vec<(arrow::datatypes::FieldRef, ArrayRef)>) -> Vec<u8> {
    let (fields, columns): (Vec<_>, _) = columns.into_iter().unzip();
    let write = || {
        let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)?;
        let mut bytes = bytes;
        bytes.reserve(batch.get_array_memory_size());
        let mut writer = StreamWriter::try_new(bytes, batch.schema_ref())?;
        writer.write(&batch)?;
        writer.into_inner()
    };
    write().expect("the columns are those of the schema, equally long, and memory takes them")
}

fn read_stream(bytes: Bytes) -> Result<RecordBatch, String> {
    let unreadable = |_: ArrowError| "it cannot be read".to_owned();
    let batch = StreamDecoder::new().decode(&mut Buffer::from(bytes)).map_err(unreadable)?;
    batch.ok_or_else(|| "it ends early".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{encode, schema};

    #[test]
    fn what_is_the_same_in_all_rows_takes_no_room() {
        let commits: Vec<_> = (1..=1000).map(ef_testkit::commit).collect();
        let packed = encode::traces(&commits.iter().collect::<Vec<_>>());
        let bytes = packed.to_bytes();
        let rows = Packed::read(bytes.clone(), &schema::TRACES).expect("rows");
        assert_eq!(rows.num_rows(), 1000);
        assert!(bytes.len() * 2 < rows.get_array_memory_size(), "{} bytes", bytes.len());
    }

    #[test]
    fn bytes_that_are_cut_or_of_other_columns_are_told() {
        let commits: Vec<_> = (1..=3).map(ef_testkit::commit).collect();
        let bytes = encode::judgments(&commits.iter().collect::<Vec<_>>()).to_bytes();
        for length in (0..bytes.len() - 64).step_by(7) {
            Packed::read(bytes.slice(..length), &schema::JUDGMENTS).expect_err("cut");
        }
        assert_eq!(Packed::read(bytes, &schema::TRACES), Err("the column input_sha256 is missing".to_owned()));
    }
}
