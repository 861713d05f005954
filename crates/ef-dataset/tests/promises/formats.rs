//! The same rows are the same items in every format.

use ef_dataset::{Dataset, Format};
#[cfg(feature = "parquet")]
use ef_dataset::{DatasetOptions, open};
use ef_model::{DatasetRow, EvalItem, ItemField};
use proptest::prelude::*;

use crate::{dataset, options, read};
#[cfg(feature = "parquet")]
use crate::{fields, file};

const FIELDS: [(ItemField, &str); 3] =
    [(ItemField::ItemId, "id"), (ItemField::Input, "question"), (ItemField::ReferenceOutput, "answer")];

/// One row: id, question, answer, topic.
type Row = [String; 4];
const COLUMNS: [&str; 4] = ["id", "question", "answer", "to\"pic"];

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let text = "([a-z ,\"\r\n\\\\é\u{1f600}\u{1}-\u{1f}]{0,12}|\\PC{0,8})";
    prop::collection::vec(("[a-zé]{1,8}", text, text, text), 1..12)
        .prop_map(|rows| rows.into_iter().map(|(id, question, answer, topic)| [id, question, answer, topic]).collect())
}

fn object(row: &Row) -> String {
    let entries: Vec<_> = COLUMNS
        .iter()
        .zip(row)
        .map(|(name, value)| format!("{}: {}", serde_json::json!(name), serde_json::json!(value)))
        .collect();
    format!("{{{}}}", entries.join(" , "))
}

fn csv(rows: &[Row]) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(COLUMNS).expect("memory");
    for row in rows {
        writer.write_record(row).expect("memory");
    }
    writer.into_inner().expect("memory")
}

#[cfg(feature = "parquet")]
fn parquet(rows: &[Row]) -> Vec<u8> {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, StringArray};

    let columns = COLUMNS.iter().enumerate().map(|(index, name)| {
        let values: ArrayRef = Arc::new(StringArray::from_iter_values(rows.iter().map(|row| &row[index])));
        (*name, values)
    });
    written(&arrow::array::RecordBatch::try_from_iter(columns).expect("columns of one length"))
}

#[cfg(feature = "parquet")]
pub(crate) fn written(batch: &arrow::array::RecordBatch) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = parquet::arrow::ArrowWriter::try_new(&mut bytes, batch.schema(), None).expect("a schema");
    writer.write(batch).expect("memory");
    writer.close().expect("memory");
    bytes
}

