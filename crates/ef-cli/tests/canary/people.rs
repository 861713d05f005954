//! People: the file in which they are asked, and what they answer.

use serde_json::{Value, json};

use crate::way::Way;
use crate::world::World;

const SPEC: &str = "schema_version: \"1\"\nid: canary/people\nversion: 1.0.0\n\
     evaluator: {id: eval_fabric.examples.echo}\n\
     judges: [{id: eval_fabric.human, name: kind, config: {question: Is it kind?, labels: {unkind: 0, kind: 1}}}]\n\
     scoring: {metrics: [{name: kindness, from: kind}]}\n";

#[test]
fn invariant_8_what_people_are_asked_and_answer_is_in_the_store_alone() {
    Way::each(|way| {
        let world = World::new(way);
        world.write("spec.yaml", SPEC);
        let input = world.payload("input for people");
        let row = |id: &str| format!("{}\n", json!({"item_id": id, "input": input, "reference_output": input}));
        world.write("data.jsonl", ["a", "b", "c"].map(row).concat());
        world.ef("run spec.yaml --dataset data.jsonl --run-id asked", 0);
        world.tell_everything();
        world.ef("judge queue asked --output left.queue.jsonl", 0);

        let asked = world.read("left.queue.jsonl");
        assert!(asked.contains(&input), "the queue is for people: {asked}");
        let lines: Vec<Value> = asked.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        let rationale = world.payload("rationale of a person");
        let answered = |score: &str| -> String {
            let line = |line: &Value| {
                let mut line = line.clone();
                line["score"] = score.into();
                line["rationale"] = json!({"because": rationale});
                format!("{line}\n")
            };
            lines.iter().map(line).collect()
        };
        let good = answered("kind");
        let wrong = world.payload("wrong line of a person");
        for (name, text) in [
            ("score.jsonl", good.replacen("\"score\":\"kind\"", &format!("\"score\":\"{wrong}\""), 1)),
            ("shape.jsonl", good.replacen("\"row\":1", &format!("\"row\":\"{wrong}\""), 1)),
            ("item.jsonl", good.replacen("\"row\":1", "\"row\":1000", 1)),
            ("twice.jsonl", good.replacen('{', &format!("{{\"{wrong}\":1,\"{wrong}\":2,"), 1)),
            ("end.jsonl", format!("{good}{wrong}")),
            ("both.jsonl", good.replacen("\"score\":", "\"unscored\":true,\"score\":", 1)),
        ] {
            assert_ne!(text, good, "{name}");
            world.write(name, text);
            world.ef(&format!("judge import asked {name}"), 2);
        }
        world.write("good.jsonl", &good);
        world.ef("judge import asked good.jsonl --format json", 0);
        world.assert_stored(&["input for people", "rationale of a person"]);
        world.write("again.jsonl", answered("unkind"));
        world.ef("judge import asked again.jsonl", 2);
        world.tell_everything();
        world.ef("gate asked --metric kindness --min 0.5", 0);
        world.assert_silent();
    });
}
