//! Models that are evaluated and that judge: what they are asked, what they say, and what their providers say.

use ef_testkit::model_server::{Call, ModelServer, Reply, Script};

use crate::way::Way;
use crate::world::World;

/// Evaluator and judge at one server. The judge has a template of its own, so that one prompt is a rendered text.
fn spec(server: &ModelServer, provider: &str, runtime: &str) -> String {
    let (evaluator, url) = match provider {
        "anthropic" => ("eval_fabric.anthropic_messages", server.base_url()),
        _ => ("eval_fabric.openai_chat", server.openai_url()),
    };
    format!(
        "schema_version: \"1\"
id: canary/models
version: 1.0.0
evaluator:
  id: {evaluator}
  config:
    base_url: {url}
    model: under-test
    max_tokens: 50
    api_key_env: MODEL_KEY
    system: \"Answer with regard to {{{{ metadata.topic }}}}.\"
judges:
  - id: eval_fabric.llm_judge
    name: good
    config:
      provider: {provider}
      base_url: {url}
      model: judging
      max_tokens: 50
      api_key_env: MODEL_KEY
      template: \"CRITERION-MARK {{{{ input }}}} {{{{ output }}}} {{{{ reference_output }}}} {{{{ metadata.topic }}}}\"
runtime: {runtime}
"
    )
}

/// Models that say what an item asks for, with `said` and the key in every place of an answer.
fn script(said: &str, rationale: &str) -> Script {
    let (said, rationale) = (said.to_owned(), rationale.to_owned());
    Script::new(move |call: &Call<'_>| {
        let asks = |what: &str| call.mentions(what);
        let key = call.key().unwrap_or_default().to_owned();
        let sentence = format!("{said} as a sentence, {key}");
        let reply = match () {
            () if call.mentions("CRITERION-MARK") && asks("judge-500") => Reply::error_saying(500, sentence.clone()),
            () if call.mentions("CRITERION-MARK") && asks("judge-none") => Reply::text(sentence.clone()),
            () if call.mentions("CRITERION-MARK") && asks("judge-key") => Reply::leaking_key(call),
            () if call.mentions("CRITERION-MARK") => Reply::judgment(call, 1.0, &rationale),
            () if asks("do-400") => Reply::error_saying(400, sentence.clone()),
            () if asks("do-500") => Reply::error_saying(500, sentence.clone()),
            () if asks("do-key") => Reply::error_leaking_key(call, 400),
            () if asks("do-escaped") => Reply::error_leaking_escaped_key(call, 401),
            () if asks("do-garbage") => Reply::body("application/json", format!("{{\"choices\": \"{sentence}\"")),
            () if asks("do-shape") => Reply::body(
                "application/json",
                format!("{{\"choices\": [\"{sentence}\"], \"content\": \"{sentence}\"}}"),
            ),
            () if asks("do-tool") => Reply::tool_call(sentence.clone(), format!("{{\"{said}\": \"{key}\"}}")),
            () if asks("do-quota") => Reply::quota_exhausted(),
            () => Reply::text(sentence.clone()),
        };
        reply.by_model(sentence.clone()).header("x-seen", sentence).header("x-ratelimit-reset", said.clone())
    })
}

const DOES: [&str; 11] = [
    "good",
    "do-400",
    "do-500",
    "do-key",
    "do-escaped",
    "do-garbage",
    "do-shape",
    "do-tool",
    "judge-500",
    "judge-none",
    "judge-key",
];

fn rows(world: &World, does: &[&str]) -> String {
    let (input, reference, topic) = (
        world.payload("question to a model"),
        world.payload("reference for a judge"),
        world.payload("topic for a model"),
    );
    let row = |does: &&str| {
        format!(
            "{{\"item_id\": \"{does}\", \"input\": \"{does} {input}\", \"reference_output\": \"{reference}\", \
             \"metadata\": {{\"topic\": \"{topic}\"}}}}\n"
        )
    };
    does.iter().map(row).collect()
}

/// A world, a server of models whose answers are markers, and the key that it wants.
fn with_server(way: Way) -> (World, ModelServer, String) {
    let world = World::new(way);
    let (said, why) = (world.payload("answer of a model"), world.payload("rationale of a model"));
    let key = world.secret("key of a model");
    let server = ModelServer::start(script(&said, &why).with_key(key.as_str()));
    world.set("MODEL_KEY", &key);
    (world, server, key)
}

#[test]
fn invariant_8_what_models_are_asked_and_say_is_in_the_store_alone() {
    for provider in ["openai", "anthropic"] {
        Way::each(|way| {
            let (world, server, key) = with_server(way);
            world.write("spec.yaml", spec(&server, provider, "{max_retries: 1}"));
            world.write("data.jsonl", rows(&world, &DOES));
            world.ef("run spec.yaml --dataset data.jsonl --run-id one", 0);
            world.tell_everything();
            world.assert_stored(&[
                "question to a model",
                "reference for a judge",
                "topic for a model",
                "answer of a model",
                "rationale of a model",
            ]);
            let stored = world.ef_with_payloads("show one --traces --payloads --format json").stdout;
            assert!(!stored.contains(&key), "a key that comes back is not even stored");
            world.ef("replay one --judges-only --items", 0);
            world.ef_anyhow("judge verify spec.yaml --judge good --dataset data.jsonl");
            world.ef("run spec.yaml --dataset data.jsonl --dry-run --format json", 0);
            world.assert_silent();
        });
    }
}

#[test]
fn invariant_8_a_run_that_a_provider_ends_says_nothing_of_what_was_asked() {
    Way::each(|way| {
        let (world, server, key) = with_server(way);
        world.write("spec.yaml", spec(&server, "openai", "{max_concurrent: 1}"));
        world.write("data.jsonl", rows(&world, &["good", "do-quota"]));
        world.ef("run spec.yaml --dataset data.jsonl --run-id poor", 3);
        world.tell_everything();
        world.ef("resume poor", 3);
        // Another key, which the server refuses; and none at all.
        world.set("MODEL_KEY", world.secret("wrong key of a model"));
        world.ef("run spec.yaml --dataset data.jsonl --run-id wrong", 0);
        world.set("MODEL_KEY", format!("{}\u{e9}\n", world.secret("key that no header can carry")));
        world.ef("run spec.yaml --dataset data.jsonl --run-id unfit", 2);
        // A server that is not there any more.
        world.set("MODEL_KEY", &key);
        drop(server);
        world.ef("run spec.yaml --dataset data.jsonl --run-id gone", 0);
        world.tell_everything();
        world.assert_silent();
    });
}
