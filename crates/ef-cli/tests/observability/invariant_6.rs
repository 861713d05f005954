//! Invariant 6: one `eval.task` span a task, one `eval.judge.<id>` span a judgment, each with plugin identity, none with payload.

use std::collections::BTreeSet;

use ef_model::telemetry::{SPANS, SpanName};
use ef_testkit::otlp_server::{Protocol, Span, SpanKind, Status};
use serde_json::{Value, json};

use crate::world::{PAYLOADS, World};

/// What the table says of a span of this name.
fn described(name: &str) -> &'static SpanName {
    let is_it = |span: &&SpanName| match span.name.split_once('<') {
        Some((before, _)) => name.starts_with(before),
        None => span.name == name,
    };
    SPANS.iter().find(is_it).unwrap_or_else(|| panic!("{name} is in no table"))
}

/// Attributes that only some spans of a kind have.
const SOMETIMES: [&str; 5] =
    ["error.type", "cost_usd", "reused_from", "gen_ai.request.top_p", "gen_ai.request.max_tokens"];
/// Those of a call that only an answer tells.
const ANSWERED: [&str; 4] = [
    "gen_ai.response.model",
    "gen_ai.response.finish_reasons",
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.output_tokens",
];

fn assert_attributes(span: &Span) {
    let described = described(&span.name);
    let told: BTreeSet<_> = span.attributes.keys().map(String::as_str).collect();
    let table: BTreeSet<_> = described.attributes.iter().copied().collect();
    let more: Vec<_> = told.difference(&table).collect();
    assert!(more.is_empty(), "{span} has {more:?}, which the table does not know");
    let is_call = described.name.starts_with("chat ");
    let may_lack = |name: &&&str| {
        SOMETIMES.contains(name)
            || is_call
                && (ANSWERED.contains(name) && span.status == Status::Error || name.starts_with("gen_ai.request."))
    };
    let less: Vec<_> = table.difference(&told).filter(|name| !may_lack(name)).collect();
    assert!(less.is_empty(), "{span} lacks {less:?}");
    for event in &span.events {
        let known = described.events.iter().find(|known| known.name == event.name);
        let known = known.unwrap_or_else(|| panic!("{span} has an event that the table does not know"));
        let more: Vec<_> = event.attributes.keys().filter(|key| !known.attributes.contains(&key.as_str())).collect();
        assert!(more.is_empty(), "{span}: {} has {more:?}, which the table does not know", event.name);
    }
    assert_eq!((span.dropped, span.status == Status::Error), (0, span.attributes.contains_key("error.type")), "{span}");
}

/// The one span that this holds of.
#[track_caller]
fn one<'a>(spans: &[&'a Span], what: &str, holds: impl Fn(&Span) -> bool) -> &'a Span {
    let found: Vec<_> = spans.iter().filter(|span| holds(span)).collect();
    assert_eq!(found.len(), 1, "{what} has {} spans", found.len());
    found[0]
}

fn assert_identity(span: &Span, role: &str, identity: &Value) {
    for key in ["id", "version", "source", "digest"] {
        assert_eq!(span.attributes[&format!("{role}_{key}")], identity[key], "{span}");
    }
}

/// Checks the spans of a run against what is in its store.
fn assert_tells_all(world: &World) {
    let all = world.otlp.spans();
    all.iter().for_each(assert_attributes);
    let traces: BTreeSet<_> = all.iter().map(|span| &span.trace_id).collect();
    assert_eq!(traces.len(), 1, "a process's run is one trace");
    let of = |name: &str| all.iter().filter(|span| described(&span.name).name == name).collect::<Vec<_>>();
    let [run] = of("eval.run")[..] else { panic!("there is one run") };
    assert_eq!((&run.parent_id, run.attributes["run_id"].as_str()), (&None, Some("observed")));
    assert_eq!(
        (&run.attributes["spec_id"], &run.attributes["spec_version"]),
        (&json!("test/observed"), &json!("1.2.3"))
    );
    assert_eq!((&run.attributes["dataset_size"], &run.attributes["status"]), (&json!(13), &json!("completed")));

    let (tasks, judges) = (of("eval.task"), of("eval.judge.<id>"));
    assert_eq!(tasks.len(), world.records.len());
    assert_eq!(
        judges.len(),
        world.records.iter().map(|record| record["judgments"].as_array().map_or(0, Vec::len)).sum::<usize>()
    );
    for record in &world.records {
        let (item, repeat, trace) = (&record["item_id"], &record["repeat"], &record["trace"]);
        let what = format!("{item}, repeat {repeat}");
        let task =
            one(&tasks, &what, |span| &span.attributes["item_id"] == item && &span.attributes["repeat"] == repeat);
        assert_eq!(task.parent_id.as_ref(), Some(&run.span_id), "{task}");
        assert_eq!(
            (&task.attributes["status"], &task.attributes["attempt"]),
            (&trace["status"], &trace["attempts"]),
            "{task}"
        );
        assert_identity(task, "evaluator", &trace["evaluator"]);
        let retries = trace["attempts"].as_u64().expect("a number").saturating_sub(1);
        assert_eq!(task.events_named("retry").count() as u64, retries, "{task}");
        for judgment in record["judgments"].as_array().expect("a list") {
            let (name, id) = (&judgment["judge"]["name"], judgment["judge"]["id"].as_str().expect("an id"));
            let span = one(&judges, &format!("{what}, judge {name}"), |span| {
                span.parent_id.as_ref() == Some(&task.span_id) && &span.attributes["judge_name"] == name
            });
            assert_eq!(span.name, format!("eval.judge.{id}"));
            assert_eq!(
                (&span.attributes["status"], &span.attributes["attempt"]),
                (&judgment["status"], &judgment["attempts"])
            );
            assert_eq!(span.attributes["determinism"], judgment["judge"]["determinism"]);
            assert_identity(span, "judge", &judgment["judge"]);
            assert_eq!(span.attributes.get("cost_usd"), judgment["usage"].get("cost_usd"), "{judgment}");
            assert_eq!(span.events_named("gen_ai.evaluation.result").count(), 1, "{span}");
        }
    }
    let puts = of("tracestore.put");
    assert!(puts.iter().all(|span| span.parent_id.as_ref() == Some(&run.span_id)));
    assert!(puts.iter().all(|span| span.attributes["backend"] == "sqlite"));
    let committed: u64 = puts.iter().filter_map(|span| span.attributes["count"].as_u64()).sum();
    assert_eq!(committed, world.records.len() as u64);
    assert!(of("chat <model>").iter().all(|span| span.kind == SpanKind::Client));
}

