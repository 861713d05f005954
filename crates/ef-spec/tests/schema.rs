//! The JSON Schemas that editors and other tools get.

use ef_model::{
    ComponentId, Counts, DatasetRef, Determinism, Digest, Identity, IntervalMethod, JudgeIdentity, Metric, RunHead,
    RunId, RunResult, RunStatus, RunUsage, Usage,
};
use serde_json::{Value, json};

fn is_valid(schema: &Value, instance: &Value) -> bool {
    jsonschema::draft202012::new(schema).expect("a JSON Schema").is_valid(instance)
}

#[test]
fn the_schemas_are_json_schema_2020_12_without_an_id() {
    for (schema, title) in [
        (ef_spec::schema::spec(), "EvalSpec, version 1"),
        (ef_spec::schema::item(), "EvalItem"),
        (ef_spec::schema::run(), "RunResult, version 1"),
    ] {
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert_eq!(schema["title"], title);
        assert_eq!(schema.get("$id"), None);
        jsonschema::draft202012::meta::validate(&schema).map_err(|error| error.to_string()).expect(title);
    }
}

#[test]
fn the_schema_of_a_spec() {
    insta::assert_snapshot!(serde_json::to_string_pretty(&ef_spec::schema::spec()).expect("JSON"));
}

#[test]
fn a_dataset_row_needs_an_input_and_knows_no_other_fields() {
    let schema = ef_spec::schema::item();
    for row in [
        json!({"input": null}),
        json!({"input": "x", "item_id": "é:1", "reference_output": [1], "metadata": {"a": {"b": 1}}}),
        json!({"input": "x", "item_id": 7}),
        json!({"input": "x", "item_id": null, "reference_output": null, "metadata": null}),
    ] {
        assert!(is_valid(&schema, &row), "{row}");
    }
    for row in [
        json!({}),
        json!([]),
        json!({"input": 1, "question": "x"}),
        json!({"input": 1, "item_id": ""}),
        json!({"input": 1, "item_id": 7.5}),
        json!({"input": 1, "item_id": true}),
        json!({"input": 1, "item_id": "a\u{1b}"}),
        json!({"input": 1, "metadata": "x"}),
    ] {
        assert!(!is_valid(&schema, &row), "{row}");
    }
}

#[test]
fn a_run_s_result_fits_its_schema() {
    let schema = ef_spec::schema::run();
    let result = serde_json::to_value(result()).expect("JSON");
    let validator = jsonschema::draft202012::new(&schema).expect("a JSON Schema");
    let faults: Vec<_> = validator.iter_errors(&result).map(|error| error.to_string()).collect();
    assert!(faults.is_empty(), "{faults:?}");
    for (pointer, wrong) in [
        ("/status", json!("done")),
        ("/run_id", json!("../x")),
        ("/metrics/0/n", json!(-1)),
        ("/spec_digest", json!("x")),
    ] {
        let mut broken = result.clone();
        *broken.pointer_mut(pointer).expect(pointer) = wrong;
        assert!(!validator.is_valid(&broken), "{pointer}");
    }
}

fn result() -> RunResult {
    let digest = Digest::of(b"x");
    let identity = |id: &str| Identity {
        id: ComponentId::new(id).expect("an id"),
        version: "1".to_owned(),
        source: "builtin".to_owned(),
        digest,
    };
    let head = RunHead {
        run_id: RunId::generate(),
        started_at_us: 1,
        ef_version: "0.1.0".to_owned(),
        spec_id: "a".to_owned(),
        spec_version: "1.0.0".to_owned(),
        spec: json!({}),
        spec_digest: digest,
        dataset: DatasetRef { path: "-".to_owned(), format: "jsonl".to_owned(), fields: [].into() },
        evaluator: identity("own.e").into(),
        source: None,
        judges: vec![
            JudgeIdentity {
                name: "j".to_owned(),
                identity: identity("own.j"),
                determinism: Determinism::Deterministic,
                config_digest: digest,
            }
            .into(),
        ],
    };
    let metric = Metric {
        name: "m".to_owned(),
        aggregator: "mean".to_owned(),
        from: None,
        value: Some(0.5),
        standard_error: None,
        ci_low: None,
        ci_high: None,
        ci_method: Some(IntervalMethod::Wilson),
        p_value: None,
        n: 2,
        n_error: 0,
        n_unscored: 0,
    };
    RunResult {
        format_version: RunResult::FORMAT_VERSION,
        head,
        status: RunStatus::Completed,
        abort_reason: None,
        finished_at_us: 2,
        dataset_digest: Some(digest),
        counts: Counts { pending: 1, ..Counts::default() },
        usage: RunUsage {
            evaluator: Usage::cost(0.25),
            judges: [("j".to_owned(), Usage { input_tokens: Some(3), ..Usage::UNKNOWN })].into(),
            unrecorded_usd: Some(0.5),
        },
        metrics: vec![metric],
        records_root: Some(digest),
        root_digest: None,
    }
}
