//! Plugins in Python, served by the bridge: exceptions quote what they were given.

use crate::plugins::has_python;
use crate::way::Way;
use crate::world::World;

const MODULE: &str = r#"import os, sys
from eval_fabric.evaluators import evaluator
from eval_fabric.judges import judge

class Judge:
    """Quotes all that it knows."""
    id, version, determinism = "acme.py", "1", "stochastic"

    def __init__(self, *, token, refuse=False):
        self.token = token
        if refuse:
            raise ValueError(f"the token {token} and the key {os.environ['PLUGIN_KEY']} are refused")

    def judge(self, item, output):
        quote = f"{item.input} {item.reference_output} {item.metadata} {output.output} {self.token}"
        print("printed", quote, os.environ["PLUGIN_KEY"])
        print("stderr", quote, file=sys.stderr)
        if item.item_id == "raise":
            raise ValueError(quote)
        if item.item_id == "key":
            return {}[quote]
        if item.item_id == "chain":
            try:
                raise RuntimeError(quote)
            except RuntimeError as error:
                raise ConnectionError(quote) from error
        if item.item_id == "code":
            error = RuntimeError(quote)
            error.code = quote
            raise error
        if item.item_id == "class":
            raise type("Odd", (Exception,), {})(quote)
        if item.item_id == "nan":
            return {"score": float("nan"), "rationale": quote}
        if item.item_id == "shape":
            return {"score": [quote]}
        if item.item_id == "object":
            return {"score": object()}
        if item.item_id == "group":
            raise BaseException(quote)
        return {"score": 1, "rationale": quote}

@evaluator(id="acme.said", version="1")
def said(item):
    if item.item_id == "evaluator":
        raise ValueError(f"{item.input} {item.metadata}")
    return {"output": os.environ["SAID"], "metadata": {"more": os.environ["SAID"]}}
"#;

#[test]
fn invariant_8_a_python_exception_is_not_quoted() {
    if !has_python() {
        return;
    }
    Way::both_ends(|way| {
        let world = World::new(way);
        world.write("quoting.py", MODULE);
        world.write(
            "ef.toml",
            "python = \"python3\"\n[plugins.judge]\npython = \"quoting:Judge\"\n[plugins.said]\npython = \"quoting:said\"\n",
        );
        world.set("SAID", world.payload("output of Python"));
        world.set("PLUGIN_KEY", world.secret("variable of Python"));
        world.set("TOKEN", world.secret("${VAR} in the config of Python"));
        let spec = |more: &str| {
            format!(
                "schema_version: \"1\"\nid: canary/python\nversion: 1.0.0\nevaluator: {{id: acme.said}}\n\
                 judges: [{{id: acme.py, config: {{token: \"${{TOKEN}}\"{more}}}}}]\nruntime: {{max_retries: 1}}\n"
            )
        };
        world.write("spec.yaml", spec(""));
        let (input, topic) = (world.payload("input of Python"), world.payload("metadata of Python"));
        let row = |id: &str| {
            format!(
                "{{\"item_id\": \"{id}\", \"input\": \"{input}\", \"reference_output\": \"1\", \
                 \"metadata\": {{\"topic\": \"{topic}\"}}}}\n"
            )
        };
        let ids = ["good", "raise", "key", "chain", "code", "class", "nan", "shape", "object", "group", "evaluator"];
        world.write("data.jsonl", ids.map(row).concat());
        world.ef("run spec.yaml --dataset data.jsonl --run-id one", 0);
        world.tell_everything();
        world.assert_stored(&["input of Python", "metadata of Python", "output of Python"]);
        world.ef("plugins list --health", 0);
        world.write("spec.yaml", spec(", refuse: true"));
        world.ef("run spec.yaml --dataset data.jsonl", 5);
        world.write("spec.yaml", spec(", unknown: \"${TOKEN}\""));
        world.ef_anyhow("run spec.yaml --dataset data.jsonl");
        world.assert_silent();
    });
}
