//! The committed specs, on the data that they are made for.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::folder::Folder;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn run(folder: &Folder, spec: &Path, dataset: &Path) -> Value {
    let [spec, dataset] = [spec, dataset].map(|path| path.to_str().expect("a path in UTF-8"));
    folder.ef_with(["run", spec, "--dataset", dataset, "--format", "json"], "", &[]).exits(0).json()
}

/// The public GSM8K test set with the answers of four systems, where it is there.
fn gsm8k() -> Option<PathBuf> {
    ef_testkit::public_data("gsm8k/model_solutions.jsonl")
}

/// The numbers of Cobbe et al., "Training Verifiers to Solve Math Word Problems" (2021).
fn reproduces(system: &str, correct: u64, accuracy: &str) {
    let Some(dataset) = gsm8k() else { return };
    let folder = Folder::empty();
    let result = run(&folder, &repository().join(format!("fixtures/gsm8k/{system}.yaml")), &dataset);
    assert_eq!(result["counts"]["ok"], 1319, "{result:#}");
    let metric = &result["metrics"][0];
    let of = |key: &str| metric[key].as_u64().expect("a count");
    assert_eq!((metric["name"].as_str(), of("n"), of("n_error"), of("n_unscored")), (Some("accuracy"), 1319, 0, 0));
    let records = folder.records("latest");
    let scored_true = records.iter().filter(|record| record["judgments"][0]["score"] == true).count();
    assert_eq!(scored_true as u64, correct, "{system}: correct answers");
    let value = metric["value"].as_f64().expect("a value");
    assert_eq!(value, correct as f64 / 1319.0, "{system}: the share of correct answers");
    assert_eq!(format!("{value:.4}"), accuracy, "{system}: as it is published");
}

#[test]
fn gsm8k_6b_finetuning_is_reproduced_to_the_item() {
    reproduces("6b_finetuning", 286, "0.2168");
}

#[test]
fn gsm8k_6b_verification_is_reproduced_to_the_item() {
    reproduces("6b_verification", 515, "0.3904");
}

#[test]
fn gsm8k_175b_finetuning_is_reproduced_to_the_item() {
    reproduces("175b_finetuning", 458, "0.3472");
}

#[test]
fn gsm8k_175b_verification_is_reproduced_to_the_item() {
    reproduces("175b_verification", 742, "0.5625");
}

/// The specs in `fixtures/`, with the dataset beside each; those without one name public data.
fn specs() -> Vec<(PathBuf, Option<PathBuf>)> {
    let mut specs = Vec::new();
    for folder in fs::read_dir(repository().join("fixtures")).expect("there are fixtures") {
        let folder = folder.expect("an entry").path();
        let dataset = Some(folder.join("dataset.jsonl")).filter(|path| path.exists());
        for file in fs::read_dir(&folder).expect("a folder") {
            let file = file.expect("an entry").path();
            if file.extension().is_some_and(|extension| extension == "yaml") {
                specs.push((file, dataset.clone()));
            }
        }
    }
    specs
}

#[test]
fn every_committed_spec_runs_and_fits_the_committed_schema() {
    let specs = specs();
    assert!(specs.len() >= 5, "{specs:?}");
    let read = |path: &Path| fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    for (spec, dataset) in specs {
        let text = read(&spec);
        let schema = text.lines().next().and_then(|line| line.strip_prefix("# yaml-language-server: $schema="));
        let schema = schema.unwrap_or_else(|| panic!("{} names no schema", spec.display()));
        let schema: Value = serde_json::from_str(&read(&spec.with_file_name(schema))).expect("a schema");
        let loaded = ef_spec::parse("spec.yaml", text.as_bytes()).expect("a spec");
        assert!(jsonschema::is_valid(&schema, &loaded.spec.to_value()), "{}", spec.display());
        if let Some(dataset) = dataset {
            let result = run(&Folder::empty(), &spec, &dataset);
            assert_eq!(result["status"], "completed");
            assert_eq!(result["counts"]["judge_error"], 0, "{}", spec.display());
        }
    }
}

#[test]
fn the_quickstart_says_what_its_readme_says() {
    let quickstart = repository().join("fixtures/quickstart");
    let result = run(&Folder::empty(), &quickstart.join("spec.yaml"), &quickstart.join("dataset.jsonl"));
    let value = |name: &str| {
        let metrics = result["metrics"].as_array().expect("metrics");
        metrics.iter().find(|metric| metric["name"] == name).expect(name)["value"].as_f64().expect("a value")
    };
    assert_eq!(result["counts"]["ok"], 20);
    assert_eq!(value("accuracy"), 16.0 / 20.0, "four answers have a wrong number or none");
    assert_eq!(value("links_help"), 17.0 / 20.0, "three have no link");
}
