//! A row's columns: the top-level entries of a JSON object, as slices of its text.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The entries of a JSON object in their order, each value as its text.
pub(crate) struct Columns<'r> {
    entries: Vec<(Key<'r>, &'r str)>,
}

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found<'r> {
    /// A value. `column` is set where it is a whole column, not a part of one.
    Value { text: &'r str, column: Option<usize> },
    /// The column is there, but a null on the way to the value.
    Null,
    /// Nothing.
    Missing,
}

impl<'r> Columns<'r> {
    /// The columns of a row, or `None` where it is not an object. The text must be strict JSON.
    pub(crate) fn of(text: &'r str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The entries: name and value.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &'r str)> {
        self.entries.iter().map(|(key, value)| (&*key.0, *value))
    }

    /// The names.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|(key, _)| &*key.0)
    }

    /// Where the column of that name is.
    pub(crate) fn position(&self, name: &str) -> Option<usize> {
        self.names().position(|column| column == name)
    }

    /// One column's value.
    pub(crate) fn value(&self, column: usize) -> &'r str {
        self.entries[column].1
    }

    /// Follows a path: a column of exactly that name, or else the longest name before a dot whose object holds the rest.
    pub(crate) fn find(&self, path: &str) -> Found<'r> {
        if let Some(column) = self.position(path) {
            return Found::Value { text: self.value(column), column: Some(column) };
        }
        let mut found = Found::Missing;
        for (dot, _) in path.rmatch_indices('.') {
            let Some(column) = self.position(&path[..dot]) else { continue };
            let inside = match self.value(column) {
                "null" => Found::Null,
                value => Self::of(value).map_or(Found::Missing, |columns| columns.find(&path[dot + 1..])),
            };
            match inside {
                Found::Value { text, .. } => return Found::Value { text, column: None },
                Found::Null => found = Found::Null,
                Found::Missing => {}
            }
        }
        found
    }
}

impl<'de> Deserialize<'de> for Columns<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Object)
    }
}

struct Object;

impl<'de> Visitor<'de> for Object {
    type Value = Columns<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Columns<'de>, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, value)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
            entries.push((key, value.get()));
        }
        Ok(Columns { entries })
    }
}

/// A name, borrowed from the text where it has no escapes.
#[derive(serde::Deserialize)]
struct Key<'r>(#[serde(borrow)] Cow<'r, str>);

#[cfg(test)]
mod tests {
    use super::*;

    fn find<'r>(row: &'r str, path: &str) -> Found<'r> {
        Columns::of(row).expect("an object").find(path)
    }

    #[test]
    fn a_path_reaches_inside_objects_and_a_column_of_its_own_name_comes_first() {
        let row = r#"{"a":{"b":{"c":1},"n":null},"a.b":{"d":2},"x.y": 3 }"#;
        assert_eq!(find(row, "x.y"), Found::Value { text: "3", column: Some(2) });
        assert_eq!(find(row, "a.b"), Found::Value { text: r#"{"d":2}"#, column: Some(1) });
        assert_eq!(find(row, "a.b.d"), Found::Value { text: "2", column: None });
        assert_eq!(find(row, "a.b.c"), Found::Value { text: "1", column: None });
        assert_eq!(find(row, "a.n"), Found::Value { text: "null", column: None });
        assert_eq!(find(row, "a.n.deep"), Found::Null);
        for missing in ["b", "a.c", "x.y.z", "a.", ".", "", "a.b.c.d"] {
            assert_eq!(find(row, missing), Found::Missing, "{missing}");
        }
    }

    #[test]
    fn values_keep_their_bytes_and_names_lose_their_escapes() {
        let columns = Columns::of("{ \"\\u0061\" : 1.00 ,\"b\":\t[ 1, 2 ] }").expect("an object");
        assert_eq!(columns.iter().collect::<Vec<_>>(), [("a", "1.00"), ("b", "[ 1, 2 ]")]);
        assert!(Columns::of("[1]").is_none());
    }
}
