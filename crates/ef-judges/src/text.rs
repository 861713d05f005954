//! The text of a payload, as the judges that look for something in a text take it.

use std::borrow::Cow;

use ef_model::Payload;

/// A JSON string's content; of any other JSON its text without the whitespace round it.
pub(crate) fn text_of(payload: &Payload) -> Cow<'_, str> {
    let json = payload.expose().trim_ascii();
    if json.starts_with('"') { string_of(json) } else { Cow::Borrowed(json) }
}

/// The content of a JSON string, given with its quotes.
pub(crate) fn string_of(json: &str) -> Cow<'_, str> {
    match json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(content) if !content.contains('\\') => Cow::Borrowed(content),
        // A payload is strict JSON, so the text stays as it is only where there is no string.
        _ => serde_json::from_str(json).map_or(Cow::Borrowed(json), Cow::Owned),
    }
}

/// Whether two texts are equal but for upper and lower case.
pub(crate) fn equal_ignoring_case(a: &str, b: &str) -> bool {
    a.chars().flat_map(char::to_lowercase).eq(b.chars().flat_map(char::to_lowercase))
}
