//! No bytes make a reader panic, loop or count wrongly.

use ef_dataset::{DatasetOptions, Format};
use ef_model::{DatasetRow, Digest, ItemField, ItemSource};
use proptest::prelude::*;

use crate::{dataset, read};

/// Bytes with a good chance of being nearly right.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    const PARTS: [&[u8]; 22] = [
        b"{\"input\":",
        b"\"a\"",
        b"1e4",
        b"}",
        b"{",
        b"[",
        b"]",
        b",",
        b"\n",
        b"\r\n",
        b"\"",
        b"\\",
        b"input",
        b"metadata",
        b":",
        b"\0",
        b"\xff",
        b"\xef\xbb\xbf",
        b"\x1f\x8b\x08",
        b"\x28\xb5\x2f\xfd",
        b"null",
        b" ",
    ];
    let near = prop::collection::vec(prop::sample::select(&PARTS[..]), 0..40);
    prop_oneof![near.prop_map(|parts| parts.concat()), prop::collection::vec(any::<u8>(), 0..200)]
}

fn mapped() -> impl Strategy<Value = Vec<(ItemField, String)>> {
    let field = prop::sample::select(ItemField::ALL.to_vec());
    prop::collection::vec((field, "(input|metadata|a|[.a]{0,3})"), 0..3)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn no_text_panics_a_reader_and_rows_are_in_order(
        bytes in bytes(),
        format in prop::sample::select(vec![Format::Jsonl, Format::Json, Format::Csv]),
        mapped in mapped(),
        limit in 0_u64..60,
    ) {
        let options = DatasetOptions {
            format: Some(format),
            fields: mapped.into_iter().collect(),
            max_items: None,
            max_item_bytes: limit,
            digest: true,
        };
        let Ok(mut dataset) = dataset(bytes.clone(), options) else { return Ok(()) };
        let (rows, error) = read(&mut dataset);
        prop_assert!(rows.len() <= bytes.len());
        let numbers: Vec<u64> = rows.iter().map(|row| match row {
            DatasetRow::Item(item) => item.row,
            DatasetRow::Faulty { row, .. } => *row,
        }).collect();
        prop_assert!(numbers.is_sorted_by(|a, b| a < b));
        prop_assert_eq!(dataset.digest(), error.is_none().then(|| Digest::of(&bytes)));
    }

    #[test]
    fn compressed_streams_that_are_damaged_do_not_panic(
        at in 0_usize..200,
        with in any::<u8>(),
        gzip in any::<bool>(),
    ) {
        let lines = "{\"input\":\"some text that can be compressed\"}\n".repeat(50);
        let mut bytes = if gzip { crate::reading::gzip(lines.as_bytes()) } else { crate::reading::zstd(lines.as_bytes()) };
        let at = at % bytes.len();
        bytes[at] ^= with;
        if let Ok(mut dataset) = dataset(bytes, DatasetOptions { format: Some(Format::Jsonl), ..Default::default() }) {
            read(&mut dataset);
        }
    }
}

#[cfg(feature = "parquet")]
proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn parquet_files_that_are_damaged_do_not_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        use std::sync::Arc;

        use arrow::array::{ArrayRef, Int32Array, StringArray};

        let input: ArrayRef = Arc::new(StringArray::from_iter_values((0..40).map(|row| format!("row {row}"))));
        let number: ArrayRef = Arc::new(Int32Array::from_iter_values(0..40));
        let batch = arrow::array::RecordBatch::try_from_iter([("input", input), ("n", number)]).expect("columns of one length");
        let mut bytes = crate::formats::written(&batch);
        for (at, with) in changes {
            let at = at.index(bytes.len());
            bytes[at] ^= with;
        }
        let (_folder, path) = crate::file("dev.parquet", &bytes);
        let options = DatasetOptions { fields: crate::fields([(ItemField::Input, "input")]), ..DatasetOptions::default() };
        if let Ok(mut dataset) = ef_dataset::open(&path, options) {
            let (rows, error) = read(&mut dataset);
            prop_assert!(rows.len() <= 10_000);
            prop_assert_eq!(dataset.digest(), error.is_none().then(|| Digest::of(&bytes)));
        }
    }
}
