//! What is wrong with a spec is said all at once, each thing at its place and with what to do about it.

mod report;

use ef_spec::{LoadedSpec, SpecErrors, parse};
use miette::{GraphicalReportHandler, GraphicalTheme};
use report::render;

const SPEC: &str = "\
schema_version: \"1\"
id: team/qa
version: 1.0.0
evaluator:
  id: eval_fabric.recorded
  config: {field: \"metadata.a/b\"}
judges:
  - id: eval_fabric.exact_match
  - id: eval_fabric.regex
    name: pattern
    config:
      pattern: \"(\"
      a/b: [1, {c: 2}]
";

fn errors(text: &str) -> SpecErrors {
    parse("specs/qa.yaml", text.as_bytes()).expect_err("an invalid spec")
}

fn loaded(text: &str) -> LoadedSpec {
    parse("specs/qa.yaml", text.as_bytes()).unwrap_or_else(|errors| panic!("{}", render(&errors, 9)))
}

/// Message, label and hint of each problem of a spec with this at its end.
fn all_of(tail: &str) -> String {
    render(&errors(&format!("{SPEC}{tail}")), usize::MAX)
}

#[test]
fn a_file_with_many_problems_shows_them_all() {
    let text = "\
schema_version: \"1\"
id: my eval
version: 1.0
descripton: typo
evaluator: eval_fabric.recorded
judges:
  - id: exact_match
    weight: -1
  - name: second
    config: [1, 2]
  - id: own.judge
    name: second
    max_concurrent: 0
  - just a text
  - id: own.other
    name:
scoring:
  metrics:
    - name: a
      from: secondd
      aggregator: men
    - name: a
      threshold: 0.5
      bootstrap: yes
      bootstrap_samples: 5
    - aggregator: count
      bootstrap: true
      cluster_by: lang
  baseline_run_id: latest
runtime:
  max_concurrent: \"64\"
  task_timeout_seconds: 0
  on_failure: stop
  max_items: -1
  seed: 1.5
  max_retries: 2
  max_retries: 3
dataset:
  fields: {inputs: question, input: 7}
metadata:
  year: 2024
  tags: [a]
max_items: 10
";
    let errors = errors(text);
    let mut report = String::new();
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::unicode_nocolor()).with_width(100);
    handler.render_report(&mut report, &errors).expect("a text takes everything");
    insta::assert_snapshot!(report);
}

#[test]
fn names_are_unique_and_references_lead_somewhere() {
    insta::assert_snapshot!(all_of(
        "  - id: own.exact_match
  - {id: own.x, name: pattern}
  - id: own.judges
scoring:
  metrics:
    - {name: a, from: exact-match}
    - {name: b, from: pattern.}
    - {name: a, from: pattern.tone}
    - {name: c, from: judges}
    - {name: d, from: nobody.x}
"
    ));
}

#[test]
fn a_default_name_that_is_too_long_asks_for_a_name() {
    let report = render(&errors(&SPEC.replace("eval_fabric.exact_match", &format!("own.{}", "x".repeat(65)))), 9);
    insta::assert_snapshot!(report);
}

#[test]
fn options_go_with_their_aggregators() {
    insta::assert_snapshot!(all_of(
        "\
scoring:
  metrics:
    - {name: a, aggregator: mean, threshold: 0.5, cluster_by: x, bootstrap: true}
    - {name: b, aggregator: median, cluster_by: x, bootstrap: true}
    - {name: c, aggregator: count, bootstrap: true}
    - {name: d, aggregator: rate_above, threshold: 0.5, cluster_by: x, bootstrap: true}
    - {name: e, aggregator: weighted_mean, threshold: 1, cluster_by: x, bootstrap: true}
    - {name: f, aggregator: ks_test, threshold: null, cluster_by: x, bootstrap: true}
    - {name: g, aggregator: ks_test, bootstrap: false}
"
    ));
}

#[test]
fn another_schema_version_is_the_only_problem_reported() {
    let mut reports = String::new();
    for version in ["1", "2", "1.5", "\"2\"", "\"0.9\"", "true", "~", "[\"1\"]"] {
        let text = SPEC.replace("schema_version: \"1\"", &format!("schema_version: {version}")).replace("1.0.0", "x");
        let errors = errors(&text);
        assert_eq!(errors.total(), 1, "{version}");
        reports.push_str(&format!("──── {version}\n{}\n", render(&errors, 1)));
    }
    let missing = errors(&SPEC.replace("schema_version: \"1\"\n", ""));
    reports.push_str(&format!("──── none\n{}\n", render(&missing, 1)));
    insta::assert_snapshot!(reports);
}

#[test]
fn what_is_found_later_is_reported_at_its_place_in_the_file() {
    let loaded = loaded(SPEC);
    let hint = || Some("close the group".to_owned());
    let problems = vec![
        loaded.problem("/judges/1/config/pattern", false, "the pattern is broken", hint()),
        loaded.problem("/judges/1/config/a~1b/1/c", true, "unknown key", None),
        loaded.problem("/judges/1/config/a~1b", false, "a list", None),
        loaded.problem("/judges/0/config/pattern", false, "no pattern is given: the judge is shown", None),
        loaded.problem("/judges/7", false, "no such judge: the judges are shown", None),
        loaded.problem("", false, "the whole", None),
        loaded.problem("/runtime/trace_store", true, "not in the file: the whole is shown", None),
        loaded.problem("not a pointer", false, "the whole again", None),
    ];
    insta::assert_snapshot!(render(&loaded.errors(problems), usize::MAX));
}

#[test]
fn problems_are_at_hand_for_programs() {
    let errors = errors(&SPEC.replace("1.0.0", "\"é\""));
    let [problem] = errors.problems() else { panic!("{errors}") };
    assert_eq!(problem.to_string(), "`version` must be three numbers, MAJOR.MINOR.PATCH");
    assert_eq!(problem.hint(), Some("for example `1.0.0`"));
    assert_eq!(problem.position(), Some((3, 10)));
    assert_eq!(errors.to_string(), "the spec specs/qa.yaml has a problem");
}

#[test]
fn columns_count_characters_and_windows_line_ends_count_once() {
    let text = format!("\u{feff}{}", SPEC.replace('\n', "\r\n").replace("name: pattern", "\"näme\": x"));
    let errors = errors(&text);
    assert_eq!(errors.problems()[0].position(), Some((10, 5)), "{}", render(&errors, 9));
    let errors = parse("x.json", "{\"é\": 1, \"schema_version\": 1}".as_bytes()).expect_err("an integer");
    assert_eq!(errors.problems()[0].position(), Some((1, 28)));
}

#[test]
fn the_name_of_a_file_cannot_move_the_cursor() {
    let errors = parse("a\u{1b}[2J.yaml", b"").expect_err("an empty file");
    assert_eq!(errors.to_string(), "the spec a?[2J.yaml has a problem");
}
