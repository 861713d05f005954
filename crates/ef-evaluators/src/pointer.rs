//! JSON pointers (RFC 6901) into a JSON text, whose parts are taken byte for byte.

use std::collections::HashMap;

use ef_model::ConfigProblem;
use serde_json::value::RawValue;

use crate::factory::problem;

/// A JSON pointer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pointer {
    text: String,
    /// Its parts, without their escapes.
    parts: Vec<String>,
}

impl Pointer {
    /// The rule that [`Pointer::parse`] checks, as a regular expression for a config's schema.
    pub(crate) const PATTERN: &'static str = "^(/([^~/]|~[01])*)*$";

    /// Reads a pointer.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let escapes = text.split('~').skip(1);
        if !(text.is_empty() || text.starts_with('/')) || !escapes.into_iter().all(|rest| rest.starts_with(['0', '1']))
        {
            return None;
        }
        let parts = text.split('/').skip(1).map(|part| part.replace("~1", "/").replace("~0", "~")).collect();
        Some(Self { text: text.to_owned(), parts })
    }

    /// Reads a pointer that stands in a config, at this place.
    pub(crate) fn of_config(place: &str, text: &str) -> Result<Self, ConfigProblem> {
        Self::parse(text).ok_or_else(|| {
            let hint = "such as `/choices/0/text`; `~1` stands for a `/` within a key, `~0` for a `~`";
            problem(place, "not a JSON pointer", Some(hint))
        })
    }

    /// The pointer as it was written.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// The JSON at the pointer in a strict JSON text.
    pub(crate) fn find<'j>(&self, json: &'j str) -> Option<&'j str> {
        self.parts.iter().try_fold(json, |json, part| {
            let found: &RawValue = match json.trim_start().as_bytes().first()? {
                b'{' => serde_json::from_str::<HashMap<String, &RawValue>>(json).ok()?.get(part)?,
                b'[' => serde_json::from_str::<Vec<&RawValue>>(json).ok()?.get(index(part)?)?,
                _ => return None,
            };
            Some(found.get())
        })
    }
}

/// A list's index, which has no superfluous zeros.
fn index(part: &str) -> Option<usize> {
    let is_canonical = part.bytes().all(|byte| byte.is_ascii_digit()) && (part == "0" || !part.starts_with('0'));
    is_canonical.then(|| part.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn find<'j>(pointer: &str, json: &'j str) -> Option<&'j str> {
        Pointer::parse(pointer).expect("a pointer").find(json)
    }

    #[test]
    fn the_examples_of_rfc_6901_are_found() {
        let json = r#"{"foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\j": 5, "k\"l": 6, " ": 7, "m~n": 8}"#;
        assert_eq!(find("", json), Some(json));
        assert_eq!(find("/foo", json), Some(r#"["bar", "baz"]"#));
        assert_eq!(find("/foo/0", json), Some("\"bar\""));
        let keys = ["/", "/a~1b", "/c%d", "/e^f", "/g|h", "/i\\j", "/k\"l", "/ ", "/m~0n"];
        for (expected, pointer) in keys.into_iter().enumerate() {
            assert_eq!(find(pointer, json), Some(expected.to_string().as_str()), "{pointer}");
        }
        for missing in ["/foo/2", "/foo/-", "/foo/00", "/foo/01", "/foo/+1", "/foo/", "/bar", "/foo/0/x", "/ /x"] {
            assert_eq!(find(missing, json), None, "{missing}");
        }
    }

    #[test]
    fn what_is_found_keeps_its_bytes() {
        assert_eq!(find("/a", r#" { "a":1.500000000000000000001 }"#), Some("1.500000000000000000001"));
        assert_eq!(find("/é", r#"{"\u00e9": { "x":  1 }}"#), Some(r#"{ "x":  1 }"#));
    }

    #[test]
    fn a_text_that_is_no_pointer_is_refused() {
        for text in ["a", "a/b", "/~", "/~2", "~0", "/a~"] {
            assert_eq!(Pointer::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn serde_json_finds_the_same(pointer in "(/(a|b~1|~0|0|1|-|)){0,3}", leaf in "[a-z]{0,3}") {
            let inner = json!({"a": [leaf, {"b/": 1, "~": [0]}], "": {"a": null}, "~": [[1], {"0": 2}]});
            let value = json!([inner, {"a": inner, "b/": inner, "0": inner}]);
            for value in [&value, &inner] {
                let found = find(&pointer, &value.to_string()).map(|text| serde_json::from_str::<Value>(text).expect("JSON"));
                prop_assert_eq!(found.as_ref(), value.pointer(&pointer));
            }
        }
    }
}
