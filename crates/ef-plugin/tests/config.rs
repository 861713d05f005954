//! What a person reads when a config does not fit.

mod toy;

use std::fmt::Write as _;
use std::sync::Arc;

use ef_model::{ComponentId, ConfigProblem, CreateError, Environment};
use ef_plugin::{LookupError, Registry};
use proptest::prelude::*;
use serde_json::{Value, json};

use toy::{Toy, map, run};

/// One field of each kind that configs have.
fn schema() -> Value {
    json!({
        "type": "object",
        "additionalProperties": false,
        "required": ["model"],
        "properties": {
            "model": {"type": "string", "minLength": 1, "description": "The model's name."},
            "temperature": {"type": "number", "minimum": 0, "maximum": 2},
            "top_k": {"type": ["integer", "null"], "exclusiveMinimum": 0},
            "mode": {"description": "How.", "anyOf": [{"$ref": "#/$defs/Mode"}, {"type": "null"}]},
            "level": {"enum": ["low", "high"]},
            "stop": {
                "description": "Where to stop: one text or several.",
                "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]
            },
            "url": {
                "type": "string",
                "pattern": "^https?://",
                "description": "Begins with\nhttp:// or https://."
            },
            "seed": {"type": "integer", "multipleOf": 2},
            "headers": {"type": "object", "additionalProperties": {"type": "string"}, "maxProperties": 2},
            "nested": {"type": "object", "additionalProperties": false, "properties": {"retries": {"type": "integer"}}},
            "nothing": {"not": {}}
        },
        "$defs": {"Mode": {"oneOf": [
            {"type": "string", "const": "fast", "description": "Quick."},
            {"type": "string", "const": "careful", "description": "Slow."}
        ]}}
    })
}

fn create(
    config: Value,
    environment: &Environment,
    refuse: Option<fn(&Value) -> CreateError>,
) -> Result<(), LookupError> {
    let mut registry = Registry::new();
    registry.register_judge(Arc::new(Toy { refuse, ..Toy::new("acme.a", schema()) })).expect("registered");
    let id: ComponentId = "acme.a".parse().expect("an id");
    run(registry.create_judge(&id, &map(config), environment)).map(|_| ())
}

fn problems(config: &Value, environment: &Environment) -> Vec<ConfigProblem> {
    match create(config.clone(), environment, None) {
        Ok(()) => Vec::new(),
        Err(LookupError::Config(problems)) => problems,
        Err(other) => panic!("{other}"),
    }
}

fn shown(problems: &[ConfigProblem]) -> String {
    problems.iter().fold(String::new(), |mut text, problem| {
        let at = if problem.at_key { "key " } else { "" };
        let hint = problem.hint.as_deref().unwrap_or("-");
        let _ = writeln!(text, "{at}{}: {}\n    {hint}", problem.pointer, problem.message);
        text
    })
}

#[test]
fn a_config_that_fits_is_taken() {
    let config = json!({"model": "m", "temperature": 2, "top_k": null, "mode": "fast", "level": "low", "stop": ["a"],
        "url": "http://x", "seed": 4, "headers": {"a": "b"}, "nested": {"retries": 1}});
    assert_eq!(problems(&config, &Environment::default()), []);
}

#[test]
fn everything_that_is_wrong_is_said_at_once_with_place_and_hint() {
    let config = json!({
        "modl": "m", "zebra": 1, "temperature": 2.5, "top_k": 0, "mode": "quick", "level": "medium", "stop": 3,
        "url": "ftp://x", "seed": 3, "headers": {"a": "1", "b/c~d": 2, "e": "3"},
        "nested": {"retry": 1, "retries": "two"}, "nothing": 1
    });
    insta::assert_snapshot!(shown(&problems(&config, &Environment::default())));
}

#[test]
fn the_branch_that_was_meant_is_the_one_that_complains() {
    let environment = Environment::default();
    let cases = [
        json!({"model": "", "stop": []}),
        json!({"model": 1, "stop": ["a", 2], "mode": 1, "top_k": "a"}),
        json!({"model": "m", "stop": {"a": 1}, "headers": [], "level": 1}),
    ];
    let text: String =
        cases.into_iter().map(|case| format!("{case}\n{}", shown(&problems(&case, &environment)))).collect();
    insta::assert_snapshot!(text);
}

#[test]
fn an_unset_variable_is_named_at_its_place_beside_the_other_problems() {
    let config = json!({"stop": ["${A}", "${B} and ${A}"], "mode": "${MODE}", "modell": "${A}"});
    insta::assert_snapshot!(shown(&problems(&config, &Environment::default())));
}

#[test]
fn a_value_is_held_to_the_schema_as_it_reads_once_resolved() {
    let text = shown(&problems(&json!({"model": "m", "level": "$${", "url": "a${2}"}), &Environment::default()));
    insta::assert_snapshot!(text, @r#"
    /level: not one of the allowed values
        allowed: "low", "high"
    /url: not of the required form
        Begins with http:// or https://.
    "#);
}

const SECRET: &str = "hunter2-\"secret\"";

fn secret() -> Environment {
    Environment::new([("KEY".to_owned(), SECRET.to_owned())])
}

#[test]
fn a_variables_value_is_checked_and_never_quoted() {
    let config =
        json!({"model": "m", "url": "${KEY}", "mode": "${KEY}", "level": "${KEY}", "headers": {"a": "${KEY}"}});
    let text = shown(&problems(&config, &secret()));
    assert!(!text.contains("hunter2"), "{text}");
    insta::assert_snapshot!(text);
}

#[test]
fn what_a_factory_says_of_a_variables_value_is_withheld() {
    let refusals: [fn(&Value) -> CreateError; 4] = [
        |config| problem_at("/model", format!("no model {}", config["model"])),
        |config| problem_at("", format!("bad: {config}")),
        |config| problem_at("/stop", format!("differs from {}", config["model"].as_str().unwrap_or_default())),
        |config| CreateError::Broken(format!("cannot start {:?}", config["model"].as_str())),
    ];
    for refuse in refusals {
        let error = create(json!({"model": "${KEY}", "stop": "x"}), &secret(), Some(refuse)).expect_err("refused");
        let text = format!("{error} {error:?}");
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn what_a_factory_says_of_anything_else_is_shown() {
    let refuse = |_: &Value| problem_at("/stop", "too short".to_owned());
    let error = create(json!({"model": "${KEY}", "stop": "x"}), &secret(), Some(refuse)).expect_err("refused");
    assert!(matches!(error, LookupError::Config(problems) if problems[0].message == "too short"));
}

fn problem_at(pointer: &str, message: String) -> CreateError {
    CreateError::Config(vec![ConfigProblem { pointer: pointer.to_owned(), at_key: false, message, hint: None }])
}

proptest! {
    #[test]
    fn no_config_panics_and_every_problem_has_a_place_in_it(config in config()) {
        for problem in problems(&config, &Environment::default()) {
            prop_assert!(config.pointer(&problem.pointer).is_some(), "{} in {config}", problem.pointer);
        }
    }
}

/// Maps whose keys are often the schema's and whose values are anything.
fn config() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z${}~/]{0,6}".prop_map(Value::from),
        Just(Value::from("fast")),
    ];
    let value = leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("[a-z~/]{1,4}", inner, 0..4).prop_map(|map| map.into_iter().collect()),
        ]
    });
    let key =
        prop::sample::select(vec!["model", "temperature", "top_k", "mode", "level", "stop", "url", "headers", "x/y"]);
    prop::collection::hash_map(key, value, 0..6)
        .prop_map(|map| map.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}
