//! What a spec says survives its text, and no text brings the reader down.

use ef_spec::{Aggregator, EvalSpec, parse};
use proptest::prelude::*;
use serde::Serialize;
use serde_json::{Map, Value, json};

fn read(text: &str) -> EvalSpec {
    match parse("spec.yaml", text.as_bytes()) {
        Ok(loaded) => loaded.spec,
        Err(errors) => panic!("{errors}: {:?}\n{text}", errors.problems()),
    }
}

#[test]
fn defaults_are_in_place() {
    let spec = read(
        "schema_version: '1'\nid: a\nversion: 0.1.0-rc.1+b\nevaluator: {id: a.b}\njudges: [{id: a.c.exact}, {id: a.d, name: n}]",
    );
    assert_eq!(spec.judges.iter().map(|judge| judge.name.as_str()).collect::<Vec<_>>(), ["exact", "n"]);
    let metrics: Vec<_> =
        spec.scoring.metrics.iter().map(|m| (m.name.as_str(), m.from.as_deref(), m.aggregator)).collect();
    assert_eq!(metrics, [("exact", Some("exact"), Aggregator::Mean), ("n", Some("n"), Aggregator::Mean)]);
    assert_eq!(spec.scoring.metrics[0].bootstrap_samples, 1000);
    assert_eq!(spec.judges[0].weight, 1.0);
    assert_eq!(spec.runtime, ef_spec::Runtime::default());
    assert_eq!(spec.evaluator.max_concurrent, None);
}

#[test]
fn from_judges_means_all_judges() {
    let spec = read(
        "schema_version: '1'\nid: a\nversion: 0.1.0\nevaluator: {id: a.b}\njudges: [{id: a.c}]\nscoring: {metrics: [{name: m, from: judges}, {name: n, from: c.key}]}",
    );
    assert_eq!(spec.scoring.metrics[0].from, None);
    assert_eq!(spec.scoring.metrics[1].from.as_deref(), Some("c.key"));
}

#[test]
fn the_digest_is_of_what_the_spec_says_and_not_of_its_layout() {
    let yaml =
        "schema_version: '1'\nid: a\nversion: 0.1.0\nevaluator: {id: a.b, config: {n: 1, m: 2}}\njudges: [{id: a.c}]\n";
    let json = r#"{"judges":[{"id":"a.c","name":"c","weight":1}],"evaluator":{"config":{"m":2,"n":1},"id":"a.b"},"version":"0.1.0","id":"a","schema_version":"1"}"#;
    assert_eq!(read(yaml).digest(), read(json).digest());
    assert_ne!(read(yaml).digest(), read(&json.replace("\"n\":1", "\"n\":2")).digest());
    let kept: EvalSpec = serde_json::from_value(read(yaml).to_value()).expect("a spec");
    assert_eq!(kept.digest(), read(yaml).digest());
}

#[test]
fn integers_of_any_size_have_a_digest() {
    let spec = |n: &str| {
        read(&format!(
            "schema_version: '1'\nid: a\nversion: 0.1.0\nevaluator: {{id: a.b, config: {{n: {n}}}}}\njudges: [{{id: a.c}}]\n"
        ))
    };
    for n in ["18446744073709551615", "-9223372036854775808", "1e300", "-0.0"] {
        assert_eq!(spec(n).digest(), spec(n).digest());
    }
}

#[test]
fn a_password_in_the_store_s_uri_is_used_and_not_kept() {
    let spec = read(
        "schema_version: '1'\nid: a\nversion: 0.1.0\nevaluator: {id: a.b}\njudges: [{id: a.c}]\nruntime: {trace_store: 'postgres://u:hunter2@host/db'}",
    );
    assert_eq!(spec.runtime.trace_store, "postgres://u:hunter2@host/db");
    assert_eq!(spec.to_value()["runtime"]["trace_store"], "postgres://u@host/db");
}

/// Texts that YAML could take for something else.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "\\PC{0,12}",
        2 => "[ \\n\\t'\"#:,{}&*!|>%@`\\\\-]{0,8}",
        1 => prop::sample::select(vec![
            "1", "1.0", "0x1F", "1_000", "yes", "on", "true", "null", "~", "", "<<", "=", ".inf", "1e5", "- a", "? b",
            "---", "...", "a: b", "#c", "😀", "\u{1}\u{7f}\u{85}\u{2028}\u{feff}",
        ])
        .prop_map(str::to_owned),
    ]
}

fn any_json() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter("JSON has no other", |number| number.is_finite()).prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    scalar.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(text(), inner, 0..5)
                .prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

