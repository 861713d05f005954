//! Samples for components of which nothing is known: every kind of JSON, with and without a reference.

use ef_model::{EvalItem, EvaluatorOutput, ItemId, Payload};

/// Inputs with their references and outputs. The texts are such that an error that quotes one is noticed.
const TEXTS: [(&str, Option<&str>, &str); 7] = [
    (r#""What is the capital of Freedonia?""#, Some(r#""Fredville-on-Sea""#), r#""Fredville-on-Sea""#),
    (r#""What is the capital of Sylvania?""#, Some(r#""Sylvanopolis""#), r#""I am not certain, perhaps Fredville""#),
    (r#""How much is 17.5 plus 25?""#, Some("42.5"), "42.5"),
    (r#"{"question": "Is Sylvania larger than Freedonia?"}"#, Some("true"), "false"),
    (
        r#"[{"role": "user", "content": "Name two cities of Freedonia"}]"#,
        Some(r#"["Fredville-on-Sea", "Fredburgh"]"#),
        r#"["Fredburgh"]"#,
    ),
    (r#""Überraschung 🎉 \u0000 \" \\ end of the surprise""#, None, r#""""#),
    (r#""A question without a reference""#, None, "null"),
];

/// The samples.
pub(super) fn every_kind() -> Vec<(EvalItem, EvaluatorOutput)> {
    let payload = |text: &str| Payload::from_checked(text.to_owned());
    TEXTS
        .iter()
        .zip(1..)
        .map(|((input, reference, output), row)| {
            let item = EvalItem {
                item_id: ItemId::new(format!("sample-{row}")).expect("a short text without control characters"),
                row,
                input: payload(input),
                reference_output: reference.map(payload),
                metadata: (row % 2 == 0).then(|| payload(r#"{"split": "contract", "row": 1.50}"#)),
            };
            (item, EvaluatorOutput::new(payload(output)))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_samples_are_strict_json() {
        for (item, output) in every_kind() {
            for payload in item.payloads().chain([&output.output]) {
                ef_model::check_strict(payload.expose()).expect("strict JSON");
            }
        }
    }
}
