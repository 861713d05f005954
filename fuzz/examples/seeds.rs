//! Writes the seeds that no editor can: Parquet files and compressed streams. Run it from anywhere:
//! `cargo run -p ef-fuzz --example seeds`.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, ListArray, RecordBatch, StringArray, StructArray,
};
use arrow::datatypes::{DataType, Field, Int32Type};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

const LINES: &str = "{\"input\": \"a\", \"metadata\": {\"topic\": \"sums\"}}\n{\"input\": [1, 2]}\nnot JSON\n";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("seeds");
    let folder = seeds.join("dataset_parquet");
    for (name, compression) in [
        ("plain", Compression::UNCOMPRESSED),
        ("snappy", Compression::SNAPPY),
        ("zstd", Compression::ZSTD(ZstdLevel::default())),
        ("gzip", Compression::GZIP(parquet::basic::GzipLevel::default())),
    ] {
        fs::write(folder.join(format!("{name}.parquet")), parquet(&rows()?, compression)?)?;
    }
    fs::write(folder.join("nested.parquet"), parquet(&nested()?, Compression::UNCOMPRESSED)?)?;
    fs::write(folder.join("refused-text.parquet"), "PAR1 and no more PAR1")?;

    let folder = seeds.join("dataset_compressed");
    fs::write(folder.join("lines.gz"), gzip(LINES)?)?;
    fs::write(folder.join("members.gz"), [gzip(LINES)?, gzip(LINES)?].concat())?;
    fs::write(folder.join("lines.zst"), zstd::encode_all(LINES.as_bytes(), 3)?)?;
    fs::write(folder.join("array.zst"), zstd::encode_all(&b"[{\"input\": \"a\"}]"[..], 3)?)?;
    fs::write(folder.join("refused-twice.gz"), zstd::encode_all(&gzip(LINES)?[..], 3)?)?;
    fs::write(folder.join("plain"), LINES)?;
    Ok(())
}

fn gzip(text: &str) -> std::io::Result<Vec<u8>> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes())?;
    encoder.finish()
}

fn parquet(rows: &RecordBatch, compression: Compression) -> Result<Vec<u8>, parquet::errors::ParquetError> {
    let properties = WriterProperties::builder().set_compression(compression).build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, rows.schema(), Some(properties))?;
    writer.write(rows)?;
    writer.close()?;
    Ok(bytes)
}

fn rows() -> Result<RecordBatch, arrow::error::ArrowError> {
    let input: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "a long text, a long text, a long text"]));
    let reference: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(i64::MAX)]));
    RecordBatch::try_from_iter([("input", input), ("reference_output", reference)])
}

fn nested() -> Result<RecordBatch, arrow::error::ArrowError> {
    let input: ArrayRef =
        Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([Some(vec![Some(1), None]), None, Some(vec![])]));
    let number: ArrayRef = Arc::new(Float64Array::from(vec![0.1, f64::NAN, -0.0]));
    let truth: ArrayRef = Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]));
    let metadata: ArrayRef = Arc::new(StructArray::from(vec![
        (Arc::new(Field::new("number", DataType::Float64, true)), number),
        (Arc::new(Field::new("truth", DataType::Boolean, true)), truth),
    ]));
    RecordBatch::try_from_iter_with_nullable([("input", input, true), ("metadata", metadata, true)])
}
