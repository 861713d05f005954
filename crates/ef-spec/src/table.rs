//! The fields of every part of an EvalSpec: one table a struct. The checks read them, and tests hold them against the
//! JSON Schema that is made from the types.

use ef_model::{ComponentId, ItemField, RunId};

use crate::{Aggregator, OnFailure};

/// A mapping with these fields and no others.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) fields: &'static [Field],
}

#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) need: Need,
    pub(crate) shape: Shape,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Need {
    /// It must be there; an example is what a hint shows.
    Required(&'static str),
    /// It has a default.
    Default,
    /// It may be absent or null.
    Optional,
}

#[derive(Debug)]
pub(crate) enum Shape {
    Text(Option<TextRule>),
    OneOf(&'static [&'static str]),
    Bool,
    Integer {
        min: u64,
        max: u64,
    },
    Number {
        min: Option<f64>,
        max: Option<f64>,
    },
    Table(&'static Table),
    List {
        of: &'static Table,
        min: usize,
    },
    /// A mapping from text to text, with these keys or any.
    TextMap(Option<&'static [&'static str]>),
    /// A mapping that someone else checks.
    AnyMapping,
}

/// What a text must look like.
#[derive(Debug)]
pub(crate) struct TextRule {
    pub(crate) valid: fn(&str) -> bool,
    /// Follows "must be".
    pub(crate) rule: &'static str,
    pub(crate) example: &'static str,
}

const fn required(name: &'static str, example: &'static str, shape: Shape) -> Field {
    Field { name, need: Need::Required(example), shape }
}

const fn defaulted(name: &'static str, shape: Shape) -> Field {
    Field { name, need: Need::Default, shape }
}

const fn optional(name: &'static str, shape: Shape) -> Field {
    Field { name, need: Need::Optional, shape }
}

const fn integer(min: u64, max: u64) -> Shape {
    Shape::Integer { min, max }
}

const fn text(valid: fn(&str) -> bool, rule: &'static str, example: &'static str) -> Shape {
    Shape::Text(Some(TextRule { valid, rule, example }))
}

const ANY_TEXT: Shape = Shape::Text(None);
/// The largest integer that every JSON reader keeps exactly.
const EXACT: u64 = 9_007_199_254_740_991;
const COMPONENT: &str = "`owner.name` of letters, digits, '_' and '-'";

pub(crate) static EVAL_SPEC: Table = Table {
    fields: &[
        required("schema_version", "schema_version: \"1\"", Shape::OneOf(&["1"])),
        required(
            "id",
            "id: team/name",
            text(is_spec_id, "1 to 200 letters, digits and '_', parts joined by '.', '/' or '-'", "team/name"),
        ),
        required("version", "version: 1.0.0", text(is_version, "three numbers, MAJOR.MINOR.PATCH", "1.0.0")),
        defaulted("description", ANY_TEXT),
        required("evaluator", "evaluator: {id: eval_fabric.recorded}", Shape::Table(&EVALUATOR)),
        required("judges", "judges: [{id: eval_fabric.exact_match}]", Shape::List { of: &JUDGE, min: 1 }),
        defaulted("scoring", Shape::Table(&SCORING)),
        defaulted("runtime", Shape::Table(&RUNTIME)),
        defaulted("dataset", Shape::Table(&DATASET)),
        defaulted("metadata", Shape::TextMap(None)),
    ],
};

pub(crate) static EVALUATOR: Table = Table {
    fields: &[
        required("id", "id: eval_fabric.recorded", text(is_component_id, COMPONENT, "eval_fabric.recorded")),
        defaulted("config", Shape::AnyMapping),
        optional("max_concurrent", integer(1, 4096)),
    ],
};

pub(crate) static JUDGE: Table = Table {
    fields: &[
        required("id", "id: eval_fabric.exact_match", text(is_component_id, COMPONENT, "eval_fabric.exact_match")),
        defaulted("name", text(is_judge_name, "1 to 64 letters, digits, '_' and '-'", "exact")),
        defaulted("config", Shape::AnyMapping),
        defaulted("weight", Shape::Number { min: Some(0.0), max: None }),
        optional("max_concurrent", integer(1, 4096)),
    ],
};

pub(crate) static SCORING: Table = Table {
    fields: &[
        defaulted("metrics", Shape::List { of: &METRIC, min: 0 }),
        optional(
            "baseline_run_id",
            text(
                is_run_id,
                "a run id: 1 to 128 letters, digits, '.', '_' and '-', not beginning with '.' or '-', and not 'latest'",
                "nightly-1",
            ),
        ),
    ],
};

pub(crate) static METRIC: Table = Table {
    fields: &[
        required(
            "name",
            "name: accuracy",
            text(is_metric_name, "1 to 64 letters, digits, '_', '-' and '.'", "accuracy"),
        ),
        optional("from", ANY_TEXT),
        defaulted("aggregator", Shape::OneOf(&AGGREGATORS)),
        optional("threshold", Shape::Number { min: None, max: None }),
        defaulted("bootstrap", Shape::Bool),
        defaulted("bootstrap_samples", integer(10, 100_000)),
        optional("seed", integer(0, EXACT)),
        optional("cluster_by", ANY_TEXT),
    ],
};

