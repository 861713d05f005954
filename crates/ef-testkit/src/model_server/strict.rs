//! The part of JSON Schema that providers enforce on answers. What is outside it they refuse.

use serde_json::Value;

/// What OpenAI refuses of a schema with `strict: true`.
pub(super) fn openai(schema: &Value) -> Option<String> {
    if schema["type"] != "object" {
        return Some("schema must be a JSON Schema of 'type: \"object\"'".to_owned());
    }
    first_problem(schema, &|schema| {
        let properties = schema["properties"].as_object()?;
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        properties.keys().find(|name| !required.contains(&name.as_str())).map(|name| {
            format!("'required' is required to be supplied and to be an array including every key in properties. Missing '{name}'.")
        })
    })
}

/// What Anthropic refuses of a schema.
pub(super) fn anthropic(schema: &Value) -> Option<String> {
    const NUMBERS: [&str; 5] = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"];
    const TEXTS: [&str; 2] = ["minLength", "maxLength"];
    first_problem(schema, &|schema| {
        let found = NUMBERS.iter().chain(&TEXTS).find(|name| schema.get(**name).is_some())?;
        Some(format!("property '{found}' is not supported"))
    })
}

/// The first problem in a schema or any schema inside it; objects must be closed for both providers.
fn first_problem(schema: &Value, problem: &dyn Fn(&Value) -> Option<String>) -> Option<String> {
    let open = schema["type"] == "object" && schema["additionalProperties"] != false;
    if open {
        return Some("'additionalProperties' is required to be supplied and to be false.".to_owned());
    }
    problem(schema).or_else(|| {
        let named = ["properties", "$defs", "definitions"].into_iter().filter_map(|key| schema[key].as_object());
        let listed = ["anyOf", "oneOf", "allOf"].into_iter().filter_map(|key| schema[key].as_array());
        let items = schema.get("items").into_iter();
        let mut inner = named.flat_map(|map| map.values()).chain(listed.flatten()).chain(items);
        inner.find_map(|schema| first_problem(schema, problem))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn closed_objects_whose_properties_are_all_required_pass() {
        let inner = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": false});
        let schema = json!({"type": "object", "properties": {"list": {"type": "array", "items": inner}}, "required": ["list"], "additionalProperties": false});
        assert_eq!(openai(&schema), None);
        assert_eq!(anthropic(&schema), None);
    }

    #[test]
    fn what_providers_refuse_is_refused_however_deep() {
        let open = json!({"type": "object", "properties": {"a": {"anyOf": [{"type": "object", "properties": {}}]}}, "required": ["a"], "additionalProperties": false});
        assert!(openai(&open).is_some_and(|words| words.contains("additionalProperties")));
        let optional = json!({"type": "object", "properties": {"a": {}, "b": {}}, "required": ["a"], "additionalProperties": false});
        assert!(openai(&optional).is_some_and(|words| words.contains("'b'")));
        assert_eq!(anthropic(&optional), None);
        let bounded = json!({"type": "object", "properties": {"score": {"type": "number", "minimum": 0}}, "required": ["score"], "additionalProperties": false});
        assert_eq!(openai(&bounded), None);
        assert!(anthropic(&bounded).is_some_and(|words| words.contains("minimum")));
        assert!(openai(&json!({"type": "string"})).is_some());
    }
}
