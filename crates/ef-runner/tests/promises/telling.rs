//! What a run tells while it goes on: spans, log lines and numbers. The simulation counts the spans; here is what they say.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use ef_model::telemetry::{Load, SPAN_TARGET, SPANS};
use ef_model::{
    BoxFuture, CallContext, CallError, DatasetRow, Determinism, ErrorKind, EvalItem, EvaluatorOutput, Identity, Judge,
    Payload, RunHead, RunId, RunPurpose, RunSource, Scalar, Score, Usage, Verdict,
};
use ef_runner::{AbsentEvaluator, Answer, Plan, Runner, answer};
use ef_testkit::recorder::{RecordedSpan, Recorder};
use ef_testkit::{ListSource, MemoryStore, ScriptedEvaluator, ScriptedJudge, evaluator_identity, item};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Span, Subscriber};

use crate::plans::{Setup, echo, faulty, run_id};

fn transient() -> CallError {
    CallError::new(ErrorKind::Transient, "http_503", "the endpoint is overloaded")
}

/// Runs the plan over these rows with the recorder watching.
async fn watched(plan: Plan, source: ListSource, recorder: &Recorder) {
    let _guard = tracing::subscriber::set_default(recorder.subscriber());
    let (runner, _) = Runner::new(plan);
    // How it ends is told.
    let _ = runner.with_instruments(recorder.instruments()).run(Box::new(source)).await;
}

async fn spans_of(plan: Plan, source: ListSource) -> Vec<RecordedSpan> {
    let recorder = Recorder::default();
    watched(plan, source, &recorder).await;
    recorder.spans()
}

fn named<'s>(spans: &'s [RecordedSpan], name: &str) -> Vec<&'s RecordedSpan> {
    spans.iter().filter(|span| span.name == name).collect()
}

const JUDGE: &str = "eval.judge.test.judge";

#[tokio::test]
async fn invariant_6_a_task_and_a_judgment_have_a_span_each_with_the_identity_of_whoever_did_it() {
    let store = MemoryStore::new();
    let dear =
        ScriptedJudge::new(|_, _, _| async { Ok(Verdict { usage: Usage::cost(0.5), ..Verdict::scored(false) }) });
    let setup = Setup { judge: dear, ..Setup::new(&store) };
    let rows = ListSource::new([DatasetRow::Item(item(1)), faulty(2)]);
    let spans = spans_of(setup.plan(), rows).await;

    let [run] = named(&spans, "eval.run")[..] else { panic!("one run: {spans:#?}") };
    assert_eq!((run.field("run_id"), run.field("status"), run.field("dataset_size")), ("run", "completed", "2"));
    let [task, skipped] = named(&spans, "eval.task")[..] else { panic!("two tasks: {spans:#?}") };
    let identity = evaluator_identity();
    assert_eq!(task.field("evaluator_digest"), identity.digest.to_string());
    let known = ["item_id", "repeat", "evaluator_id", "evaluator_version", "evaluator_source", "attempt", "status"];
    assert_eq!(known.map(|name| task.field(name)), ["item-1", "0", "test.evaluator", "1.0.0", "builtin", "1", "ok"]);
    assert_eq!(known.map(|name| skipped.field(name))[5..], ["0", "skipped"]);
    assert_eq!(
        skipped.fields.get("otel.status_code"),
        None,
        "a row that cannot be used is no failure of the evaluator"
    );

    let [judged] = named(&spans, JUDGE)[..] else { panic!("one judgment: {spans:#?}") };
    assert_eq!(judged.parent.map(|parent| &spans[parent]), Some(task));
    let known = ["judge_id", "judge_name", "judge_version", "judge_source", "determinism", "attempt", "cost_usd"];
    let expected = ["test.judge", "judge", "1.0.0", "builtin", "deterministic", "1", "0.5"];
    assert_eq!(known.map(|name| judged.field(name)), expected);
    let [(event, result)] = &judged.events[..] else { panic!("one result: {judged:#?}") };
    assert_eq!(event, "gen_ai.evaluation.result");
    let known = ["gen_ai.evaluation.name", "gen_ai.evaluation.score.value", "gen_ai.evaluation.score.label"];
    assert_eq!(known.map(|name| result[name].as_str()), ["judge", "0.0", "fail"]);
    // What the table has and these do not is absent where nothing failed, and nothing was reused.
    let absent = |span: &RecordedSpan, kind: usize| -> Vec<&str> {
        SPANS[kind].attributes.iter().copied().filter(|name| !span.fields.contains_key(name)).collect()
    };
    let all = [absent(run, 0), absent(task, 1), absent(judged, 2)];
    assert_eq!(all, [vec!["error.type"], vec!["error.type"], vec!["reused_from", "error.type"]]);
}

