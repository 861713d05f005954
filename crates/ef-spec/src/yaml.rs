//! YAML (and so JSON) text to a tree of values with their places. Only this module and its parts know the YAML library.
//!
//! The tree is built from the parser's events rather than through serde: events say how a scalar was written (plain or
//! in quotes), where its tag stands, and need no stack frame a level, so that no nesting can exhaust the stack.

mod anchor;
mod scalar;
mod syntax;

use std::collections::HashMap;
use std::sync::Arc;

use serde_yaml::granit_parser::{self, Event, Parser, ScalarStyle, Tag};

use crate::problem::{Problems, SpecErrors, SpecProblem, quoted};
use crate::tree::{Entry, Node, Span, Value};
use anchor::Anchors;

/// Mappings and lists inside one another, at most.
pub(crate) const DEEPEST: usize = 64;
/// Values and keys, at most.
const MOST_VALUES: usize = 50_000;

/// Reads one document. Problems that leave a tree are collected; any other ends the reading.
pub(crate) fn read(text: &str, problems: &mut Problems) -> Result<Node, SpecErrors> {
    let mut options = granit_parser::Options::default();
    options.emit_comments = false;
    let mut builder = Builder { text, problems, open: Vec::new(), anchors: Anchors::default(), values: 0, root: None };
    for event in Parser::new_from_str_with_options(text, options) {
        let step = match event {
            Ok((event, span)) => builder.take(event, &span),
            Err(error) => Err(syntax::explain(&error, text, builder.problems.source())),
        };
        step.map_err(Problems::only)?;
    }
    let nothing = Node { value: Value::Null, span: Span { start: text.len(), end: text.len() } };
    Ok(builder.root.unwrap_or(nothing))
}

/// A collection that has begun and not ended.
struct Open {
    content: Content,
    span: Span,
    anchor: usize,
    /// Its tag was refused.
    faulty: bool,
}

enum Content {
    List(Vec<Node>),
    Mapping { entries: Vec<Entry>, known: HashMap<String, Span>, key: Option<Key> },
}

/// A key whose value has not come yet; without a text when it was refused.
struct Key {
    text: Option<String>,
    span: Span,
}

struct Builder<'t, 'p> {
    text: &'t str,
    problems: &'p mut Problems,
    open: Vec<Open>,
    anchors: Anchors,
    values: usize,
    root: Option<Node>,
}

