//! What is called gets the span that it is called in, so that its own spans nest.

use std::collections::BTreeMap;
use std::process::Command;

use ef_testkit::model_server::{ModelServer, Script};
use ef_testkit::otlp_server::{OtlpServer, Protocol, Span};
use serde_json::{Value, json};

use crate::folder::Folder;
use crate::world::{World, ef};

/// The trace and the span of a `traceparent`.
fn ids(traceparent: &str) -> (String, String) {
    let parts: Vec<_> = traceparent.split('-').collect();
    let ["00", trace, span, "01"] = parts[..] else { panic!("{traceparent} is none of a span that is sampled") };
    assert_eq!((trace.len(), span.len()), (32, 16), "{traceparent}");
    (trace.to_owned(), span.to_owned())
}

fn by_id(spans: &[Span]) -> BTreeMap<&str, &Span> {
    spans.iter().map(|span| (span.span_id.as_str(), span)).collect()
}

#[test]
fn a_call_of_a_model_carries_its_own_span_which_is_within_the_task_or_the_judgment() {
    for protocol in [Protocol::Http, Protocol::Grpc] {
        let world = World::of(protocol);
        let spans = world.otlp.spans();
        let by_id = by_id(&spans);
        let requests = world.model.requests();
        assert_eq!(requests.len(), spans.iter().filter(|span| span.name.starts_with("chat ")).count());
        for request in requests {
            let (trace, id) = ids(request.header("traceparent").expect("it is passed on"));
            let call = by_id.get(id.as_str()).unwrap_or_else(|| panic!("there is no span {id}"));
            let model = request.json()["model"].as_str().expect("a model").to_owned();
            assert_eq!((&call.trace_id, call.name.as_str()), (&trace, format!("chat {model}").as_str()));
            let parent = by_id[call.parent_id.as_deref().expect("it has a parent")];
            let wanted = if model == "judging" { "eval.judge.eval_fabric.llm_judge" } else { "eval.task" };
            assert_eq!(parent.name, wanted);
            assert!(parent.start <= call.start && call.end <= parent.end, "{parent} does not hold {call}");
        }
    }
}

#[test]
fn a_call_of_a_model_is_told_as_the_genai_conventions_have_it() {
    let world = World::of(Protocol::Http);
    let spans = world.otlp.spans();
    let of_task = |item: &str| {
        let task =
            spans.iter().find(|span| span.name == "eval.task" && span.attributes["item_id"] == item).expect("a task");
        spans
            .iter()
            .find(|span| span.parent_id.as_ref() == Some(&task.span_id) && span.name == "chat under-test")
            .expect("a call")
    };
    let attributes = &of_task("i0").attributes;
    let told = |key: &str| attributes.get(key).unwrap_or_else(|| panic!("there is no {key}: {attributes:?}"));
    assert_eq!((told("gen_ai.operation.name"), told("gen_ai.provider.name")), (&json!("chat"), &json!("openai")));
    assert_eq!(
        (told("gen_ai.request.model"), told("gen_ai.response.model")),
        (&json!("under-test"), &json!("under-test"))
    );
    assert_eq!((told("gen_ai.request.temperature"), told("gen_ai.request.max_tokens")), (&json!(0.5), &json!(20)));
    assert_eq!((told("gen_ai.usage.input_tokens"), told("gen_ai.usage.output_tokens")), (&json!(100), &json!(10)));
    assert_eq!(told("gen_ai.response.finish_reasons"), &json!(["stop"]), "a list, as the conventions have it");
    assert_eq!(
        (told("server.address"), told("server.port")),
        (&json!("127.0.0.1"), &json!(world.model.address().port()))
    );
    assert_eq!(of_task("i5").attributes["error.type"], "http_400");
}

#[test]
fn a_call_of_a_service_carries_the_span_of_its_task() {
    let (otlp, server) = (OtlpServer::start(), ModelServer::start(Script::echo().recording()));
    let folder = Folder::new();
    let url = format!("{}/echo", server.base_url());
    folder.write("spec.yaml", format!("schema_version: \"1\"\nid: test/http\nversion: 1.0.0\nevaluator: {{id: eval_fabric.http, config: {{url: \"{url}\"}}}}\njudges:\n  - {{id: eval_fabric.exact_match}}\n"));
    ef(&folder, "run spec.yaml --dataset dataset.jsonl", &otlp.variables(Protocol::Http)).exits(0);
    let spans = otlp.spans();
    let by_id = by_id(&spans);
    let requests = server.requests();
    assert_eq!(requests.len(), 4);
    for request in requests {
        let (_, id) = ids(request.header("traceparent").expect("it is passed on"));
        assert_eq!(by_id[id.as_str()].name, "eval.task");
    }
}

/// A judge that keeps what it is told of its context.
const PLUGIN: &str = r#"import json, sys

def answer(method, params):
    if method == "initialize":
        judge = {"id": "acme.keeps", "version": "1.0.0", "determinism": "deterministic"}
        return {"protocol_version": 1, "plugin": {"name": "acme", "version": "1"}, "evaluators": [], "judges": [judge]}
    if method == "create":
        return {}
    if method == "judge":
        with open("contexts.jsonl", "a") as file:
            file.write(json.dumps({"item": params["item"]["item_id"], **params["context"]}) + "\n")
        return {"score": 1}

for line in sys.stdin:
    message = json.loads(line)
    if "id" in message:
        reply = {"jsonrpc": "2.0", "id": message["id"], "result": answer(message["method"], message.get("params") or {})}
        sys.stdout.write(json.dumps(reply) + "\n")
        sys.stdout.flush()
"#;

#[test]
fn a_plugin_gets_the_span_of_its_judgment() {
    let Ok(told) = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output() else {
        eprintln!("SKIPPED: there is no python3 on the PATH, and this test's plugin is written in Python");
        return;
    };
    let python = String::from_utf8(told.stdout).expect("a path of this machine is text");
    let (otlp, folder) = (OtlpServer::start(), Folder::new());
    folder.write("plugin.py", PLUGIN);
    folder.write("ef.toml", format!("[plugins.acme]\ncommand = [{:?}, \"plugin.py\"]\n", python.trim_end()));
    folder.write("spec.yaml", "schema_version: \"1\"\nid: test/plugin\nversion: 1.0.0\nevaluator: {id: eval_fabric.examples.echo}\njudges:\n  - {id: acme.keeps}\n");
    ef(&folder, "run spec.yaml --dataset dataset.jsonl", &otlp.variables(Protocol::Grpc)).exits(0);
    let spans = otlp.spans();
    let by_id = by_id(&spans);
    let contexts = String::from_utf8(folder.read("contexts.jsonl")).expect("JSON");
    assert_eq!(contexts.lines().count(), 4);
    for context in contexts.lines() {
        let context: Value = serde_json::from_str(context).expect("JSON");
        let (_, id) = ids(context["traceparent"].as_str().expect("it is passed on"));
        let judgment = by_id[id.as_str()];
        assert_eq!(judgment.name, "eval.judge.acme.keeps");
        let task = by_id[judgment.parent_id.as_deref().expect("it has a parent")];
        assert_eq!(task.attributes["item_id"], context["item"]);
    }
}