prop_compose! {
    fn any_spec()(
        config in prop::collection::btree_map(text(), any_json(), 0..4),
        judge_config in prop::collection::btree_map(text(), any_json(), 0..4),
        metadata in prop::collection::btree_map(text(), text(), 0..4),
        description in text(),
        weight in 0.0..1e9,
        timeout in 0.001..86_400.0,
        threshold in prop::option::of(any::<f64>().prop_filter("finite", |number| number.is_finite())),
        max_items in prop::option::of(1_u64..=9_007_199_254_740_991),
        column in text(),
        cluster_by in prop::option::of(text()),
    ) -> Value {
        json!({
            "schema_version": "1",
            "id": "team/name",
            "version": "1.2.3",
            "description": description,
            "evaluator": {"id": "own.evaluator", "config": config, "max_concurrent": 3},
            "judges": [
                {"id": "own.one", "weight": weight},
                {"id": "own.one", "name": "two", "config": judge_config},
            ],
            "scoring": {"metrics": [
                {"name": "a", "aggregator": "rate_above", "threshold": threshold, "bootstrap": true, "seed": 0,
                 "from": "two.x", "cluster_by": cluster_by},
                {"name": "b", "aggregator": "ks_test"},
            ], "baseline_run_id": "run-1"},
            "runtime": {"task_timeout_seconds": timeout, "max_items": max_items, "on_failure": "abort"},
            "dataset": {"fields": {"input": column}},
            "metadata": metadata,
        })
    }
}

/// YAML in block style. Scalars are written as JSON, which every YAML reader takes.
fn block_yaml(value: &Value, indent: usize, out: &mut String) {
    let margin = "  ".repeat(indent);
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (key, member) in members {
                out.push_str(&format!("\n{margin}{}:", ascii(&key.as_str().into())));
                block_yaml(member, indent + 1, out);
            }
        }
        Value::Array(elements) if !elements.is_empty() => {
            for element in elements {
                out.push_str(&format!("\n{margin}-"));
                block_yaml(element, indent + 1, out);
            }
        }
        scalar => out.push_str(&format!(" {}", ascii(scalar))),
    }
}

/// JSON in which everything outside ASCII is escaped, by surrogate pairs where need be: some tools write it so.
fn ascii(value: &Value) -> String {
    let mut text = String::new();
    for c in value.to_string().chars() {
        if c.is_ascii() && c != '\u{7f}' {
            text.push(c);
        } else {
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| text.push_str(&format!("\\u{unit:04x}")));
        }
    }
    text
}

/// JSON in lines indented by tabs, with little escaped.
fn indented(value: &Value) -> String {
    let mut text = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"\t");
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut text, formatter)).expect("JSON");
    let text = String::from_utf8(text).expect("UTF-8");
    // YAML takes these in escapes only.
    text.replace('\u{7f}', "\\u007f").replace('\u{85}', "\\u0085").replace('\u{feff}', "\\ufeff")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_spec_says_the_same_in_json_and_in_yaml_and_keeps_its_config(document in any_spec()) {
        let spec = read(&ascii(&document));
        prop_assert_eq!(Value::Object(spec.evaluator.config.clone()), document["evaluator"]["config"].clone());
        prop_assert_eq!(serde_json::to_value(&spec.metadata).expect("JSON"), document["metadata"].clone());
        prop_assert_eq!(&read(&indented(&document)), &spec);
        let mut yaml = String::new();
        block_yaml(&document, 0, &mut yaml);
        prop_assert_eq!(&read(&yaml), &spec);
        // What a run keeps of it is the same spec.
        prop_assert_eq!(read(&ascii(&serde_json::to_value(&spec).expect("JSON"))).digest(), spec.digest());
    }

    #[test]
    fn no_bytes_bring_the_reader_down(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Err(errors) = parse("x", &bytes) {
            prop_assert!(errors.total() > 0);
        }
    }

    #[test]
    fn no_text_brings_the_reader_down(text in "([a-z]{1,4}|[ \\n\\t'\"#:,{}\\[\\]&*!|>%@?~.<\\\\-]|schema_version: \"1\"\\n|id: |judges:\\n  - |😀|\\PC){0,40}") {
        if let Err(errors) = parse("x", text.as_bytes()) {
            for problem in errors.problems() {
                let mut report = String::new();
                let theme = miette::GraphicalTheme::unicode_nocolor();
                miette::GraphicalReportHandler::new_themed(theme).render_report(&mut report, problem).expect("a report");
                prop_assert!(!report.is_empty());
            }
        }
    }

    #[test]
    fn a_torn_spec_is_reported_and_never_a_panic(document in any_spec(), cut in 0.0..1.0, noise in text()) {
        let mut yaml = String::new();
        block_yaml(&document, 0, &mut yaml);
        let at = yaml.floor_char_boundary((yaml.len() as f64 * cut) as usize);
        yaml.insert_str(at, &noise);
        let _ = parse("x", yaml.as_bytes());
        let _ = parse("x", &yaml.as_bytes()[..at]);
    }
}
