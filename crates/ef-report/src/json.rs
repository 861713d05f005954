//! A run as JSON: the artifact.

use ef_model::RunResult;

/// The artifact `<run_id>.json`: the whole result as indented JSON, with a final newline.
///
/// # Panics
///
/// Never: a result has only string keys, and serde_json writes a number that is not finite as `null`.
#[must_use]
pub fn json(result: &RunResult) -> String {
    let mut text = serde_json::to_string_pretty(result).expect("a result serialises to JSON");
    text.push('\n');
    text
}