/// Checks that nothing of what is evaluated is in any byte that was sent.
fn assert_silent(world: &World) {
    let bytes = world.otlp.bytes();
    for payload in PAYLOADS {
        assert!(!bytes.windows(payload.len()).any(|window| window == payload.as_bytes()), "{payload} was sent");
        assert!(!world.ended.stderr.contains(payload), "{payload} is in the log: {}", world.ended);
    }
    assert!(bytes.windows(8).any(|window| window == b"observed"), "nothing was looked through");
}

#[test]
fn invariant_6_over_http_each_task_and_each_judgment_has_one_span_with_identity_and_without_payload() {
    let world = World::of(Protocol::Http);
    assert_tells_all(&world);
    assert_silent(&world);
}

#[test]
fn invariant_6_over_grpc_each_task_and_each_judgment_has_one_span_with_identity_and_without_payload() {
    let world = World::of(Protocol::Grpc);
    assert_tells_all(&world);
    assert_silent(&world);
}

#[test]
fn what_fails_is_told_by_its_code_and_a_retry_is_an_event_of_the_same_span() {
    let world = World::of(Protocol::Http);
    let spans = world.otlp.spans();
    let of_item = |item: &str| {
        spans.iter().filter(|span| span.attributes.get("item_id") == Some(&json!(item))).collect::<Vec<_>>()
    };
    let retries: Vec<_> = of_item("i7").iter().flat_map(|span| span.events_named("retry")).cloned().collect();
    let [retry] = &retries[..] else { panic!("one attempt failed and was made again: {retries:?}") };
    assert_eq!((&retry.attributes["attempt"], &retry.attributes["error.kind"]), (&json!(1), &json!("transient")));
    let has_wait = retry.attributes["wait_ms"].as_u64().is_some();
    assert!(has_wait && retry.attributes["error.code"].as_str().is_some_and(|code| code.contains("500")), "{retry:?}");
    for broken in of_item("i5") {
        assert_eq!((broken.status, &broken.attributes["status"]), (Status::Error, &json!("error")));
        assert!(broken.attributes["error.type"].as_str().is_some_and(|code| code.contains("400")), "{broken}");
        assert_eq!(broken.status_message, "", "a message may quote what a server says");
    }
    assert_eq!(of_item("i5").len(), 2);
    let failed: Vec<_> = spans
        .iter()
        .filter(|span| span.name == "eval.judge.eval_fabric.llm_judge" && span.status == Status::Error)
        .collect();
    assert_eq!(failed.len(), 2, "two judgments of the puzzling item");
    for span in failed {
        let result = span.events_named("gen_ai.evaluation.result").next().expect("it has one");
        assert_eq!(result.attributes["error.type"], span.attributes["error.type"]);
        assert!(!result.attributes.contains_key("gen_ai.evaluation.score.value"));
    }
}

#[test]
fn the_result_of_an_evaluation_is_told_as_the_genai_conventions_have_it_and_without_explanation() {
    let world = World::of(Protocol::Grpc);
    let mut passed = 0;
    for span in
        world.otlp.spans().iter().filter(|span| span.name.starts_with("eval.judge.") && span.status != Status::Error)
    {
        let [result] = &span.events_named("gen_ai.evaluation.result").collect::<Vec<_>>()[..] else {
            panic!("one: {span}")
        };
        assert_eq!(result.attributes["gen_ai.evaluation.name"], span.attributes["judge_name"]);
        assert_eq!(result.attributes["gen_ai.evaluation.score.value"].as_f64(), Some(1.0), "{span}");
        assert!(!result.attributes.keys().any(|key| key.contains("explanation")), "{span}");
        passed += usize::from(result.attributes.get("gen_ai.evaluation.score.label") == Some(&json!("pass")));
    }
    // Each item is repeated; one of twelve has no output, and another one judge of two cannot judge.
    assert_eq!(passed, 22 + 20);
}