pub(crate) static RUNTIME: Table = Table {
    fields: &[
        defaulted("max_concurrent", integer(1, 4096)),
        defaulted("task_timeout_seconds", Shape::Number { min: Some(0.001), max: Some(86_400.0) }),
        defaulted("max_retries", integer(0, 20)),
        defaulted("on_failure", Shape::OneOf(&[OnFailure::Skip.as_str(), OnFailure::Abort.as_str()])),
        defaulted("trace_store", ANY_TEXT),
        optional("max_items", integer(1, EXACT)),
        defaulted("max_item_bytes", integer(1, 1 << 30)),
        optional("max_cost_usd", Shape::Number { min: Some(0.0), max: None }),
        defaulted("repeats", integer(1, 1000)),
        defaulted("seed", integer(0, EXACT)),
    ],
};

pub(crate) static DATASET: Table = Table { fields: &[defaulted("fields", Shape::TextMap(Some(&ITEM_FIELDS)))] };

/// Every table, and where in a spec it stands.
pub(crate) static ALL: [(&str, &Table); 7] = [
    ("the top level", &EVAL_SPEC),
    ("`evaluator`", &EVALUATOR),
    ("an entry of `judges`", &JUDGE),
    ("`scoring`", &SCORING),
    ("an entry of `scoring.metrics`", &METRIC),
    ("`runtime`", &RUNTIME),
    ("`dataset`", &DATASET),
];

const AGGREGATORS: [&str; 6] = [
    Aggregator::Mean.as_str(),
    Aggregator::Median.as_str(),
    Aggregator::Count.as_str(),
    Aggregator::RateAbove.as_str(),
    Aggregator::WeightedMean.as_str(),
    Aggregator::KsTest.as_str(),
];

const ITEM_FIELDS: [&str; 4] = [
    ItemField::ItemId.as_str(),
    ItemField::Input.as_str(),
    ItemField::ReferenceOutput.as_str(),
    ItemField::Metadata.as_str(),
];

fn is_spec_id(text: &str) -> bool {
    text.len() <= 200
        && text
            .split(['.', '/', '-'])
            .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_'))
}

fn is_version(text: &str) -> bool {
    let (core, rest) = text.find(['-', '+']).map_or((text, None), |at| (&text[..at], Some(&text[at + 1..])));
    let number = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()) && (part == "0" || !part.starts_with('0'))
    };
    core.split('.').count() == 3
        && core.split('.').all(number)
        && rest.is_none_or(|rest| {
            !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".+-".contains(&byte))
        })
}

fn is_component_id(text: &str) -> bool {
    ComponentId::new(text).is_ok()
}

fn is_run_id(text: &str) -> bool {
    RunId::new(text).is_ok()
}

pub(crate) fn is_judge_name(text: &str) -> bool {
    is_name(text, b"_-")
}

fn is_metric_name(text: &str) -> bool {
    is_name(text, b"_-.")
}

