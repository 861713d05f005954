//! Passing over rows is reading them and looking away.

use ef_dataset::{DatasetOptions, Format};
use ef_model::{Digest, ItemField, ItemSource};
use proptest::prelude::*;

use crate::{dataset, options, read};

/// A row of JSONL: usable, broken, too long, or blank.
fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        5 => (0..1000_u32).prop_map(|number| format!(r#"{{"input":{number}}}"#)),
        1 => Just("not JSON".to_owned()),
        1 => (40..200_000_usize).prop_map(|length| format!(r#"{{"input":"{}"}}"#, "x".repeat(length))),
        2 => prop_oneof![Just(""), Just(" \t"), Just("\r")].prop_map(str::to_owned),
    ]
}

fn assert_same_as_reading(bytes: &[u8], with: &DatasetOptions, first: u64, second: u64) {
    let open = || dataset(bytes, with.clone()).expect("it opens");
    let mut whole = open();
    let (rows, _) = read(&mut whole);
    let mut skipping = open();
    skipping.skip_to(first).expect("it can be read");
    let one = skipping.next_row().expect("it can be read");
    assert_eq!(one.as_ref(), rows.iter().find(|row| row.row() >= first));
    let behind = one.map_or(u64::MAX, |row| row.row());
    skipping.skip_to(second).expect("it can be read");
    let (rest, _) = read(&mut skipping);
    let expected: Vec<_> = rows.iter().filter(|row| row.row() > behind && row.row() >= second).collect();
    assert_eq!(rest.iter().collect::<Vec<_>>(), expected);
    assert_eq!(skipping.digest(), whole.digest(), "the digest is over what was passed over too");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn lines_that_are_passed_over_are_the_lines_that_would_be_read(
        lines in prop::collection::vec(line(), 0..40),
        ended in any::<bool>(),
        first in 0..45_u64,
        second in 0..45_u64,
        max_items in prop::option::of(1..30_u64),
    ) {
        let text = lines.join("\n") + if ended { "\n" } else { "" };
        let with = DatasetOptions { max_items, max_item_bytes: 60, ..options(Format::Jsonl, []) };
        assert_same_as_reading(text.as_bytes(), &with, first, second);
    }

    #[test]
    fn so_are_records_and_elements(rows in 0..20_usize, first in 0..25_u64, second in 0..25_u64) {
        let csv: String = std::iter::once("input\n".to_owned()).chain((0..rows).map(|row| format!("text {row}\n"))).collect();
        assert_same_as_reading(csv.as_bytes(), &options(Format::Csv, []), first, second);
        let elements: Vec<_> = (0..rows).map(|row| format!(r#"{{"input":{row}}}"#)).collect();
        let json = format!("[{}]", elements.join(","));
        let with = options(Format::Json, [(ItemField::Input, "input")]);
        assert_same_as_reading(json.as_bytes(), &with, first, second);
    }
}

#[test]
fn without_a_digest_nothing_is_hashed_and_none_is_told() {
    let text = br#"{"input":1}"#;
    let mut plain = dataset(*text, DatasetOptions { digest: false, ..options(Format::Jsonl, []) }).expect("it opens");
    assert_eq!(read(&mut plain).0.len(), 1);
    assert_eq!(plain.digest(), None);
    let mut hashed = dataset(*text, options(Format::Jsonl, [])).expect("it opens");
    read(&mut hashed);
    assert_eq!(hashed.digest(), Some(Digest::of(text)));
}
