//! The reader, the types and the JSON Schema accept the same documents.

use ef_spec::{EvalSpec, parse};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Everything that a spec can say.
fn full() -> Value {
    json!({
        "schema_version": "1",
        "id": "team/name",
        "version": "1.2.3",
        "description": "text",
        "evaluator": {"id": "own.evaluator", "config": {"a": [1, {"b": null}]}, "max_concurrent": 3},
        "judges": [
            {"id": "own.judge", "name": "one", "config": {"c": 1.5}, "weight": 2, "max_concurrent": 4},
            {"id": "own.two"},
        ],
        "scoring": {
            "metrics": [
                {"name": "m", "from": "one.key", "aggregator": "rate_above", "threshold": 0.5, "bootstrap": true,
                 "bootstrap_samples": 10, "seed": 7, "cluster_by": "lang"},
                {"name": "n"},
            ],
            "baseline_run_id": "run-1",
        },
        "runtime": {
            "max_concurrent": 1, "task_timeout_seconds": 0.5, "max_retries": 0, "on_failure": "abort",
            "trace_store": "sqlite:///./x.db", "max_items": 1, "max_item_bytes": 1, "max_cost_usd": 0, "repeats": 1,
            "seed": 0,
        },
        "dataset": {"fields": {"input": "question", "item_id": "id", "reference_output": "a.b", "metadata": "rest"}},
        "metadata": {"team": "qa"},
    })
}

/// Pointers to every value of a document but those inside a config.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    if at.ends_with("/config") {
        return;
    }
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(key, member)| pointers(member, &format!("{at}/{key}"), found));
        }
        Value::Array(elements) => {
            elements.iter().enumerate().for_each(|(n, element)| pointers(element, &format!("{at}/{n}"), found));
        }
        _ => {}
    }
}

/// What the rules between fields say, which no schema can.
fn is_between_fields(message: &str) -> bool {
    ["the name", "does not go with", "behind the dot"].iter().any(|part| message.contains(part))
}

fn check(document: &Value, schema: &jsonschema::Validator) -> Result<(), String> {
    let read = parse("x.json", document.to_string().as_bytes());
    let typed = serde_json::from_value::<EvalSpec>(document.clone());
    let fits = schema.is_valid(document);
    match (read, typed) {
        (Ok(loaded), Ok(typed)) if fits => {
            let spec = loaded.spec;
            let same = (&spec.evaluator, &spec.runtime, &spec.dataset, &spec.metadata, &spec.description)
                == (&typed.evaluator, &typed.runtime, &typed.dataset, &typed.metadata, &typed.description)
                && spec.judges.iter().map(|judge| (&judge.id, &judge.config, judge.weight, judge.max_concurrent)).eq(
                    typed.judges.iter().map(|judge| (&judge.id, &judge.config, judge.weight, judge.max_concurrent)),
                );
            if same { Ok(()) } else { Err("the reader and the types understand it differently".to_owned()) }
        }
        (Ok(_), typed) => Err(format!("the reader alone takes it: schema {fits}, types {typed:?}")),
        (Err(_), _) if !fits => Ok(()),
        (Err(errors), _) if errors.problems().iter().all(|problem| is_between_fields(problem.message())) => Ok(()),
        (Err(errors), _) => Err(format!("the schema takes it, the reader says {}", errors.problems()[0])),
    }
}

fn validator() -> jsonschema::Validator {
    jsonschema::draft202012::new(&ef_spec::schema::spec()).expect("a JSON Schema")
}

#[test]
fn every_field_left_out_or_replaced_is_judged_alike() {
    let schema = validator();
    let mut places = Vec::new();
    pointers(&full(), "", &mut places);
    assert_eq!(check(&full(), &schema), Ok(()));
    assert!(parse("x.json", full().to_string().as_bytes()).is_ok());
    let replacements = [
        json!(null),
        json!(true),
        json!(0),
        json!(1),
        json!(-1),
        json!(5),
        json!(21),
        json!(1001),
        json!(5000),
        json!(100_001),
        json!(86_401),
        json!(1_073_741_825),
        json!(9_007_199_254_740_991_u64),
        json!(9_007_199_254_740_992_u64),
        json!(u64::MAX),
        json!(0.0005),
        json!(0.25),
        json!(-0.5),
        json!(1e300),
        json!(""),
        json!("x"),
        json!("a.b"),
        json!("1"),
        json!("1.0.0"),
        json!("latest"),
        json!("mean"),
        json!("skip"),
        json!("a b"),
        json!([]),
        json!(["x"]),
        json!([{}]),
        json!({}),
        json!({"x": 1}),
        json!({"id": "a.b"}),
        json!({"input": "x"}),
        json!({"name": "x"}),
    ];
    for place in &places {
        let (parent, name) = place.rsplit_once('/').unwrap_or_default();
        for replacement in &replacements {
            let mut document = full();
            *document.pointer_mut(place).expect("it is there") = replacement.clone();
            assert_eq!(check(&document, &schema), Ok(()), "{place} := {replacement}");
        }
        let mut document = full();
        if let Some(Value::Object(members)) = document.pointer_mut(parent).filter(|_| !place.is_empty()) {
            let value = members.remove(name).expect("it is there");
            assert_eq!(check(&document, &schema), Ok(()), "without {place}");
            document.pointer_mut(parent).expect("as before")[format!("{name}x")] = value;
            assert_eq!(check(&document, &schema), Ok(()), "{place} renamed");
        }
    }
}

#[test]
fn documents_changed_at_random_are_judged_alike() {
    let schema = validator();
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..4);
    proptest!(|(changes in changes)| {
        let mut document = full();
        for (from, to) in changes {
            let mut places = Vec::new();
            pointers(&document, "", &mut places);
            let value = document.pointer(from.get::<String>(&places)).expect("it is there").clone();
            *document.pointer_mut(to.get::<String>(&places)).expect("it is there") = value;
        }
        let outcome = check(&document, &schema);
        prop_assert!(outcome.is_ok(), "{:?}\n{}", outcome, document);
    });
}
