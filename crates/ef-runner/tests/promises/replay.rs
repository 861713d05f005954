//! A replayed run: the same outputs judged again, from what the store has alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ef_metrics::replay::{ContractVerdict, ReplayDrift};
use ef_model::{
    CallError, DatasetRow, Determinism, Evaluator, EvaluatorOutput, Judge, JudgeIdentity, JudgmentResult, Payload,
    RunHead, RunId, RunPurpose, RunResult, RunSource, RunStatus, Score, StoredRecord, TaskCommit, TraceOutcome,
    TraceStatus, TraceStore, Verdict, VerificationOutcome,
};
use ef_runner::{AbsentEvaluator, Plan, RunError, RunJudge, Runner, StopCause, compare_replay, verify};
use ef_testkit::{ListSource, MemoryStore, ScriptedEvaluator, ScriptedJudge, evaluator_identity, item, judge_identity};
use futures_util::TryStreamExt;
use serde_json::json;

use crate::plans::{Setup, faulty, records, run_id};
use crate::tampered::Tampered;

fn replay_id() -> RunId {
    RunId::new("replay").expect("an id")
}

/// A judge of this determinism.
fn judged_by(determinism: Determinism, judge: Arc<dyn Judge>) -> RunJudge {
    RunJudge { identity: Arc::new(JudgeIdentity { determinism, ..(*judge_identity("judge")).clone() }), judge }
}

/// A judge whose score and reason come from a function of the row and of how often it was called before.
fn judge(says: impl Fn(u64, u64) -> (f64, u64) + Send + Sync + 'static) -> Arc<dyn Judge> {
    let calls = AtomicU64::new(0);
    ScriptedJudge::new(move |item, _, _| {
        let (score, why) = says(item.row, calls.fetch_add(1, Ordering::Relaxed));
        let verdict = Verdict {
            score: Score::number(score),
            rationale: Some(Payload::from_text(&format!("reason {why}"))),
            ..Verdict::unscored()
        };
        async move { Ok(verdict) }
    })
}

fn steady() -> Arc<dyn Judge> {
    judge(|row, _| (row as f64 / 7.0, row))
}

/// An evaluator that fails for row 3.
fn evaluator() -> Arc<dyn Evaluator> {
    ScriptedEvaluator::new(|item, _| async move {
        match item.row {
            3 => Err(CallError::permanent("planted", "told to fail").with_detail(Payload::from_text("a body"))),
            _ => {
                Ok(EvaluatorOutput { metadata: Some(Payload::from_text("usage")), ..EvaluatorOutput::new(item.input) })
            }
        }
    })
}

/// Items with metadata, and a row that cannot be used.
fn dataset(items: u64) -> ListSource {
    ListSource::new((1..=items).map(|row| match row {
        5 => faulty(5),
        _ => {
            let mut item = item(row);
            item.metadata = Some(Payload::parse(format!("{{\"topic\": {}}}", row % 3)).expect("JSON"));
            item.reference_output = Some(Payload::from_text("a reference"));
            DatasetRow::Item(item)
        }
    }))
}

/// The plan of a source run that this judge judges.
fn source_plan(store: &MemoryStore, judge: RunJudge) -> Plan {
    let spec: ef_spec::EvalSpec = serde_json::from_value(json!({
        "schema_version": "1",
        "id": "test/spec",
        "version": "1.0.0",
        "evaluator": {"id": "test.evaluator"},
        "judges": [{"id": "test.judge", "name": "judge"}],
        "scoring": {"metrics": [{"name": "by_topic", "from": "judge", "cluster_by": "topic"}]},
        "runtime": {"repeats": 2, "max_concurrent": 5},
    }))
    .expect("a spec");
    let plan = Setup { evaluator: evaluator(), ..Setup::new(store) }.plan();
    let head = RunHead {
        spec: spec.to_value(),
        spec_digest: spec.digest(),
        judges: vec![Arc::clone(&judge.identity)],
        ..plan.head
    };
    Plan { head, spec, judges: vec![judge], ..plan }
}

async fn run(plan: Plan, items: u64) -> RunResult {
    let (runner, _) = Runner::new(plan);
    runner.run(Box::new(dataset(items))).await.expect("a result")
}

