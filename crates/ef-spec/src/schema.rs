//! JSON Schemas (2020-12) of what people write and programs read, for editors and other tools.

use schemars::JsonSchema;
use schemars::generate::{SchemaGenerator, SchemaSettings};
use serde_json::{Map, Value, json};

use ef_model::{ItemField, RunResult};

use crate::EvalSpec;

/// The schema of an EvalSpec file.
#[must_use]
pub fn spec() -> Value {
    let generator = SchemaSettings::draft2020_12().for_deserialize().into_generator();
    let mut schema = of::<EvalSpec>(generator, "EvalSpec, version 1");
    // The default of a judge's name is not a text that could be written: it comes from the id.
    if let Some(name) = schema.pointer_mut("/$defs/JudgeSpec/properties/name").and_then(Value::as_object_mut) {
        name.remove("default");
    }
    // A map whose keys are an enum: the derived schema leaves the keys open.
    if let Some(fields) = schema.pointer_mut("/$defs/DatasetSpec/properties/fields").and_then(Value::as_object_mut) {
        let column = |field: ItemField| (field.as_str().to_owned(), json!({ "type": "string" }));
        fields.insert("properties".to_owned(), ItemField::ALL.into_iter().map(column).collect::<Map<_, _>>().into());
        fields.insert("additionalProperties".to_owned(), false.into());
    }
    schema
}

/// The schema of a dataset row whose columns are the item's fields.
#[must_use]
pub fn item() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "EvalItem",
        "description": "One row of a dataset.",
        "type": "object",
        "properties": {
            "item_id": {
                "description": "Its id, unique in the dataset: at most 512 bytes without control characters, or an \
                                integer. `<stem>:<row>` where it is absent or null.",
                "type": ["string", "integer", "null"],
                "minLength": 1,
                "maxLength": 512,
                "pattern": "^[^\\u0000-\\u001f\\u007f-\\u009f]*$"
            },
            "input": { "description": "What the evaluator is given: any JSON." },
            "reference_output": { "description": "What a good output would be: any JSON; null is the same as nothing." },
            "metadata": { "description": "Everything else; null is the same as nothing.", "type": ["object", "null"] }
        },
        "required": ["input"],
        "additionalProperties": false
    })
}

/// The schema of a run's result, the artifact `<run_id>.json`.
#[must_use]
pub fn run() -> Value {
    of::<RunResult>(SchemaSettings::draft2020_12().for_serialize().into_generator(), "RunResult, version 1")
}

fn of<T: JsonSchema>(generator: SchemaGenerator, title: &str) -> Value {
    let mut schema = generator.into_root_schema_for::<T>();
    schema.insert("title".to_owned(), title.into());
    let mut schema = schema.to_value();
    // The ids' types check their texts by code; this is what the code demands.
    for (name, pattern) in [
        ("ComponentId", r"^(?=.{1,128}$)[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+$"),
        ("RunId", r"^(?!latest$)[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$"),
    ] {
        if let Some(id) = schema.pointer_mut(&format!("/$defs/{name}")).and_then(Value::as_object_mut) {
            id.insert("pattern".to_owned(), pattern.into());
        }
    }
    join_lines(&mut schema);
    schema
}

/// Descriptions come from doc comments, whose line breaks mean nothing.
fn join_lines(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(text) if name == "description" => *text = text.replace('\n', " "),
                    member => join_lines(member),
                }
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(join_lines),
        _ => {}
    }
}