#[tokio::test(start_paused = true)]
async fn a_retry_is_an_event_of_the_same_span_and_the_last_failure_is_its_end() {
    let store = MemoryStore::new();
    let setup = Setup {
        evaluator: ScriptedEvaluator::new(|item, context| async move {
            if item.row == 2 || context.attempt < 3 { Err(transient()) } else { Ok(echo(item)) }
        }),
        judge: ScriptedJudge::new(|_, _, _| async { Err(CallError::permanent("no such model!", "it is not there")) }),
        ..Setup::new(&store)
    };
    let recorder = Recorder::default();
    watched(setup.plan(), ListSource::of_items(2), &recorder).await;
    let spans = recorder.spans();
    for task in named(&spans, "eval.task") {
        let attempts: Vec<_> = task.events.iter().map(|(name, fields)| (name.as_str(), &*fields["attempt"])).collect();
        assert_eq!(attempts, [("retry", "1"), ("retry", "2")]);
        let (_, fields) = &task.events[0];
        assert_eq!((&*fields["error.kind"], &*fields["error.code"]), ("transient", "http_503"));
        assert_eq!(task.field("attempt"), "3");
        let failed = if task.field("item_id") == "item-2" { ["error", "http_503", "ERROR"] } else { ["ok", "", ""] };
        assert_eq!(["status", "error.type", "otel.status_code"].map(|name| task.field(name)), failed);
    }
    let [judged] = named(&spans, JUDGE)[..] else { panic!("one judgment: {spans:#?}") };
    let failed = ["status", "error.type", "otel.status_code"].map(|name| judged.field(name));
    assert_eq!(failed, ["error", "_OTHER", "ERROR"], "what does not look like a code is not told");
    assert_eq!(judged.events[0].1["error.type"], "_OTHER");
    let retried = recorder.retried();
    assert_eq!(retried.len(), 4, "each retry is counted once");
    assert!(retried.iter().all(|(id, kind)| id.as_str() == "test.evaluator" && *kind == ErrorKind::Transient));
}

#[tokio::test(start_paused = true)]
async fn what_is_below_a_task_without_a_span_is_part_of_the_run() {
    for without in ["eval.task", "eval.judge"] {
        let store = MemoryStore::new();
        let setup = Setup {
            evaluator: ScriptedEvaluator::new(|_, context| async move {
                let trace = context.trace().expect("a span is current").traceparent;
                let output = EvaluatorOutput::new(Payload::from_text(&trace));
                if context.attempt == 1 { Err(transient()) } else { Ok(output) }
            }),
            judge: ScriptedJudge::new(|_, output, context| async move {
                let place = Recorder::place_of(output.output.expose().trim_matches('"')).expect("the recorder's own");
                let is_right = context.attempt > 1;
                if is_right { Ok(Verdict::scored(place == 0)) } else { Err(transient()) }
            }),
            ..Setup::new(&store)
        };
        let recorder = Recorder::default();
        let _guard = tracing::subscriber::set_default(recorder.subscriber_without(without));
        let (runner, _) = Runner::new(setup.plan());
        let run = runner.with_instruments(recorder.instruments()).run(Box::new(ListSource::of_items(1)));
        run.await.expect("it ends well");
        let spans = recorder.spans();
        let [run, below] = &spans[..] else { panic!("the run, and the task or the judgment: {spans:#?}") };
        assert_eq!((run.name.as_str(), below.parent), ("eval.run", Some(0)));
        assert_eq!(run.events, [], "of a task or judgment without a span");
        assert_eq!(["attempt", "error.type"].map(|name| run.field(name)), ["", ""]);
        let events: Vec<&str> = below.events.iter().map(|(name, _)| name.as_str()).collect();
        if without == "eval.task" {
            assert_eq!((below.name.as_str(), &events[..]), (JUDGE, &["retry", "gen_ai.evaluation.result"][..]));
            let passed = &below.events[1].1["gen_ai.evaluation.score.label"];
            assert_eq!(passed, "pass", "the evaluator was given the run's span to pass on");
        } else {
            assert_eq!(
                (below.name.as_str(), &events[..]),
                ("eval.task", &["retry"][..]),
                "its own, not the judgment's"
            );
        }
        assert_eq!(recorder.retried().len(), 2, "both are counted");
    }
}

