//! Payloads and canonical JSON: what is taken is kept to the byte and has one canonical form.

use ef_model::{Digest, JsonFaultKind, Payload, canonical};
use serde_json::{Number, Value};

use crate::content::Content;
use crate::same::same;

/// Takes the bytes as a payload.
pub(crate) fn check(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let parsed = serde_json::from_str::<Value>(text);
    let payload = match Payload::parse(text) {
        Ok(payload) => payload,
        Err(fault) => {
            Content::new(bytes).assert_not_in(&fault.to_string());
            let twice = parsed.is_ok_and(|value| members(&value) < colons(text));
            assert_eq!(fault.kind == JsonFaultKind::DuplicateKey && twice, twice, "a key twice is told as such");
            return false;
        }
    };
    let value = parsed.expect("what becomes a payload is JSON");
    assert_eq!(members(&value), colons(text), "no key is lost");
    assert_eq!(payload.expose(), text);
    assert_eq!(payload.digest(), Digest::of(bytes));
    assert_eq!(format!("{payload:?}"), format!("Payload({} bytes)", bytes.len()), "it shows its size alone");
    assert_eq!(payload.expose_value(), value);
    canonical_form_is_one(&value);
    true
}

/// RFC 8785: the form is JSON of the same value, without blanks, its keys in order, and its own canonical form.
fn canonical_form_is_one(value: &Value) {
    let canonical = canonical::to_bytes(value);
    assert_eq!(Some(&canonical), serde_json_canonicalizer::to_vec(value).ok().as_ref());
    assert_eq!(canonical::digest(value), Digest::of(&canonical));
    let again: Value = serde_json::from_slice(&canonical).expect("canonical JSON is JSON");
    assert_eq!(canonical::to_bytes(&again), canonical, "the canonical form is its own");
    let doubles = |one: &Number, other: &Number| one.as_f64() == other.as_f64();
    assert!(same(value, &again, doubles), "the canonical form says the same");
    let text = String::from_utf8(canonical).expect("canonical JSON is UTF-8");
    assert!(outside_strings(&text).all(|byte| !byte.is_ascii_whitespace()), "blanks in canonical JSON");
}

/// The members of all objects in a value.
fn members(value: &Value) -> usize {
    match value {
        Value::Array(elements) => elements.iter().map(members).sum(),
        Value::Object(entries) => entries.len() + entries.values().map(members).sum::<usize>(),
        _ => 0,
    }
}

/// The colons of a JSON text outside its strings: one a member, also where a key appears twice.
fn colons(text: &str) -> usize {
    outside_strings(text).filter(|byte| *byte == b':').count()
}

fn outside_strings(text: &str) -> impl Iterator<Item = u8> {
    let (mut inside, mut escaped) = (false, false);
    text.bytes().filter(move |byte| {
        let was_inside = inside;
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = inside,
            b'"' => inside = !inside,
            _ => {}
        }
        !was_inside
    })
}
