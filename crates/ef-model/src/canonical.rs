//! RFC 8785 canonical JSON, the form in which records and specs are hashed.

use serde::Serialize;

use crate::Digest;

/// The RFC 8785 form of a value.
///
/// # Panics
///
/// Never for the types of this workspace: records hold strings, integers below 2^53, finite doubles and digests, and
/// every one of them has a canonical form.
#[must_use]
pub fn to_bytes<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json_canonicalizer::to_vec(value).expect("records serialise to canonical JSON")
}

/// SHA-256 of the RFC 8785 form of a value.
#[must_use]
pub fn digest<T: Serialize>(value: &T) -> Digest {
    Digest::of(&to_bytes(value))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn keys_are_sorted_and_numbers_take_their_shortest_form() {
        let value = json!({"b": 1.0, "a": [1e21, 0.1, -0.0], "\u{20ac}": "é"});
        assert_eq!(
            String::from_utf8(super::to_bytes(&value)).expect("UTF-8"),
            "{\"a\":[1e+21,0.1,0],\"b\":1,\"\u{20ac}\":\"é\"}"
        );
    }
}