/// The plan of a replay of that run.
fn replay_plan(store: &Arc<dyn TraceStore>, source: &Plan, purpose: RunPurpose, judge: RunJudge) -> Plan {
    let head = RunHead {
        run_id: replay_id(),
        judges: vec![Arc::clone(&judge.identity)],
        source: Some(RunSource { run_id: run_id(), purpose }),
        ..source.head.clone()
    };
    let (spec, evaluator) = (source.spec.clone(), Arc::new(AbsentEvaluator(evaluator_identity())));
    Plan { head, spec, evaluator, judges: vec![judge], store: Arc::clone(store) }
}

async fn replay(plan: Plan) -> Result<RunResult, RunError> {
    let (runner, _) = Runner::new(plan);
    runner.replay().await
}

/// Runs with one judge, has another judge the outputs again, and compares.
async fn drift(items: u64, before: RunJudge, after: RunJudge) -> ReplayDrift {
    let store = MemoryStore::new();
    let source = source_plan(&store, judged_by(before.identity.determinism, Arc::clone(&before.judge)));
    let declared = Arc::clone(&before.identity);
    let shared: Arc<dyn TraceStore> = Arc::new(store.clone());
    let plan = replay_plan(&shared, &source, RunPurpose::ReplayJudges, after);
    run(source, items).await;
    replay(plan).await.expect("a result");
    compare_replay(&store, &run_id(), &replay_id(), [&*declared], 1000).await.expect("comparable")
}

