//! JSON: a row is an element of the array that the file holds.

use std::io;

use ef_model::Digest;

use crate::row::{Broken, Place, RawRow, RowReader};
use crate::stored::Stored;
use crate::window::{Extent, Lost, RowEnd, Taken, Window, is_whitespace};

/// Reads the elements of a JSON array.
pub(crate) struct Elements {
    window: Window<Stored>,
    limit: u64,
    /// How much of the window the element given last still occupies.
    given: usize,
    /// Elements so far.
    count: u64,
    expects: Expects,
}

/// What may come next.
#[derive(Debug, Clone, Copy)]
enum Expects {
    Array,
    ElementOrEnd,
    Element,
    CommaOrEnd,
    Nothing,
}

impl Elements {
    pub(crate) const fn new(window: Window<Stored>, limit: u64) -> Self {
        Self { window, limit, given: 0, count: 0, expects: Expects::Array }
    }

    /// Here, as the place of the next element.
    const fn place(&self) -> Place {
        Place::Element { row: self.count + 1, line: self.window.line(), column: self.window.column() }
    }

    /// Moves to the next element. False where the array is over and nothing follows it.
    fn find_element(&mut self) -> Result<bool, Broken> {
        loop {
            let next = self.window.skip_whitespace().map_err(|error| self.unreadable(&error))?;
            self.expects = match (self.expects, next) {
                (Expects::Array, Some(b'[')) => Expects::ElementOrEnd,
                (Expects::ElementOrEnd | Expects::CommaOrEnd, Some(b']')) => Expects::Nothing,
                (Expects::CommaOrEnd, Some(b',')) => Expects::Element,
                (Expects::ElementOrEnd | Expects::Element, Some(byte)) if byte != b',' && byte != b']' => {
                    return Ok(true);
                }
                (Expects::Nothing, None) => return Ok(false),
                (expects, next) => return Err(self.out_of_place(expects, next)),
            };
            self.window.consume(1);
        }
    }

    fn out_of_place(&self, expects: Expects, next: Option<u8>) -> Broken {
        const LINES: &str = "if it holds one JSON object a line, say so: --dataset-format jsonl";
        const REPAIR: &str =
            "repair the file, or write one JSON object a line (.jsonl), where a broken row costs only itself";
        match (expects, next) {
            (Expects::Array, None) => Broken::new(None, "is empty, and a JSON dataset is an array of objects", LINES),
            (Expects::Array, Some(_)) => {
                Broken::new(None, "does not begin with '[', and a JSON dataset is an array of objects", LINES)
            }
            (Expects::Nothing, _) => Broken::new(Some(self.place_only()), "something follows the array's end", LINES),
            (_, None) => Broken::new(Some(self.place_only()), "the file ends before its array does", REPAIR),
            (Expects::CommaOrEnd, Some(_)) => Broken::new(
                Some(self.place_only()),
                format!("neither ',' nor ']' after element {} (column {})", self.count, self.window.column()),
                REPAIR,
            ),
            (_, Some(_)) => Broken::new(Some(self.place()), "a comma without an element beside it", REPAIR),
        }
    }

    /// Here, as a line.
    const fn place_only(&self) -> Place {
        Place::Line(self.window.line())
    }

    fn unreadable(&self, error: &io::Error) -> Broken {
        Broken::reading(Some(self.place()), error, self.window.source().is_compressed())
    }
}

