//! Rows and files that cannot be used.

use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray, TimestampSecondArray};

use crate::way::Way;
use crate::world::World;

const SPEC: &str = "schema_version: \"1\"\nid: canary/rows\nversion: 1.0.0\n\
     evaluator: {id: eval_fabric.examples.echo}\njudges: [{id: eval_fabric.exact_match}]\n\
     runtime: {max_item_bytes: 2000}\n";

const GOOD: &str = "{\"item_id\": \"good\", \"input\": \"1\", \"reference_output\": \"1\"}\n";

#[test]
fn invariant_8_rows_that_cannot_be_used_are_told_without_their_content() {
    Way::each(|way| {
        let world = World::new(way);
        world.write("spec.yaml", SPEC);
        let marker = world.payload("malformed row");
        let rows = [
            GOOD.to_owned(),
            format!("{{\"input\": \"{marker}\"\n"),
            format!("{marker}\n"),
            format!("[\"{marker}\"]\n"),
            format!("{{\"input\": \"{marker}\", \"input\": \"{marker}\"}}\n"),
            format!("{{\"input\": {{\"{marker}\": 1, \"{marker}\": 2}}}}\n"),
            format!("{{\"input\": \"{marker}\\ud800\"}}\n"),
            format!("{{\"input\": \"{marker}\", \"metadata\": \"{marker}\"}}\n"),
            format!("{{\"input\": \"{marker}\", \"metadata\": [\"{marker}\"]}}\n"),
            format!("{{\"input\": \"{marker}\", \"item_id\": \"{marker}\\u0007\"}}\n"),
            format!("{{\"input\": \"{marker}\", \"item_id\": {{\"{marker}\": 1}}}}\n"),
            format!("{{\"input\": \"{}\"}}\n", marker.repeat(100)),
            format!("{{\"reference_output\": \"{marker}\"}}\n"),
            format!("{{\"input\": 1e999, \"reference_output\": \"{marker}\"}}\n"),
        ];
        world.write("rows.jsonl", rows.concat());
        world.write(
            "rows.csv",
            format!("item_id,input,metadata\na,1,\nb,\"{marker}\",\"{{{marker}\"\nc,{marker}\n{marker},d,e,f\n"),
        );
        let list: Vec<_> = rows[3..8].iter().filter(|row| !row.contains("[\"")).map(|row| row.trim_end()).collect();
        world.write("rows.json", format!("[{}, {}]", GOOD.trim_end(), list.join(",")));
        for name in ["rows.jsonl", "rows.csv", "rows.json"] {
            world.ef(&format!("run spec.yaml --dataset {name}"), 0);
            world.tell_everything();
            world.ef("show latest --status skipped --format json", 0);
        }
        world.assert_silent();
    });
}

fn parquet(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns).expect("columns of one length");
    let mut bytes = Vec::new();
    let mut writer = parquet::arrow::ArrowWriter::try_new(&mut bytes, batch.schema(), None).expect("a schema");
    writer.write(&batch).expect("memory");
    writer.close().expect("memory");
    bytes
}

#[test]
fn invariant_8_cells_of_parquet_files_are_not_quoted() {
    Way::each(|way| {
        let world = World::new(way);
        world.write("spec.yaml", SPEC);
        let cell = world.payload("cell of a Parquet file");
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["1", &cell]));
        let ids: ArrayRef = Arc::new(StringArray::from(vec!["a".to_owned(), format!("{cell}\u{7}")]));
        let large: ArrayRef = Arc::new(StringArray::from(vec!["1".to_owned(), cell.repeat(100)]));
        // Seconds that no calendar has: what arrow says of them quotes them.
        let times: ArrayRef = Arc::new(TimestampSecondArray::from(vec![1, i64::MAX - 4711]));
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
        let bytes: ArrayRef = Arc::new(BinaryArray::from(vec![b"1".as_slice(), cell.as_bytes()]));
        world.write("ids.parquet", parquet(vec![("item_id", ids), ("input", Arc::clone(&texts))]));
        world.write("large.parquet", parquet(vec![("input", large)]));
        world.write("times.parquet", parquet(vec![("input", Arc::clone(&texts)), ("metadata", times)]));
        world.write("numbers.parquet", parquet(vec![("input", Arc::clone(&texts)), ("metadata", numbers)]));
        for name in ["ids", "large", "times", "numbers"] {
            let ended = world.ef(&format!("run spec.yaml --dataset {name}.parquet"), 0);
            assert!(!ended.stderr.contains("9223372036854771096"), "{ended}");
            world.tell_everything();
        }
        let whole = parquet(vec![("input", Arc::clone(&texts)), ("reference_output", bytes)]);
        world.write("bytes.parquet", &whole);
        world.ef("run spec.yaml --dataset bytes.parquet --format json", 0);
        world.assert_stored(&["cell of a Parquet file"]);
        // A page that is damaged.
        let mut damaged = whole;
        for byte in &mut damaged[20..90] {
            *byte ^= 0x55;
        }
        world.write("damaged.parquet", &damaged);
        world.ef("run spec.yaml --dataset damaged.parquet", 2);
        world.assert_silent();
    });
}

#[test]
fn invariant_8_a_file_that_cannot_be_read_on_or_has_changed_is_told_without_its_content() {
    Way::each(|way| {
        let world = World::new(way);
        world.write("spec.yaml", SPEC);
        let marker = world.payload("broken file");
        world.write("broken.json", format!("[{{\"input\": \"{marker}\"}} {marker}"));
        world.write("quote.csv", format!("input,reference_output\n\"{marker}\n{marker}"));
        world.write("twice.jsonl", format!("{GOOD}{{\"item_id\": \"good\", \"input\": \"{marker}\"}}\n"));
        world.write("cut.jsonl.gz", [b"\x1f\x8b\x08\x00".as_slice(), marker.as_bytes()].concat());
        for name in ["broken.json", "quote.csv", "twice.jsonl", "cut.jsonl.gz"] {
            world.ef(&format!("run spec.yaml --dataset {name}"), 2);
            world.ef("runs --format json", 0);
        }
        // A run that ended early, whose dataset is another one when it goes on.
        let abort = SPEC.replace("runtime: {", "runtime: {on_failure: abort, max_concurrent: 1, ");
        world.write("abort.yaml", abort);
        let row = |id: &str, input: &str| format!("{{\"item_id\": \"{id}\", \"input\": \"{input}\"}}\n");
        let broken = format!("{{{marker}\n");
        world.write("data.jsonl", [row("a", &marker), row("b", "1"), broken.clone()].concat());
        world.ef("run abort.yaml --dataset data.jsonl --run-id ended", 3);
        let changed = world.payload("changed row");
        world.write("data.jsonl", [row("a", &changed), row("b", "1"), broken].concat());
        world.ef("resume ended", 2);
        world.assert_silent();
    });
}
