//! Specs: what is read is what is kept, JSON is read as JSON, and a report can always be shown.

use ef_model::check_strict;
use ef_spec::{Draft, EvalSpec, SpecErrors, parse};
use miette::NarratableReportHandler;
use serde_json::{Number, Value};

use crate::same::same;

/// Takes the bytes as a spec, in YAML or JSON.
pub(crate) fn check(bytes: &[u8]) -> bool {
    if let Ok(draft) = Draft::read("fuzz.yaml", bytes) {
        let pointers: Vec<String> = draft.components().into_iter().map(|component| component.pointer).collect();
        assert!(pointers.iter().filter(|pointer| *pointer == "/evaluator").count() <= 1, "{pointers:?}");
    }
    match parse("fuzz.yaml", bytes) {
        Ok(loaded) => {
            survives_json(&loaded.spec);
            if let Some(document) = as_json(bytes) {
                agrees_with_json(&loaded.spec, &document);
            }
            true
        }
        Err(errors) => {
            can_be_shown(&errors);
            false
        }
    }
}

/// A spec written as JSON is the same spec; what a run keeps of it is its own kept form.
fn survives_json(spec: &EvalSpec) {
    let written = serde_json::to_value(spec).expect("a spec is JSON");
    let again = parse("again.json", ascii(&written).as_bytes()).expect("a spec written as JSON is a spec");
    assert_eq!(&again.spec, spec);
    let kept = parse("kept.json", ascii(&spec.to_value()).as_bytes()).expect("what is kept of a spec is a spec");
    assert_eq!(kept.spec.to_value(), spec.to_value());
    assert_eq!(kept.spec.digest(), spec.digest());
}

fn as_json(bytes: &[u8]) -> Option<Value> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| check_strict(text).is_ok())?;
    serde_json::from_str(text).ok()
}

/// The YAML reader finds in a JSON file what a JSON reader does.
fn agrees_with_json(spec: &EvalSpec, document: &Value) {
    assert_eq!(document["id"], Value::from(spec.id.as_str()));
    assert_eq!(document["version"], Value::from(spec.version.as_str()));
    let config = Value::Object(spec.evaluator.config.clone());
    let empty = Value::Object(serde_json::Map::new());
    let written = document["evaluator"].get("config").unwrap_or(&empty);
    assert!(same(&config, written, nearly), "the evaluator's config is read otherwise than JSON says");
}

/// Equal, but for the last bit of a fraction, which the JSON library does not promise.
fn nearly(one: &Number, other: &Number) -> bool {
    if !one.is_f64() && !other.is_f64() {
        return one == other;
    }
    let (one, other) = (one.as_f64().unwrap_or(f64::NAN), other.as_f64().unwrap_or(f64::NAN));
    (one - other).abs() <= one.abs() * 4.0 * f64::EPSILON
}

fn can_be_shown(errors: &SpecErrors) {
    assert!(errors.total() > 0 && !errors.problems().is_empty(), "errors without a problem");
    for problem in errors.problems() {
        let report = report(problem);
        assert!(report.len() < 4_000, "a report of {} bytes", report.len());
        assert!(
            !report.contains(|c: char| c.is_control() && !"\n\t\r".contains(c)),
            "it could move the cursor: {report:?}"
        );
        assert!(problem.hint().is_some(), "it does not say what to do: {report}");
        assert!(problem.position().is_none_or(|(line, column)| line > 0 && column > 0), "{report}");
    }
}

/// The problem as a person sees it, with its lines of the file.
pub(crate) fn report(problem: &ef_spec::SpecProblem) -> String {
    let mut report = String::new();
    NarratableReportHandler::new().render_report(&mut report, problem).expect("a report can be written to memory");
    report
}

/// JSON with everything outside ASCII escaped: YAML takes some characters in no other form.
pub(crate) fn ascii(value: &Value) -> String {
    let mut text = String::new();
    for c in value.to_string().chars() {
        if c.is_ascii() && c != '\u{7f}' {
            text.push(c);
        } else {
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| text.push_str(&format!("\\u{unit:04x}")));
        }
    }
    text
}
