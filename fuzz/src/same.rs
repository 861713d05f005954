//! Whether two JSON values are the same, where numbers are the same in a way of the caller's.

use serde_json::{Number, Value};

pub(crate) fn same(one: &Value, other: &Value, numbers: fn(&Number, &Number) -> bool) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => numbers(one, other),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other, numbers))
        }
        (Value::Object(one), Value::Object(other)) => {
            let same = |(key, one)| other.get(key).is_some_and(|it| same(one, it, numbers));
            one.len() == other.len() && one.iter().all(same)
        }
        (one, other) => one == other,
    }
}
