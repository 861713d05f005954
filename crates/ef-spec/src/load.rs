//! Text to a checked EvalSpec.

use std::sync::Arc;

use ef_model::ComponentId;

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
        SpecProblem::new(&self.source, message).at(place, "").with_any_hint(hint)
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
    Draft::read(name, bytes)?.finish()
}

/// A spec that was read and may be wrong. Whoever knows its evaluators and judges adds what is wrong with their
/// configs, so that everything is reported at once.
pub struct Draft {
    root: Node,
    problems: Problems,
}

/// An evaluator or judge as a draft names it.
#[derive(Debug, Clone, PartialEq)]
pub struct DraftComponent {
    /// RFC 6901 pointer to it: `/evaluator` or `/judges/0`.
    pub pointer: String,
    /// Whether it is a judge.
    pub is_judge: bool,
    /// Its id.
    pub id: ComponentId,
    /// Its config.
    pub config: serde_json::Map<String, serde_json::Value>,
}

impl Draft {
    /// Reads a spec from YAML or JSON text. `name` is the file's name in reports.
    ///
    /// # Errors
    ///
    /// When there is nothing to add to: the text is not YAML, or the spec is of another version.
    pub fn read(name: &str, bytes: &[u8]) -> Result<Self, SpecErrors> {
        let (root, mut problems) = read(name, bytes)?;
        if let Some(declared) = Declared::of(&root)
            && !declared.is_supported()
        {
            return Err(Problems::only(declared.refused(problems.source())));
        }
        shape::check(&root, &table::EVAL_SPEC, Path::Root, root.place(), &mut problems);
        rules::check(&root, &mut problems);
        Ok(Self { root, problems })
    }

    /// The evaluator and the judges whose ids and configs can be understood, in the order of the file.
    #[must_use]
    pub fn components(&self) -> Vec<DraftComponent> {
        let evaluator = self.root.entry("evaluator").map(|entry| ("/evaluator".to_owned(), false, &entry.value));
        let judges = self.root.entry("judges").map_or(&[][..], |entry| entry.value.elements());
        let judges = judges.iter().enumerate().map(|(index, judge)| (format!("/judges/{index}"), true, judge));
        let understood = |(pointer, is_judge, node): (String, bool, &Node)| {
            let id = ComponentId::new(node.entry("id")?.value.text()?).ok()?;
            let config = match node.entry("config") {
                None => serde_json::Map::new(),
                Some(entry) if entry.value.is_whole() => entry.value.to_json().as_object()?.clone(),
                Some(_) => return None,
            };
            Some(DraftComponent { pointer, is_judge, id, config })
        };
        evaluator.into_iter().chain(judges).filter_map(understood).collect()
    }

    /// Whether nothing is wrong so far.
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }

    /// Adds a problem at the value (or with `at_key` at the key) that an RFC 6901 pointer such as
    /// `/judges/0/config/pattern` names; at the nearest ancestor where the file has no such value.
    pub fn add(&mut self, pointer: &str, at_key: bool, message: impl Into<String>, hint: Option<String>) {
        let problem = SpecProblem::new(self.problems.source(), message);
        self.problems.push(problem.at(self.root.locate(pointer, at_key), "").with_any_hint(hint));
    }

    /// The spec.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, in the order of the file.
    pub fn finish(self) -> Result<LoadedSpec, SpecErrors> {
        let Self { root, problems } = self;
        if !problems.is_empty() {
            return Err(problems.into_errors());
        }
        let source = Arc::clone(problems.source());
        // The checks leave nothing that the types refuse; should they ever, it is an error like any other.
        let spec: EvalSpec = serde_json::from_value(root.to_json()).map_err(|error| {
            Problems::only(SpecProblem::new(&source, format!("the spec does not fit: {error}")).at(root.place(), ""))
        })?;
        Ok(LoadedSpec { spec: with_defaults(spec), source, root })
    }
}

/// The schema version that a file declares, if it declares one as a text.
pub(crate) fn declared_version(name: &str, bytes: &[u8]) -> Result<Option<String>, SpecErrors> {
    let (root, _) = read(name, bytes)?;
    Ok(Declared::of(&root).and_then(|declared| declared.node.text()).map(str::to_owned))
}