#[tokio::test]
async fn whoever_is_called_knows_the_span_of_the_call() {
    fn current(context: &CallContext) -> usize {
        let trace = context.trace().expect("a span is current");
        Recorder::place_of(&trace.traceparent).expect("the recorder's own")
    }
    let store = MemoryStore::new();
    let setup = Setup {
        evaluator: ScriptedEvaluator::new(|_, context| async move {
            tokio::task::yield_now().await;
            Ok(EvaluatorOutput::new(Payload::from_text(&current(&context).to_string())))
        }),
        judge: ScriptedJudge::new(|_, output, context| async move {
            tokio::task::yield_now().await;
            let task: usize = output.output.expose().trim_matches('"').parse().expect("a place");
            let score = Score::Object(
                [
                    ("task".to_owned(), Scalar::Number(ef_model::Finite::new(task as f64).expect("finite"))),
                    (
                        "score".to_owned(),
                        Scalar::Number(ef_model::Finite::new(current(&context) as f64).expect("finite")),
                    ),
                ]
                .into(),
            );
            Ok(Verdict { score: Some(score), ..Verdict::unscored() })
        }),
        ..Setup::new(&store)
    };
    let spans = spans_of(setup.plan(), ListSource::of_items(50)).await;
    let judged = named(&spans, JUDGE);
    assert_eq!(judged.len(), 50);
    for (place, span) in spans.iter().enumerate().filter(|(_, span)| span.name == JUDGE) {
        let told = &span.events[0].1["gen_ai.evaluation.score.value"];
        assert_eq!(
            told.parse::<f64>().expect("a number") as usize,
            place,
            "the judge was told another span than its own"
        );
    }
    for stored in crate::plans::records(&store).await {
        let ef_model::JudgmentResult::Scored { score, .. } = &stored.record.judgments[0].result else {
            panic!("scored")
        };
        let task = score.as_number(Some("task")).expect("a number") as usize;
        assert_eq!(spans[task].field("item_id"), stored.record.item_id.as_str(), "and the evaluator that of its task");
    }
}

/// A judge whose judgments may be reused.
struct Dear(Arc<ScriptedJudge>);

impl Judge for Dear {
    fn identity(&self) -> &Identity {
        self.0.identity()
    }

    fn determinism(&self) -> Determinism {
        self.0.determinism()
    }

    fn is_costly(&self) -> bool {
        true
    }

    fn judge<'a>(
        &'a self,
        item: &'a EvalItem,
        output: &'a EvaluatorOutput,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<Verdict, CallError>> {
        self.0.judge(item, output, context)
    }
}

