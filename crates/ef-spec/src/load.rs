//! Text to a checked EvalSpec.

use std::sync::Arc;

use crate::migrate::SCHEMA_VERSIONS;
use crate::problem::{Problems, SpecErrors, SpecProblem, quoted};
use crate::rules::{self, ALL_JUDGES};
use crate::shape::{self, Path};
use crate::source::SourceText;
use crate::tree::{Node, Span, Value};
use crate::{EvalSpec, MetricSpec, table, yaml};

/// A spec file has at most so many bytes.
pub const MAX_BYTES: usize = 1 << 20;

/// A spec that was read and found right, with its text, so that what is found later can be reported at its place.
#[derive(Debug, Clone)]
pub struct LoadedSpec {
    /// The spec, with every default in place.
    pub spec: EvalSpec,
    source: Arc<SourceText>,
    root: Node,
}

impl LoadedSpec {
    /// The file's name, as it was given.
    #[must_use]
    pub fn name(&self) -> &str {
        self.source.name()
    }

    /// A problem at the value (or with `at_key` at the key) that an RFC 6901 pointer such as `/judges/0/config/pattern`
    /// names; at the nearest ancestor where the file has no such value.
    pub fn problem(
        &self,
        pointer: &str,
        at_key: bool,
        message: impl Into<String>,
        hint: Option<String>,
    ) -> SpecProblem {
        let place = self.root.locate(pointer, at_key);
        SpecProblem::new(&self.source, message).at(place, "").maybe_hint(hint)
    }

    /// These problems as one error of this file.
    #[must_use]
    pub fn errors(&self, problems: Vec<SpecProblem>) -> SpecErrors {
        let mut all = Problems::new(Arc::clone(&self.source));
        problems.into_iter().for_each(|problem| all.push(problem));
        all.into_errors()
    }
}

/// Reads a spec from YAML or JSON text. `name` is the file's name in reports.
///
/// # Errors
///
/// Everything that is wrong with it, in the order of the file. A text that is not YAML is reported by its first fault,
/// and a spec of another version by that alone.
pub fn parse(name: &str, bytes: &[u8]) -> Result<LoadedSpec, SpecErrors> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let (text, source) = readable_text(name, bytes)?;
    let mut problems = Problems::new(Arc::clone(&source));
    let root = yaml::read(text, &mut problems)?;
    check_version(&root, text, &source)?;
    shape::check(&root, &table::EVAL_SPEC, Path::Root, root.place(), &mut problems);
    rules::check(&root, &mut problems);
    if !problems.is_empty() {
        return Err(problems.into_errors());
    }
    // The checks leave nothing that the types refuse; should they ever, it is an error like any other.
    let spec: EvalSpec = serde_json::from_value(root.to_json()).map_err(|error| {
        Problems::only(SpecProblem::new(&source, format!("the spec does not fit: {error}")).at(root.place(), ""))
    })?;
    Ok(LoadedSpec { spec: with_defaults(spec), source, root })
}

/// The bytes as text, if they can be read at all.
fn readable_text<'b>(name: &str, bytes: &'b [u8]) -> Result<(&'b str, Arc<SourceText>), SpecErrors> {
    if bytes.len() > MAX_BYTES {
        let source = Arc::new(SourceText::new(name, b""));
        let message = format!("the file has {} bytes, and a spec has at most {MAX_BYTES} (1 MiB)", bytes.len());
        let problem = SpecProblem::new(&source, message).hint("a spec holds no data: keep it in the dataset");
        return Err(Problems::only(problem));
    }
    let source = Arc::new(SourceText::new(name, bytes));
    let one_byte = |start| Span { start, end: start + 1 };
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let start = error.valid_up_to();
        let message = format!("the file is not UTF-8: byte 0x{:02X} at offset {start}", bytes[start]);
        let problem = SpecProblem::new(&source, message).at(one_byte(start), "invalid byte");
        Problems::only(problem.hint("save the file as UTF-8"))
    })?;
    if let Some(start) = bytes.iter().position(|byte| byte.is_ascii_control() && !b"\t\n\r".contains(byte)) {
        let byte = bytes[start];
        let (what, hint) = match byte {
            0 if start < 2 => ("a NUL byte".to_owned(), "the file seems to be UTF-16: save it as UTF-8".to_owned()),
            0 => ("a NUL byte".to_owned(), "remove it; in double quotes it can be written \"\\0\"".to_owned()),
            _ => {
                let hint = format!("remove it; in double quotes it can be written \"\\u{byte:04x}\"");
                (format!("the control character U+{byte:04X}"), hint)
            }
        };
        let message = format!("the file holds {what} at offset {start}");
        let problem = SpecProblem::new(&source, message).at(one_byte(start), "control character");
        return Err(Problems::only(problem.hint(hint)));
    }
    Ok((text, source))
}

/// Refuses what is no spec of a supported version, before anything else is said about it.
fn check_version(root: &Node, text: &str, source: &Arc<SourceText>) -> Result<(), SpecErrors> {
    let fail = |message: String, span: Span, label: &str, hint: String| {
        Err(Problems::only(SpecProblem::new(source, message).at(span, label).hint(hint)))
    };
    let start_hint = || "a spec begins with `schema_version: \"1\"`".to_owned();
    let Value::Mapping(entries) = &root.value else {
        if root.value == Value::Null && root.span.is_empty() {
            let what = if text.trim().is_empty() { "the file is empty" } else { "the file holds nothing but comments" };
            return Err(Problems::only(SpecProblem::new(source, what).hint(start_hint())));
        }
        let label = format!("found {}", root.kind());
        return fail("the top level of a spec must be a mapping".to_owned(), root.place(), &label, start_hint());
    };
    let Some(entry) = entries.iter().find(|entry| entry.key == "schema_version") else { return Ok(()) };
    let supported = SCHEMA_VERSIONS.map(|version| format!("\"{version}\"")).join(", ");
    let place = entry.place();
    match &entry.value.value {
        Value::Text(version) if SCHEMA_VERSIONS.contains(&version.as_str()) => Ok(()),
        // Complained about already, together with the rest.
        Value::Faulty => Ok(()),
        Value::Text(version) => {
            let hint = if version.parse::<u64>().is_ok_and(|version| version > 1) {
                "update ef: a newer one wrote this file".to_owned()
            } else {
                format!("run `ef migrate SPEC --to {} --output FILE`", SCHEMA_VERSIONS[SCHEMA_VERSIONS.len() - 1])
            };
            let message = format!("schema_version {} is not supported; this ef reads {supported}", quoted(version));
            fail(message, place, "unsupported version", hint)
        }
        _ => {
            let label = format!("found {}", entry.value.kind());
            let hint = "put it in quotes: schema_version: \"1\"".to_owned();
            fail(format!("schema_version must be a text, one of {supported}"), place, &label, hint)
        }
    }
}

/// Names that follow from ids, metrics that follow from judges, and `from: judges` as what it means.
fn with_defaults(mut spec: EvalSpec) -> EvalSpec {
    for judge in spec.judges.iter_mut().filter(|judge| judge.name.is_empty()) {
        rules::default_name(judge.id.as_str()).clone_into(&mut judge.name);
    }
    for metric in &mut spec.scoring.metrics {
        metric.from = metric.from.take().filter(|from| from != ALL_JUDGES);
    }
    if spec.scoring.metrics.is_empty() {
        let names = spec.judges.iter().map(|judge| judge.name.clone());
        spec.scoring.metrics = names.map(|name| MetricSpec::mean_of(name.clone(), Some(name))).collect();
    }
    spec
}
