//! Every value of a file against the table of its fields, with all that does not fit.

use std::fmt;

use crate::problem::{Problems, quoted};
use crate::table::{self, Field, Need, Shape, Table, TextRule};
use crate::tree::{Entry, Node, Span, Value};

/// Where a value stands in the file, as it is said to a person: `judges[0].max_concurrent`.
#[derive(Clone, Copy)]
pub(crate) enum Path<'a> {
    Root,
    Key(&'a Path<'a>, &'a str),
    Index(&'a Path<'a>, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Key(Path::Root, key) => f.write_str(key),
            Self::Key(parent, key) => write!(f, "{parent}.{key}"),
            Self::Index(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// Checks a mapping against its table. `place` is where to point when a field is missing.
pub(crate) fn check(node: &Node, table: &'static Table, path: Path<'_>, place: Span, problems: &mut Problems) {
    for entry in node.entries() {
        match table.fields.iter().find(|field| field.name == entry.key) {
            Some(field) => check_field(entry, field, path, problems),
            None => unknown_field(entry, table, path, problems),
        }
    }
    for field in table.fields {
        if let Need::Required(example) = field.need
            && node.entry(field.name).is_none()
        {
            let owner = if matches!(path, Path::Root) { "the spec".to_owned() } else { format!("`{path}`") };
            let message = format!("{owner} has no `{}`", field.name);
            let problem = problems.at(place, format!("`{}` is missing", field.name), message);
            problems.push(problem.with_hint(format!("add `{example}`")));
        }
    }
}

fn check_field(entry: &Entry, field: &'static Field, parent: Path<'_>, problems: &mut Problems) {
    let node = &entry.value;
    if matches!(node.value, Value::Faulty)
        || (matches!(node.value, Value::Null) && matches!(field.need, Need::Optional))
    {
        return;
    }
    let path = Path::Key(&parent, &entry.key);
    let mut subject = Subject { node, place: entry.place(), path, problems };
    match &field.shape {
        Shape::Text(rule) => subject.text(rule.as_ref()),
        Shape::OneOf(values) => subject.one_of(values),
        Shape::Bool => subject.bool(),
        Shape::Integer { min, max } => subject.integer(*min, *max),
        Shape::Number { min, max } => subject.number(*min, *max),
        Shape::Table(table) => {
            if subject.is_mapping(|| table_hint(table)) {
                check(node, table, path, entry.key_span, problems);
            }
        }
        Shape::List { of, min } => subject.list(of, *min),
        Shape::TextMap(keys) => subject.text_map(*keys),
        Shape::AnyMapping => {
            subject.is_mapping(|| "write its settings as `key: value`, or leave it out".to_owned());
        }
    }
}

/// A value under check.
struct Subject<'n, 'p> {
    node: &'n Node,
    place: Span,
    path: Path<'n>,
    problems: &'p mut Problems,
}

impl Subject<'_, '_> {
    /// It is of another kind than it must be.
    fn wrong_kind(&mut self, must_be: &str, hint: String) {
        let hint = match self.node.value {
            Value::Null => "give it a value, or leave the field out".to_owned(),
            _ => hint,
        };
        let message = format!("`{}` must be {must_be}", self.path);
        let problem = self.problems.at(self.place, format!("found {}", self.node.kind()), message);
        self.problems.push(problem.with_hint(hint));
    }

    fn out_of_range(&mut self, range: &str) {
        let found = self.problems.source().slice(self.node.span).to_owned();
        let message = format!("`{}` is out of range", self.path);
        let problem = self.problems.at(self.place, format!("found {}", quoted(&found).trim_matches('`')), message);
        self.problems.push(problem.with_hint(format!("it must be {range}")));
    }

    fn text(&mut self, rule: Option<&TextRule>) {
        let must_be = rule.map_or("a text", |rule| rule.rule);
        let example = rule.map(|rule| format!("for example `{}`", rule.example));
        let Some(text) = self.node.text() else {
            let written = self.problems.source().slice(self.node.span);
            let scalar = matches!(self.node.value, Value::Bool(_) | Value::Integer(_) | Value::Float(_));
            let hint = match example {
                _ if scalar && rule.is_none_or(|rule| (rule.valid)(written)) => {
                    format!("put it in quotes: {}", quoted(&format!("\"{written}\"")))
                }
                Some(example) => example,
                None => "write it as one text, in quotes if need be".to_owned(),
            };
            return self.wrong_kind(must_be, hint);
        };
        if rule.is_some_and(|rule| !(rule.valid)(text)) {
            let message = format!("`{}` must be {must_be}", self.path);
            let problem = self.problems.at(self.place, "not of this form", message);
            self.problems.push(problem.with_any_hint(example));
        }
    }

    fn one_of(&mut self, values: &[&str]) {
        let list = listed(values);
        let Some(text) = self.node.text() else {
            return self.wrong_kind("a text", format!("it must be one of {list}"));
        };
        if !values.contains(&text) {
            let message = format!("`{}` has no value {}", self.path, quoted(text));
            let hint = nearest(text, values).map_or_else(String::new, |value| format!("did you mean `{value}`? "));
            let problem = self.problems.at(self.place, "unknown value", message);
            self.problems.push(problem.with_hint(format!("{hint}it must be one of {list}")));
        }
    }

    fn bool(&mut self) {
        if !matches!(self.node.value, Value::Bool(_)) {
            let hint = match self.node.text().map(str::to_ascii_lowercase).as_deref() {
                Some("yes" | "on" | "y" | "true") => "write `true`, without quotes",
                Some("no" | "off" | "n" | "false") => "write `false`, without quotes",
                _ => "write `true` or `false`",
            };
            self.wrong_kind("true or false", hint.to_owned());
        }
    }

    fn integer(&mut self, min: u64, max: u64) {
        let range = format!("an integer from {min} to {max}");
        match self.node.value {
            Value::Integer(value) if (i128::from(min)..=i128::from(max)).contains(&value) => {}
            // An integer too long for any type of this program arrives as a double.
            Value::Float(value) if value.abs() > 1e30 => self.out_of_range(&range),
            Value::Integer(_) => self.out_of_range(&range),
            _ => {
                let hint = self.plain_number().filter(|text| text.parse::<i64>().is_ok());
                self.wrong_kind(
                    "an integer",
                    hint.map_or(format!("it must be {range}"), |text| format!("write it as {text}")),
                );
            }
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "the field is a double")]
    fn number(&mut self, min: Option<f64>, max: Option<f64>) {
        let range = match (min, max) {
            (Some(min), Some(max)) => format!("a number from {min} to {max}"),
            (Some(min), None) => format!("a number of at least {min}"),
            (None, Some(max)) => format!("a number of at most {max}"),
            (None, None) => "a number".to_owned(),
        };
        let value = match self.node.value {
            Value::Integer(value) => value as f64,
            Value::Float(value) => value,
            _ => {
                let hint = self.plain_number().filter(|text| text.parse::<f64>().is_ok_and(f64::is_finite));
                let hint = hint.map_or(format!("it must be {range}"), |text| format!("write it as {text}"));
                return self.wrong_kind("a number", hint);
            }
        };
        if min.is_some_and(|min| value < min) || max.is_some_and(|max| value > max) {
            self.out_of_range(&range);
        }
    }

    /// The number that was meant by a text such as `"3"` or `1_000`, or by `4.0` where an integer must be.
    fn plain_number(&self) -> Option<String> {
        match &self.node.value {
            Value::Text(text) if text.len() <= 40 => Some(text.replace(['_', ',', ' '], "")),
            Value::Float(value) if value.fract() == 0.0 && value.abs() < 1e15 => Some(value.to_string()),
            _ => None,
        }
    }

    fn is_mapping(&mut self, hint: impl FnOnce() -> String) -> bool {
        let is = matches!(self.node.value, Value::Mapping(_));
        if !is {
            self.wrong_kind("a mapping", hint());
        }
        is
    }

    fn list(&mut self, of: &'static Table, min: usize) {
        let Value::List(elements) = &self.node.value else {
            return self.wrong_kind("a list", "begin each entry with `- `".to_owned());
        };
        if elements.len() < min {
            let problem =
                self.problems.at(self.place, "empty", format!("`{}` must have at least one entry", self.path));
            self.problems.push(problem.with_hint(table_hint(of)));
        }
        for (index, node) in elements.iter().enumerate().filter(|(_, node)| !matches!(node.value, Value::Faulty)) {
            let path = Path::Index(&self.path, index);
            let place = if node.place().is_empty() { self.place } else { node.place() };
            let mut element = Subject { node, place, path, problems: self.problems };
            if element.is_mapping(|| table_hint(of)) {
                check(node, of, path, place, self.problems);
            }
        }
    }

    fn text_map(&mut self, keys: Option<&[&str]>) {
        if !self.is_mapping(|| "write it as `key: text`".to_owned()) {
            return;
        }
        for entry in self.node.entries() {
            if let Some(keys) = keys
                && !keys.contains(&entry.key.as_str())
            {
                let message = format!("unknown field {} in `{}`", quoted(&entry.key), self.path);
                let problem = self.problems.at(entry.key_span, "unknown field", message);
                let hint = nearest(&entry.key, keys).map_or_else(
                    || format!("the fields are {}", listed(keys)),
                    |name| format!("did you mean `{name}`?"),
                );
                self.problems.push(problem.with_hint(hint));
            }
            if !matches!(entry.value.value, Value::Faulty) {
                let key = quoted(&entry.key);
                let path = Path::Key(&self.path, key.trim_matches('`'));
                Subject { node: &entry.value, place: entry.place(), path, problems: self.problems }.text(None);
            }
        }
    }
}

fn unknown_field(entry: &Entry, table: &Table, path: Path<'_>, problems: &mut Problems) {
    if problems.is_full() {
        return problems.count_one_more();
    }
    let owner = if matches!(path, Path::Root) { String::new() } else { format!(" in `{path}`") };
    let names: Vec<&str> = table.fields.iter().map(|field| field.name).collect();
    let elsewhere: Vec<&str> = table::ALL
        .iter()
        .filter(|(_, other)| other.fields.iter().any(|field| field.name == entry.key))
        .map(|(place, _)| *place)
        .collect();
    let hint = if let Some(name) = nearest(&entry.key, &names) {
        format!("did you mean `{name}`?")
    } else if elsewhere.is_empty() {
        format!("the fields are {}", listed(&names))
    } else {
        format!("it is a field of {}", elsewhere.join(" and of "))
    };
    let problem = problems.at(entry.key_span, "unknown field", format!("unknown field {}{owner}", quoted(&entry.key)));
    problems.push(problem.with_hint(hint));
}

fn table_hint(table: &Table) -> String {
    let names: Vec<&str> = table.fields.iter().map(|field| field.name).collect();
    format!("its fields are {}", listed(&names))
}

pub(crate) fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// The name that was probably meant: at most a third of its letters differ.
pub(crate) fn nearest<'n>(text: &str, names: &[&'n str]) -> Option<&'n str> {
    if text.len() > 64 {
        return None;
    }
    let text = text.to_ascii_lowercase().replace('-', "_");
    names
        .iter()
        .map(|name| (strsim::damerau_levenshtein(&text, &name.to_ascii_lowercase().replace('-', "_")), *name))
        .filter(|(distance, name)| *distance <= (name.len() / 3).clamp(1, 3))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}