impl RowReader for Elements {
    fn next(&mut self) -> Result<Option<RawRow<'_>>, Broken> {
        self.window.consume(std::mem::take(&mut self.given));
        if !self.find_element()? {
            return Ok(None);
        }
        let place = self.place();
        let Extent { taken, at_end } = self
            .window
            .take_row(&mut ElementEnd::default(), self.limit)
            .map_err(|lost| Broken::lost(place, &lost, self.window.source().is_compressed()))?;
        if at_end {
            let hint = "the file was cut short, or a quote or bracket is not closed here";
            return Err(Broken::new(Some(place), "the file ends before this element does", hint));
        }
        self.count += 1;
        self.expects = Expects::CommaOrEnd;
        Ok(Some(match taken {
            Taken::Kept(length) => {
                self.given = length;
                let raw = &self.window.data()[..length];
                RawRow::Json { place, raw, text: raw }
            }
            Taken::Oversized { bytes, sha256 } => RawRow::oversized(place, self.limit, bytes, sha256),
        }))
    }

    fn digest(&mut self) -> io::Result<Digest> {
        self.window.source_mut().digest()
    }
}

/// Finds the end of one element by its brackets and quotes alone; whether what they hold is JSON is checked later.
#[derive(Default)]
struct ElementEnd {
    depth: u64,
    inside: Inside,
}

#[derive(Default, Clone, Copy)]
enum Inside {
    /// Nothing has been seen.
    #[default]
    Start,
    /// Between an object's or array's brackets.
    Brackets,
    String,
    /// After a backslash in a string.
    Escape,
    /// A number or a word, which ends where something else begins.
    Word,
}

impl RowEnd for ElementEnd {
    fn find(&mut self, more: &[u8]) -> Result<Option<usize>, Lost> {
        for (index, byte) in more.iter().enumerate() {
            match (self.inside, byte) {
                (Inside::String, b'\\') => self.inside = Inside::Escape,
                (Inside::Escape, _) => self.inside = Inside::String,
                (Inside::String, b'"') => {
                    if self.depth == 0 {
                        return Ok(Some(index + 1));
                    }
                    self.inside = Inside::Brackets;
                }
                (Inside::String, _) => {}
                (Inside::Start | Inside::Brackets, b'"') => self.inside = Inside::String,
                (Inside::Start | Inside::Brackets, b'{' | b'[') => {
                    self.depth += 1;
                    self.inside = Inside::Brackets;
                }
                (Inside::Brackets, b'}' | b']') => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        return Ok(Some(index + 1));
                    }
                }
                (Inside::Brackets, _) => {}
                (Inside::Start, _) => self.inside = Inside::Word,
                (Inside::Word, byte) => {
                    if matches!(byte, b',' | b']') || is_whitespace(*byte) {
                        return Ok(Some(index));
                    }
                }
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn extent(text: &str) -> Option<&str> {
        let end = ElementEnd::default().find(text.as_bytes()).expect("it never loses the structure")?;
        Some(&text[..end])
    }

    #[test]
    fn an_element_ends_where_its_brackets_or_quotes_close() {
        assert_eq!(extent(r#"{"a":"}\"]","b":[{}]},{"#), Some(r#"{"a":"}\"]","b":[{}]}"#));
        assert_eq!(extent(r#""a\\",1"#), Some(r#""a\\""#));
        assert_eq!(extent("12 ,"), Some("12"));
        assert_eq!(extent("null]"), Some("null"));
        assert_eq!(extent("[[1],[2]]]"), Some("[[1],[2]]"));
        assert_eq!(extent(r#"{"a":1"#), None);
    }

    proptest! {
        #[test]
        fn the_extent_of_any_json_value_is_the_value(value in json(), split in 0..200_usize) {
            let text = format!("{value},");
            let mut end = ElementEnd::default();
            let split = split.min(text.len());
            let found = match end.find(&text.as_bytes()[..split]) {
                Ok(None) => end.find(&text.as_bytes()[split..]).map(|rest| rest.map(|rest| split + rest)),
                found => found,
            };
            prop_assert_eq!(found.expect("it never loses the structure"), Some(text.len() - 1));
        }
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<i64>().prop_map(Into::into),
            "[\\[\\]{}\",\\\\ a]{0,8}".prop_map(Into::into),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                prop::collection::vec(("[\\[{\"\\\\]{0,3}", inner), 0..4)
                    .prop_map(|entries| serde_json::Value::Object(entries.into_iter().collect())),
            ]
        })
    }
}