fn is_name(text: &str, others: &[u8]) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || others.contains(&byte))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::{Value, json};

    use super::*;

    /// The definition that a property's schema names, or the schema itself.
    fn resolved<'s>(root: &'s Value, property: &'s Value) -> &'s Value {
        let reference = property.get("$ref").or_else(|| property.pointer("/anyOf/0/$ref")).and_then(Value::as_str);
        reference.map_or(property, |path| root.pointer(path.trim_start_matches('#')).expect("a definition"))
    }

    fn is_nullable(property: &Value) -> bool {
        property["type"].as_array().is_some_and(|types| types.contains(&json!("null")))
            || property["anyOf"].as_array().is_some_and(|any| any.contains(&json!({"type": "null"})))
    }

    fn kind(property: &Value) -> &str {
        property["type"].as_str().or_else(|| property["type"][0].as_str()).expect("a type")
    }

    fn assert_same_shape(root: &Value, property: &Value, shape: &Shape, place: &str) {
        let schema = resolved(root, property);
        let constants = || -> Vec<&str> {
            let all = schema["oneOf"].as_array().map(|all| all.iter().map(|one| &one["const"]).collect());
            let all: Vec<_> = all.or_else(|| schema["enum"].as_array().map(|all| all.iter().collect())).expect(place);
            all.into_iter().filter_map(Value::as_str).collect()
        };
        let limit = |name: &str| schema.get(name).and_then(Value::as_f64);
        match shape {
            Shape::Text(rule) => {
                assert_eq!(kind(schema), "string", "{place}");
                assert_eq!(rule.is_some(), schema.get("pattern").is_some(), "{place}: {schema}");
            }
            Shape::OneOf(values) => assert_eq!(constants(), *values, "{place}"),
            Shape::Bool => assert_eq!(kind(schema), "boolean", "{place}"),
            Shape::Integer { min, max } => {
                assert_eq!(kind(schema), "integer", "{place}");
                assert_eq!(
                    (schema["minimum"].as_u64(), schema["maximum"].as_u64()),
                    (Some(*min), Some(*max)),
                    "{place}"
                );
            }
            Shape::Number { min, max } => {
                assert_eq!(kind(schema), "number", "{place}");
                assert_eq!((limit("minimum"), limit("maximum")), (*min, *max), "{place}");
            }
            Shape::Table(table) => assert_same_table(root, schema, table, place),
            Shape::List { of, min } => {
                assert_eq!(schema["minItems"].as_u64().unwrap_or(0), *min as u64, "{place}");
                assert_same_table(root, resolved(root, &schema["items"]), of, place);
            }
            Shape::TextMap(None) => assert_eq!(schema["additionalProperties"], json!({"type": "string"}), "{place}"),
            Shape::TextMap(Some(keys)) => {
                let names: BTreeSet<&str> =
                    schema["properties"].as_object().expect(place).keys().map(String::as_str).collect();
                assert_eq!(names, keys.iter().copied().collect(), "{place}");
                assert_eq!(schema["additionalProperties"], false, "{place}");
            }
            Shape::AnyMapping => {
                assert_eq!((kind(schema), &schema["additionalProperties"]), ("object", &json!(true)), "{place}");
            }
        }
    }

    fn assert_same_table(root: &Value, schema: &Value, table: &Table, place: &str) {
        assert_eq!(schema["additionalProperties"], false, "{place}");
        let properties = schema["properties"].as_object().expect(place);
        let names: BTreeSet<&str> = properties.keys().map(String::as_str).collect();
        assert_eq!(names, table.fields.iter().map(|field| field.name).collect(), "{place}");
        for field in table.fields {
            let place = format!("{place}/{}", field.name);
            let property = &properties[field.name];
            let required = schema["required"].as_array().is_some_and(|all| all.contains(&json!(field.name)));
            assert_eq!(required, matches!(field.need, Need::Required(_)), "{place} is required");
            assert_eq!(is_nullable(property), matches!(field.need, Need::Optional), "{place} may be null");
            // A judge's name is the one default that no schema can say.
            let has_default = matches!(field.need, Need::Default) && place != "/judges/name";
            assert_eq!(property.get("default").is_some(), has_default, "{place} has a default");
            assert_same_shape(root, property, &field.shape, &place);
        }
    }

    #[test]
    fn the_tables_and_the_json_schema_say_the_same() {
        let root = crate::schema::spec();
        assert_same_table(&root, &root, &EVAL_SPEC, "");
    }

    #[test]
    fn every_table_is_known_by_its_place() {
        fn tables<'t>(table: &'t Table, found: &mut Vec<&'t Table>) {
            found.push(table);
            for field in table.fields {
                if let Shape::Table(table) | Shape::List { of: table, .. } = &field.shape {
                    tables(table, found);
                }
            }
        }
        let mut found = Vec::new();
        tables(&EVAL_SPEC, &mut found);
        assert_eq!(found.len(), ALL.len());
        assert!(found.iter().all(|table| ALL.iter().any(|(_, known)| std::ptr::eq(*known, *table))));
    }

    #[test]
    fn examples_keep_their_own_rules() {
        for field in ALL.iter().flat_map(|(_, table)| table.fields) {
            if let Shape::Text(Some(rule)) = &field.shape {
                assert!((rule.valid)(rule.example), "{}", field.name);
            }
        }
    }

    #[test]
    fn rules_and_the_schema_s_patterns_accept_the_same_texts() {
        use proptest::prelude::*;
        let root = crate::schema::spec();
        let mut rules = Vec::new();
        for (name, table) in [
            ("", &EVAL_SPEC),
            ("/$defs/EvaluatorSpec", &EVALUATOR),
            ("/$defs/JudgeSpec", &JUDGE),
            ("/$defs/MetricSpec", &METRIC),
            ("/$defs/Scoring", &SCORING),
        ] {
            for field in table.fields {
                if let Shape::Text(Some(rule)) = &field.shape {
                    let property = &root.pointer(name).expect(name)["properties"][field.name];
                    let schema = jsonschema::draft202012::new(resolved(&root, property)).expect("a JSON Schema");
                    rules.push((format!("{name}/{}", field.name), rule, schema));
                }
            }
        }
        assert_eq!(rules.len(), 7);
        let texts = prop_oneof![
            "[a1_./+0-]{0,12}",
            "[0-9]{1,2}(\\.[0-9]{1,2}){1,3}[-+]?[a.]{0,3}",
            "\\PC{0,4}",
            "a{60,70}",
            "[a.]{125,130}",
            "(a/){98,101}a{0,2}",
            "latest"
        ];
        proptest!(|(text in texts)| {
            for (place, rule, schema) in &rules {
                prop_assert_eq!((rule.valid)(&text), schema.is_valid(&json!(text)), "{} {:?}", place, text);
            }
        });
    }
}