#[tokio::test]
async fn invariant_6_a_judgment_that_is_reused_has_its_span_and_names_the_run_that_made_it() {
    let store = MemoryStore::new();
    let setup = |id: &str| {
        let plan = Setup { judge: Arc::new(Dear(ScriptedJudge::approving())), ..Setup::new(&store) }.plan();
        Plan { head: RunHead { run_id: RunId::new(id).expect("an id"), ..plan.head }, ..plan }
    };
    spans_of(setup("run"), ListSource::of_items(5)).await;
    let spans = spans_of(setup("again"), ListSource::of_items(5)).await;
    let judged = named(&spans, JUDGE);
    assert_eq!(judged.len(), 5);
    for span in judged {
        let told = ["reused_from", "attempt", "status", "cost_usd"].map(|name| span.field(name));
        assert_eq!(told, ["run", "0", "scored", "0.0"]);
        assert_eq!(span.events.len(), 1, "it has a result like any other");
    }
}

#[tokio::test]
async fn invariant_6_a_replay_has_spans_of_what_it_judges_again_and_none_of_what_it_keeps() {
    let store = MemoryStore::new();
    let source = Setup::new(&store).plan();
    let (spec, head) = (source.spec.clone(), source.head.clone());
    spans_of(source, ListSource::of_items(5)).await;
    for (is_asked, id) in [(true, "replay-1"), (false, "replay-2")] {
        let head = RunHead {
            run_id: RunId::new(id).expect("an id"),
            source: Some(RunSource { run_id: run_id(), purpose: RunPurpose::ReplayJudges }),
            ..head.clone()
        };
        let judges = if is_asked { Setup::new(&store).plan().judges } else { Vec::new() };
        let evaluator = Arc::new(AbsentEvaluator(evaluator_identity()));
        let plan = Plan { head, spec: spec.clone(), evaluator, judges, store: Arc::new(store.clone()) };
        let recorder = Recorder::default();
        let _guard = tracing::subscriber::set_default(recorder.subscriber());
        let (runner, _) = Runner::new(plan);
        runner.replay().await.expect("a result");
        let spans = recorder.spans();
        let tasks = named(&spans, "eval.task");
        assert!(tasks.len() == 5 && tasks.iter().all(|task| task.field("attempt") == "0"), "nothing was evaluated");
        assert_eq!(named(&spans, JUDGE).len(), if is_asked { 5 } else { 0 });
        assert_eq!(spans[0].field("dataset_size"), "5");
    }
}

#[tokio::test]
async fn invariant_6_a_verdict_of_a_person_has_the_span_of_its_judgment() {
    let store = MemoryStore::new();
    let asking = ScriptedJudge::new(|_, _, _| async { Ok(Verdict::pending()) });
    let setup = Setup { judge: asking, ..Setup::new(&store) };
    let spans = spans_of(setup.plan(), ListSource::of_items(2)).await;
    assert_eq!(spans[0].field("status"), "awaiting");
    let pending = named(&spans, JUDGE);
    assert!(pending.iter().all(|span| span.field("status") == "pending" && span.events.is_empty()), "no result yet");

    let recorder = Recorder::default();
    let said = Answer {
        row: 2,
        repeat: 0,
        item_id: item(2).item_id,
        judge: "judge".to_owned(),
        verdict: Verdict { rationale: Some(Payload::from_text("Alice")), ..Verdict::scored(true) },
    };
    let _guard = tracing::subscriber::set_default(recorder.subscriber());
    answer(&store.reopened(), &run_id(), &[said]).await.expect("taken");
    let spans = recorder.spans();
    let names: Vec<_> = spans.iter().map(|span| (span.name.as_str(), span.parent, span.field("status"))).collect();
    let expected = [("eval.run", None, "awaiting"), ("eval.task", Some(0), "ok"), (JUDGE, Some(1), "scored")];
    assert_eq!(names, expected);
    let lines: Vec<_> = recorder.lines().into_iter().map(|line| line.message).collect();
    assert_eq!(lines, ["verdicts of people added"]);
}

