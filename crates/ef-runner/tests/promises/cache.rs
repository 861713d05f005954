//! Judgments that are reused: only those of costly judges that keep their promise, and only where nothing differs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ef_model::{
    BoxFuture, CallContext, CallError, DatasetRow, Determinism, Digest, EvalItem, EvaluatorOutput, Identity, Judge,
    JudgeIdentity, JudgmentResult, Payload, RunHead, RunId, RunPurpose, RunResult, RunSource, StoredRecord, TraceStore,
    Usage, Verdict, VerificationOutcome,
};
use ef_runner::{Plan, RunJudge, Runner, verify};
use ef_testkit::{ListSource, MemoryStore, ScriptedEvaluator, item, judge_identity};
use futures_util::TryStreamExt;
use serde_json::json;

use crate::plans::Setup;

/// A judge that counts its calls and costs something.
#[derive(Clone)]
struct Costly {
    identity: Identity,
    determinism: Determinism,
    is_costly: bool,
    model: Option<String>,
    calls: Arc<AtomicU64>,
}

impl Costly {
    fn new() -> Self {
        Self {
            identity: judge_identity("judge").identity.clone(),
            determinism: Determinism::SamplingDeterministic,
            is_costly: true,
            model: Some("model-1".to_owned()),
            calls: Arc::default(),
        }
    }

    fn calls(&self) -> u64 {
        self.calls.swap(0, Ordering::Relaxed)
    }
}

impl Judge for Costly {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn determinism(&self) -> Determinism {
        self.determinism
    }

    fn is_costly(&self) -> bool {
        self.is_costly
    }

    fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    fn judge<'a>(
        &'a self,
        item: &'a EvalItem,
        _: &'a EvaluatorOutput,
        _: &'a CallContext,
    ) -> BoxFuture<'a, Result<Verdict, CallError>> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        Box::pin(async move {
            match item.row {
                2 => Err(CallError::permanent("planted", "told to fail")),
                3 => Ok(Verdict { usage: Usage::cost(0.25), ..Verdict::unscored() }),
                row => Ok(Verdict {
                    score: ef_model::Score::number(row as f64),
                    rationale: Some(Payload::from_text(&format!("why {row}"))),
                    usage: Usage::cost(0.25),
                    is_pending: false,
                }),
            }
        })
    }
}

/// What a test changes of a run of ten items.
#[derive(Clone)]
struct Case {
    judge: Costly,
    config: serde_json::Value,
    seed: u64,
    repeats: u32,
    items: fn(EvalItem) -> EvalItem,
    output: fn(EvalItem) -> EvaluatorOutput,
}

impl Case {
    fn new() -> Self {
        Self {
            judge: Costly::new(),
            config: json!({}),
            seed: 1,
            repeats: 1,
            items: |item| item,
            output: |item| EvaluatorOutput::new(item.input),
        }
    }

    fn plan(&self, store: &MemoryStore, id: &str) -> Plan {
        let spec: ef_spec::EvalSpec = serde_json::from_value(json!({
            "schema_version": "1",
            "id": "test/spec",
            "version": "1.0.0",
            "evaluator": {"id": "test.evaluator"},
            "judges": [{"id": "test.judge", "name": "judge", "config": self.config}],
            "runtime": {"seed": self.seed, "repeats": self.repeats},
        }))
        .expect("a spec");
        let judge = &self.judge;
        let identity = Arc::new(JudgeIdentity {
            name: "judge".to_owned(),
            identity: judge.identity.clone(),
            determinism: judge.determinism,
            config_digest: ef_model::canonical::digest(&self.config),
        });
        let output = self.output;
        let evaluator = ScriptedEvaluator::new(move |item, _| std::future::ready(Ok(output(item))));
        let plan = Setup { evaluator, ..Setup::new(store) }.plan();
        let head = RunHead {
            run_id: RunId::new(id).expect("an id"),
            spec: spec.to_value(),
            spec_digest: spec.digest(),
            judges: vec![Arc::clone(&identity)],
            ..plan.head
        };
        let judges = vec![RunJudge { identity, judge: Arc::new(judge.clone()) }];
        Plan { head, spec, judges, ..plan }
    }

    async fn run(&self, store: &MemoryStore, id: &str) -> RunResult {
        let (runner, _) = Runner::new(self.plan(store, id));
        runner.run(self.dataset()).await.expect("a result")
    }

    fn dataset(&self) -> Box<ListSource> {
        let items = self.items;
        Box::new(ListSource::new((1..=10).map(|row| DatasetRow::Item(items(item(row))))))
    }
}

