//! Datasets: whatever a file holds, its rows are what stands there, and what is said of the others gives nothing away.

use std::collections::BTreeMap;
use std::io::{Cursor, Write as _};

use ef_dataset::{Compression, Dataset, DatasetOptions, Format, from_reader, open};
use ef_model::{DatasetRow, Digest, EvalItem, ItemField, ItemSource, Payload, SourceError, check_strict};

use crate::content::Content;

/// What came of a reading.
struct Outcome {
    rows: Vec<DatasetRow>,
    error: Option<SourceError>,
}

impl Outcome {
    fn items(&self) -> impl Iterator<Item = &EvalItem> {
        self.rows.iter().filter_map(|row| match row {
            DatasetRow::Item(item) => Some(item),
            DatasetRow::Faulty { .. } => None,
        })
    }

    fn has_items(&self) -> bool {
        self.items().next().is_some()
    }
}

/// One JSON object a line.
pub(crate) fn jsonl(bytes: &[u8]) -> bool {
    let lines: Vec<&[u8]> = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).split(|byte| *byte == b'\n').collect();
    let line = |row: u64| usize::try_from(row - 1).ok().and_then(|index| lines.get(index)).expect("a row is a line");
    text(bytes, Format::Jsonl, |outcome| {
        for row in &outcome.rows {
            match row {
                DatasetRow::Item(item) => assert_stands_in(item, line(item.row)),
                DatasetRow::Faulty { row, fault, .. } => {
                    assert_eq!(fault.bytes, line(*row).len() as u64, "the length of a faulty line");
                    assert_eq!(fault.sha256, Digest::of(line(*row)), "the digest of a faulty line");
                }
            }
        }
    })
}

/// One JSON array.
pub(crate) fn json(bytes: &[u8]) -> bool {
    text(bytes, Format::Json, |outcome| outcome.items().for_each(|item| assert_stands_in(item, bytes)))
}

/// Comma-separated values.
pub(crate) fn csv(bytes: &[u8]) -> bool {
    // A quote within quotes stands there twice, and a cell may hold an object: what remains without any quotes, and
    // without the escapes that they get in JSON, is the same on both sides.
    let bare = |bytes: &[u8]| -> Vec<u8> { bytes.iter().copied().filter(|byte| *byte != b'"').collect() };
    let file = bare(bytes);
    text(bytes, Format::Csv, |outcome| {
        for payload in outcome.items().flat_map(|item| [Some(&item.input), item.reference_output.as_ref()]).flatten() {
            let value = payload.expose_value();
            let cell = value.as_str().expect("a cell is a text");
            assert!(contains(&file, &bare(cell.as_bytes())), "a cell that the file does not hold");
        }
    })
}

/// Parquet, which is read from a file.
pub(crate) fn parquet(bytes: &[u8]) -> bool {
    let mut file = tempfile::Builder::new().suffix(".parquet").tempfile().expect("a temporary file");
    file.write_all(bytes).expect("room for a temporary file");
    let Ok(dataset) = open(file.path(), DatasetOptions::default()) else { return false };
    let outcome = read(dataset, bytes);
    outcome.has_items()
}

/// Compressed streams: those that are none, and those that are.
pub(crate) fn compressed(bytes: &[u8]) -> bool {
    let options = |format| DatasetOptions { format, ..DatasetOptions::default() };
    let hostile = from_reader("fuzz", Box::new(Cursor::new(bytes.to_vec())), options(None));
    let taken = hostile.is_ok_and(|dataset| read(dataset, bytes).has_items());

    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).expect("memory");
    let packed = [gzip.finish().expect("memory"), zstd::encode_all(bytes, 1).expect("memory")];
    let rows = |bytes: Vec<u8>| {
        let dataset = from_reader("fuzz", Box::new(Cursor::new(bytes.clone())), options(Some(Format::Jsonl)));
        dataset.map(|dataset| read(dataset, &bytes).rows).map_err(|error| error.message)
    };
    // What is compressed twice is decompressed once.
    if Compression::of_magic(bytes) == Compression::None {
        let plain = rows(bytes.to_vec());
        for bytes in packed {
            assert_eq!(rows(bytes), plain, "compression changes what is read");
        }
    }
    taken
}

/// Reads a text format in several ways, each of which has to fit the bytes.
fn text(bytes: &[u8], format: Format, fits: impl Fn(&Outcome)) -> bool {
    // What begins like a compressed file is decompressed, and is another target's.
    if Compression::of_magic(bytes) != Compression::None {
        return false;
    }
    let mapped = [(ItemField::Input, "question"), (ItemField::ReferenceOutput, "answer.text")];
    let fields = mapped.map(|(field, column)| (field, column.to_owned()));
    let ways = [
        DatasetOptions { format: Some(format), ..DatasetOptions::default() },
        DatasetOptions {
            format: Some(format),
            fields: fields.into(),
            max_items: None,
            max_item_bytes: 64,
            digest: true,
        },
    ];
    let mut taken = false;
    for options in ways {
        match from_reader("fuzz", Box::new(Cursor::new(bytes.to_vec())), options) {
            Ok(dataset) => {
                let outcome = read(dataset, bytes);
                assert!(outcome.rows.len() <= bytes.len(), "more rows than bytes");
                fits(&outcome);
                taken |= outcome.has_items();
            }
            Err(error) => Content::new(bytes).assert_not_in(&error.message),
        }
    }
    taken
}

/// Reads to the end, and checks what holds in every format.
fn read(mut dataset: Dataset, bytes: &[u8]) -> Outcome {
    let content = Content::new(bytes);
    let mut outcome = Outcome { rows: Vec::new(), error: None };
    let mut last = 0;
    loop {
        let row = match dataset.next_row() {
            Ok(Some(row)) => row,
            Ok(None) => break,
            Err(error) => {
                content.assert_not_in(&error.message);
                outcome.error = Some(error);
                break;
            }
        };
        let number = match &row {
            DatasetRow::Item(item) => {
                item.payloads().for_each(assert_sound);
                item.row
            }
            DatasetRow::Faulty { row, fault, .. } => {
                content.assert_not_in(&fault.message);
                *row
            }
        };
        assert!(number > last, "rows come in their order");
        last = number;
        outcome.rows.push(row);
    }
    let digest = outcome.error.is_none().then(|| Digest::of(bytes));
    assert_eq!(dataset.digest(), digest, "the digest is that of all bytes, or of none");
    outcome
}

fn assert_sound(payload: &Payload) {
    assert!(check_strict(payload.expose()).is_ok(), "a payload is strict JSON");
    assert_eq!(payload.digest(), Digest::of(payload.expose().as_bytes()));
}

/// Checks that an item's values stand in these bytes as they are; its metadata may have been put together of them.
fn assert_stands_in(item: &EvalItem, bytes: &[u8]) {
    for payload in [Some(&item.input), item.reference_output.as_ref()].into_iter().flatten() {
        assert!(contains(bytes, payload.expose().as_bytes()), "a payload that the row does not hold");
    }
    let Some(metadata) = &item.metadata else { return };
    let entries: BTreeMap<String, Box<serde_json::value::RawValue>> =
        serde_json::from_str(metadata.expose()).expect("metadata is an object");
    for value in entries.values() {
        assert!(contains(bytes, value.get().as_bytes()), "metadata that the row does not hold");
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    part.is_empty() || bytes.windows(part.len()).any(|window| window == part)
}
