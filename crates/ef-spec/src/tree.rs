//! A file as a tree of values that know their place in the text.

use serde_json::{Map, Number};

/// A piece of the text, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
}

impl Span {
    pub(crate) const fn is_empty(self) -> bool {
        self.start >= self.end
    }
}

/// A value and its place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) span: Span,
}

/// A value as YAML's core schema understands it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Mapping(Vec<Entry>),
    /// A value that has been complained about already.
    Faulty,
}

/// A key with its value. Keys are unique in their mapping, and in the order of the file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_span: Span,
    pub(crate) value: Node,
}

impl Entry {
    /// Where to point when the value is wrong.
    pub(crate) fn place(&self) -> Span {
        match &self.value.value {
            Value::List(_) | Value::Mapping(_) => self.key_span,
            _ if self.value.span.is_empty() => self.key_span,
            _ => self.value.span,
        }
    }
}

impl Node {
    /// The value's kind, as said to a person.
    pub(crate) fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing (null)",
            Value::Bool(_) => "true or false",
            Value::Integer(_) => "an integer",
            Value::Float(_) => "a number",
            Value::Text(_) => "a text",
            Value::List(_) => "a list",
            Value::Mapping(_) => "a mapping",
            Value::Faulty => "a faulty value",
        }
    }

    /// Where to point when this value is wrong and has no key: a collection is shown by its first part, for a label
    /// over many lines says nothing.
    pub(crate) fn place(&self) -> Span {
        match &self.value {
            Value::Mapping(entries) => entries.first().map_or(self.span, |entry| entry.key_span),
            Value::List(elements) if self.span.is_empty() => elements.first().map_or(self.span, Self::place),
            _ => self.span,
        }
    }

    /// The entries of a mapping; none of anything else.
    pub(crate) fn entries(&self) -> &[Entry] {
        if let Value::Mapping(entries) = &self.value { entries } else { &[] }
    }

    /// The elements of a list; none of anything else.
    pub(crate) fn elements(&self) -> &[Self] {
        if let Value::List(elements) = &self.value { elements } else { &[] }
    }

    /// A mapping's entry with this key.
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// Whether nothing in it has been complained about.
    pub(crate) fn is_whole(&self) -> bool {
        match &self.value {
            Value::Faulty => false,
            Value::List(elements) => elements.iter().all(Self::is_whole),
            Value::Mapping(entries) => entries.iter().all(|entry| entry.value.is_whole()),
            _ => true,
        }
    }

    /// The text, if it is one.
    pub(crate) fn text(&self) -> Option<&str> {
        if let Value::Text(text) = &self.value { Some(text) } else { None }
    }

    /// The place of an RFC 6901 pointer, or of its nearest ancestor that is there.
    pub(crate) fn locate(&self, pointer: &str, at_key: bool) -> Span {
        let mut place = self.place();
        let mut node = self;
        let mut parts = pointer.split('/').skip(1).peekable();
        while let Some(part) = parts.next() {
            match &node.value {
                Value::Mapping(entries) => {
                    let key = part.replace("~1", "/").replace("~0", "~");
                    let Some(entry) = entries.iter().find(|entry| entry.key == key) else { break };
                    place = if at_key && parts.peek().is_none() { entry.key_span } else { entry.place() };
                    node = &entry.value;
                }
                Value::List(elements) => {
                    let Some(element) = part.parse().ok().and_then(|index: usize| elements.get(index)) else { break };
                    place = element.place();
                    node = element;
                }
                _ => break,
            }
        }
        place
    }

    /// The value as JSON. An integer beyond 64 bits becomes a double, as JSON readers take it.
    #[allow(clippy::cast_precision_loss, reason = "an integer beyond 64 bits is a double in JSON")]
    pub(crate) fn to_json(&self) -> serde_json::Value {
        match &self.value {
            Value::Null | Value::Faulty => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Integer(value) => u64::try_from(*value)
                .map(Number::from)
                .or_else(|_| i64::try_from(*value).map(Number::from))
                .map_or_else(|_| (*value as f64).into(), Into::into),
            Value::Float(value) => (*value).into(),
            Value::Text(text) => text.as_str().into(),
            Value::List(elements) => elements.iter().map(Self::to_json).collect(),
            Value::Mapping(entries) => serde_json::Value::Object(
                entries.iter().map(|entry| (entry.key.clone(), entry.value.to_json())).collect::<Map<_, _>>(),
            ),
        }
    }
}
