//! What the registry promises to those who register and to those who look up.

mod toy;

use std::sync::Arc;

use ef_model::{ComponentId, CreateError, Environment, Identity};
use ef_plugin::{ComponentKind, LookupError, Registry, RegistryError};
use serde_json::{Map, Value, json};

use toy::{Toy, map, run};

fn id(text: &str) -> ComponentId {
    ComponentId::new(text).expect("a component id")
}

fn registry_of(ids: &[&str]) -> Registry {
    let mut registry = Registry::new();
    for id in ids {
        registry.register_judge(Arc::new(Toy::new(id, json!({})))).expect("registered");
    }
    registry
}

#[test]
fn components_are_listed_in_the_order_of_their_ids() {
    let registry = registry_of(&["acme.z", "acme.a", "acme.m"]);
    let ids: Vec<_> = registry.judges().map(|factory| factory.identity().id.to_string()).collect();
    assert_eq!(ids, ["acme.a", "acme.m", "acme.z"]);
    assert_eq!(registry.evaluators().count(), 0);
}

#[test]
fn the_same_component_twice_is_nothing() {
    let mut registry = registry_of(&["acme.a"]);
    registry.register_judge(Arc::new(Toy::new("acme.a", json!({})))).expect("registered");
    assert_eq!(registry.judges().count(), 1);
}

#[test]
fn another_component_of_the_same_id_is_refused_and_both_sources_are_named() {
    let mut registry = registry_of(&["acme.a"]);
    let mut other = Toy::new("acme.a", json!({}));
    other.identity = Identity { source: "/opt/plugins/a".to_owned(), ..other.identity };
    let error = registry.register_judge(Arc::new(other)).expect_err("a conflict");
    assert!(matches!(error, RegistryError::Conflict { kind: ComponentKind::Judge, .. }));
    let message = error.to_string();
    assert!(message.contains("from builtin") && message.contains("from /opt/plugins/a"), "{message}");
    assert_eq!(registry.judges().next().map(|first| first.identity().source.clone()).as_deref(), Some("builtin"));
}

#[test]
fn an_evaluator_and_a_judge_may_share_an_id() {
    let mut registry = registry_of(&["acme.a"]);
    registry.register_evaluator(Arc::new(Toy::new("acme.a", json!({})))).expect("registered");
}

#[test]
fn a_schema_that_is_none_is_refused_when_it_is_registered() {
    for schema in [
        json!({"type": "nonsense"}),
        json!({"properties": {"a": {"minimum": "three"}}}),
        json!({"pattern": "("}),
        json!({"pattern": "(?=look-around)"}),
        json!({"$ref": "#/$defs/absent"}),
        json!({"$ref": "http://127.0.0.1:9/schema.json"}),
        json!({"$ref": "file:///etc/hostname"}),
    ] {
        let error = Registry::new()
            .register_judge(Arc::new(Toy::new("acme.a", schema.clone())))
            .expect_err(&format!("{schema} is no usable schema"));
        assert!(matches!(error, RegistryError::Broken { .. }), "{error}");
        assert!(error.to_string().starts_with("the judge `acme.a` is broken: its config schema"), "{error}");
    }
}

#[test]
fn an_unknown_id_suggests_the_one_that_was_meant() {
    let mut registry = registry_of(&["acme.exact_match", "acme.contains"]);
    registry.register_evaluator(Arc::new(Toy::new("acme.echo", json!({})))).expect("registered");
    let hint = |text: &str| {
        let made = run(registry.create_judge(&id(text), &Map::new(), &Environment::default()));
        let error = made.err().expect("an unknown id");
        let LookupError::Unknown { known, .. } = &error else { panic!("{error}") };
        assert_eq!(known, &[id("acme.contains"), id("acme.exact_match")]);
        format!("{error}: {}", error.hint().expect("a hint"))
    };
    assert_eq!(hint("acme.exactmatch"), "there is no judge `acme.exactmatch`: did you mean `acme.exact_match`?");
    assert_eq!(hint("my.contains"), "there is no judge `my.contains`: did you mean `acme.contains`?");
    assert_eq!(hint("foo.bar"), "there is no judge `foo.bar`: known judges: acme.contains, acme.exact_match");
    let other = hint("acme.echo");
    assert_eq!(other, "there is no judge `acme.echo`: `acme.echo` is an evaluator: name it under `evaluator`");
}

#[test]
fn an_owner_that_is_right_makes_no_name_look_near() {
    let registry = registry_of(&["a_long_owner.regex", "a_long_owner.contains"]);
    let hint = |text: &str| {
        let made = run(registry.create_judge(&id(text), &Map::new(), &Environment::default()));
        made.err().and_then(|error| error.hint())
    };
    assert_eq!(hint("a_long_owner.regx").as_deref(), Some("did you mean `a_long_owner.regex`?"));
    assert_eq!(hint("a_lng_owner.contain").as_deref(), Some("did you mean `a_long_owner.contains`?"));
    let all = "known judges: a_long_owner.contains, a_long_owner.regex";
    assert_eq!(hint("a_long_owner.magic").as_deref(), Some(all));
}

#[test]
fn a_factory_gets_the_config_with_its_variables_filled_in() {
    let mut registry = Registry::new();
    let toy = Toy::new("acme.a", json!({"properties": {"key": {"pattern": "^s3", "enum": ["s3cret"]}}}));
    let seen = Arc::clone(&toy.seen);
    registry.register_judge(Arc::new(toy)).expect("registered");
    let environment = Environment::new([("KEY".to_owned(), "s3cret".to_owned())]);
    let config = map(json!({"key": "${KEY}", "list": ["a", {"b": "x${KEY}y"}], "n": 1}));
    run(registry.create_judge(&id("acme.a"), &config, &environment)).map(|_| ()).expect("a judge");
    let config = seen.lock().expect("not poisoned").clone();
    assert_eq!(config, Some(json!({"key": "s3cret", "list": ["a", {"b": "xs3crety"}], "n": 1})));
}

#[test]
fn a_factory_is_not_called_with_a_config_that_does_not_fit() {
    let mut registry = Registry::new();
    let toy = Toy::new("acme.a", json!({"additionalProperties": false}));
    let seen = Arc::clone(&toy.seen);
    registry.register_judge(Arc::new(toy)).expect("registered");
    let made = run(registry.create_judge(&id("acme.a"), &map(json!({"a": 1})), &Environment::default()));
    assert!(matches!(made, Err(LookupError::Config(problems)) if problems.len() == 1));
    assert_eq!(*seen.lock().expect("not poisoned"), None);
}

#[test]
fn a_broken_component_says_why() {
    let mut registry = Registry::new();
    let mut toy = Toy::new("acme.a", json!({}));
    toy.refuse = Some(|_: &Value| CreateError::Broken("its executable is gone".to_owned()));
    registry.register_evaluator(Arc::new(toy)).expect("registered");
    let made = run(registry.create_evaluator(&id("acme.a"), &Map::new(), &Environment::default()));
    assert_eq!(
        made.err().map(|error| error.to_string()).as_deref(),
        Some("`acme.a` is broken: its executable is gone")
    );
}
