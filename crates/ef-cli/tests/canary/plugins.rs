//! Plugins that speak the protocol: what they are given, what they answer, and what they print when they should not.

use crate::way::Way;
use crate::world::World;

/// Whether there is a Python to write plugins in; if not, it is said.
pub(crate) fn has_python() -> bool {
    let there = std::process::Command::new("python3").arg("--version").output().is_ok_and(|told| told.status.success());
    if !there {
        eprintln!("SKIPPED: there is no python3 on the PATH, and this test's plugin is written in Python");
    }
    there
}

/// An evaluator and a judge that do what the item's id says, and quote all that they know wherever they can.
const PLUGIN: &str = r#"import json, os, sys, time

said = os.environ["SAID"]
key = os.environ["PLUGIN_KEY"]
config = ""

def say(message):
    sys.stdout.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    sys.stdout.flush()

def fail(id, kind, params):
    quote = f"{said} {key} {config} " + json.dumps(params)
    data = {"kind": kind, "code": quote, "detail": {quote: quote}}
    say({"id": id, "error": {"code": -32000, "message": quote, "data": data}})

def initialize(params):
    component = lambda id: {"id": id, "version": "1", "determinism": "stochastic"}
    return {"protocol_version": 1, "plugin": {"name": "acme", "version": "1"},
            "evaluators": [component("acme.evaluator")], "judges": [component("acme.judge")]}

def work(id, method, params):
    does = params["item"]["item_id"]
    kind, _, does = does.partition("-")
    print(f"stderr {said} {key} {config} {json.dumps(params)}", file=sys.stderr, flush=True)
    if kind == method:
        if does == "permanent" or does == "transient":
            return fail(id, does, params)
        if does == "garbage":
            sys.stdout.write(f"{said} {key} {config} {json.dumps(params)}\n")
            return sys.stdout.flush()
        if does == "cut":
            sys.stdout.write('{"jsonrpc":"2.0","id":%d,"result":{"%s' % (id, said) + "\n")
            return sys.stdout.flush()
        if does == "shape":
            return say({"id": id, "result": {said: key, "score": {"a": [said]}}})
        if does == "long":
            return say({"id": id, "result": {"score": said * 100, "output": 1, "metadata": said}})
        if does == "exit":
            sys.exit(f"{said} {key} {config}")
        if does == "slow":
            time.sleep(20)
    if method == "judge":
        return say({"id": id, "result": {"score": 1, "rationale": f"{said} {config}"}})
    return say({"id": id, "result": {"output": said, "metadata": {"more": said}}})

for line in sys.stdin:
    message = json.loads(line)
    id, method, params = message.get("id"), message["method"], message.get("params") or {}
    if id is None:
        continue
    if method in ("evaluate", "judge"):
        work(id, method, params)
    elif method == "create":
        config = json.dumps(params["config"])
        if "refuse" in config:
            fail(id, "permanent", params)
        elif "misfit" in config:
            quote = f"{key} {config}"
            problem = {"pointer": "", "message": quote, "hint": quote}
            say({"id": id, "error": {"code": 1, "message": quote, "data": {"kind": "config", "problems": [problem]}}})
        elif "die" in config:
            sys.exit(f"{key} {config}")
        else:
            say({"id": id, "result": None})
    elif method == "initialize":
        start = os.environ.get("START")
        if start == "exit":
            sys.exit(f"the key {key} is refused")
        if start == "print":
            print(f"the key {key} is taken", flush=True)
        if start == "error":
            say({"id": id, "error": {"code": 1, "message": f"the key {key} is refused"}})
        say({"id": id, "result": initialize(params)})
    else:
        say({"id": id, "result": None})
"#;

fn spec(config: &str, runtime: &str) -> String {
    format!(
        "schema_version: \"1\"\nid: canary/plugin\nversion: 1.0.0\n\
         evaluator: {{id: acme.evaluator, config: {config}}}\njudges: [{{id: acme.judge, config: {config}}}]\n\
         runtime: {runtime}\n"
    )
}

fn world(way: Way) -> World {
    let world = World::new(way);
    world.write("plugin.py", PLUGIN);
    world.write("ef.toml", "[plugins.acme]\ncommand = [\"python3\", \"plugin.py\"]\n");
    world.set("SAID", world.payload("what a plugin says"));
    world.set("PLUGIN_KEY", world.secret("variable of a plugin"));
    world.set("TOKEN", world.secret("${VAR} in the config of a plugin"));
    world
}

#[test]
fn invariant_8_what_a_plugin_is_given_and_says_is_in_the_store_alone() {
    if !has_python() {
        return;
    }
    Way::both_ends(|way| {
        let world = world(way);
        world.write(
            "spec.yaml",
            spec("{token: \"${TOKEN}\"}", "{task_timeout_seconds: 1.5, max_retries: 1, max_concurrent: 4}"),
        );
        let does = ["good-", "permanent", "transient", "garbage", "cut", "shape", "long", "exit", "slow"];
        let ids = does.iter().flat_map(|does| [format!("evaluate-{does}"), format!("judge-{does}")]);
        let (input, topic) = (world.payload("input of a plugin"), world.payload("metadata of a plugin"));
        let reference = world.payload("reference of a plugin");
        let row = |id: String| {
            format!(
                "{{\"item_id\": \"{id}\", \"input\": \"{input}\", \"reference_output\": \"{reference}\", \
                 \"metadata\": {{\"topic\": \"{topic}\"}}}}\n"
            )
        };
        world.write("data.jsonl", ids.map(row).collect::<String>());
        world.ef("run spec.yaml --dataset data.jsonl --run-id one", 0);
        world.tell_everything();
        world.assert_stored(&[
            "input of a plugin",
            "metadata of a plugin",
            "reference of a plugin",
            "what a plugin says",
        ]);
        let failed = world.ef("show one --status error --format json", 0).stdout;
        assert!(failed.lines().count() >= 5, "{failed}");
        world.ef("plugins list", 0);
        world.ef("plugins list --health --format json", 0);
        world.ef("plugins lock", 0);
        world.ef_anyhow("plugins test acme.judge");
        world.ef_anyhow("plugins test acme.evaluator --format json");
        world.ef("run spec.yaml --dataset data.jsonl --dry-run", 0);
        world.assert_silent();
    });
}

#[test]
fn invariant_8_what_a_plugin_says_when_it_does_not_start_holds_no_secret() {
    if !has_python() {
        return;
    }
    Way::both_ends(|way| {
        let world = world(way);
        world.write("data.jsonl", "{\"item_id\": \"a\", \"input\": \"1\"}\n");
        let run = "run spec.yaml --dataset data.jsonl";
        world.write("spec.yaml", spec("{token: \"${TOKEN}\"}", "{}"));
        world.ef(run, 0);
        for start in ["exit", "print", "error"] {
            world.set("START", start);
            world.ef(run, 5);
            world.ef("plugins list --health", 5);
        }
        world.set("START", "");
        for (config, code) in [
            ("{refuse: \"${TOKEN}\"}", 5),
            ("{refuse: \"Bearer ${TOKEN} x\"}", 5),
            ("{die: \"${TOKEN}\"}", 5),
            ("{misfit: \"${TOKEN}\"}", 2),
        ] {
            world.write("spec.yaml", spec(config, "{}"));
            world.ef(run, code);
        }
        world.write("ef.toml", "[plugins.acme]\ncommand = [\"python3\", \"gone.py\"]\njudges = [\"acme.judge\"]\n");
        world.ef(run, 5);
        world.assert_silent();
    });
}
