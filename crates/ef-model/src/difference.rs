//! Where two JSON values differ.

use serde_json::Value;

/// RFC 6901 pointer to the first value of `known` that is missing in `other` or differs there; to the object or array of
/// `other` that has more than `known`. `None` where they are equal. Numbers are compared by value: `1` equals `1.0`.
///
/// Only keys of `known` are part of the pointer, so that it says nothing of what else is in `other`.
#[must_use]
pub fn first_difference(known: &Value, other: &Value) -> Option<String> {
    match (known, other) {
        (Value::Object(known), Value::Object(other)) => {
            for (key, value) in known {
                let below = other.get(key).map_or(Some(String::new()), |other| first_difference(value, other));
                if let Some(below) = below {
                    return Some(format!("/{}{below}", key.replace('~', "~0").replace('/', "~1")));
                }
            }
            (known.len() < other.len()).then(String::new)
        }
        (Value::Array(known), Value::Array(other)) => {
            for (index, value) in known.iter().enumerate() {
                let below = other.get(index).map_or(Some(String::new()), |other| first_difference(value, other));
                if let Some(below) = below {
                    return Some(format!("/{index}{below}"));
                }
            }
            (known.len() < other.len()).then(String::new)
        }
        (Value::Number(one), Value::Number(another)) => {
            let is_whole = |number: &serde_json::Number| number.is_i64() || number.is_u64();
            let equal =
                if is_whole(one) && is_whole(another) { one == another } else { one.as_f64() == another.as_f64() };
            (!equal).then(String::new)
        }
        _ => (known != other).then(String::new),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_first_place_that_differs_is_named() {
        let known = json!({"a": [1, {"b/c": "x", "~": null}], "d": 0.5});
        let cases = [
            (known.clone(), None),
            (json!({"a": [1.0, {"b/c": "x", "~": null}], "d": 0.5}), None),
            (json!({"a": [1, {"b/c": "y", "~": null}], "d": 0.5}), Some("/a/1/b~1c")),
            (json!({"a": [1, {"b/c": "x"}], "d": 0.5}), Some("/a/1/~0")),
            (json!({"a": [1], "d": 0.5}), Some("/a/1")),
            (json!({"a": [1, {"b/c": "x", "~": null}, 2], "d": 0.5}), Some("/a")),
            (json!({"a": [1, {"b/c": "x", "~": null, "secret": 1}], "d": 0.5}), Some("/a/1")),
            (json!({"a": [1, {"b/c": "x", "~": null}], "d": 0.25}), Some("/d")),
            (json!([]), Some("")),
        ];
        for (other, expected) in cases {
            assert_eq!(first_difference(&known, &other).as_deref(), expected, "{other}");
        }
        assert_eq!(first_difference(&json!(u64::MAX), &json!(u64::MAX - 1)).as_deref(), Some(""));
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaves = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            (0..3_i64).prop_map(Value::from),
            "[ab]{0,2}".prop_map(Value::from),
        ];
        leaves.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                proptest::collection::btree_map("[ab]{0,1}", inner, 0..3)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn two_values_differ_exactly_where_they_are_not_equal(one in values(), other in values()) {
            match first_difference(&one, &other) {
                None => prop_assert_eq!(&one, &other),
                Some(pointer) => prop_assert_ne!(one.pointer(&pointer), other.pointer(&pointer)),
            }
            prop_assert_eq!(first_difference(&one, &one), None);
        }
    }
}
