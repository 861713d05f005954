//! What a person reads when a judge's config does not fit.

use std::fmt::Write as _;

use serde_json::json;

use super::*;

fn problems(name: &str, config: &Value) -> String {
    let Err(LookupError::Config(problems)) = create(name, config) else { panic!("{name} takes {config}") };
    let mut text = format!("{name} {config}\n");
    for problem in problems {
        let at = if problem.at_key { "key " } else { "" };
        let _ = writeln!(text, "    {at}{}: {}", problem.pointer, problem.message);
        if let Some(hint) = problem.hint {
            let _ = writeln!(text, "        {hint}");
        }
    }
    text
}

#[test]
fn a_config_that_does_not_fit_says_where_and_what_to_do() {
    let text: String = [
        ("exact_match", json!({"ignorecase": true, "trim": "yes"})),
        ("contains", json!({"expected": [], "mode": "every"})),
        ("contains", json!({"expected": "", "ignore_case": 1})),
        ("contains", json!({"expected": ["a", ""]})),
        ("contains", json!({"expected": 3})),
        ("regex", json!({"patern": "a"})),
        ("regex", json!({"pattern": "(a", "full_match": true})),
        ("regex", json!({"pattern": "(?=a)"})),
        ("regex", json!({"pattern": "(a)\\1"})),
        ("regex", json!({"pattern": "((a{100}){100}){100}"})),
        ("regex", json!({"pattern": "a)(b", "full_match": true})),
        (
            "numeric_match",
            json!({"pattern": "[", "reference_pattern": "*", "tolerance": -1, "relative_tolerance": "1%"}),
        ),
        ("numeric_match", json!({"pattern": "[", "reference_pattern": "*"})),
        ("numeric_match", json!({"take": "middle", "expected": "5"})),
        ("json_schema", json!({})),
        ("json_schema", json!({"schema": "{}"})),
        ("json_schema", json!({"schema": {"type": "objekt"}})),
        ("json_schema", json!({"schema": {"properties": {"a/b": {"minLength": -1}}}})),
        ("json_schema", json!({"schema": {"properties": {"a": {"pattern": "(?=a)"}}}})),
        ("json_schema", json!({"schema": {"pattern": "("}})),
        ("json_schema", json!({"schema": {"patternProperties": {"(?!a)": {}}}})),
        ("json_schema", json!({"schema": {"pattern": "(\\w{1000}){1000}"}})),
        ("json_schema", json!({"schema": {"required": "a"}})),
        ("json_schema", json!({"schema": {"$ref": "#/$defs/absent"}})),
        ("json_schema", json!({"schema": {"$ref": "file:///etc/hostname"}})),
        ("json_schema", json!({"schema": {"items": {"$ref": "http://127.0.0.1:9/schema.json"}}})),
        ("json_schema", json!({"schema": {"$schema": "https://example.org/own"}})),
        ("identity", json!({"labels": "good"})),
    ]
    .into_iter()
    .map(|(name, config)| problems(name, &config))
    .collect();
    insta::assert_snapshot!(text);
}

#[test]
fn a_factory_that_is_used_without_a_registry_refuses_what_the_schema_would() {
    for factory in ef_judges::factories() {
        for config in [json!({"unknown": 1}), json!([]), json!(null)] {
            assert!(run(factory.create(&config, &Environment::default())).is_err(), "{config}");
        }
    }
    let factory =
        ef_judges::factories().into_iter().find(|factory| factory.identity().id.as_str().ends_with("numeric_match"));
    let made = run(factory.expect("a built-in").create(&json!({"tolerance": -1.0}), &Environment::default()));
    assert!(made.is_err());
}
