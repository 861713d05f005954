//! Answers that fit a JSON Schema.

use std::cmp::Ordering;

use serde_json::{Map, Number, Value};

/// References are followed so far, because a schema may refer to itself.
const DEEPEST: u32 = 32;

/// An answer that fits the schema and says how good something is, from 0 to 1: numbers lie so far between their bounds (0
/// and 1 where there are none), and of the choices of an `enum` it is the one that lies so far between the worst and the
/// best. Whole numbers and choices are rounded down, as only what is wholly good has the best. Booleans are true where
/// something is wholly good, texts are `words`.
///
/// Choices that are numbers are ordered as such; other choices are taken to be listed from the worst to the best, unless
/// the first of them has a good word such as `pass`, or the last a bad one such as `fail`.
#[must_use]
pub fn fitting(schema: &Value, goodness: f64, words: &str) -> Value {
    Fit { root: schema, goodness: goodness.clamp(0.0, 1.0), words }.value(schema, 0)
}

struct Fit<'a> {
    root: &'a Value,
    goodness: f64,
    words: &'a str,
}

impl Fit<'_> {
    fn value(&self, schema: &Value, depth: u32) -> Value {
        if depth > DEEPEST {
            return Value::Null;
        }
        let reference = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
        if let Some(target) = reference.and_then(|pointer| self.root.pointer(pointer)) {
            return self.value(target, depth + 1);
        }
        if let Some(value) = schema.get("const") {
            return value.clone();
        }
        if let Some(choices) = schema["enum"].as_array() {
            return self.choice(choices);
        }
        let branches = ["anyOf", "oneOf", "allOf"].into_iter().find_map(|key| schema[key].as_array());
        if let Some(branch) = branches.and_then(|branches| branches.first()) {
            return self.value(branch, depth + 1);
        }
        match kind(schema) {
            "object" => self.object(schema, depth),
            "array" => {
                let items = schema["minItems"].as_u64().unwrap_or(1).min(1000);
                (0..items).map(|_| self.value(&schema["items"], depth + 1)).collect()
            }
            "integer" => self.number(schema, true),
            "number" => self.number(schema, false),
            "boolean" => Value::Bool(self.goodness >= 1.0),
            "null" => Value::Null,
            _ => self.text(schema),
        }
    }

    fn object(&self, schema: &Value, depth: u32) -> Value {
        let properties = schema["properties"].as_object().into_iter().flatten();
        let fields = properties.map(|(name, schema)| (name.clone(), self.value(schema, depth + 1)));
        Value::Object(fields.collect::<Map<_, _>>())
    }

    fn number(&self, schema: &Value, whole: bool) -> Value {
        let bound = |name: &str| schema[name].as_f64();
        let least = bound("minimum").or_else(|| bound("exclusiveMinimum")).unwrap_or(0.0);
        let most = bound("maximum").or_else(|| bound("exclusiveMaximum")).unwrap_or(least.max(0.0) + 1.0);
        let number = least + self.goodness * (most - least);
        if whole || number.fract() == 0.0 {
            #[allow(clippy::cast_possible_truncation, reason = "it saturates, and bounds are small")]
            return Value::from(number.floor() as i64);
        }
        Number::from_f64(number).map_or(Value::Null, Value::Number)
    }

    fn text(&self, schema: &Value) -> Value {
        let limit = |name: &str| schema[name].as_u64().and_then(|limit| usize::try_from(limit).ok());
        let mut text: String = self.words.chars().take(limit("maxLength").unwrap_or(usize::MAX)).collect();
        while text.chars().count() < limit("minLength").unwrap_or(0).min(10_000) {
            text.push('.');
        }
        Value::String(text)
    }

    fn choice(&self, choices: &[Value]) -> Value {
        // Null is no choice but the lack of one.
        let mut ordered: Vec<&Value> = choices.iter().filter(|choice| !choice.is_null()).collect();
        if ordered.iter().all(|choice| number_of(choice).is_some()) {
            ordered.sort_by(|one, other| number_of(one).partial_cmp(&number_of(other)).unwrap_or(Ordering::Equal));
        } else if ordered.first().is_some_and(|first| is_one_of(first, GOOD))
            || ordered.last().is_some_and(|last| is_one_of(last, BAD))
        {
            ordered.reverse();
        }
        let best = ordered.len().saturating_sub(1);
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a small index"
        )]
        let index = (self.goodness * best as f64) as usize;
        ordered.get(index.min(best)).map_or(Value::Null, |choice| (*choice).clone())
    }
}

const GOOD: &[&str] = &["pass", "yes", "true", "correct", "good", "excellent", "right", "a", "helpful", "supported"];
const BAD: &[&str] = &["fail", "no", "false", "incorrect", "bad", "poor", "wrong", "f", "unhelpful", "unsupported"];

fn is_one_of(choice: &Value, words: &[&str]) -> bool {
    choice.as_str().is_some_and(|choice| words.iter().any(|word| choice.eq_ignore_ascii_case(word)))
}

fn number_of(choice: &Value) -> Option<f64> {
    choice.as_f64().or_else(|| choice.as_str()?.trim().parse().ok()).filter(|number| number.is_finite())
}

/// The schema's type: the first that is not null where there are several; what its keywords imply where there is none.
fn kind(schema: &Value) -> &str {
    let named = match &schema["type"] {
        Value::String(kind) => Some(kind.as_str()),
        Value::Array(kinds) => kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null"),
        _ => None,
    };
    let implied = if schema["items"].is_object() { "array" } else { "string" };
    let object = schema["properties"].is_object() || schema.as_object().is_some_and(Map::is_empty);
    named.unwrap_or(if object { "object" } else { implied })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_has_every_property_within_its_bounds() {
        let schema = json!({"type": "object", "$defs": {"reason": {"type": "string", "maxLength": 4}}, "properties": {
            "score": {"type": "integer", "minimum": 1, "maximum": 5}, "share": {"type": ["null", "number"]},
            "good": {"type": "boolean"}, "reason": {"$ref": "#/$defs/reason"}, "kind": {"const": "verdict"},
            "list": {"type": "array", "items": {"type": "null"}, "minItems": 2}, "any": {"anyOf": [{"type": "string"}]},
        }});
        let expected = json!({"score": 4, "share": 0.75, "good": false, "reason": "beca", "kind": "verdict",
            "list": [null, null], "any": "because"});
        assert_eq!(fitting(&schema, 0.75, "because"), expected);
    }

    #[test]
    fn of_choices_the_better_one_is_taken_in_whatever_order_they_are() {
        let chosen = |choices: Value, goodness| fitting(&json!({ "enum": choices }), goodness, "");
        assert_eq!(chosen(json!(["fail", "pass"]), 1.0), "pass");
        assert_eq!(chosen(json!(["pass", "fail"]), 1.0), "pass");
        assert_eq!(chosen(json!(["Yes", "No"]), 0.0), "No");
        assert_eq!(chosen(json!(["pass", "fail", null]), 0.9), "fail");
        assert_eq!(chosen(json!(["5", "1", "3"]), 1.0), "5");
        assert_eq!(chosen(json!([1, 2, 3, 4, 5]), 0.75), 4);
        assert_eq!(chosen(json!(["low", "middle", "high"]), 0.5), "middle");
    }

    #[test]
    fn a_schema_that_refers_to_itself_has_an_end() {
        let schema = json!({"type": "object", "properties": {"next": {"$ref": "#"}}});
        assert!(fitting(&schema, 1.0, "").is_object());
        assert_eq!(fitting(&json!({"$ref": "#"}), 1.0, ""), Value::Null);
    }
}
