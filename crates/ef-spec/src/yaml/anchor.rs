//! Anchors and their uses, within a budget: a use is a copy, and copies of copies grow without end.

use std::collections::HashMap;

use super::DEEPEST;
use crate::problem::{Problems, SpecProblem};
use crate::tree::{Span, Value};

/// Anchors, and uses of them, at most.
const MOST: usize = 100;
/// Values that are kept for anchors or copied for uses, at most.
const MOST_COPIES: usize = 10_000;

/// The anchors that are known so far, by the parser's number.
#[derive(Default)]
pub(super) struct Anchors {
    values: HashMap<usize, Value>,
    uses: usize,
    copies: usize,
}

/// Why an anchor or a use of one is refused.
pub(super) enum Fault {
    TooMany,
    TooMuch,
    TooDeep,
    Itself,
}

impl Anchors {
    /// A value with an anchor.
    pub(super) fn define(&mut self, anchor: usize, value: &Value) -> Result<(), Fault> {
        if self.values.len() == MOST {
            return Err(Fault::TooMany);
        }
        let copy = self.copy(value)?;
        self.values.insert(anchor, copy);
        Ok(())
    }

    /// The value that an alias stands for, `depth` levels below the top.
    pub(super) fn used(&mut self, anchor: usize, depth: usize) -> Result<Value, Fault> {
        self.uses += 1;
        if self.uses > MOST {
            return Err(Fault::TooMany);
        }
        // The parser knows the anchor; that its value is not there yet means that the alias is inside it.
        let value = self.values.remove(&anchor).ok_or(Fault::Itself)?;
        if depth + height(&value) > DEEPEST {
            return Err(Fault::TooDeep);
        }
        let copy = self.copy(&value);
        self.values.insert(anchor, value);
        copy
    }

    fn copy(&mut self, value: &Value) -> Result<Value, Fault> {
        self.copies += size(value);
        if self.copies > MOST_COPIES { Err(Fault::TooMuch) } else { Ok(value.clone()) }
    }
}

/// How many values there are in a value, itself included.
fn size(value: &Value) -> usize {
    1 + match value {
        Value::List(elements) => elements.iter().map(|node| size(&node.value)).sum(),
        Value::Mapping(entries) => entries.iter().map(|entry| size(&entry.value.value)).sum(),
        _ => 0,
    }
}

/// How many collections are inside one another.
fn height(value: &Value) -> usize {
    match value {
        Value::List(elements) => 1 + elements.iter().map(|node| height(&node.value)).max().unwrap_or(0),
        Value::Mapping(entries) => 1 + entries.iter().map(|entry| height(&entry.value.value)).max().unwrap_or(0),
        _ => 0,
    }
}

impl Fault {
    pub(super) fn at(self, span: Span, problems: &Problems) -> SpecProblem {
        let (message, label) = match self {
            Self::TooMany => (format!("the file has more than {MOST} anchors or uses of anchors"), "one too many"),
            Self::TooMuch => (format!("anchors stand for more than {MOST_COPIES} values"), "one too many"),
            Self::TooDeep => return super::too_deep(problems, span),
            Self::Itself => ("an anchor is used inside its own value".to_owned(), "used here"),
        };
        problems.at(span, label, message).with_hint("write the values out")
    }
}