fn items(mut dataset: Dataset) -> Vec<EvalItem> {
    let (rows, error) = read(&mut dataset);
    assert!(error.is_none(), "{error:?}");
    rows.into_iter()
        .map(|row| match row {
            DatasetRow::Item(item) => item,
            DatasetRow::Faulty { fault, .. } => panic!("{}", fault.message),
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_same_rows_are_the_same_items_in_every_format(rows in rows()) {
        let objects: Vec<_> = rows.iter().map(object).collect();
        let lines = items(dataset(objects.join("\n"), options(Format::Jsonl, FIELDS)).expect("open"));
        prop_assert_eq!(lines.len(), rows.len());
        for (item, row) in lines.iter().zip(&rows) {
            prop_assert_eq!(item.item_id.as_str(), &row[0]);
            prop_assert_eq!(item.input.expose_value(), serde_json::json!(row[1]));
            prop_assert_eq!(item.reference_output.as_ref().map(ef_model::Payload::expose_value), Some(serde_json::json!(row[2])));
            prop_assert_eq!(item.metadata.as_ref().map(ef_model::Payload::expose_value), Some(serde_json::json!({"to\"pic": row[3]})));
        }
        let array = format!("[{}]", objects.join(" ,\n"));
        prop_assert_eq!(&items(dataset(array, options(Format::Json, FIELDS)).expect("open")), &lines);
        prop_assert_eq!(&items(dataset(csv(&rows), options(Format::Csv, FIELDS)).expect("open")), &lines);
        #[cfg(feature = "parquet")]
        {
            let (_folder, path) = file("dev.parquet", &parquet(&rows));
            let options = DatasetOptions { fields: fields(FIELDS), ..DatasetOptions::default() };
            prop_assert_eq!(&items(open(&path, options).expect("open")), &lines);
        }
    }
}

#[cfg(feature = "parquet")]
#[test]
fn parquet_values_keep_their_digits_and_their_nulls() {
    use std::sync::Arc;

    use arrow::array::{
        ArrayRef, BinaryArray, Date32Array, Decimal128Array, Float32Array, Float64Array, Int64Array, ListArray,
        RecordBatch, StringArray, StructArray, TimestampMicrosecondArray, UInt64Array,
    };
    use arrow::datatypes::{DataType, Field, Int32Type};

    let inner: ArrayRef = Arc::new(StringArray::from(vec![Some("x"), None, Some("z")]));
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("input", Arc::new(Int64Array::from(vec![Some(i64::MIN), None, Some(9_007_199_254_740_993)]))),
        ("unsigned", Arc::new(UInt64Array::from(vec![u64::MAX, 0, 1]))),
        (
            "decimal",
            Arc::new(
                Decimal128Array::from(vec![12_345_678_901_234_567_890_123_i128, -5, 0])
                    .with_precision_and_scale(38, 3)
                    .expect("a scale"),
            ),
        ),
        ("single", Arc::new(Float32Array::from(vec![0.1, f32::NAN, 1e20]))),
        ("double", Arc::new(Float64Array::from(vec![0.1 + 0.2, f64::INFINITY, 1e300]))),
        ("day", Arc::new(Date32Array::from(vec![Some(0), None, Some(i32::MAX)]))),
        ("instant", Arc::new(TimestampMicrosecondArray::from(vec![1, -1, 0]).with_timezone("+00:00"))),
        ("zone", Arc::new(TimestampMicrosecondArray::from(vec![1, -1, 0]).with_timezone("Europe/Berlin"))),
        ("local", Arc::new(TimestampMicrosecondArray::from(vec![1, -1, 0]))),
        ("bytes", Arc::new(BinaryArray::from_iter_values([&b"\x00\xff"[..], b"", b"a"]))),
        (
            "list",
            Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([
                Some(vec![Some(1), None]),
                None,
                Some(vec![]),
            ])),
        ),
        ("object", Arc::new(StructArray::from(vec![(Arc::new(Field::new("a.b", DataType::Utf8, true)), inner)]))),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)));
    let (_folder, path) = file("types.parquet", &written(&batch.expect("columns of one length")));
    let options =
        DatasetOptions { fields: fields([(ItemField::ReferenceOutput, "object.a.b")]), ..DatasetOptions::default() };
    let text = crate::render(open(&path, options));
    insta::assert_snapshot!(text);
}

#[cfg(feature = "parquet")]
#[test]
fn a_parquet_file_that_does_not_fit_is_refused_at_open() {
    let rows = [[String::from("a"), String::from("b"), String::from("c"), String::from("d")]];
    let bytes = parquet(&rows);
    let (_folder, path) = file("dev.parquet", &bytes);
    let error = open(&path, DatasetOptions::default()).expect_err("the columns are not fields");
    assert!(error.message.ends_with(r#"the columns are "id", "question", "answer", "to\"pic""#), "{}", error.message);
    let (_folder, path) = file("dev.parquet", &bytes[..bytes.len() - 9]);
    let error = open(&path, DatasetOptions::default()).expect_err("it is cut short");
    assert!(error.message.contains("cannot be read as Parquet"), "{}", error.message);
}

#[cfg(feature = "parquet")]
#[test]
fn an_oversized_parquet_row_is_a_fault_of_that_row() {
    let row = |length: usize| [String::from("a"), "x".repeat(length), String::new(), String::new()];
    let (_folder, path) = file("dev.parquet", &parquet(&[row(1), row(1000), row(2)]));
    let options = DatasetOptions { max_item_bytes: 200, fields: fields(FIELDS), ..DatasetOptions::default() };
    let rendered = crate::render(open(&path, options));
    assert!(
        rendered.contains("row 2: dev:2: oversized: dev.parquet: row 2: 1049 bytes, more than the 200"),
        "{rendered}"
    );
    assert_eq!(rendered.lines().count(), 4, "{rendered}");
}