async fn replayed(store: &dyn TraceStore) -> Vec<StoredRecord> {
    store.records(&replay_id(), &ef_model::RecordFilter::default()).try_collect().await.expect("readable")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_7_a_deterministic_judge_replays_byte_identical_from_the_store_alone() {
    let store = MemoryStore::new();
    let source = source_plan(&store, judged_by(Determinism::Deterministic, steady()));
    let shared: Arc<dyn TraceStore> = Arc::new(store.clone());
    let again = judged_by(Determinism::Deterministic, steady());
    let plan = replay_plan(&shared, &source, RunPurpose::ReplayJudges, again);
    let before = run(source, 100).await;
    // The evaluator of the replay fails when it is called.
    let after = replay(plan).await.expect("a result");

    assert_eq!((after.status, after.counts, &after.metrics), (RunStatus::Completed, before.counts, &before.metrics));
    assert_eq!(after.dataset_digest, before.dataset_digest);
    let (old, new) = (records(&store).await, replayed(&store).await);
    assert_eq!(old.len(), new.len());
    for (old, new) in old.iter().zip(&new) {
        assert_eq!(old.record.key(), new.record.key());
        assert_eq!(old.record.trace, new.record.trace, "a trace is taken over as it is");
        let results = |stored: &StoredRecord| {
            stored.record.judgments.iter().map(|judgment| judgment.result.clone()).collect::<Vec<_>>()
        };
        assert_eq!(results(old), results(new));
    }
    let statuses = |status| new.iter().filter(|stored| stored.record.trace.status() == status).count();
    assert_eq!((statuses(TraceStatus::Skipped), statuses(TraceStatus::Error)), (1, 2));
    assert_eq!(verify(&store, &replay_id()).await.expect("readable").outcome(), VerificationOutcome::Verified);

    let drift = compare_replay(&store, &run_id(), &replay_id(), [&*judge_identity("judge")], 10).await.expect("read");
    let judge = &drift.judges[0];
    assert_eq!((judge.compared, judge.drifted, judge.verdict), (196, 0, ContractVerdict::Kept));
    assert!(!drift.is_broken() && drift.items.is_empty());
    assert_eq!((drift.outputs.same, drift.outputs.neither), (196, 3));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_7_any_other_score_or_rationale_of_a_deterministic_judge_is_drift() {
    let deterministic = |judge| judged_by(Determinism::Deterministic, judge);
    let changed = judge(|row, _| (if row == 7 { 0.0 } else { row as f64 / 7.0 }, row));
    let drifted = drift(20, deterministic(steady()), deterministic(changed)).await;
    assert_eq!((drifted.judges[0].drifted, drifted.judges[0].verdict), (2, ContractVerdict::Broken));
    let places: Vec<_> = drifted.items.iter().map(|item| (item.row, item.repeat, item.same_rationale)).collect();
    assert_eq!(places, [(7, 0, true), (7, 1, true)]);

    let reworded = judge(|row, _| (row as f64 / 7.0, row + u64::from(row == 8)));
    let drifted = drift(20, deterministic(steady()), deterministic(reworded)).await;
    assert_eq!((drifted.judges[0].drifted, drifted.is_broken()), (2, true));
    assert!(drifted.items.iter().all(|item| item.row == 8 && !item.same_rationale && item.source == item.replay));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_seeded_judge_may_drift_once_in_a_hundred_and_word_its_reasons_anew() {
    let seeded = |judge| judged_by(Determinism::SamplingDeterministic, judge);
    let off_at =
        |rows: u64| judge(move |row, call| (if row > 10 && row <= 10 + rows { 0.0 } else { row as f64 / 7.0 }, call));
    // 198 rows with an output, twice each
    let kept = drift(200, seeded(steady()), seeded(off_at(1))).await;
    assert_eq!((kept.judges[0].compared, kept.judges[0].drifted, kept.is_broken()), (396, 2, false));
    let broken = drift(200, seeded(steady()), seeded(off_at(2))).await;
    assert_eq!((broken.judges[0].drifted, broken.is_broken()), (4, true), "4 of 396 are more than one in a hundred");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stochastic_judge_is_compared_as_a_distribution_and_breaks_nothing() {
    let stochastic = |judge| judged_by(Determinism::Stochastic, judge);
    let drawn = |offset: f64| judge(move |_, call| (call.wrapping_mul(2_654_435_761) as f64 % 101.0 + offset, call));
    let alike = drift(200, stochastic(drawn(0.0)), stochastic(drawn(0.5))).await;
    let other = drift(200, stochastic(drawn(0.0)), stochastic(drawn(30.0))).await;
    let p_value = |drift: &ReplayDrift| drift.judges[0].ks_p_value.expect("there are numbers");
    assert!(p_value(&alike) > 0.2 && p_value(&other) < 0.01, "{} and {}", p_value(&alike), p_value(&other));
    for drift in [alike, other] {
        assert_eq!(drift.judges[0].verdict, ContractVerdict::NoContract);
        assert!(!drift.is_broken() && drift.items.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_judge_that_fails_on_a_side_is_counted_apart_and_not_compared() {
    fn failing(rows: &'static [u64]) -> Arc<dyn Judge> {
        ScriptedJudge::new(move |item, _, _| async move {
            match (rows.contains(&item.row), item.row) {
                (true, _) => Err(CallError::permanent("planted", "told to fail")),
                (_, 6) => Ok(Verdict::unscored()),
                _ => Ok(Verdict::scored(true)),
            }
        })
    }
    let deterministic = |judge| judged_by(Determinism::Deterministic, judge);
    let drift = drift(10, deterministic(failing(&[1, 2])), deterministic(failing(&[2, 4, 7]))).await;
    let judge = &drift.judges[0];
    let apart = &judge.not_compared;
    assert_eq!((apart.error_in_source, apart.error_in_both, apart.error_in_replay), (2, 2, 4));
    assert_eq!((judge.compared, judge.drifted, judge.verdict), (8, 0, ContractVerdict::Kept));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_again_evaluates_again_and_compares_judgments_of_the_same_output_alone() {
    let store = MemoryStore::new();
    let source = source_plan(&store, judged_by(Determinism::Deterministic, steady()));
    let shared: Arc<dyn TraceStore> = Arc::new(store.clone());
    let mut plan = replay_plan(
        &shared,
        &source,
        RunPurpose::ReplayAll,
        judged_by(Determinism::Deterministic, judge(|row, _| (if row == 1 { 0.0 } else { row as f64 / 7.0 }, row))),
    );
    // Row 1 has another output now, and row 3 has one.
    plan.evaluator = ScriptedEvaluator::new(|item, _| async move {
        let output = if item.row == 1 { Payload::from_text("another") } else { item.input };
        Ok(EvaluatorOutput { metadata: Some(Payload::from_text("usage")), ..EvaluatorOutput::new(output) })
    });
    run(source, 10).await;
    let result = replay(plan).await.expect("a result");
    assert_eq!((result.counts.ok, result.counts.skipped), (18, 1));
    let drift = compare_replay(&store, &run_id(), &replay_id(), [&*judge_identity("judge")], 10).await.expect("read");
    let outputs = drift.outputs;
    assert_eq!((outputs.same, outputs.other, outputs.only_replay, outputs.neither), (14, 2, 2, 1));
    let judge = &drift.judges[0];
    assert_eq!((judge.compared, judge.drifted, judge.not_compared.other_output), (14, 0, 4));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn judges_that_are_not_asked_again_are_taken_over() {
    let store = MemoryStore::new();
    let mut source = source_plan(&store, judged_by(Determinism::Deterministic, steady()));
    let mut two = source.spec.to_value();
    two["judges"] = json!([{"id": "test.judge", "name": "first"}, {"id": "test.judge", "name": "second"}]);
    two["scoring"] = json!({});
    source.spec = serde_json::from_value(two).expect("a spec");
    let named = |name: &str, judge| RunJudge { identity: judge_identity(name), judge };
    source.judges = vec![named("first", steady()), named("second", steady())];
    source.head.judges = source.judges.iter().map(|judge| Arc::clone(&judge.identity)).collect();
    source.head.spec = source.spec.to_value();
    source.head.spec_digest = source.spec.digest();
    let shared: Arc<dyn TraceStore> = Arc::new(store.clone());
    let mut plan = replay_plan(&shared, &source, RunPurpose::ReplayJudges, named("second", judge(|_, _| (0.0, 0))));
    plan.head.judges = source.head.judges.clone();
    run(source, 10).await;
    replay(plan).await.expect("a result");
    for (old, new) in records(&store).await.iter().zip(replayed(&store).await) {
        let (old, new) = (&old.record.judgments, &new.record.judgments);
        assert_eq!(old.len(), new.len());
        if let ([first, _], [same, second]) = (old.as_slice(), new.as_slice()) {
            assert_eq!(first, same, "to the time");
            assert_eq!(second.judge.name, "second");
            assert!(
                matches!(&second.result, JudgmentResult::Scored { score, .. } if score.as_number(None) == Some(0.0))
            );
        }
    }
    assert_eq!(verify(&store, &replay_id()).await.expect("readable").outcome(), VerificationOutcome::Verified);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_each_task_the_latest_revision_is_replayed() {
    let store = MemoryStore::new();
    let source = source_plan(&store, judged_by(Determinism::Deterministic, ScriptedJudge::approving()));
    store.begin(&source.head).await.expect("begun");
    let mut failed = ef_testkit::record(1);
    failed.trace.outcome = TraceOutcome::Error { error: (&CallError::permanent("planted", "told to fail")).into() };
    failed.judgments.clear();
    let revised = ef_model::TaskRecord { revision: 1, ..ef_testkit::record(1) };
    let batch = [TaskCommit::new(failed, vec![]), TaskCommit::new(revised, vec![item(1).input]), ef_testkit::commit(2)];
    store.append(&run_id(), batch.into()).await.expect("appended");
    store.finish(&ef_testkit::result(&source.head, RunStatus::Completed)).await.expect("finished");
    let shared: Arc<dyn TraceStore> = Arc::new(store.clone());
    let again = judged_by(Determinism::Deterministic, ScriptedJudge::approving());
    let result = replay(replay_plan(&shared, &source, RunPurpose::ReplayJudges, again)).await.expect("a result");
    assert_eq!((result.counts.ok, result.counts.tasks()), (2, 2));
    let keys: Vec<_> = replayed(&store).await.iter().map(|stored| stored.record.key()).collect();
    assert_eq!(keys.iter().map(|key| (key.row, key.revision)).collect::<Vec<_>>(), [(1, 0), (2, 0)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_judged_on_data_that_is_not_as_it_was_recorded() {
    let store = MemoryStore::new();
    let source = source_plan(&store, judged_by(Determinism::Deterministic, steady()));
    let head = source.head.clone();
    run(source, 100).await;
    let source = || Plan { head: head.clone(), ..source_plan(&store, judged_by(Determinism::Deterministic, steady())) };

    let lost = |mut tampered: Tampered, row: u64| {
        tampered.lost = vec![item(row).input.digest()];
        tampered
    };
    let damaged = |mut tampered: Tampered, row: u64| {
        tampered.damaged = vec![item(row).input.digest()];
        tampered
    };
    let forged = |tampered: Tampered, index: usize| tampered.record(index, |record| record.trace.attempts += 1);
    let whole = Tampered::new(&store).await;
    let row_of_150 = whole.records[150].record.row;
    let cases = [
        ("input", "item-2 (row 2", lost(whole.clone(), 2)),
        ("told to be damaged", "item-2 (row 2", damaged(whole.clone(), 2)),
        ("digest", "item-1 (row 1)", forged(whole.clone(), 0)),
        ("input", "item-80 (row 80", lost(whole.clone(), 80)),
        ("told to be damaged", "item-80 (row 80", damaged(whole.clone(), 80)),
        ("digest", &format!("item-{row_of_150} (row {row_of_150}"), forged(whole.clone(), 150)),
    ];
    for (index, (what, place, tampered)) in cases.into_iter().enumerate() {
        let judged = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&judged);
        let counting = judge(move |row, _| (counter.fetch_add(1, Ordering::Relaxed) as f64, row));
        let shared: Arc<dyn TraceStore> = Arc::new(tampered);
        let again = judged_by(Determinism::Deterministic, counting);
        let mut plan = replay_plan(&shared, &source(), RunPurpose::ReplayJudges, again);
        let id = RunId::new(format!("replay-{index}")).expect("an id");
        plan.head.run_id = id.clone();
        let (cause, begun) = match replay(plan).await {
            Err(RunError::NotBegun { cause, .. }) => (cause, false),
            Err(RunError::Unfinished { cause, result, .. }) => {
                assert_eq!(result.status, RunStatus::Aborted);
                (cause, true)
            }
            other => panic!("{place} was not noticed: {other:?}"),
        };
        let StopCause::Source(message) = &cause else { panic!("{cause:?}") };
        assert!(message.contains(what) && message.contains(place), "{message}");
        assert_eq!(store.run(&id).await.expect("readable").is_some(), begun, "case {index}");
        assert!(judged.load(Ordering::Relaxed) < 196, "case {index} was judged to its end");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_is_not_whole_is_not_replayed() {
    let store = MemoryStore::new();
    let source = source_plan(&store, judged_by(Determinism::Deterministic, steady()));
    let shared: Arc<dyn TraceStore> = Arc::new(store.clone());
    let plan = || {
        let again = judged_by(Determinism::Deterministic, steady());
        replay_plan(&shared, &source, RunPurpose::ReplayJudges, again)
    };
    let absent = replay(plan()).await;
    assert!(matches!(&absent, Err(RunError::Store { .. })), "{absent:?}");
    store.begin(&source.head).await.expect("begun");
    let running = replay(plan()).await;
    let Err(RunError::NotBegun { cause: StopCause::Source(message), .. }) = running else { panic!("{running:?}") };
    assert!(message.contains("running"), "{message}");
    assert_eq!(store.run(&replay_id()).await.expect("readable"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_that_is_stopped_is_aborted_and_keeps_what_it_did() {
    let store = MemoryStore::new();
    let source = source_plan(&store, judged_by(Determinism::Deterministic, steady()));
    let shared: Arc<dyn TraceStore> = Arc::new(store.clone());
    let exhausted = ScriptedJudge::new(|item, _, _| async move {
        match item.row {
            50 => Err(CallError::new(ef_model::ErrorKind::QuotaExhausted, "planted", "told to end")),
            _ => Ok(Verdict::scored(true)),
        }
    });
    let again = judged_by(Determinism::Deterministic, exhausted);
    let plan = replay_plan(&shared, &source, RunPurpose::ReplayJudges, again);
    run(source, 200).await;
    let ended = replay(plan).await;
    let Err(RunError::Unfinished { cause: StopCause::QuotaExhausted { .. }, result, .. }) = ended else {
        panic!("{ended:?}")
    };
    assert_eq!((result.status, result.counts.tasks()), (RunStatus::Aborted, replayed(&store).await.len() as u64));
    assert!(result.counts.tasks() > 0 && result.metrics.is_empty() && result.root_digest.is_none());
}
