//! Every field through which data may come in, and the test that plants a marker in it. Whoever adds a field adds it here.

use std::collections::{BTreeMap, BTreeSet};

use ef_client::Clients;
use ef_model::{CallError, EvalItem, EvaluatorOutput, RunHead, RunResult, TaskRecord, Verdict};
use serde_json::Value;

/// What becomes of what a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is hidden, and these tests plant a marker in it: the name of their file.
    Hidden(&'static str),
    /// It is a number, a time, a digest or one word of a fixed list, or made by `ef` itself.
    Ours,
    /// It is shown, and may be: why.
    Shown(&'static str),
}
use Fate::{Hidden, Ours, Shown};

const SPEC: Fate = Shown("it stands in the spec, which holds neither data nor secrets");
const NAMES: Fate = Shown("it names code, not data");

/// Fields of what is kept and shown of runs, as `Type.field`.
const RECORDS: &[(&str, Fate)] = &[
    ("Counts.error", Ours),
    ("Counts.judge_error", Ours),
    ("Counts.ok", Ours),
    ("Counts.pending", Ours),
    ("Counts.reused", Ours),
    ("Counts.scored", Ours),
    ("Counts.skipped", Ours),
    ("Counts.timeout", Ours),
    ("Counts.unscored", Ours),
    ("DatasetRef.fields", Shown("it names the dataset and its columns")),
    ("DatasetRef.format", Shown("it names the dataset and its columns")),
    ("DatasetRef.path", Shown("it names the dataset and its columns")),
    ("ErrorRecord.code", Hidden("plugins")),
    ("ErrorRecord.detail", Hidden("plugins")),
    ("ErrorRecord.kind", Ours),
    ("ErrorRecord.message", Hidden("http")),
    ("Identity.digest", Ours),
    ("Identity.id", NAMES),
    ("Identity.source", NAMES),
    ("Identity.version", NAMES),
    ("JudgeIdentity.config_digest", Ours),
    ("JudgeIdentity.determinism", Ours),
    ("JudgeIdentity.digest", Ours),
    ("JudgeIdentity.id", NAMES),
    ("JudgeIdentity.name", NAMES),
    ("JudgeIdentity.source", NAMES),
    ("JudgeIdentity.version", NAMES),
    ("Judgment.attempts", Ours),
    ("Judgment.duration_us", Ours),
    ("Judgment.error", Ours),
    ("Judgment.judge", Ours),
    ("Judgment.rationale", Hidden("models")),
    ("Judgment.reused_from", Shown("it says which run")),
    ("Judgment.score", Shown("a result")),
    ("Judgment.started_at_us", Ours),
    ("Judgment.status", Ours),
    ("Judgment.usage", Ours),
    ("Metric.aggregator", Ours),
    ("Metric.ci_high", Ours),
    ("Metric.ci_low", Ours),
    ("Metric.ci_method", Ours),
    ("Metric.from", SPEC),
    ("Metric.n", Ours),
    ("Metric.n_error", Ours),
    ("Metric.n_unscored", Ours),
    ("Metric.name", SPEC),
    ("Metric.p_value", Ours),
    ("Metric.standard_error", Ours),
    ("Metric.value", Ours),
    ("RowFault.bytes", Ours),
    ("RowFault.kind", Ours),
    ("RowFault.message", Hidden("datasets")),
    ("RowFault.sha256", Ours),
    ("RunHead.dataset", Ours),
    ("RunHead.ef_version", Ours),
    ("RunHead.evaluator", Ours),
    ("RunHead.judges", Ours),
    ("RunHead.run_id", Shown("it says which run")),
    ("RunHead.source", Ours),
    ("RunHead.spec", Hidden("configs")),
    ("RunHead.spec_digest", Ours),
    ("RunHead.spec_id", SPEC),
    ("RunHead.spec_version", SPEC),
    ("RunHead.started_at_us", Ours),
    ("RunResult.abort_reason", Hidden("models")),
    ("RunResult.counts", Ours),
    ("RunResult.dataset", Ours),
    ("RunResult.dataset_digest", Ours),
    ("RunResult.ef_version", Ours),
    ("RunResult.evaluator", Ours),
    ("RunResult.finished_at_us", Ours),
    ("RunResult.format_version", Ours),
    ("RunResult.judges", Ours),
    ("RunResult.metrics", Ours),
    ("RunResult.records_root", Ours),
    ("RunResult.root_digest", Ours),
    ("RunResult.run_id", Shown("it says which run")),
    ("RunResult.source", Ours),
    ("RunResult.spec", Hidden("configs")),
    ("RunResult.spec_digest", Ours),
    ("RunResult.spec_id", SPEC),
    ("RunResult.spec_version", SPEC),
    ("RunResult.started_at_us", Ours),
    ("RunResult.status", Ours),
    ("RunResult.usage", Ours),
    ("RunSource.purpose", Ours),
    ("RunSource.run_id", Shown("it says which run")),
    ("RunUsage.evaluator", Ours),
    ("RunUsage.judges", Ours),
    ("RunUsage.unrecorded_usd", Ours),
    ("TaskRecord.item_id", Shown("it says which item")),
    ("TaskRecord.judgments", Ours),
    ("TaskRecord.repeat", Ours),
    ("TaskRecord.revision", Ours),
    ("TaskRecord.row", Ours),
    ("TaskRecord.trace", Ours),
    ("Trace.attempts", Ours),
    ("Trace.duration_us", Ours),
    ("Trace.error", Ours),
    ("Trace.evaluator", Ours),
    ("Trace.fault", Ours),
    ("Trace.input", Hidden("built_ins")),
    ("Trace.item_metadata", Hidden("built_ins")),
    ("Trace.output", Hidden("built_ins")),
    ("Trace.output_metadata", Hidden("built_ins")),
    ("Trace.reference_output", Hidden("built_ins")),
    ("Trace.started_at_us", Ours),
    ("Trace.status", Ours),
    ("Trace.usage", Ours),
    ("Usage.cost_usd", Ours),
    ("Usage.input_tokens", Ours),
    ("Usage.output_tokens", Ours),
];

/// Keys of the configs of built-ins, as `id.key`.
pub(crate) const CONFIGS: &[(&str, Fate)] = &[
    ("AnswerSchemaConfig.name", Hidden("configs")),
    ("AnswerSchemaConfig.schema", Hidden("configs")),
    ("Price.cache_write_usd_per_million_tokens", Ours),
    ("Price.cached_input_usd_per_million_tokens", Ours),
    ("Price.input_usd_per_million_tokens", Ours),
    ("Price.output_usd_per_million_tokens", Ours),
    ("Range.integer", Ours),
    ("Range.max", Ours),
    ("Range.min", Ours),
    ("eval_fabric.anthropic_messages.answer_schema", Hidden("configs")),
    ("eval_fabric.anthropic_messages.api_key_env", Hidden("configs")),
    ("eval_fabric.anthropic_messages.base_url", Hidden("configs")),
    ("eval_fabric.anthropic_messages.extra", Hidden("configs")),
    ("eval_fabric.anthropic_messages.frequency_penalty", Ours),
    ("eval_fabric.anthropic_messages.headers", Hidden("configs")),
    ("eval_fabric.anthropic_messages.headers_env", Hidden("configs")),
    ("eval_fabric.anthropic_messages.max_input_tokens", Ours),
    ("eval_fabric.anthropic_messages.max_tokens", Ours),
    ("eval_fabric.anthropic_messages.messages", Hidden("configs")),
    ("eval_fabric.anthropic_messages.model", Shown("spans name the model")),
    ("eval_fabric.anthropic_messages.presence_penalty", Ours),
    ("eval_fabric.anthropic_messages.price", Ours),
    ("eval_fabric.anthropic_messages.seed", Ours),
    ("eval_fabric.anthropic_messages.stop", Hidden("configs")),
    ("eval_fabric.anthropic_messages.stream", Ours),
    ("eval_fabric.anthropic_messages.system", Hidden("configs")),
    ("eval_fabric.anthropic_messages.temperature", Ours),
    ("eval_fabric.anthropic_messages.tool_choice", Hidden("configs")),
    ("eval_fabric.anthropic_messages.tools", Hidden("configs")),
    ("eval_fabric.anthropic_messages.top_p", Ours),
    ("eval_fabric.command.argv", Hidden("configs")),
    ("eval_fabric.command.cost_usd_per_call", Ours),
    ("eval_fabric.command.env", Hidden("configs")),
    ("eval_fabric.command.max_output_bytes", Ours),
    ("eval_fabric.command.output", Hidden("configs")),
    ("eval_fabric.command.retry_exit_codes", Ours),
    ("eval_fabric.command.send_reference", Ours),
    ("eval_fabric.contains.expected", Hidden("configs")),
    ("eval_fabric.contains.ignore_case", Ours),
    ("eval_fabric.contains.mode", Hidden("configs")),
    ("eval_fabric.exact_match.expected", Hidden("configs")),
    ("eval_fabric.exact_match.ignore_case", Ours),
    ("eval_fabric.exact_match.trim", Ours),
    ("eval_fabric.examples.echo.delay_ms", Ours),
    ("eval_fabric.http.api_key_env", Hidden("configs")),
    ("eval_fabric.http.body", Hidden("configs")),
    ("eval_fabric.http.cost_usd_per_call", Ours),
    ("eval_fabric.http.expected_status", Ours),
    ("eval_fabric.http.headers", Hidden("configs")),
    ("eval_fabric.http.headers_env", Hidden("configs")),
    ("eval_fabric.http.metadata_pointer", Hidden("configs")),
    ("eval_fabric.http.method", Hidden("configs")),
    ("eval_fabric.http.output", Hidden("configs")),
    ("eval_fabric.http.output_pointer", Hidden("configs")),
    ("eval_fabric.http.query", Hidden("configs")),
    ("eval_fabric.http.url", Hidden("configs")),
    ("eval_fabric.human.ask", Hidden("configs")),
    ("eval_fabric.human.instructions", Hidden("configs")),
    ("eval_fabric.human.labels", Hidden("configs")),
    ("eval_fabric.human.question", Hidden("configs")),
    ("eval_fabric.human.scale", Ours),
    ("eval_fabric.identity.labels", Hidden("configs")),
    ("eval_fabric.json_schema.parse_text", Ours),
    ("eval_fabric.json_schema.schema", Hidden("configs")),
    ("eval_fabric.llm_judge.aggregate", Hidden("configs")),
    ("eval_fabric.llm_judge.allow_unscored", Ours),
    ("eval_fabric.llm_judge.api_key_env", Hidden("configs")),
    ("eval_fabric.llm_judge.base_url", Hidden("configs")),
    ("eval_fabric.llm_judge.criterion", Hidden("configs")),
    ("eval_fabric.llm_judge.extra", Hidden("configs")),
    ("eval_fabric.llm_judge.frequency_penalty", Ours),
    ("eval_fabric.llm_judge.headers", Hidden("configs")),
    ("eval_fabric.llm_judge.headers_env", Hidden("configs")),
    ("eval_fabric.llm_judge.labels", Hidden("configs")),
    ("eval_fabric.llm_judge.max_input_tokens", Ours),
    ("eval_fabric.llm_judge.max_parse_retries", Ours),
    ("eval_fabric.llm_judge.max_tokens", Ours),
    ("eval_fabric.llm_judge.min_votes", Ours),
    ("eval_fabric.llm_judge.model", Shown("spans name the model")),
    ("eval_fabric.llm_judge.presence_penalty", Ours),
    ("eval_fabric.llm_judge.price", Ours),
    ("eval_fabric.llm_judge.provider", Hidden("configs")),
    ("eval_fabric.llm_judge.reference", Hidden("configs")),
    ("eval_fabric.llm_judge.scale", Ours),
    ("eval_fabric.llm_judge.seed", Ours),
    ("eval_fabric.llm_judge.stop", Hidden("configs")),
    ("eval_fabric.llm_judge.stream", Ours),
    ("eval_fabric.llm_judge.structured", Hidden("configs")),
    ("eval_fabric.llm_judge.temperature", Ours),
    ("eval_fabric.llm_judge.template", Hidden("configs")),
    ("eval_fabric.llm_judge.top_p", Ours),
    ("eval_fabric.llm_judge.votes", Ours),
    ("eval_fabric.numeric_match.expected", Hidden("configs")),
    ("eval_fabric.numeric_match.pattern", Hidden("configs")),
    ("eval_fabric.numeric_match.reference_pattern", Hidden("configs")),
    ("eval_fabric.numeric_match.relative_tolerance", Ours),
    ("eval_fabric.numeric_match.take", Hidden("configs")),
    ("eval_fabric.numeric_match.tolerance", Ours),
    ("eval_fabric.openai_chat.answer_schema", Hidden("configs")),
    ("eval_fabric.openai_chat.api_key_env", Hidden("configs")),
    ("eval_fabric.openai_chat.base_url", Hidden("configs")),
    ("eval_fabric.openai_chat.extra", Hidden("configs")),
    ("eval_fabric.openai_chat.frequency_penalty", Ours),
    ("eval_fabric.openai_chat.headers", Hidden("configs")),
    ("eval_fabric.openai_chat.headers_env", Hidden("configs")),
    ("eval_fabric.openai_chat.max_input_tokens", Ours),
    ("eval_fabric.openai_chat.max_tokens", Ours),
    ("eval_fabric.openai_chat.messages", Hidden("configs")),
    ("eval_fabric.openai_chat.model", Shown("spans name the model")),
    ("eval_fabric.openai_chat.presence_penalty", Ours),
    ("eval_fabric.openai_chat.price", Ours),
    ("eval_fabric.openai_chat.seed", Ours),
    ("eval_fabric.openai_chat.seed_per_call", Ours),
    ("eval_fabric.openai_chat.stop", Hidden("configs")),
    ("eval_fabric.openai_chat.stream", Ours),
    ("eval_fabric.openai_chat.system", Hidden("configs")),
    ("eval_fabric.openai_chat.temperature", Ours),
    ("eval_fabric.openai_chat.tool_choice", Hidden("configs")),
    ("eval_fabric.openai_chat.tools", Hidden("configs")),
    ("eval_fabric.openai_chat.top_p", Ours),
    ("eval_fabric.recorded.field", Hidden("configs")),
    ("eval_fabric.recorded.metadata_field", Hidden("configs")),
    ("eval_fabric.regex.full_match", Ours),
    ("eval_fabric.regex.ignore_case", Ours),
    ("eval_fabric.regex.pattern", Hidden("configs")),
];

/// Fields of the plugin protocol, as `message.field`.
const PROTOCOL: &[(&str, Fate)] = &[
    ("answer.error", Hidden("plugins")),
    ("answer.id", Ours),
    ("answer.jsonrpc", Ours),
    ("answer.result", Hidden("plugins")),
    ("cancel_params.id", Ours),
    ("component.config_schema", NAMES),
    ("component.determinism", Ours),
    ("component.id", NAMES),
    ("component.is_costly", Ours),
    ("component.model", NAMES),
    ("component.pricing", Ours),
    ("component.summary", NAMES),
    ("component.version", NAMES),
    ("context.attempt", Ours),
    ("context.repeat", Ours),
    ("context.seed", Ours),
    ("context.timeout_ms", Ours),
    ("context.traceparent", Ours),
    ("context.tracestate", Ours),
    ("create_params.config", Hidden("plugins")),
    ("create_params.id", NAMES),
    ("create_params.instance", Ours),
    ("create_params.kind", Ours),
    ("create_result.determinism", Ours),
    ("create_result.model", NAMES),
    ("error.code", Ours),
    ("error.data", Hidden("plugins")),
    ("error.data.code", Hidden("plugins")),
    ("error.data.detail", Hidden("plugins")),
    ("error.data.kind", Ours),
    ("error.data.problems", Hidden("plugins")),
    ("error.data.problems.hint", Hidden("plugins")),
    ("error.data.problems.message", Hidden("plugins")),
    ("error.data.problems.pointer", Hidden("plugins")),
    ("error.data.retry_after_ms", Ours),
    ("error.data.usage", Ours),
    ("error.message", Hidden("plugins")),
    ("evaluate_params.context", Ours),
    ("evaluate_params.instance", Ours),
    ("evaluate_params.item", Hidden("plugins")),
    ("evaluate_result.metadata", Hidden("plugins")),
    ("evaluate_result.output", Hidden("plugins")),
    ("evaluate_result.usage", Ours),
    ("initialize_params.host", Ours),
    ("initialize_params.max_message_bytes", Ours),
    ("initialize_params.protocol_version", Ours),
    ("initialize_result.evaluators", NAMES),
    ("initialize_result.judges", NAMES),
    ("initialize_result.max_in_flight", Ours),
    ("initialize_result.plugin", NAMES),
    ("initialize_result.protocol_version", Ours),
    ("item.input", Hidden("plugins")),
    ("item.item_id", Shown("it says which item")),
    ("item.metadata", Hidden("plugins")),
    ("item.reference_output", Hidden("plugins")),
    ("item.row", Ours),
    ("judge_params.context", Ours),
    ("judge_params.instance", Ours),
    ("judge_params.item", Hidden("plugins")),
    ("judge_params.output", Hidden("plugins")),
    ("judge_params.output.metadata", Hidden("plugins")),
    ("judge_params.output.output", Hidden("plugins")),
    ("judge_result.rationale", Hidden("plugins")),
    ("judge_result.score", Shown("a result")),
    ("judge_result.usage", Ours),
    ("pricing.most_usd", Ours),
    ("program.name", NAMES),
    ("program.version", NAMES),
    ("request.id", Ours),
    ("request.jsonrpc", Ours),
    ("request.method", Ours),
    ("request.params", Hidden("plugins")),
    ("usage.cost_usd", Ours),
    ("usage.input_tokens", Ours),
    ("usage.output_tokens", Ours),
];

/// The fields of a schema, each after the name of the type that it is in.
fn fields(schema: &Value, root: &str) -> BTreeSet<String> {
    fn enter(schema: &Value, owner: &str, found: &mut BTreeSet<String>) {
        match schema {
            Value::Object(entries) => {
                for (key, value) in entries {
                    match (key.as_str(), value) {
                        ("properties", Value::Object(properties)) => {
                            for (name, property) in properties {
                                found.insert(format!("{owner}.{name}"));
                                enter(property, &format!("{owner}.{name}"), found);
                            }
                        }
                        ("$defs", Value::Object(definitions)) => {
                            definitions.iter().for_each(|(name, definition)| enter(definition, name, found));
                        }
                        ("enum" | "const" | "examples" | "default" | "if", _) => {}
                        (_, value) => enter(value, owner, found),
                    }
                }
            }
            Value::Array(values) => values.iter().for_each(|value| enter(value, owner, found)),
            _ => {}
        }
    }
    let mut found = BTreeSet::new();
    enter(schema, root, &mut found);
    found
}

/// Compares what there is with what is listed.
#[track_caller]
fn compare(what: &str, there: &BTreeSet<String>, listed: &[(&str, Fate)]) {
    let known: BTreeMap<&str, Fate> = listed.iter().copied().collect();
    assert_eq!(known.len(), listed.len(), "{what}: a field is listed twice");
    let missing: Vec<_> = there.iter().filter(|field| !known.contains_key(field.as_str())).collect();
    assert!(
        missing.is_empty(),
        "new in {what}: {missing:#?}\nCan data or a secret come in there? Then plant a marker in it in a test beside this file, \
         see that nothing gets out, and list it as `Hidden(\"file\")`. If it may be shown, list it as `Shown(\"why\")`; if only \
         numbers, times, digests and words of a fixed list can be there, as `Ours`. The list is {}.",
        file!()
    );
    let gone: Vec<_> = known.keys().filter(|field| !there.contains(**field)).collect();
    assert!(gone.is_empty(), "listed for {what} in {}, and not there any more: {gone:#?}", file!());
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/canary");
    for (field, fate) in listed {
        match fate {
            Hidden(file) => assert!(here.join(format!("{file}.rs")).is_file(), "{field}: there is no {file}.rs here"),
            Shown(why) => assert!(!why.is_empty(), "{field}: why may it be shown?"),
            Ours => {}
        }
    }
}

fn schema_of<T: schemars::JsonSchema>() -> Value {
    schemars::schema_for!(T).to_value()
}

#[test]
fn every_field_of_what_is_kept_of_a_run_is_covered() {
    let mut there = fields(&schema_of::<TaskRecord>(), "TaskRecord");
    there.extend(fields(&schema_of::<RunHead>(), "RunHead"));
    there.extend(fields(&schema_of::<RunResult>(), "RunResult"));
    compare("the records", &there, RECORDS);
}

#[test]
fn every_key_of_a_built_ins_config_is_covered() {
    let clients = Clients::new(&ef_model::Environment::default());
    let evaluators = ef_evaluators::factories().into_iter().chain(ef_evaluators::model_factories(&clients));
    let judges = ef_judges::factories().into_iter().chain(ef_judges::model_factories(&clients));
    let mut there = BTreeSet::new();
    for factory in evaluators {
        there.extend(fields(&factory.config_schema(), factory.identity().id.as_str()));
    }
    for factory in judges.chain([ef_judges::human_factory(None)]) {
        there.extend(fields(&factory.config_schema(), factory.identity().id.as_str()));
    }
    compare("the configs", &there, CONFIGS);
}

#[test]
fn every_field_of_the_plugin_protocol_is_covered() {
    let schema = serde_json::from_str(ef_plugin::process::PROTOCOL_SCHEMA).expect("JSON");
    compare("the plugin protocol", &fields(&schema, "message"), PROTOCOL);
}

/// What goes into a component and comes out of it has no schema. A field that is missing here does not compile: plant a
/// marker in it in a test beside this file, then name it.
#[test]
fn every_field_of_what_goes_into_components_and_comes_out_is_covered() {
    let _ = |item: EvalItem| {
        // `item_id` and `row` say which item it is; all the rest is planted in every file.
        let EvalItem { item_id: _, row: _, input: _, reference_output: _, metadata: _ } = item;
    };
    let _ = |output: EvaluatorOutput| {
        // Both payloads are planted in `plugins`, `bridge` and `built_ins`; usage is numbers.
        let EvaluatorOutput { output: _, metadata: _, usage: _ } = output;
    };
    let _ = |verdict: Verdict| {
        // The rationale is planted in `models`, `plugins`, `bridge` and `people`. Scores are results, and shown.
        let Verdict { score: _, rationale: _, usage: _, is_pending: _ } = verdict;
    };
    let _ = |error: CallError| {
        // `message` and `code` are shown: what they are made of is planted in every file. `detail` is for the store.
        let CallError { kind: _, code: _, message: _, detail: _, retry_after: _, usage: _ } = error;
    };
}

#[test]
fn a_field_that_is_new_or_gone_is_told_with_what_to_do() {
    let there = BTreeSet::from(["A.old".to_owned(), "A.new".to_owned()]);
    let told = |listed: &[(&'static str, Fate)]| {
        let listed = listed.to_vec();
        let there = there.clone();
        let panic = std::panic::catch_unwind(move || compare("a test", &there, &listed)).expect_err("it is found");
        panic.downcast_ref::<String>().expect("a message").clone()
    };
    let new = told(&[("A.old", Ours)]);
    assert!(new.contains("A.new") && new.contains("plant a marker") && new.contains("coverage.rs"), "{new}");
    assert!(told(&[("A.old", Ours), ("A.new", NAMES), ("A.gone", SPEC)]).contains("A.gone"));
    assert!(told(&[("A.old", Ours), ("A.new", Hidden("nowhere"))]).contains("nowhere.rs"));
}