/// The file as a tree whose top level is a mapping.
fn read(name: &str, bytes: &[u8]) -> Result<(Node, Problems), SpecErrors> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let (text, source) = readable_text(name, bytes)?;
    let mut problems = Problems::new(Arc::clone(&source));
    let root = yaml::read(text, &mut problems)?;
    let fault = match &root.value {
        Value::Mapping(_) => return Ok((root, problems)),
        // Its tag was refused.
        Value::Faulty => return Err(problems.into_errors()),
        Value::Null if text.trim().is_empty() => SpecProblem::new(&source, "the file is empty"),
        Value::Null if root.span.is_empty() => SpecProblem::new(&source, "the file holds nothing but comments"),
        _ => SpecProblem::new(&source, "the top level of a spec must be a mapping")
            .at(root.place(), format!("found {}", root.kind())),
    };
    Err(Problems::only(fault.with_hint("a spec begins with `schema_version: \"1\"`")))
}

/// The bytes as text, if they can be read at all.
fn readable_text<'b>(name: &str, bytes: &'b [u8]) -> Result<(&'b str, Arc<SourceText>), SpecErrors> {
    if bytes.len() > MAX_BYTES {
        let source = Arc::new(SourceText::new(name, b""));
        // Not how large it is: a caller may have stopped reading at the limit.
        let problem = SpecProblem::new(&source, "the file has more than 1 MiB, the most that a spec may have")
            .with_hint("a spec holds no data: keep it in the dataset");
        return Err(Problems::only(problem));
    }
    let source = Arc::new(SourceText::new(name, bytes));
    let one_byte = |start| Span { start, end: start + 1 };
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let start = error.valid_up_to();
        let message = format!("the file is not UTF-8: byte 0x{:02X} at offset {start}", bytes[start]);
        let problem = SpecProblem::new(&source, message).at(one_byte(start), "invalid byte");
        Problems::only(problem.with_hint("save the file as UTF-8"))
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
        return Err(Problems::only(problem.with_hint(hint)));
    }
    Ok((text, source))
}

/// The value of `schema_version`.
struct Declared<'n> {
    node: &'n Node,
    place: Span,
}

impl<'n> Declared<'n> {
    fn of(root: &'n Node) -> Option<Self> {
        // A faulty value has been complained about, and is reported with the rest.
        let entry = root.entry("schema_version").filter(|entry| entry.value.value != Value::Faulty)?;
        Some(Self { node: &entry.value, place: entry.place() })
    }

    fn is_supported(&self) -> bool {
        self.node.text().is_some_and(|version| SCHEMA_VERSIONS.contains(&version))
    }

    /// Says which versions there are and what to do, before anything else is said about the file.
    fn refused(&self, source: &Arc<SourceText>) -> SpecProblem {
        let supported = SCHEMA_VERSIONS.map(|version| format!("\"{version}\"")).join(", ");
        let latest = SCHEMA_VERSIONS[SCHEMA_VERSIONS.len() - 1];
        let version = match &self.node.value {
            Value::Text(text) => text.as_str(),
            Value::Integer(_) | Value::Float(_) => source.slice(self.node.span),
            _ => "",
        };
        if version.is_empty() || SCHEMA_VERSIONS.contains(&version) {
            let message = format!("schema_version must be a text; this ef reads {supported}");
            let problem = SpecProblem::new(source, message).at(self.place, format!("found {}", self.node.kind()));
            let version = if version.is_empty() { latest } else { version };
            return problem.with_hint(format!("put it in quotes: schema_version: \"{version}\""));
        }
        let message = format!("schema_version {} is not supported; this ef reads {supported}", quoted(version));
        let newer =
            version.parse::<f64>().is_ok_and(|version| latest.parse().is_ok_and(|latest: f64| version > latest));
        SpecProblem::new(source, message).at(self.place, "unsupported version").with_hint(if newer {
            "update ef: this file was written for a newer one".to_owned()
        } else {
            format!("run `ef migrate SPEC --to {latest} --output FILE`")
        })
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
