//! When two JSON texts say the same.

use std::borrow::Cow;

use crate::decimal::Decimal;
use crate::text::{equal_ignoring_case, string_of};

/// How strings are compared; keys are always compared exactly.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Equality {
    pub(crate) ignore_case: bool,
    pub(crate) trim: bool,
}

impl Equality {
    /// Whether two strict JSON texts have the same value: numbers by their exact value, maps in any order of their
    /// keys.
    pub(crate) fn of(self, a: &str, b: &str) -> bool {
        a == b || self.nodes(&Reader::read(a), &Reader::read(b))
    }

    fn nodes(self, a: &Node<'_>, b: &Node<'_>) -> bool {
        match (a, b) {
            (Node::Bare(a), Node::Bare(b)) => {
                a == b || matches!((Decimal::parse(a), Decimal::parse(b)), (Some(a), Some(b)) if a == b)
            }
            (Node::String(a), Node::String(b)) => a == b || self.strings(&string_of(a), &string_of(b)),
            (Node::List(a), Node::List(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| self.nodes(a, b)),
            (Node::Map(a), Node::Map(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.0 == b.0 && self.nodes(&a.1, &b.1))
            }
            _ => false,
        }
    }

    fn strings(self, a: &str, b: &str) -> bool {
        let (a, b) = if self.trim { (a.trim(), b.trim()) } else { (a, b) };
        a == b || (self.ignore_case && equal_ignoring_case(a, b))
    }
}

/// A JSON value whose numbers are still as they were written: a double would confuse large integers.
enum Node<'j> {
    /// A number, `true`, `false` or `null`.
    Bare(&'j str),
    /// A string with its quotes.
    String(&'j str),
    List(Vec<Node<'j>>),
    /// In the order of the keys.
    Map(Vec<(Cow<'j, str>, Node<'j>)>),
}

/// Reads a text that is known to be strict JSON, in one pass.
struct Reader<'j> {
    rest: &'j str,
}

impl<'j> Reader<'j> {
    fn read(json: &'j str) -> Node<'j> {
        Self { rest: json }.node()
    }

    fn node(&mut self) -> Node<'j> {
        self.rest = self.rest.trim_ascii_start();
        match self.rest.as_bytes().first() {
            Some(b'"') => Node::String(self.string()),
            Some(b'[') => {
                let mut list = Vec::new();
                while self.goes_on(']') {
                    list.push(self.node());
                }
                Node::List(list)
            }
            Some(b'{') => {
                let mut map = Vec::new();
                while self.goes_on('}') {
                    let key = string_of(self.string());
                    self.rest = self.rest.trim_ascii_start().trim_start_matches(':');
                    map.push((key, self.node()));
                }
                map.sort_by(|a, b| a.0.cmp(&b.0));
                Node::Map(map)
            }
            _ => {
                let end = self.rest.find([',', ']', '}', ' ', '\t', '\n', '\r']).unwrap_or(self.rest.len());
                Node::Bare(self.take(end))
            }
        }
    }

    /// Takes the bracket that opens or the comma that separates, and says whether a value follows.
    fn goes_on(&mut self, close: char) -> bool {
        let after = self.rest.trim_ascii_start();
        if let Some(after) = after.strip_prefix(close) {
            self.rest = after;
            return false;
        }
        let mut characters = after.chars();
        let is_there = characters.next().is_some();
        self.rest = characters.as_str().trim_ascii_start();
        if let Some(after) = self.rest.strip_prefix(close) {
            self.rest = after;
            return false;
        }
        is_there && !self.rest.is_empty()
    }

    /// Takes a string, its quotes included.
    fn string(&mut self) -> &'j str {
        let bytes = self.rest.as_bytes();
        let mut at = 1;
        while at < bytes.len() && bytes[at] != b'"' {
            at += if bytes[at] == b'\\' { 2 } else { 1 };
        }
        self.take((at + 1).min(bytes.len()))
    }

    fn take(&mut self, length: usize) -> &'j str {
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        taken
    }
}
