//! What the crate promises, by subject.

mod faults;
mod formats;
mod fuzz;
mod mapping;
mod reading;
mod real_data;
mod skipping;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Cursor;
use std::path::PathBuf;

use ef_dataset::{Dataset, DatasetOptions, Format, from_reader};
use ef_model::{DatasetRow, ItemField, ItemSource, SourceError};

/// A mapping from pairs of field and column.
fn fields<const N: usize>(pairs: [(ItemField, &str); N]) -> BTreeMap<ItemField, String> {
    pairs.into_iter().map(|(field, column)| (field, column.to_owned())).collect()
}

/// Options for a format and a mapping.
fn options<const N: usize>(format: Format, pairs: [(ItemField, &str); N]) -> DatasetOptions {
    DatasetOptions { format: Some(format), fields: fields(pairs), ..DatasetOptions::default() }
}

/// A dataset from bytes in memory, called `dev`.
fn dataset(bytes: impl Into<Vec<u8>>, options: DatasetOptions) -> Result<Dataset, SourceError> {
    from_reader("dev", Box::new(Cursor::new(bytes.into())), options)
}

/// A file of these bytes in a folder that lives as long as the first value.
fn file(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).expect("a temporary file");
    (folder, path)
}

/// All rows and how the reading ended.
fn read(dataset: &mut Dataset) -> (Vec<DatasetRow>, Option<SourceError>) {
    let mut rows = Vec::new();
    loop {
        match dataset.next_row() {
            Ok(Some(row)) => rows.push(row),
            Ok(None) => return (rows, None),
            Err(error) => return (rows, Some(error)),
        }
    }
}

/// Rows and end in the form that the snapshots keep.
fn render(dataset: Result<Dataset, SourceError>) -> String {
    let mut text = String::new();
    let (rows, error) = match dataset {
        Ok(mut dataset) => read(&mut dataset),
        Err(error) => {
            text.push_str("at open: ");
            (Vec::new(), Some(error))
        }
    };
    for row in rows {
        match row {
            DatasetRow::Item(item) => {
                write!(text, "row {}: {}: input {}", item.row, item.item_id, item.input.expose()).expect("memory");
                if let Some(reference) = item.reference_output {
                    write!(text, ", reference {}", reference.expose()).expect("memory");
                }
                if let Some(metadata) = item.metadata {
                    write!(text, ", metadata {}", metadata.expose()).expect("memory");
                }
                text.push('\n');
            }
            DatasetRow::Faulty { item_id, row, fault } => {
                writeln!(text, "row {row}: {item_id}: {}: {} [{} bytes]", fault.kind, fault.message, fault.bytes)
                    .expect("memory");
            }
        }
    }
    match error {
        None => text.push_str("end\n"),
        Some(error) => {
            writeln!(text, "error: {}", error.message).expect("memory");
            writeln!(text, "hint: {}", error.hint.as_deref().unwrap_or("-")).expect("memory");
        }
    }
    text
}
