//! A run in which everything happens that telemetry tells of: two judges, repeats, a retry, a row that is skipped, an item that the
//! evaluator fails at and one that a judge fails at.

use std::sync::atomic::{AtomicBool, Ordering};

use ef_testkit::model_server::{Call, ModelServer, Reply, Script, Tokens};
use ef_testkit::otlp_server::{OtlpServer, Protocol};
use serde_json::Value;

use crate::folder::{Ended, Folder};
use crate::process::Running;

/// Environment variables.
pub(crate) type Variables = Vec<(String, String)>;

/// What no telemetry may hold: of the inputs, the outputs, the rationales and what a server says of an error.
pub(crate) const PAYLOADS: [&str; 5] =
    ["question-mark-71c", "Paris-mark-5d2", "rationale-mark-90e", "body-mark-3aa", "tag-mark-c04"];

const RUN: &str = "run spec.yaml --dataset dataset.jsonl --run-id observed --format json";
const ITEMS: usize = 12;
const REPEATS: usize = 2;

/// The run, and what was seen of it from three sides.
pub(crate) struct World {
    pub(crate) folder: Folder,
    /// The models under test and judging.
    pub(crate) model: ModelServer,
    /// Where its telemetry went.
    pub(crate) otlp: OtlpServer,
    pub(crate) ended: Ended,
    /// The result that it printed.
    pub(crate) result: Value,
    /// What is in the store.
    pub(crate) records: Vec<Value>,
}

impl World {
    /// A run whose telemetry goes to a receiver.
    pub(crate) fn of(protocol: Protocol) -> Self {
        Self::with(OtlpServer::start(), protocol, &[])
    }

    /// The same with more variables, which win.
    pub(crate) fn with(otlp: OtlpServer, protocol: Protocol, more: &[(&str, &str)]) -> Self {
        let model = model();
        let folder = folder(&model);
        let mut variables = otlp.variables(protocol);
        variables.extend(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let ended = ef(&folder, RUN, &variables).exits(0);
        let (result, records) = (ended.json(), folder.records("observed"));
        assert_eq!(records.len(), ITEMS * REPEATS + 1, "{ended}");
        Self { folder, model, otlp, ended, result, records }
    }
}

/// Runs `ef` with these variables alone.
pub(crate) fn ef(folder: &Folder, line: &str, variables: &[(String, String)]) -> Ended {
    Running::start(folder, line, variables).ended().0
}

/// Names and values as variables.
pub(crate) fn variables(pairs: &[(&str, &str)]) -> Variables {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// A model that knows one answer and finds it good. It is out of order at the first call about the flaky item, knows nothing of the
/// broken one, and cannot judge the puzzling one.
fn model() -> ModelServer {
    let was_asked = AtomicBool::new(false);
    let script = Script::new(move |call: &Call<'_>| {
        if call.mentions("CRITERION-MARK") {
            return match call.mentions("puzzling") {
                true => Reply::error_saying(400, "body-mark-3aa"),
                false => Reply::judgment(call, 1.0, "rationale-mark-90e"),
            };
        }
        if call.mentions("broken") {
            return Reply::error_saying(400, "body-mark-3aa");
        }
        if call.mentions("flaky") && !was_asked.swap(true, Ordering::SeqCst) {
            return Reply::error_saying(500, "body-mark-3aa");
        }
        Reply::text("Paris-mark-5d2")
    });
    ModelServer::start(script.changed(|_, reply| reply.using(Tokens { input: 100, output: 10, cached: 0 })).recording())
}

fn folder(model: &ModelServer) -> Folder {
    let folder = Folder::empty();
    folder.write("spec.yaml", spec(model));
    let kind = |item| match item {
        3 => "puzzling",
        5 => "broken",
        7 => "flaky",
        _ => "plain",
    };
    let row = |item| {
        let kind = kind(item);
        format!(
            "{{\"item_id\": \"i{item}\", \"input\": \"question-mark-71c {kind}\", \"metadata\": {{\"tag\": \"tag-mark-c04\"}}}}\n"
        )
    };
    let rows: String = (0..ITEMS).map(row).collect();
    folder.write("dataset.jsonl", format!("{rows}{{\"item_id\": \"i99\", \"input\": question-mark-71c\n"));
    folder
}

fn spec(model: &ModelServer) -> String {
    format!(
        "schema_version: \"1\"
id: test/observed
version: 1.2.3
evaluator:
  id: eval_fabric.openai_chat
  config:
    base_url: {url}
    model: under-test
    temperature: 0.5
    max_tokens: 20
    price: {{input_usd_per_million_tokens: 1, output_usd_per_million_tokens: 10}}
judges:
  - {{id: eval_fabric.contains, name: names_it, config: {{expected: Paris}}}}
  - id: eval_fabric.llm_judge
    name: good
    config:
      provider: openai
      base_url: {url}
      model: judging
      criterion: CRITERION-MARK the answer is right.
      seed: 7
      price: {{input_usd_per_million_tokens: 2, output_usd_per_million_tokens: 20}}
scoring:
  metrics:
    - {{name: good, from: good}}
runtime: {{repeats: {REPEATS}, max_retries: 2, max_concurrent: 4, seed: 3}}
",
        url = model.openai_url()
    )
}
