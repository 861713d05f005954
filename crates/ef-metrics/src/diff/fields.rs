//! Two JSON values, field by field.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::Change;

/// Where the two differ, as JSON pointers (RFC 6901), in the order of the keys. In lists whose elements all have a
/// `name`, elements of the same name are compared, whatever their places; a pointer counts places in `run`, or in
/// `baseline` for what is only there.
pub(super) fn differences(baseline: &Value, run: &Value) -> Vec<Change> {
    let mut found = Vec::new();
    compare(&mut String::new(), Some(baseline), Some(run), &mut found);
    found
}

fn compare(pointer: &mut String, baseline: Option<&Value>, run: Option<&Value>, found: &mut Vec<Change>) {
    match (baseline, run) {
        (Some(Value::Object(before)), Some(Value::Object(after))) => objects(pointer, before, after, found),
        (Some(Value::Array(before)), Some(Value::Array(after))) => match (names(before), names(after)) {
            (Some(old), Some(new)) => named(pointer, (before, &old), (after, &new), found),
            _ => {
                for index in 0..before.len().max(after.len()) {
                    at(pointer, &index.to_string(), before.get(index), after.get(index), found);
                }
            }
        },
        (before, after) if before == after => {}
        (before, after) => {
            found.push(Change { field: pointer.clone(), baseline: before.cloned(), run: after.cloned() });
        }
    }
}

/// Compares what is at one more step.
fn at(pointer: &mut String, step: &str, baseline: Option<&Value>, run: Option<&Value>, found: &mut Vec<Change>) {
    let length = pointer.len();
    pointer.push('/');
    pointer.push_str(&step.replace('~', "~0").replace('/', "~1"));
    compare(pointer, baseline, run, found);
    pointer.truncate(length);
}

fn objects(pointer: &mut String, before: &Map<String, Value>, after: &Map<String, Value>, found: &mut Vec<Change>) {
    let keys: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    for key in keys {
        at(pointer, key, before.get(key), after.get(key), found);
    }
}

/// The names of a list's elements, where each has one of its own.
fn names(list: &[Value]) -> Option<Vec<&str>> {
    let names: Vec<_> = list.iter().map(|value| value.get("name")?.as_str()).collect::<Option<_>>()?;
    let distinct: BTreeSet<_> = names.iter().collect();
    (distinct.len() == names.len()).then_some(names)
}

fn named(
    pointer: &mut String,
    (before, old): (&[Value], &[&str]),
    (after, new): (&[Value], &[&str]),
    found: &mut Vec<Change>,
) {
    for (index, name) in new.iter().enumerate() {
        let partner = old.iter().position(|other| other == name).and_then(|place| before.get(place));
        at(pointer, &index.to_string(), partner, after.get(index), found);
    }
    for (index, name) in old.iter().enumerate() {
        if !new.contains(name) {
            at(pointer, &index.to_string(), before.get(index), None, found);
        }
    }
    let both = |names: &[&str], others: &[&str]| -> Vec<Value> {
        names.iter().filter(|name| others.contains(name)).map(|&name| name.into()).collect()
    };
    let (before, after) = (both(old, new), both(new, old));
    if before != after {
        let order = |names| Some(Value::Array(names));
        found.push(Change { field: format!("{pointer} (order)"), baseline: order(before), run: order(after) });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn told(baseline: &Value, run: &Value) -> Vec<String> {
        let side = |value: Option<Value>| value.map_or_else(|| "–".to_owned(), |value| value.to_string());
        let line = |change: Change| format!("{} {} → {}", change.field, side(change.baseline), side(change.run));
        differences(baseline, run).into_iter().map(line).collect()
    }

    #[test]
    fn a_field_is_named_by_its_json_pointer_with_what_it_was_and_is() {
        let before = json!({"a": {"b/c": 1, "same": [1, 2]}, "gone": null, "list": [1, 2]});
        let after = json!({"a": {"b/c": 2, "same": [1, 2]}, "come~": {"x": 1}, "list": [1]});
        assert_eq!(
            told(&before, &after),
            ["/a/b~1c 1 → 2", "/come~0 – → {\"x\":1}", "/gone null → –", "/list/1 2 → –"]
        );
    }

    #[test]
    fn named_elements_are_compared_by_name_and_not_by_place() {
        let before = json!([{"name": "a", "x": 1}, {"name": "b", "x": 1}]);
        let after = json!([{"name": "new", "x": 0}, {"name": "a", "x": 1}, {"name": "b", "x": 2}]);
        assert_eq!(told(&before, &after), [r#"/0 – → {"name":"new","x":0}"#, "/2/x 1 → 2"]);
        let turned = json!([{"name": "b", "x": 1}, {"name": "a", "x": 1}]);
        assert_eq!(told(&before, &turned), [r#" (order) ["a","b"] → ["b","a"]"#]);
        let twice = json!([{"name": "a", "x": 1}, {"name": "a", "x": 1}]);
        assert_eq!(told(&before, &twice), [r#"/1/name "b" → "a""#]);
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf =
            prop_oneof![any::<bool>().prop_map(Value::from), (0..3_i32).prop_map(Value::from), Just(Value::Null)];
        leaf.prop_recursive(3, 24, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("(name|b|c/~)", inner, 0..3)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn only_what_differs_has_differences(one in any_json(), other in any_json()) {
            prop_assert_eq!(differences(&one, &one), vec![]);
            prop_assert_eq!(differences(&one, &other).is_empty(), one == other);
        }
    }
}
