//! A secret in every text of every built-in's config, one after the other.

use ef_testkit::model_server::{ModelServer, Reply, Script};
use serde_json::{Map, Value, json};

use crate::coverage::{CONFIGS, Fate};
use crate::way::Way;
use crate::world::World;

const JUDGES: [&str; 8] =
    ["contains", "exact_match", "human", "identity", "json_schema", "llm_judge", "numeric_match", "regex"];

/// A config with which the component can be made.
fn base(id: &str, server: &ModelServer) -> Value {
    match id {
        "eval_fabric.openai_chat" => json!({"model": "m", "base_url": server.openai_url()}),
        "eval_fabric.anthropic_messages" => json!({"model": "m", "base_url": server.base_url(), "max_tokens": 9}),
        "eval_fabric.llm_judge" => {
            json!({"provider": "openai", "model": "m", "base_url": server.openai_url(), "criterion": "It is right."})
        }
        "eval_fabric.http" => json!({"url": format!("{}/echo", server.base_url())}),
        "eval_fabric.command" => json!({"argv": ["cat"]}),
        "eval_fabric.recorded" => json!({"field": "input"}),
        "eval_fabric.regex" => json!({"pattern": "x"}),
        "eval_fabric.json_schema" => json!({"schema": {}}),
        "eval_fabric.human" => json!({"question": "Is it?"}),
        _ => json!({}),
    }
}

fn spec(id: &str, config: &Value) -> String {
    let is_judge = JUDGES.iter().any(|judge| id == format!("eval_fabric.{judge}"));
    let component = json!({"id": id, "config": config});
    let evaluator = if is_judge { json!({"id": "eval_fabric.examples.echo"}) } else { component.clone() };
    let judge = if is_judge { component } else { json!({"id": "eval_fabric.exact_match"}) };
    let runtime = json!({"max_retries": 0, "task_timeout_seconds": 5});
    let head = json!({"schema_version": "1", "id": "canary/config", "version": "1.0.0"});
    let mut spec: Map<String, Value> = head.as_object().expect("a map").clone();
    spec.extend([
        ("evaluator".to_owned(), evaluator),
        ("judges".to_owned(), json!([judge])),
        ("runtime".to_owned(), runtime),
    ]);
    Value::Object(spec).to_string()
}

#[test]
fn invariant_8_a_variable_in_any_text_of_any_config_is_not_told() {
    let server = ModelServer::start(Script::new(|call| Reply::text(format!("said: {}", call.user_text()))));
    let world = World::new(Way::LOUDEST);
    world.set("VAR", world.secret("${VAR} in a config"));
    let row = json!({"item_id": "a", "input": "1", "reference_output": "1", "metadata": {"x": "1"}});
    world.write("data.jsonl", format!("{row}\n"));
    let mut ran = 0;
    for (field, _) in CONFIGS.iter().filter(|(_, fate)| *fate == Fate::Hidden("configs")) {
        let Some((id, key)) = field.rsplit_once('.').filter(|(id, _)| id.starts_with("eval_fabric.")) else { continue };
        for value in
            [json!("${VAR}"), json!(["${VAR}"]), json!({"k": "${VAR}"}), json!([{"role": "user", "content": "${VAR}"}])]
        {
            let mut config = base(id, &server);
            config[key] = value;
            world.write("spec.json", spec(id, &config));
            let ended = world.ef_anyhow("run spec.json --dataset data.jsonl --no-cache");
            match ended.code {
                Some(0) => {
                    world.ef("show latest --item a", 0);
                    ran += 1;
                }
                Some(2) => {}
                _ => panic!("{field}: {ended}"),
            }
        }
    }
    assert!(ran >= 20, "only {ran} configs were taken");
    world.assert_silent();
}
