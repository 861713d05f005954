//! The same items in every format, and what the command line says over the spec.

use std::io::Write;

use serde_json::Value;

use crate::folder::{DATASET, Folder, SPEC, assert_seen};

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish()).expect("memory can be written")
}

fn zstd(text: &str) -> Vec<u8> {
    zstd::encode_all(text.as_bytes(), 0).expect("memory can be read")
}

fn array() -> String {
    format!("[{}]", DATASET.lines().collect::<Vec<_>>().join(",\n"))
}

const CSV: &str = "item_id,input,reference_output\na,1,1\nb,2,2\nc,3,x\nd,4,4\n";

#[test]
fn the_same_items_give_the_same_metrics_in_every_format() {
    let folder = Folder::new();
    for (name, content) in [
        ("a.jsonl", DATASET.into()),
        ("b.json", array().into_bytes()),
        ("c.csv", CSV.into()),
        ("d.ndjson", DATASET.replace('\n', "\r\n").into_bytes()),
        ("e.jsonl.gz", gzip(DATASET)),
        ("f.csv.zst", zstd(CSV)),
        ("g.json.gz", gzip(&array())),
        ("h.jsonl", zstd(DATASET)),
    ] {
        folder.write(name, content);
    }
    let metrics = |line: &str, input: &[u8]| {
        let ran = folder.ef_reading(&format!("run spec.yaml --format json {line}"), input).exits(0);
        ran.json()["metrics"].clone()
    };
    let expected = metrics("--dataset dataset.jsonl", b"");
    assert_eq!((expected[0]["value"].as_f64(), expected[0]["n"].as_u64()), (Some(0.75), Some(4)));
    for name in ["a.jsonl", "b.json", "c.csv", "d.ndjson", "e.jsonl.gz", "f.csv.zst", "g.json.gz", "h.jsonl"] {
        assert_eq!(metrics(&format!("--dataset {name}"), b""), expected, "{name}");
    }
    for (input, option) in [
        (DATASET.into(), ""),
        (array().into_bytes(), ""),
        (gzip(DATASET), ""),
        (CSV.into(), "--dataset-format csv"),
        (zstd(CSV), "--dataset-format csv"),
    ] {
        assert_eq!(metrics(&format!("--dataset - {option}"), &input), expected, "standard input {option}");
    }
    folder.write("data.txt", DATASET);
    assert_eq!(metrics("--dataset data.txt --dataset-format jsonl", b""), expected);
    assert_seen("unknown_format", folder.ef("run spec.yaml --dataset data.txt").exits(2));
    assert_seen("no_such_format", folder.ef("run spec.yaml --dataset data.txt --dataset-format xml").exits(2));
}

#[test]
fn map_names_the_columns_and_counts_over_the_spec() {
    let folder = Folder::new();
    folder.write("spec.yaml", format!("{SPEC}dataset: {{fields: {{input: other, reference_output: truth.text}}}}\n"));
    folder.write("d.jsonl", "{\"question\": \"q\", \"other\": \"o\", \"truth\": {\"text\": \"q\"}}\n");
    let run = |map: &str| folder.ef(&format!("run spec.yaml --dataset d.jsonl --format json {map}")).exits(0).json();
    assert_eq!(run("")["metrics"][0]["value"], 0.0);
    let mapped = run("--map input=question");
    assert_eq!(mapped["metrics"][0]["value"], 1.0);
    let fields = serde_json::json!({"input": "question", "reference_output": "truth.text"});
    assert_eq!(mapped["dataset"]["fields"], fields);
    assert_eq!(mapped["spec"]["dataset"]["fields"], fields, "the spec as it was run is what is kept");
    assert_ne!(mapped["spec_digest"], run("")["spec_digest"]);
    for (name, map) in [
        ("map_without_equals", "--map question"),
        ("map_of_no_field", "--map output=question"),
        ("map_to_no_column", "--map input=prompt"),
    ] {
        assert_seen(name, folder.ef(&format!("run spec.yaml --dataset d.jsonl {map}")).exits(2));
    }
}

#[test]
fn max_items_and_concurrency_count_over_the_spec_and_are_recorded() {
    let folder = Folder::new();
    let run = |line: &str| folder.ef(&format!("run spec.yaml --dataset dataset.jsonl {line}"));
    let few = run("--max-items 3 --concurrency 1 --format json").exits(0).json();
    assert_eq!(few["counts"]["ok"], 3);
    assert_eq!(
        (&few["spec"]["runtime"]["max_items"], &few["spec"]["runtime"]["max_concurrent"]),
        (&3.into(), &1.into())
    );
    assert_eq!(few["dataset_digest"], Value::Null, "not all of the dataset was read");
    let all = run("--max-items 4000 --concurrency 4096 --format json").exits(0).json();
    assert_eq!(all["counts"]["ok"], 4);
    assert_ne!(all["dataset_digest"], Value::Null);
    for wrong in ["--max-items 0", "--max-items -1", "--concurrency 0", "--concurrency 4097", "--max-items many"] {
        assert_eq!(run(wrong).exits(2).stdout, "", "{wrong}");
    }
}

#[test]
fn the_json_result_fits_its_schema_and_is_the_artifact_and_what_show_gives() {
    let folder = Folder::new();
    let schema = folder.ef("schema run").exits(0).json();
    let ran =
        folder.ef("run spec.yaml --dataset dataset.jsonl --format json --run-id one --output results/deep").exits(0);
    assert_eq!(ran.stderr, "", "nothing but the result");
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    let faults: Vec<_> = validator.iter_errors(&ran.json()).map(|error| error.to_string()).collect();
    assert_eq!(faults, [""; 0]);
    assert_eq!(folder.read("results/deep/one.json"), ran.stdout.as_bytes());
    assert_eq!(folder.ef("show one --format json").exits(0).stdout, ran.stdout);
    assert_eq!(ran.json()["dataset"], serde_json::json!({"path": "dataset.jsonl", "format": "jsonl", "fields": {}}));
}

#[test]
fn a_result_that_cannot_be_kept_as_a_file_is_shown_and_is_in_the_store() {
    let folder = Folder::new();
    std::fs::create_dir_all(folder.path("runs/one.json")).expect("a folder in the way");
    let ran = folder.ef("run spec.yaml --dataset dataset.jsonl --run-id one").exits(2);
    assert!(ran.stdout.contains("accuracy  0.7500"), "{ran}");
    assert_seen("artifact_refused", &ran);
    assert_eq!(folder.ef("show one --format json").exits(0).json()["status"], "completed");
    assert!(!folder.has("runs/.one.json.part"), "nothing half-written is left");
}

#[test]
fn the_dataset_digest_is_the_one_of_its_bytes() {
    let folder = Folder::new();
    let packed = gzip(DATASET);
    folder.write("d.jsonl.gz", &packed);
    for (name, bytes) in [("dataset.jsonl", DATASET.as_bytes()), ("d.jsonl.gz", packed.as_slice())] {
        let ran = folder.ef(&format!("run spec.yaml --dataset {name} --format json")).exits(0).json();
        assert_eq!(ran["dataset_digest"], ef_model::Digest::of(bytes).to_string(), "{name}");
    }
}
