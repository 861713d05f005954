//! Evaluators and judges that call nobody, and every command that tells of a run.

use serde_json::json;

use crate::way::Way;
use crate::world::World;

/// All rules at once, over outputs that the dataset holds.
const SPEC: &str = r#"schema_version: "1"
id: canary/rules
version: 1.0.0
evaluator: {id: eval_fabric.recorded, config: {field: metadata.answer, metadata_field: metadata.more}}
judges:
  - {id: eval_fabric.exact_match}
  - {id: eval_fabric.contains}
  - {id: eval_fabric.numeric_match}
  - {id: eval_fabric.regex, config: {pattern: "${PATTERN}"}}
  - {id: eval_fabric.json_schema, config: {schema: {type: integer}, parse_text: true}}
  - {id: eval_fabric.identity}
scoring:
  metrics:
    - {name: right, from: exact_match, cluster_by: topic, bootstrap: true}
"#;

fn rows(world: &World, answer: &str) -> String {
    let row = |id: &str, reference: serde_json::Value, answer: serde_json::Value| {
        let metadata = json!({
            "answer": answer,
            "topic": world.payload("item metadata"),
            "more": {"note": world.payload("output metadata")},
        });
        let input = json!({"question": world.payload("input")});
        format!("{}\n", json!({"item_id": id, "input": input, "reference_output": reference, "metadata": metadata}))
    };
    let reference = world.payload("reference output");
    [
        row("text", json!(reference), json!(answer)),
        row("map", json!({ &reference: [reference] }), json!({ answer: [answer, 1.5] })),
        row("list", json!([reference, 7]), json!([answer])),
        row("number", json!(12), json!(format!("{answer} is 12, or 1e999, or 12,34,5 {answer}"))),
        row("none", json!(null), json!(format!("{{\"{answer}\": \"{answer}"))),
        row("empty", json!(""), json!("")),
    ]
    .concat()
}

#[test]
fn invariant_8_nothing_gets_out_of_a_run_of_rules_nor_of_any_command_that_tells_of_it() {
    Way::each(|way| {
        let world = World::new(way);
        world.set("PATTERN", format!("{}|x", world.secret("${VAR} in a pattern")));
        world.write("spec.yaml", SPEC);
        let answer = world.payload("output");
        world.write("data.jsonl", rows(&world, &answer));
        for format in ["text", "json"] {
            world.ef(&format!("run spec.yaml --dataset data.jsonl --run-id {format} --format {format}"), 0);
            world.tell_everything();
        }
        world.assert_stored(&["input", "reference output", "item metadata", "output", "output metadata"]);

        // Another answer to the same questions, so that there is something to compare.
        let other = world.payload("output of another run");
        world.write("other.jsonl", rows(&world, &other));
        world.ef("run spec.yaml --dataset other.jsonl --run-id other --no-cache", 0);
        for (line, code) in [
            ("diff other text --items", 0),
            ("diff other text --items --format json", 0),
            ("gate other --metric right --min 0.1", 7),
            ("gate other --metric right --max-drop 0.1 --baseline text --format json", 7),
            ("show other --metric right --format json", 0),
            ("verify other", 0),
            ("verify other --format json", 0),
            ("replay other --judges-only --items", 0),
            ("replay other --all --items --format json", 0),
            ("judge verify spec.yaml --judge exact_match --dataset data.jsonl", 0),
            ("judge verify spec.yaml --judge regex --dataset data.jsonl --format json", 0),
            ("plugins list --health", 0),
            ("plugins test eval_fabric.contains", 0),
            ("run spec.yaml --dataset data.jsonl --dry-run", 0),
            ("tracestore init parquet://copy", 0),
            ("tracestore export sqlite:// --to parquet://copy", 0),
            ("runs --store parquet://copy", 0),
            ("show other --traces --store parquet://copy", 0),
            ("verify other --store parquet://copy", 0),
        ] {
            world.ef(line, code);
        }
        let proof = world.ef("verify other --item text --format json", 0).stdout;
        std::fs::write(world.path("proof.json"), proof).expect("written");
        world.ef("verify --proof proof.json", 0);
        let shown = world.ef_with_payloads("run spec.yaml --dataset data.jsonl --dry-run --payloads").stdout;
        assert!(!shown.is_empty());
        world.allow("copy");
        world.assert_silent();
    });
}