impl Builder<'_, '_> {
    fn take(&mut self, event: Event<'_>, at: &granit_parser::Span) -> Result<(), SpecProblem> {
        let span = self.span(at);
        match event {
            Event::DocumentStart(..) if self.root.is_some() => {
                let problem = self.problems.at(span, "the second begins here", "the file holds more than one document");
                return Err(problem.with_hint("keep one spec in one file"));
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.count(span)?;
                let value = self.scalar(&text, style, tag.as_deref(), at, span);
                self.complete(Node { value, span }, anchor, style == ScalarStyle::Plain)?;
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.begin(Content::List(Vec::new()), "seq", span, anchor, tag.as_deref(), at)?;
            }
            Event::MappingStart(_, anchor, tag) => {
                let content = Content::Mapping { entries: Vec::new(), known: HashMap::new(), key: None };
                self.begin(content, "map", span, anchor, tag.as_deref(), at)?;
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(Open { content, span, anchor, faulty }) = self.open.pop() {
                    let value = match content {
                        _ if faulty => Value::Faulty,
                        Content::List(elements) => Value::List(elements),
                        Content::Mapping { entries, .. } => Value::Mapping(entries),
                    };
                    self.complete(Node { value, span }, anchor, false)?;
                }
            }
            Event::Alias(anchor) => {
                self.count(span)?;
                let value =
                    self.anchors.used(anchor, self.open.len()).map_err(|fault| fault.at(span, self.problems))?;
                self.complete(Node { value, span }, 0, false)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// One value more, within the limit.
    fn count(&mut self, span: Span) -> Result<(), SpecProblem> {
        self.values += 1;
        if self.values <= MOST_VALUES {
            return Ok(());
        }
        let problem = self.problems.at(span, "one too many", format!("the file holds more than {MOST_VALUES} values"));
        Err(problem.with_hint("a spec holds no data: keep it in the dataset"))
    }

    fn begin(
        &mut self,
        content: Content,
        kind: &str,
        span: Span,
        anchor: usize,
        tag: Option<&Tag>,
        at: &granit_parser::Span,
    ) -> Result<(), SpecProblem> {
        self.count(span)?;
        if self.open.len() == DEEPEST {
            return Err(too_deep(self.problems, span));
        }
        let refused = tag.filter(|tag| tag.core_suffix() != Some(kind));
        if let Some(tag) = refused {
            self.refuse_tag(tag, at, span);
        }
        self.open.push(Open { content, span, anchor, faulty: refused.is_some() });
        Ok(())
    }

    /// A whole value: it goes into the collection that is open.
    fn complete(&mut self, node: Node, anchor: usize, plain: bool) -> Result<(), SpecProblem> {
        if anchor != 0 {
            self.anchors.define(anchor, &node.value).map_err(|fault| fault.at(node.span, self.problems))?;
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open { content: Content::List(elements), .. }) => elements.push(node),
            Some(Open { content: Content::Mapping { entries, known, key }, .. }) => match key.take() {
                None => {
                    let (text, problem) = key_text(node.value, plain, node.span, self.text, known, self.problems);
                    problem.into_iter().for_each(|problem| self.problems.push(problem));
                    *key = Some(Key { text, span: node.span });
                }
                Some(Key { text: Some(text), span: key_span }) => {
                    entries.push(Entry { key: text, key_span, value: node });
                }
                // The key was refused, and its value goes with it.
                Some(Key { text: None, .. }) => {}
            },
        }
        Ok(())
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        tag: Option<&Tag>,
        at: &granit_parser::Span,
        span: Span,
    ) -> Value {
        let plain = style == ScalarStyle::Plain;
        // The parser gives an absent value as a plain `~`.
        let text = if plain && span.is_empty() { "" } else { text };
        let value = match tag {
            None if plain => scalar::resolve(text),
            None => Value::Text(text.to_owned()),
            Some(tag) if tag.core_suffix() == Some("str") || (tag.handle(), tag.suffix()) == ("", "!") => {
                Value::Text(text.to_owned())
            }
            Some(tag) => match scalar::tagged(text, tag.core_suffix()) {
                Some(value) => value,
                None => return self.refuse_tag(tag, at, span),
            },
        };
        match value {
            Value::Float(number) if !number.is_finite() => self.refuse_number(text, span),
            value => value,
        }
    }

    fn refuse_tag(&mut self, tag: &Tag, at: &granit_parser::Span, value: Span) -> Value {
        let place = at.tag_span().map_or(value, |tag| self.span(&tag));
        let written = self.text.get(place.start..place.end).unwrap_or_default();
        let problem = if tag.is_custom() {
            self.problems.at(place, "custom tag", format!("the tag {} is not supported", quoted(written)))
        } else {
            self.problems.at(
                place,
                "does not fit",
                format!("the value behind the tag {} is of another kind", quoted(written)),
            )
        };
        self.problems.push(problem.with_hint("remove the tag, or put a text that begins with `!` in quotes"));
        Value::Faulty
    }

    fn refuse_number(&mut self, text: &str, span: Span) -> Value {
        let written = quoted(text);
        let message = if text.bytes().any(|byte| byte.is_ascii_digit()) {
            format!("{written} is beyond the range of a double")
        } else {
            format!("{written} is not a finite number")
        };
        let problem = self.problems.at(span, "not finite", message);
        self.problems.push(problem.with_hint("use a number between -1.7e308 and 1.7e308, or put a text in quotes"));
        Value::Faulty
    }

    fn span(&self, at: &granit_parser::Span) -> Span {
        let range = at.byte_range().unwrap_or(0..0);
        // A block text's span reaches over the line breaks behind it.
        let text = self.text.get(range.clone()).unwrap_or_default();
        Span { start: range.start, end: range.start + text.trim_end().len() }
    }
}

/// The text of a key, or what is wrong with it.
fn key_text(
    key: Value,
    plain: bool,
    span: Span,
    text: &str,
    known: &mut HashMap<String, Span>,
    problems: &Problems,
) -> (Option<String>, Option<SpecProblem>) {
    let written = text.get(span.start..span.end).unwrap_or_default();
    let problem = match key {
        Value::Text(key) if key == "<<" && plain => problems
            .at(span, "merge key", "merge keys (`<<`) are not supported")
            .with_hint("write the merged fields out, or put a key of this name in quotes"),
        Value::Text(key) => {
            let Some(first) = known.get(&key) else {
                known.insert(key.clone(), span);
                return (Some(key), None);
            };
            let message = format!("the key {} appears twice", quoted(&key));
            problems.at(span, "again here", message).at(*first, "first here").with_hint("keep one of the two")
        }
        // Complained about already.
        Value::Faulty => return (None, None),
        Value::List(_) | Value::Mapping(_) => {
            problems.at(span, "not a text", "a key must be a text").with_hint("use a plain word as the key")
        }
        Value::Null if written.is_empty() => {
            problems.at(span, "no key", "a key must be a text").with_hint("write a key before the `:`")
        }
        _ => problems
            .at(span, "not a text", "a key must be a text")
            .with_hint(format!("put it in quotes: {}", quoted(&format!("\"{written}\"")))),
    };
    (None, Some(problem))
}

fn too_deep(problems: &Problems, span: Span) -> SpecProblem {
    let message = format!("the file is nested more than {DEEPEST} levels deep");
    SpecProblem::new(&Arc::clone(problems.source()), message).at(span, "too deep").with_hint("flatten it")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::SourceText;
    use serde_json::json;

    fn read_value(text: &str) -> serde_json::Value {
        let source = Arc::new(SourceText::new("test.yaml", text.as_bytes()));
        let mut problems = Problems::new(source);
        let node = read(text, &mut problems).expect("YAML");
        assert!(problems.is_empty(), "{text}");
        node.to_json()
    }

    #[test]
    fn scalars_are_told_apart_as_yaml_1_2_core_does() {
        for (text, expected) in [
            ("12", json!(12)),
            ("+12", json!(12)),
            ("-12", json!(-12)),
            ("010", json!(10)),
            ("0o17", json!(15)),
            ("0x1F", json!(31)),
            ("18446744073709551615", json!(u64::MAX)),
            ("-9223372036854775808", json!(i64::MIN)),
            ("18446744073709551616", json!(18_446_744_073_709_551_616.0)),
            ("-0", json!(-0.0)),
            ("1.", json!(1.0)),
            (".5", json!(0.5)),
            ("-.5e-3", json!(-0.0005)),
            ("1E5", json!(100_000.0)),
            ("0b11", json!("0b11")),
            ("-0x1F", json!("-0x1F")),
            ("1_000", json!("1_000")),
            ("1.0.0", json!("1.0.0")),
            ("1:30", json!("1:30")),
            ("2024-01-01", json!("2024-01-01")),
            ("inf", json!("inf")),
            (".", json!(".")),
            ("e5", json!("e5")),
            ("yes", json!("yes")),
            ("on", json!("on")),
            ("True", json!(true)),
            ("FALSE", json!(false)),
            ("tRUE", json!("tRUE")),
            ("~", json!(null)),
            ("Null", json!(null)),
            ("", json!(null)),
            ("\"3\"", json!("3")),
            ("'~'", json!("~")),
            ("''", json!("")),
            ("! 12", json!("12")),
            ("!!str 12", json!("12")),
            ("!!str", json!("")),
            ("!!int \"12\"", json!(12)),
            ("!!float 3", json!(3.0)),
            ("!!seq [1]", json!([1])),
            ("|\n  12\n", json!("12\n")),
            (">-\n  a\n  b\n", json!("a b")),
        ] {
            assert_eq!(read_value(&format!("a: {text}")), json!({ "a": expected }), "{text}");
        }
    }

    #[test]
    fn json_is_read_as_json() {
        let text = "{\n\t\"a\":\t\"\\ud83d\\ude00\\/\\u0000\\t\",\n\t\"<<\": [1e2,\t-0.5, true, null],\"\":{}}\n";
        let expected: serde_json::Value = serde_json::from_str(text).expect("JSON");
        assert_eq!(read_value(text), expected);
    }

    #[test]
    fn an_alias_stands_for_the_value_of_its_anchor() {
        let text = "a: &x {b: &y [1, 2]}\nc: *x\nd: *y\ne: &y 3\nf: [*y, *x]\n";
        assert_eq!(
            read_value(text),
            json!({"a": {"b": [1, 2]}, "c": {"b": [1, 2]}, "d": [1, 2], "e": 3, "f": [3, {"b": [1, 2]}]})
        );
    }
}