async fn records(store: &MemoryStore, id: &str) -> Vec<StoredRecord> {
    let id = RunId::new(id).expect("an id");
    store.records(&id, &ef_model::RecordFilter::default()).try_collect().await.expect("readable")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_judged_is_not_judged_again_and_the_record_says_whose_judgment_it_is() {
    let (store, case) = (MemoryStore::new(), Case::new());
    let first = case.run(&store, "first").await;
    assert_eq!((case.judge.calls(), first.counts.reused), (10, 0));
    for id in ["second", "third"] {
        let again = case.run(&store, id).await;
        assert_eq!((case.judge.calls(), again.counts.reused), (1, 9), "an error is judged again");
        assert_eq!((again.counts.scored, again.counts.unscored, again.counts.judge_error), (8, 1, 1));
        assert_eq!(again.metrics, first.metrics);
        for (made, reused) in records(&store, "first").await.iter().zip(records(&store, id).await) {
            let (made, reused) = (&made.record.judgments[0], &reused.record.judgments[0]);
            assert_eq!(made.result.status(), reused.result.status());
            match (&made.result, &reused.result) {
                (JudgmentResult::Error { .. }, _) => assert_eq!((reused.attempts, &reused.reused_from), (1, &None)),
                (
                    JudgmentResult::Scored { score, rationale, .. },
                    JudgmentResult::Scored { score: same, rationale: as_well, .. },
                ) => assert_eq!((score, rationale), (same, as_well)),
                _ => {}
            }
            if made.result.status() != "error" {
                let whose = reused.reused_from.as_ref().map(RunId::as_str);
                assert_eq!((reused.attempts, whose, reused.usage.cost_usd), (0, Some("first"), Some(0.0)));
            }
        }
        let id = RunId::new(id).expect("an id");
        assert_eq!(verify(&store, &id).await.expect("readable").outcome(), VerificationOutcome::Verified);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_judgment_is_made_again_when_anything_that_it_depends_on_differs() {
    fn other(change: impl FnOnce(&mut Case)) -> Case {
        let mut case = Case::new();
        change(&mut case);
        case
    }
    let identity = |id: &str, version: &str, package: &str| Identity::builtin(id, version, package, "0");
    let known = identity("test.judge", "1.0.0", "ef-testkit");
    let cases = [
        ("judge id", other(|case| case.judge.identity.id = ef_model::ComponentId::new("test.other").expect("an id"))),
        ("version", other(|case| case.judge.identity.version = "1.0.1".to_owned())),
        ("code digest", other(|case| case.judge.identity = identity("test.judge", "1.0.0", "another"))),
        ("config", other(|case| case.config = json!({"strict": true}))),
        ("seed", other(|case| case.seed = 2)),
        ("model", other(|case| case.judge.model = Some("model-2".to_owned()))),
        ("no model", other(|case| case.judge.model = None)),
        ("item id", other(|case| case.items = |item| EvalItem { item_id: other_id(item.row), ..item })),
        ("input", other(|case| case.items = |item| EvalItem { input: Payload::from_text("other"), ..item })),
        ("reference", other(|case| case.items = |item| EvalItem { reference_output: text("new"), ..item })),
        ("metadata", other(|case| case.items = |item| EvalItem { metadata: text("new"), ..item })),
        ("output", other(|case| case.output = |_| EvaluatorOutput::new(Payload::from_text("x")))),
        (
            "output metadata",
            other(|case| {
                case.output = |item| EvaluatorOutput { metadata: text("m"), ..EvaluatorOutput::new(item.input) }
            }),
        ),
    ];
    assert_eq!(known, Case::new().judge.identity);
    for (part, case) in cases {
        let store = MemoryStore::new();
        Case::new().run(&store, "first").await;
        let result = case.run(&store, "second").await;
        assert_eq!((case.judge.calls(), result.counts.reused), (10, 0), "another {part}");
        let result = case.run(&store, "third").await;
        assert_eq!((case.judge.calls(), result.counts.reused), (1, 9), "the same {part} again");
    }
    let (store, twice) = (MemoryStore::new(), other(|case| case.repeats = 2));
    twice.run(&store, "first").await;
    assert_eq!(twice.judge.calls(), 20, "each repeat is judged for itself");
}

fn other_id(row: u64) -> ef_model::ItemId {
    ef_model::ItemId::new(format!("other-{row}")).expect("an id")
}

#[allow(clippy::unnecessary_wraps, reason = "an item's field is optional")]
fn text(text: &str) -> Option<Payload> {
    Some(Payload::from_text(text))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cheap_and_stochastic_judges_and_configs_with_variables_are_never_looked_up() {
    let cheap = Case { judge: Costly { is_costly: false, ..Costly::new() }, ..Case::new() };
    let stochastic = Case { judge: Costly { determinism: Determinism::Stochastic, ..Costly::new() }, ..Case::new() };
    let nested = Case { config: json!({"headers": [{"key": "Bearer ${TOKEN}"}]}), ..Case::new() };
    for case in [cheap, stochastic, nested] {
        let store = MemoryStore::new();
        for id in ["first", "second"] {
            assert_eq!(case.run(&store, id).await.counts.reused, 0);
            assert_eq!(case.judge.calls(), 10);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reuse_can_be_turned_off_and_a_replay_never_reuses() {
    let (store, case) = (MemoryStore::new(), Case::new());
    case.run(&store, "first").await;
    case.judge.calls();
    let (runner, _) = Runner::new(case.plan(&store, "second"));
    let result = runner.without_reuse().run(case.dataset()).await.expect("a result");
    assert_eq!((case.judge.calls(), result.counts.reused), (10, 0));
    for purpose in [RunPurpose::ReplayJudges, RunPurpose::ReplayAll] {
        let mut plan = case.plan(&store, &format!("replay-{}", purpose as u8));
        plan.head.source = Some(RunSource { run_id: RunId::new("first").expect("an id"), purpose });
        let (runner, _) = Runner::new(plan);
        let result = runner.replay().await.expect("a result");
        assert_eq!((case.judge.calls(), result.counts.reused), (10, 0), "{purpose:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spent_budget_counts_what_was_spent_in_this_run_alone() {
    let (store, case) = (MemoryStore::new(), Case::new());
    case.run(&store, "first").await;
    let mut plan = case.plan(&store, "second");
    plan.spec.runtime.max_cost_usd = Some(0.2);
    let (runner, _) = Runner::new(plan);
    let result = runner.run(case.dataset()).await.expect("nine judgments cost nothing, and the tenth fails");
    assert_eq!(result.counts.reused, 9);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_as_it_was_recorded_is_not_reused() {
    let (store, case) = (MemoryStore::new(), Case::new());
    case.run(&store, "first").await;
    case.judge.calls();
    let forging = Arc::new(Forging(store.clone()));
    let plan = Plan { store: forging, ..case.plan(&store, "second") };
    let (runner, _) = Runner::new(plan);
    let result = runner.run(case.dataset()).await.expect("a result");
    assert_eq!((case.judge.calls(), result.counts.reused), (10, 0));
}

/// A store in which every judgment that is found has another score than was recorded.
struct Forging(MemoryStore);

impl TraceStore for Forging {
    fn begin<'a>(&'a self, head: &'a RunHead) -> BoxFuture<'a, Result<(), ef_model::StoreError>> {
        self.0.begin(head)
    }
    fn resume<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<(), ef_model::StoreError>> {
        self.0.resume(run)
    }
    fn append<'a>(
        &'a self,
        run: &'a RunId,
        batch: Arc<[ef_model::TaskCommit]>,
    ) -> BoxFuture<'a, Result<(), ef_model::StoreError>> {
        self.0.append(run, batch)
    }
    fn finish<'a>(&'a self, result: &'a RunResult) -> BoxFuture<'a, Result<(), ef_model::StoreError>> {
        self.0.finish(result)
    }
    fn run<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<Option<ef_model::RunSummary>, ef_model::StoreError>> {
        self.0.run(run)
    }
    fn runs<'a>(
        &'a self,
        prefix: &'a str,
        limit: u32,
    ) -> BoxFuture<'a, Result<Vec<ef_model::RunSummary>, ef_model::StoreError>> {
        self.0.runs(prefix, limit)
    }
    fn records<'a>(
        &'a self,
        run: &'a RunId,
        filter: &ef_model::RecordFilter,
    ) -> ef_model::BoxStream<'a, Result<StoredRecord, ef_model::StoreError>> {
        self.0.records(run, filter)
    }
    fn keys<'a>(
        &'a self,
        run: &'a RunId,
    ) -> ef_model::BoxStream<'a, Result<ef_model::RecordKey, ef_model::StoreError>> {
        self.0.keys(run)
    }
    fn payloads<'a>(
        &'a self,
        digests: &'a [Digest],
    ) -> BoxFuture<'a, Result<Vec<Option<Payload>>, ef_model::StoreError>> {
        self.0.payloads(digests)
    }
    fn judgments<'a>(
        &'a self,
        keys: &'a [Digest],
    ) -> BoxFuture<'a, Result<Vec<Option<ef_model::FoundJudgment>>, ef_model::StoreError>> {
        Box::pin(async {
            let mut found = self.0.judgments(keys).await?;
            for found in found.iter_mut().flatten() {
                let judgment = &mut found.stored.record.judgments[found.judgment];
                judgment.result = JudgmentResult::Scored { score: true.into(), rationale: None };
            }
            Ok(found)
        })
    }
}
