//! A dataset that people use.

use std::path::Path;

use ef_dataset::{DatasetOptions, open};
use ef_model::{DatasetRow, ItemField, ItemSource};

use crate::{fields, read};

#[allow(clippy::print_stderr, reason = "a test that is skipped says so")]
#[test]
fn gsm8k_is_read_whole_with_what_is_not_mapped_in_metadata() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/gsm8k/model_solutions.jsonl");
    if !path.exists() {
        eprintln!("SKIPPED: {} is not there, so that no real data was read", path.display());
        return;
    }
    let mapped = [(ItemField::Input, "question"), (ItemField::ReferenceOutput, "ground_truth")];
    let mut dataset =
        open(&path, DatasetOptions { fields: fields(mapped), ..DatasetOptions::default() }).expect("open");
    let (rows, error) = read(&mut dataset);
    assert!(error.is_none(), "{error:?}");
    assert_eq!(rows.len(), 1319);
    assert!(dataset.digest().is_some());
    for row in &rows {
        let DatasetRow::Item(item) = row else { panic!("every row is whole: {row:?}") };
        assert_eq!(item.item_id.as_str(), format!("model_solutions:{}", item.row));
        let metadata = item.metadata.as_ref().expect("unmapped columns").expose_value();
        assert!(metadata["175b_verification"]["solution"].is_string());
        assert!(metadata.get("question").is_none() && metadata.get("ground_truth").is_none());
    }

    let mapped = [(ItemField::Input, "question"), (ItemField::ReferenceOutput, "175b_verification.solution")];
    let mut dataset =
        open(&path, DatasetOptions { fields: fields(mapped), ..DatasetOptions::default() }).expect("open");
    let Ok(Some(DatasetRow::Item(item))) = dataset.next_row() else { panic!("the first row is whole") };
    assert!(item.reference_output.is_some_and(|solution| solution.expose().starts_with("\"Janet")));
}