#[tokio::test(start_paused = true)]
async fn invariant_8_nothing_of_a_payload_is_told() {
    let secret = "Alice's address";
    let store = MemoryStore::new();
    let mut told = item(1);
    told.input = Payload::from_text(secret);
    told.reference_output = Some(Payload::from_text(secret));
    told.metadata = Some(Payload::from_value(&serde_json::json!({ "a": secret })));
    let failing = |label: &str| {
        CallError::new(ErrorKind::Transient, label.to_owned(), "no").with_detail(Payload::from_text(label))
    };
    let setup = Setup {
        evaluator: ScriptedEvaluator::new(move |item, context| async move {
            if context.attempt == 1 { Err(failing(secret)) } else { Ok(EvaluatorOutput::new(item.input)) }
        }),
        judge: ScriptedJudge::new(move |_, _, context| async move {
            if context.attempt == 1 {
                return Err(failing(secret));
            }
            let score = Score::Scalar(Scalar::Label(secret.to_owned()));
            Ok(Verdict { score: Some(score), rationale: Some(Payload::from_text(secret)), ..Verdict::unscored() })
        }),
        ..Setup::new(&store)
    };
    let recorder = Recorder::default();
    watched(setup.plan(), ListSource::new([DatasetRow::Item(told)]), &recorder).await;
    let (spans, lines) = (recorder.spans(), recorder.lines());
    assert!(spans.len() == 3 && lines.iter().any(|line| line.level == Level::WARN), "{spans:#?} {lines:#?}");
    assert!(!format!("{spans:?} {lines:?}").contains("Alice"), "{spans:#?} {lines:#?}");
    let label = &named(&spans, JUDGE)[0].events[1].1["gen_ai.evaluation.score.label"];
    assert_eq!(label, "_OTHER");
}

/// Wants log lines and no spans, and counts what spans it is given all the same.
#[derive(Default)]
struct LogsAlone(Arc<AtomicU64>);

