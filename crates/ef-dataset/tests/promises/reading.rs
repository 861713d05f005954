//! Streams are read once, in small steps, as far as is asked, and their digest covers every byte.

use std::io::{self, Cursor, Read, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ef_dataset::{DatasetOptions, Format, from_reader, open};
use ef_model::{DatasetRow, Digest, ItemField, ItemSource};

use crate::{dataset, fields, file, options, read, render};

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

pub(crate) fn zstd(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).expect("an encoder");
    encoder.include_checksum(true).expect("an option");
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

/// Rows of about 100 bytes.
fn lines(count: usize) -> String {
    (0..count).map(|row| format!("{{\"input\": {row}, \"reference_output\": \"{row:x>64}\"}}\n")).collect()
}

/// Counts what was taken from it.
struct Counting<R>(R, Arc<AtomicU64>);

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(buffer)?;
        self.1.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

#[test]
fn the_digest_is_that_of_the_stored_bytes_in_every_format_and_compression() {
    let array = format!("[{}]\n\n", lines(300).trim_end().replace('\n', ","));
    for (name, content) in [("d.jsonl", lines(300)), ("d.json", array), ("d.csv", "input\n1\n\n".to_owned())] {
        for (suffix, bytes) in
            [("", content.clone().into_bytes()), (".gz", gzip(content.as_bytes())), (".zst", zstd(content.as_bytes()))]
        {
            let (_folder, path) = file(&format!("{name}{suffix}"), &bytes);
            let mut dataset = open(&path, DatasetOptions::default()).expect("open");
            assert_eq!(dataset.digest(), None, "{name}{suffix} has a digest before it was read");
            let (rows, error) = read(&mut dataset);
            assert!(error.is_none() && !rows.is_empty(), "{name}{suffix}: {error:?}");
            let Some(DatasetRow::Item(first)) = rows.first() else { panic!("{name}{suffix}: no item") };
            assert_eq!(first.item_id.as_str(), "d:1", "{name}{suffix}");
            assert_eq!(dataset.digest(), Some(Digest::of(&bytes)), "{name}{suffix}");
        }
    }
}

#[cfg(feature = "parquet")]
#[test]
fn the_digest_of_a_parquet_file_is_that_of_its_bytes() {
    use arrow::array::{ArrayRef, StringArray};

    let input: ArrayRef = Arc::new(StringArray::from_iter_values((0..5000).map(|row| format!("row {row}"))));
    let bytes =
        crate::formats::written(&arrow::array::RecordBatch::try_from_iter([("input", input)]).expect("a batch"));
    let (_folder, path) = file("d.parquet", &bytes);
    let mut dataset = open(&path, DatasetOptions::default()).expect("open");
    assert_eq!((read(&mut dataset).0.len(), dataset.digest()), (5000, Some(Digest::of(&bytes))));
}

#[test]
fn a_gzip_stream_of_two_members_and_a_zstd_stream_of_two_frames_are_read_to_the_end() {
    let (first, second) = (lines(100), "{\"input\": \"last\"}");
    for bytes in [
        [gzip(first.as_bytes()), gzip(second.as_bytes())].concat(),
        [zstd(first.as_bytes()), zstd(second.as_bytes())].concat(),
    ] {
        let mut dataset = dataset(bytes.clone(), DatasetOptions::default()).expect("its first bytes tell the rest");
        let (rows, error) = read(&mut dataset);
        assert!(error.is_none(), "{error:?}");
        assert_eq!((rows.len(), dataset.digest()), (101, Some(Digest::of(&bytes))));
    }
}

#[test]
fn a_compressed_stream_that_is_cut_short_gives_its_rows_and_then_an_error() {
    let content = lines(5000);
    for (name, bytes) in [("d.jsonl.gz", gzip(content.as_bytes())), ("d.jsonl.zst", zstd(content.as_bytes()))] {
        let (_folder, path) = file(name, &bytes[..bytes.len() - 3]);
        let mut dataset = open(&path, DatasetOptions::default()).expect("open");
        let (rows, error) = read(&mut dataset);
        let error = error.expect("the file is cut short");
        assert!(rows.len() > 4000, "{name}: only {} rows came before the end", rows.len());
        assert!(rows.iter().all(|row| matches!(row, DatasetRow::Item(_))), "{name}: a row that was cut is not given");
        assert!(error.message.contains(name) && error.hint.is_some(), "{error:?}");
        assert_eq!(dataset.digest(), None);
    }
}

#[test]
fn max_items_stops_the_reading_and_counts_faulty_rows() {
    let text = format!("{{\"input\":1}}\nbroken\n{}", lines(10_000));
    let taken = Arc::new(AtomicU64::new(0));
    let reader = Counting(Cursor::new(text.clone().into_bytes()), taken.clone());
    let options = |max_items| DatasetOptions { max_items: Some(max_items), ..options(Format::Jsonl, []) };
    let mut dataset = from_reader("stdin", Box::new(reader), options(3)).expect("open");
    let (rows, error) = read(&mut dataset);
    assert!(error.is_none());
    assert_eq!((rows.len(), dataset.digest()), (3, None));
    assert!(matches!(&rows[1], DatasetRow::Faulty { item_id, row: 2, .. } if item_id.as_str() == "stdin:2"));
    assert!(taken.load(Ordering::Relaxed) < 100_000, "it read on after the third row");

    let mut dataset = crate::dataset(text.clone(), options(20_000)).expect("open");
    assert_eq!((read(&mut dataset).0.len(), dataset.digest()), (10_002, Some(Digest::of(text.as_bytes()))));
    let mut dataset = crate::dataset(text, options(0)).expect("open");
    assert_eq!((read(&mut dataset).0.len(), dataset.digest()), (0, None));
}

#[test]
fn a_stream_is_not_read_far_ahead_of_its_rows() {
    const ROWS: usize = 20_000;
    let lines = lines(ROWS);
    let array = format!("[{}]", lines.trim_end().replace('\n', ","));
    let csv = format!("input,reference_output\n{}", format!("7,{}\n", "x".repeat(90)).repeat(ROWS));
    for (format, text) in [(Format::Jsonl, lines), (Format::Json, array), (Format::Csv, csv)] {
        let row_bytes = (text.len() / ROWS) as u64;
        let taken = Arc::new(AtomicU64::new(0));
        let reader = Counting(Cursor::new(text.into_bytes()), taken.clone());
        let mut dataset = from_reader("stdin", Box::new(reader), options(format, [])).expect("open");
        let mut rows = 0;
        while let Some(row) = dataset.next_row().expect("a whole dataset") {
            assert!(matches!(row, DatasetRow::Item(_)));
            rows += 1;
            let ahead = taken.load(Ordering::Relaxed).saturating_sub(rows * row_bytes);
            assert!(ahead < 256 * 1024, "{format}: {ahead} bytes ahead of row {rows}");
        }
        assert_eq!(rows, ROWS as u64, "{format}");
    }
}

#[test]
fn an_input_error_comes_after_the_rows_before_it() {
    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the cable was pulled"))
        }
    }
    let reader = Cursor::new("{\"input\":1}\n{\"input\":2}\n{\"inp").chain(Failing);
    let text = render(from_reader("stdin", Box::new(reader), options(Format::Jsonl, [])));
    assert_eq!(
        text,
        "row 1: stdin:1: input 1\nrow 2: stdin:2: input 2\n\
         error: stdin:3: cannot be read on: the cable was pulled\nhint: -\n"
    );
}

#[test]
fn any_name_makes_valid_item_ids() {
    for stem in ["", "a\u{1b}\nb", &"é".repeat(500)] {
        let reader = Box::new(Cursor::new("{\"q\":1}\n"));
        let options = options(Format::Jsonl, [(ItemField::Input, "q")]);
        let mut dataset = from_reader(stem, reader, options).expect("open");
        assert!(matches!(read(&mut dataset).0.as_slice(), [DatasetRow::Item(_)]), "{stem:?}");
    }
    let (_folder, path) = file("no suffix \u{7f}", b"{\"input\":1}\n");
    let options = DatasetOptions { format: Some(Format::Jsonl), fields: fields([]), ..DatasetOptions::default() };
    assert_eq!(render(open(&path, options)), "row 1: no suffix _:1: input 1\nend\n");
}
