//! Prompt templates and the values that they see.

use std::fmt::Write as _;

use ef_client::prompt::{Template, values};
use ef_model::{EvalItem, EvaluatorOutput, ItemId, Payload};
use proptest::prelude::*;
use serde_json::{Value, json};

fn item() -> EvalItem {
    EvalItem {
        item_id: ItemId::new("dev:1").expect("an id"),
        row: 1,
        input: Payload::from_text("What is <b> & {{ not.a.variable }}?"),
        reference_output: None,
        metadata: Some(Payload::from_value(&json!({"topic": "markup", "tags": ["a", "b"], "private": "4711"}))),
    }
}

fn rendered(template: &str) -> Result<String, String> {
    let output = EvaluatorOutput::new(Payload::from_value(&json!({"answer": 42})));
    let template = Template::compile(template).map_err(|error| error.to_string())?;
    template.render(&values(&item(), Some(&output))).map_err(|error| error.to_string())
}

#[test]
fn values_are_filled_in_as_they_are_and_never_read_as_templates() {
    let template = "{{ item_id }}: {{ input }}\n{% for tag in metadata.tags %}[{{ tag }}]{% endfor %} {{ output.answer }} \
                    {{ output | tojson }}{% if reference_output is defined %} no{% endif %}\n";
    let expected = "dev:1: What is <b> & {{ not.a.variable }}?\n[a][b] 42 {\"answer\": 42}\n";
    assert_eq!(rendered(template).as_deref(), Ok(expected));
}

#[test]
fn errors_name_the_line_and_the_templates_own_words_and_no_value() {
    let mut lines = String::new();
    for template in [
        "{{ reference_output }}",
        "line one\n{{ metadata.subject.name }}",
        "{{ nothing.at.all }}",
        "{% if x %}",
        "{{ input | no_such_filter }}",
        "{{ input + }}",
        "\n\n{{ metadata.private + 1 }}",
        "{{ metadata.private() }}",
        "{{ metadata.private | float / 0 | int }}",
        "{% for x in metadata.private %}{{ x.y.z }}{% endfor %}",
        "{% include metadata.private %}",
        "{% for a in range(9999) %}{% for b in range(9999) %}{{ b }}{% endfor %}{% endfor %}",
        "{{ 'x' * 99999999 }}",
        "{% for a in range(30) %}{{ 'x' * 999999 }}{% endfor %}",
    ] {
        let error = rendered(template).expect_err(template);
        assert!(!error.contains("4711"), "{error}");
        writeln!(lines, "{template:?}\n    {error}").expect("a string");
    }
    insta::assert_snapshot!(lines);
}

#[test]
fn the_digest_is_the_one_of_the_text() {
    let template = Template::compile("{{ input }}\n").expect("a template");
    assert_eq!(template.digest(), ef_model::Digest::of(b"{{ input }}\n"));
    assert_eq!(template.render(&json!({"input": "a\n"})).as_deref(), Ok("a\n\n"));
}

proptest! {
    #[test]
    fn no_template_panics_and_no_text_is_changed(template in "[{}%# a-z.|()\"0-9\\[\\]]{0,40}", text in "\\PC{0,40}") {
        if let Ok(template) = Template::compile(&template) {
            let _ = template.render(&json!({"a": text.clone(), "b": [1, 2]}));
        }
        let template = Template::compile("<{{ a }}>").expect("a template");
        prop_assert_eq!(template.render(&json!({"a": Value::from(text.clone())})), Ok(format!("<{text}>")));
    }
}