impl Subscriber for LogsAlone {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() != SPAN_TARGET
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        self.0.fetch_add(1, Ordering::Relaxed);
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[tokio::test]
async fn where_nobody_wants_spans_none_is_made() {
    let store = MemoryStore::new();
    let made = Arc::new(AtomicU64::new(0));
    let _guard = tracing::subscriber::set_default(LogsAlone(Arc::clone(&made)));
    let setup = Setup {
        evaluator: ScriptedEvaluator::new(|item, context| async move {
            assert!(Span::current().is_disabled() && context.trace().is_none());
            Ok(echo(item))
        }),
        ..Setup::new(&store)
    };
    let result = setup.run(ListSource::of_items(100)).await.expect("a result");
    assert_eq!((result.counts.ok, made.load(Ordering::Relaxed)), (100, 0));
}

#[tokio::test(start_paused = true)]
async fn how_much_is_going_on_can_be_asked_while_it_does() {
    let store = MemoryStore::new();
    let recorder = Recorder::default();
    let (asked, busy) = (recorder.clone(), Arc::new(AtomicU64::new(0)));
    let most = Arc::clone(&busy);
    let setup = Setup {
        runtime: serde_json::json!({"max_concurrent": 4}),
        evaluator: ScriptedEvaluator::new(move |item, _| {
            let (asked, most) = (asked.clone(), Arc::clone(&most));
            async move {
                tokio::time::sleep(Duration::from_millis(10)).await;
                let Load { in_flight, queue_depth } = asked.load().expect("the work has begun");
                most.fetch_max(in_flight as u64, Ordering::Relaxed);
                assert!((1..=4).contains(&in_flight) && queue_depth <= 100);
                Ok(echo(item))
            }
        }),
        ..Setup::new(&store)
    };
    watched(setup.plan(), ListSource::of_items(100), &recorder).await;
    assert_eq!(busy.load(Ordering::Relaxed), 4);
    assert_eq!(recorder.load(), Some(Load::default()), "when the work is over nothing is going on");
    assert_eq!(recorder.committed().len(), 100);
}

fn lines_of(recorder: &Recorder, least: Level) -> Vec<String> {
    let lines = recorder.lines().into_iter().filter(|line| line.level <= least);
    lines
        .map(|line| {
            format!(
                "{} {}{}",
                line.level,
                line.message,
                ["cause", "status", "others"]
                    .map(|field| {
                        line.fields.get(field).map_or_else(String::new, |value| format!(" {field}={value}"))
                    })
                    .concat()
            )
        })
        .collect()
}

#[tokio::test]
async fn a_run_says_a_few_lines_and_none_for_an_item() {
    let (store, recorder) = (MemoryStore::new(), Recorder::default());
    let failing = ScriptedEvaluator::new(|_, _| async { Err(CallError::permanent("planted", "told to fail")) });
    watched(Setup { evaluator: failing, ..Setup::new(&store) }.plan(), ListSource::of_items(50), &recorder).await;
    let expected = ["INFO run started", "INFO run finishing", "INFO run finished status=completed"];
    assert_eq!(lines_of(&recorder, Level::INFO), expected);
    let failures = recorder.lines().into_iter().filter(|line| line.message == "evaluator failed");
    assert!(failures.clone().all(|line| line.level == Level::DEBUG && line.fields["code"] == "planted"));
    assert_eq!(failures.count(), 50);
}

#[tokio::test]
async fn what_ends_a_run_is_an_error_in_the_log() {
    let (store, recorder) = (MemoryStore::new(), Recorder::default());
    store.fail_after(0);
    watched(Setup::new(&store).plan(), ListSource::of_items(3), &recorder).await;
    let expected = ["INFO run started", "INFO run stopping cause=store", "ERROR trace store failed"];
    assert_eq!(lines_of(&recorder, Level::INFO), expected);
    assert_eq!(recorder.spans()[0].field("status"), "failed");

    let (store, recorder) = (MemoryStore::new(), Recorder::default());
    let exhausted =
        ScriptedEvaluator::new(|_, _| async { Err(CallError::new(ErrorKind::QuotaExhausted, "no_quota", "no more")) });
    watched(Setup { evaluator: exhausted, ..Setup::new(&store) }.plan(), ListSource::of_items(3), &recorder).await;
    let expected =
        ["INFO run started", "INFO run stopping cause=quota_exhausted", "ERROR run ended early cause=quota_exhausted"];
    assert_eq!(lines_of(&recorder, Level::INFO), expected);
    let spans = recorder.spans();
    assert_eq!((spans[0].field("status"), spans[0].field("error.type")), ("aborted", "quota_exhausted"));
    let tasks = named(&spans, "eval.task");
    assert!(!tasks.is_empty() && tasks.iter().all(|task| task.field("status") == "abandoned"), "{tasks:#?}");

    let recorder = Recorder::default();
    let source = ListSource::of_items(0).failing("the file is not there");
    watched(Setup::new(&MemoryStore::new()).plan(), source, &recorder).await;
    assert_eq!(lines_of(&recorder, Level::INFO), ["ERROR run did not begin cause=dataset"]);
    assert_eq!(recorder.spans()[0].field("status"), "not_begun");
}

#[tokio::test(start_paused = true)]
async fn many_retries_are_a_few_lines() {
    let (store, recorder) = (MemoryStore::new(), Recorder::default());
    let setup = Setup {
        evaluator: ScriptedEvaluator::new(|item, context| async move {
            if context.attempt > 1 {
                return Ok(echo(item));
            }
            tokio::time::sleep(Duration::from_millis(item.row)).await;
            Err(transient().with_retry_after(Duration::from_secs(1)))
        }),
        runtime: serde_json::json!({"max_concurrent": 64}),
        ..Setup::new(&store)
    };
    watched(setup.plan(), ListSource::of_items(64), &recorder).await;
    let lines = lines_of(&recorder, Level::WARN);
    let expected =
        ["WARN attempt failed, trying again others=0", "WARN more attempts failed and were made again others=63"];
    assert_eq!(lines, expected);
    assert_eq!(recorder.retried().len(), 64, "each is counted");
}