#[test]
fn invariant_8_nothing_gets_out_of_outputs_that_are_not_there() {
    Way::each(|way| {
        let world = World::new(way);
        world.write("spec.yaml", SPEC);
        world.set("PATTERN", "x");
        let secret = world.payload("metadata without the output");
        let rows = [
            json!({"item_id": "none", "input": secret, "metadata": {"answers": secret}}),
            json!({"item_id": "odd", "input": secret, "metadata": {"answer": secret, "more": secret}}),
        ];
        world.write("data.jsonl", rows.map(|row| format!("{row}\n")).concat());
        world.ef("run spec.yaml --dataset data.jsonl", 0);
        world.tell_everything();
        world.assert_stored(&["metadata without the output"]);
        world.write("spec.yaml", format!("{SPEC}runtime: {{on_failure: abort}}\n"));
        world.ef("run spec.yaml --dataset data.jsonl --run-id ended", 3);
        world.ef("resume ended --retry-errors --format json", 3);
        world.ef("resume ended", 0);
        world.assert_silent();
    });
}

#[test]
fn invariant_8_a_variable_that_does_not_fit_is_not_quoted() {
    Way::each(|way| {
        let world = World::new(way);
        world.write("data.jsonl", "{\"input\": \"1\", \"reference_output\": \"1\", \"item_id\": \"a\"}\n");
        let broken = format!("({}", world.secret("${VAR} of a broken pattern"));
        world.set("VAR", broken);
        for evaluator in [
            "{id: eval_fabric.examples.echo, config: {x: \"${VAR}\"}}",
            "{id: eval_fabric.recorded, config: {field: \"${VAR}\"}}",
            "{id: eval_fabric.command, config: {argv: [\"${VAR}\"]}}",
            "{id: eval_fabric.command, config: {argv: [cat], env: [\"${VAR}\"]}}",
            "{id: eval_fabric.http, config: {url: \"${VAR}\"}}",
            "{id: eval_fabric.http, config: {url: \"http://127.0.0.1:1\", method: \"${VAR}\"}}",
            "{id: eval_fabric.http, config: {url: \"http://127.0.0.1:1\", output_pointer: \"${VAR}\"}}",
            "{id: eval_fabric.http, config: {url: \"http://127.0.0.1:1\", api_key_env: \"${VAR}\"}}",
            "{id: eval_fabric.http, config: {url: \"http://127.0.0.1:1\", body: \"{{ ${VAR} }}\"}}",
            "{id: eval_fabric.openai_chat, config: {model: m, base_url: \"${VAR}\"}}",
            "{id: eval_fabric.openai_chat, config: {model: m, base_url: \"http://x\", system: \"{% ${VAR} %}\"}}",
        ] {
            world.write(
                "spec.yaml",
                SPEC.lines().filter(|line| !line.contains("${")).fold(String::new(), |spec, line| {
                    spec + if line.starts_with("evaluator:") { "" } else { line } + "\n"
                }) + &format!("evaluator: {evaluator}\n"),
            );
            world.ef("run spec.yaml --dataset data.jsonl", 2);
        }
        for judge in [
            "{id: eval_fabric.regex, config: {pattern: \"${VAR}\"}}",
            "{id: eval_fabric.json_schema, config: {schema: {type: \"${VAR}\"}}}",
            "{id: eval_fabric.json_schema, config: {schema: {$ref: \"${VAR}\"}}}",
            "{id: eval_fabric.llm_judge, config: {provider: openai, model: m, base_url: \"http://x\", template: \"{{ ${VAR} }}\"}}",
            "{id: eval_fabric.llm_judge, config: {provider: openai, model: m, base_url: \"http://x\", criterion: x, labels: {\"${VAR}\": 1}}}",
            "{id: eval_fabric.human, config: {question: x, ask: \"${VAR}\"}}",
        ] {
            world.write(
                "spec.yaml",
                format!(
                    "schema_version: \"1\"\nid: canary/x\nversion: 1.0.0\nevaluator: {{id: eval_fabric.examples.echo}}\n\
                     judges: [{judge}]\n"
                ),
            );
            world.ef("run spec.yaml --dataset data.jsonl --dry-run", 2);
        }
        // Somewhere one run at least is needed that the collector hears of.
        world.write(
            "spec.yaml",
            SPEC.replace("${PATTERN}", "x").replace(
                "eval_fabric.recorded, config: {field: metadata.answer, metadata_field: metadata.more}",
                "eval_fabric.examples.echo",
            ),
        );
        world.ef("run spec.yaml --dataset data.jsonl", 0);
        world.assert_silent();
    });
}
