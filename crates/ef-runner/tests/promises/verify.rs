//! What a run was is what is verified, and whatever else is there is told by its place.

use std::sync::Arc;

use ef_model::{
    Check, CheckResult, CheckSubject, DatasetRow, Digest, ErrorKind, JudgmentResult, MerkleRoot, Metric, Payload,
    RecordFilter, RunHead, RunId, RunResult, RunStatus, Score, StoreError, StoredRecord, TaskCommit, TaskRecord,
    TraceOutcome, TraceStore, Verification, VerificationOutcome,
};
use ef_runner::{Plan, ProveError, Runner, prove, verify};
use ef_spec::EvalSpec;
use ef_testkit::{ListSource, MemoryStore, ScriptedJudge, item};
use futures_util::TryStreamExt;
use serde_json::json;

use crate::plans::{Setup, faulty, run_id};
use crate::tampered::Tampered;

fn spec(scoring: &serde_json::Value, repeats: u32) -> EvalSpec {
    serde_json::from_value(json!({
        "schema_version": "1",
        "id": "test/spec",
        "version": "1.0.0",
        "evaluator": {"id": "test.evaluator"},
        "judges": [{"id": "test.judge", "name": "judge"}],
        "scoring": scoring,
        "runtime": {"repeats": repeats},
    }))
    .expect("a spec")
}

/// A plan whose head has the spec that is run.
fn plan(setup: Setup, spec: EvalSpec) -> Plan {
    let plan = setup.plan();
    Plan { head: RunHead { spec: spec.to_value(), spec_digest: spec.digest(), ..plan.head }, spec, ..plan }
}

/// A run of three items that ended early.
async fn aborted() -> MemoryStore {
    let store = MemoryStore::new();
    let (runner, _) = Runner::new(plan(Setup::new(&store), spec(&metrics(), 1)));
    runner.run(Box::new(ListSource::of_items(3).failing("broken"))).await.expect_err("aborted");
    store
}

/// Runs a spec over these rows; the score is the row's number modulo 3, and every other judgment has a rationale.
async fn run(store: &MemoryStore, spec: EvalSpec, rows: impl IntoIterator<Item = DatasetRow>) -> RunResult {
    let judge = ScriptedJudge::new(|item, _, _| async move {
        let score = Score::number((item.row % 3) as f64);
        let rationale = (item.row % 2 == 0).then(|| Payload::from_text(&format!("rationale {}", item.row)));
        Ok(ef_model::Verdict { score, rationale, ..ef_model::Verdict::unscored() })
    });
    let (runner, _) = Runner::new(plan(Setup { judge, ..Setup::new(store) }, spec));
    runner.run(Box::new(ListSource::new(rows))).await.expect("a result")
}

fn metrics() -> serde_json::Value {
    json!({"metrics": [
        {"name": "mean", "from": "judge", "bootstrap": true, "bootstrap_samples": 50},
        {"name": "by_topic", "from": "judge", "cluster_by": "topic"},
        {"name": "uniform", "from": "judge", "aggregator": "ks_test"},
    ]})
}

/// Rows with metadata, among them one that cannot be evaluated.
fn rows(count: u64) -> impl Iterator<Item = DatasetRow> {
    (1..=count).map(|row| {
        let mut item = item(row);
        item.metadata = Some(Payload::from_value(&json!({"topic": row % 4})));
        if row == 5 { faulty(row) } else { DatasetRow::Item(item) }
    })
}

/// A completed run of nine rows.
async fn nine() -> Tampered {
    let store = MemoryStore::new();
    run(&store, spec(&metrics(), 1), rows(9)).await;
    Tampered::new(&store).await
}

fn check(verification: &Verification, subject: CheckSubject) -> &Check {
    verification.checks.iter().find(|check| check.subject == subject).expect("every check is told")
}

/// The checks that failed.
fn failures(verification: &Verification) -> Vec<CheckSubject> {
    let failed = verification.checks.iter().filter(|check| check.result == CheckResult::Failed);
    failed.map(|check| check.subject).collect()
}

/// Checks what failed, and that the first to fail says so.
#[track_caller]
fn assert_fails(verification: &Verification, expected: &[CheckSubject], says: &str) {
    assert_eq!(failures(verification), expected, "{:#?}", verification.checks);
    assert_eq!(verification.outcome(), VerificationOutcome::Failed);
    let message = &verification.first_failure().expect("a failure").message;
    assert!(message.contains(says), "{message}");
}

#[tokio::test]
async fn a_completed_run_that_nobody_touched_is_verified_with_its_own_root() {
    for (count, repeats) in [(0, 1), (1, 1), (9, 1), (9, 3), (400, 1)] {
        let store = MemoryStore::new();
        let result = run(&store, spec(&metrics(), repeats), rows(count)).await;
        let verification = verify(&store, &run_id()).await.expect("verified");
        assert_eq!(verification.outcome(), VerificationOutcome::Verified, "{:#?}", verification.checks);
        assert_eq!((verification.records_root, verification.root_digest), (result.records_root, result.root_digest));
        let unchecked: Vec<_> =
            verification.checks.iter().filter(|check| check.result == CheckResult::NotChecked).collect();
        assert_eq!(unchecked.len(), 1, "the dataset alone is not in the store: {unchecked:?}");
    }
}

#[tokio::test]
async fn a_run_that_is_not_there_is_an_error() {
    let ended = verify(&MemoryStore::new(), &run_id()).await;
    assert!(matches!(ended, Err(StoreError::RunNotFound(_))), "{ended:?}");
}

#[tokio::test]
async fn each_part_of_a_record_belongs_to_its_digest() {
    use CheckSubject::{Counts, Metrics, Records, Root};
    type Change = fn(&mut TaskRecord);
    let changes: [(&str, Change, &[CheckSubject]); 9] = [
        ("item id", |record| record.item_id = item(99).item_id, &[Records, Root]),
        ("attempts", |record| record.trace.attempts += 1, &[Records, Root]),
        ("start", |record| record.trace.started_at_us += 1, &[Records, Root]),
        ("duration", |record| record.trace.duration_us += 1, &[Records, Root]),
        ("judgment's start", |record| record.judgments[0].started_at_us -= 1, &[Records, Root]),
        ("judgments", |record| record.judgments.clear(), &[Records, Root, Counts, Metrics]),
        (
            "score",
            |record| {
                let score = Score::number(0.5).expect("finite");
                record.judgments[0].result = JudgmentResult::Scored { score, rationale: None };
            },
            &[Records, Root, Metrics],
        ),
        (
            "judgment's status",
            |record| {
                record.judgments[0].result = JudgmentResult::Unscored { rationale: None };
            },
            &[Records, Root, Counts, Metrics],
        ),
        (
            "status",
            |record| {
                let kind = ErrorKind::Permanent;
                let error = ef_model::ErrorRecord { kind, code: "c".into(), message: "m".into(), detail: None };
                record.trace.outcome = TraceOutcome::Timeout { error };
            },
            &[Records, Root, Counts, Metrics],
        ),
    ];
    let good = nine().await;
    for (what, change, expected) in changes {
        let verification = good.clone().record(6, change).verified().await;
        assert_fails(&verification, expected, "(row 7): it does not have the digest that was stored with it");
        let place = check(&verification, Records).record.as_ref().expect("a place");
        assert_eq!((place.row, place.repeat, place.revision), (7, 0, 0), "{what}");
    }
}

#[tokio::test]
async fn the_first_wrong_record_is_named_and_the_others_are_counted() {
    let mut tampered = nine().await;
    for index in [8, 2, 3] {
        tampered = tampered.record(index, |record| record.trace.attempts += 1);
    }
    let verification = tampered.verified().await;
    let records = check(&verification, CheckSubject::Records);
    assert!(records.message.contains("item-3 (row 3)") && records.message.ends_with("(and 2 more)"), "{records:?}");
}

#[tokio::test]
async fn a_leaf_that_was_changed_alone_leaves_the_root_over_the_records_right() {
    let mut tampered = nine().await;
    tampered.records[1].leaf = MerkleRoot::leaf(b"another");
    assert_fails(&tampered.verified().await, &[CheckSubject::Records], "item-2 (row 2)");
}

#[tokio::test]
async fn a_record_replaced_together_with_its_leaf_changes_the_set() {
    let tampered = nine().await.record(3, |record| record.trace.duration_us += 1).with_new_leaves();
    assert_fails(&tampered.verified().await, &[CheckSubject::Root], "the set of records is not the one");
}

#[tokio::test]
async fn a_missing_record_is_told_by_the_gap_that_it_leaves_or_by_the_last() {
    let good = nine().await;
    for (index, says) in [
        (0, "records are missing: the result counts 9, and there are 8. The first record is item item-2 (row 2)"),
        (3, "The rows jump from item item-3 (row 3) to item data:5 (row 5)"),
        (8, "The last record is item item-8 (row 8)"),
    ] {
        let mut tampered = good.clone();
        tampered.records.remove(index);
        let verification = tampered.verified().await;
        let root = check(&verification, CheckSubject::Root);
        assert!(root.message.contains(says), "{root:?}");
        assert!(root.message.contains("records are missing"), "{root:?}");
        assert_eq!(failures(&verification)[0], CheckSubject::Root);
    }
    let mut none = good;
    none.records.clear();
    assert_fails(&none.verified().await, &[CheckSubject::Root, CheckSubject::Counts, CheckSubject::Metrics], "missing");
}

#[tokio::test]
async fn a_record_too_many_is_told_by_its_place() {
    let good = nine().await;
    let extra = |row: u64| {
        let mut record = good.records[7].record.clone();
        (record.row, record.item_id) = (row, item(row).item_id);
        StoredRecord { leaf: record.leaf(), record }
    };
    for (row, says) in
        [(10, "The last record is item item-10 (row 10)"), (40, "The rows jump from item item-9 (row 9)")]
    {
        let mut tampered = good.clone();
        tampered.records.push(extra(row));
        let verification = tampered.verified().await;
        let root = check(&verification, CheckSubject::Root);
        assert!(root.message.contains("too many: the result counts 9, and there are 10"), "{root:?}");
        assert!(root.message.contains(says), "{root:?}");
    }
    let mut twice = good.clone();
    twice.records.insert(4, good.records[3].clone());
    let verification = twice.verified().await;
    let root = check(&verification, CheckSubject::Root);
    assert!(root.message.contains("item item-4 (row 4): its place in the run is one that an earlier"), "{root:?}");
}

#[tokio::test]
async fn two_records_that_changed_places_are_told() {
    let mut tampered = nine().await;
    tampered.records.swap(2, 3);
    let verification = tampered.verified().await;
    let root = check(&verification, CheckSubject::Root);
    assert!(root.message.starts_with("item item-3 (row 3): its place"), "{root:?}");
    let exchanged = nine().await;
    let (one, other) = (exchanged.records[2].record.row, exchanged.records[3].record.row);
    let exchanged = exchanged.record(2, |record| record.row = other).record(3, |record| record.row = one);
    assert!(failures(&exchanged.verified().await).contains(&CheckSubject::Records));
}

#[tokio::test]
async fn a_revision_too_many_or_too_few_changes_the_set() {
    let good = nine().await;
    let mut tampered = good.clone();
    let mut record = good.records[8].record.clone();
    record.revision = 1;
    tampered.records.push(StoredRecord { leaf: record.leaf(), record });
    assert_fails(&tampered.verified().await, &[CheckSubject::Root], "the set of records is not the one");
    let renumbered = good.record(8, |record| record.revision = 1).with_new_leaves();
    assert_fails(&renumbered.verified().await, &[CheckSubject::Root], "to item item-9 (row 9, revision 1)");
}

#[tokio::test]
async fn a_later_revision_counts_instead_of_the_earlier() {
    let store = MemoryStore::new();
    let plan = plan(Setup::new(&store), spec(&metrics(), 1));
    store.begin(&plan.head).await.expect("begun");
    let mut failed = ef_testkit::record(1);
    failed.judgments.clear();
    let kind = ErrorKind::Permanent;
    let error = ef_model::ErrorRecord { kind, code: "c".into(), message: "m".into(), detail: None };
    failed.trace.outcome = TraceOutcome::Error { error };
    let mut retried = ef_testkit::record(1);
    retried.revision = 1;
    let commits = [failed, retried].map(|record| TaskCommit::new(record, vec![item(1).input]));
    store.append(&run_id(), commits.into()).await.expect("appended");
    let (runner, _) = Runner::new(plan);
    let dataset = || Box::new(ListSource::of_items(2));
    let result = runner.resume(dataset(), dataset(), false).await.expect("a result");
    assert_eq!((result.counts.ok, result.counts.error), (2, 0));
    let verification = verify(&store, &run_id()).await.expect("verified");
    assert_eq!(verification.outcome(), VerificationOutcome::Verified, "{:#?}", verification.checks);
    assert_eq!(verification.records, 3);
}

#[tokio::test]
async fn a_payload_that_is_lost_or_damaged_is_named_by_the_record_that_refers_to_it() {
    let good = nine().await;
    let digest = |index: usize| good.records[index].record.trace.input.expect("an input");
    let mut lost = good.clone();
    lost.lost = vec![digest(5)];
    let verification = lost.verified().await;
    assert_fails(&verification, &[CheckSubject::Payloads], "item item-6 (row 6): its input, the payload ");
    assert!(check(&verification, CheckSubject::Payloads).message.ends_with("is missing"));
    // The store names none of those that it was asked for together.
    let mut broken = good.clone();
    broken.damaged = vec![digest(7), digest(6)];
    let verification = broken.verified().await;
    assert_fails(
        &verification,
        &[CheckSubject::Payloads],
        "item item-7 (row 7): its input is damaged: told to be damaged",
    );
    assert!(check(&verification, CheckSubject::Payloads).message.ends_with("(and 1 more)"));
    let JudgmentResult::Scored { rationale: Some(rationale), .. } = &good.records[3].record.judgments[0].result else {
        panic!("row 4 has a rationale");
    };
    let mut unexplained = good.clone();
    unexplained.lost = vec![*rationale];
    assert_fails(&unexplained.verified().await, &[CheckSubject::Payloads], "item item-4 (row 4): its rationale");
    let metadata = good.records[0].record.trace.item_metadata.expect("metadata");
    let mut unclustered = good;
    unclustered.lost = vec![metadata];
    let verification = unclustered.verified().await;
    assert_fails(&verification, &[CheckSubject::Payloads], "its item metadata");
    assert_eq!(check(&verification, CheckSubject::Metrics).result, CheckResult::NotChecked);
}

#[tokio::test]
async fn records_that_cannot_be_read_are_a_failed_check_and_what_follows_is_not_claimed() {
    for (index, says) in [(0, "one of the first cannot be read: told"), (4, "one after item item-4 (row 4) cannot")] {
        let mut tampered = nine().await;
        tampered.broken_at = Some(index);
        let verification = tampered.verified().await;
        assert_fails(&verification, &[CheckSubject::Records], says);
        assert_eq!((verification.records_root, verification.root_digest), (None, None));
        for subject in [CheckSubject::Root, CheckSubject::Counts, CheckSubject::Metrics] {
            assert_eq!(check(&verification, subject).result, CheckResult::NotChecked);
        }
    }
}

#[tokio::test]
async fn a_record_of_other_code_is_told_even_where_its_leaf_was_made_anew() {
    let other = Arc::new(ef_model::Identity { version: "2".to_owned(), ..(*ef_testkit::evaluator_identity()).clone() });
    let tampered = nine().await.record(4, |record| record.trace.evaluator = other).with_new_leaves();
    assert_fails(&tampered.verified().await, &[CheckSubject::Components, CheckSubject::Root], "another evaluator");
    let judge = ef_testkit::judge_identity("other");
    let tampered = nine().await.record(7, |record| record.judgments[0].judge = judge).with_new_leaves();
    let verification = tampered.verified().await;
    assert_eq!(failures(&verification)[..2], [CheckSubject::Components, CheckSubject::Root]);
}

#[tokio::test]
async fn the_numbers_of_the_result_are_those_of_the_records() {
    use CheckSubject::{Counts, Metrics, Root};
    let good = nine().await;
    type Change = fn(&mut RunResult);
    let changes: [(Change, CheckSubject, &str); 9] = [
        (|result| result.metrics[0].value = Some(2.0), Metrics, "value of mean is not what"),
        (|result| result.metrics[0].ci_low = Some(0.25), Metrics, "ci_low of mean is not what"),
        (|result| result.metrics[1].n += 1, Metrics, "n of by_topic"),
        (|result| result.metrics[2].p_value = None, Metrics, "p_value of uniform"),
        (|result| drop(result.metrics.pop()), Metrics, "the result has 2 and the spec 3"),
        (|result| result.counts.ok -= 1, Counts, "ok is 7 in the result, and the records come to 8"),
        (
            |result| result.usage.evaluator.cost_usd = Some(0.5),
            Counts,
            "usage is {\"evaluator\":{\"cost_usd\":0.5}} in the result, and the records come to {}",
        ),
        (|result| result.records_root = Some(Digest::of(b"x")), Root, "the result names another root over them"),
        (|result| result.root_digest = Some(Digest::of(b"x")), Root, "the root digest is not"),
    ];
    for (change, subject, says) in changes {
        assert_fails(&good.clone().result(change).verified().await, &[subject], says);
    }
}

#[tokio::test]
async fn what_the_root_digest_binds_cannot_be_changed_unseen() {
    use CheckSubject::{Components, Root, Run, Spec};
    let good = nine().await;
    type Change = fn(&mut RunHead);
    let changes: [(Change, &[CheckSubject]); 5] = [
        (|head| head.spec["runtime"]["seed"] = json!(1), &[Spec, CheckSubject::Metrics]),
        (|head| head.spec_digest = Digest::of(b"x"), &[Spec, Root]),
        (|head| head.spec_version = "9.0.0".to_owned(), &[Spec]),
        (|head| head.judges.clear(), &[Components, Root]),
        (|head| head.run_id = RunId::new("other").expect("an id"), &[Run, Root]),
    ];
    for (change, expected) in changes {
        assert_fails(&good.clone().head(change).verified().await, expected, "");
    }
    assert_fails(&good.clone().result(|result| result.dataset_digest = None).verified().await, &[Root], "dataset's");
    let only_result = good.clone().result(|result| result.head.started_at_us += 1);
    assert_fails(&only_result.verified().await, &[Run], "/started_at_us is not the same");
    let mut resultless = good.clone();
    resultless.summary.result = None;
    assert!(failures(&resultless.verified().await).contains(&Run));
    let mut reopened = good.clone();
    reopened.summary.status = RunStatus::Aborted;
    assert_fails(&reopened.verified().await, &[Run], "it is aborted, and its result says completed");
    assert_fails(&good.result(|result| result.root_digest = None).verified().await, &[Run, Root], "no root digest");
}

#[tokio::test]
async fn a_run_that_is_not_completed_is_checked_as_far_as_it_goes_and_not_called_verified() {
    let store = aborted().await;
    let good = Tampered::new(&store).await;
    let verification = good.verified().await;
    assert_eq!(verification.outcome(), VerificationOutcome::Unfinished, "{:#?}", verification.checks);
    assert_eq!((verification.records, verification.root_digest), (3, None));
    let mut with_gap = good.clone();
    with_gap.records.remove(1);
    assert_eq!(with_gap.verified().await.outcome(), VerificationOutcome::Unfinished, "a gap is no fault yet");
    let changed = good.record(2, |record| record.trace.attempts = 7);
    assert_fails(&changed.verified().await, &[CheckSubject::Records], "item-3");
}

#[tokio::test]
async fn metrics_that_compare_with_a_baseline_are_computed_with_it_or_said_to_be_unchecked() {
    let store = MemoryStore::new();
    let mut scoring = metrics();
    run(&store, spec(&scoring, 1), rows(9)).await;
    let baseline = Tampered::new(&store).await;
    let compared = MemoryStore::new();
    let mut head = baseline.summary.head.clone();
    head.run_id = RunId::new("baseline").expect("an id");
    compared.begin(&head).await.expect("begun");
    for stored in &baseline.records[..6] {
        let trace = &stored.record.trace;
        let digests: Vec<_> = [trace.input, trace.item_metadata].into_iter().flatten().collect();
        let payloads = store.payloads(&digests);
        let payloads = payloads.await.expect("readable").into_iter().flatten().collect();
        compared
            .append(&head.run_id, [TaskCommit::new(stored.record.clone(), payloads)].into())
            .await
            .expect("appended");
    }
    scoring["baseline_run_id"] = json!("baseline");
    let result = run(&compared, spec(&scoring, 1), rows(9)).await;
    assert_ne!(result.metrics[2].p_value, baseline.summary.result.as_ref().expect("a result").metrics[2].p_value);
    let verification = verify(&compared, &run_id()).await.expect("verified");
    assert_eq!(verification.outcome(), VerificationOutcome::Verified, "{:#?}", verification.checks);

    let without = Tampered { store, ..Tampered::new(&compared).await };
    let verification = without.verified().await;
    let metrics = check(&verification, CheckSubject::Metrics);
    assert!(metrics.message.contains("but for uniform: its baseline run baseline is not in this store"), "{metrics:?}");
    let changed = without.result(|result| result.metrics[0].value = None);
    assert_fails(&changed.verified().await, &[CheckSubject::Metrics], "value of mean");
}

#[tokio::test]
async fn invariant_8_no_message_holds_a_payload() {
    let good = nine().await;
    let all = good.records.iter().filter_map(|stored| stored.record.trace.input).collect();
    let mut tampered = Tampered { damaged: all, ..good }.record(1, |record| record.trace.attempts = 9);
    tampered.records.remove(3);
    let told = serde_json::to_string(&tampered.verified().await).expect("JSON");
    for payload in ["input 1", "input 2", "rationale 2", "topic"] {
        assert!(!told.contains(payload), "{payload}: {told}");
    }
}

#[tokio::test]
async fn a_proof_covers_every_repeat_of_the_item_and_leads_to_the_runs_root_digest() {
    let store = MemoryStore::new();
    let result = run(&store, spec(&metrics(), 3), rows(7)).await;
    let all: Vec<StoredRecord> =
        store.records(&run_id(), &RecordFilter::default()).try_collect().await.expect("readable");
    for (row, repeats) in [(1, 3), (5, 1), (7, 3)] {
        let wanted: Vec<_> =
            all.iter().filter(|stored| stored.record.row == row).map(|stored| &stored.record).collect();
        let proof = prove(&store, &run_id(), &wanted[0].item_id).await.expect("a proof");
        let proven = proof.check().expect("it holds");
        assert_eq!((proven.records.len(), Some(proof.root_digest)), (repeats, result.root_digest));
        assert!(proven.records.iter().eq(wanted));
        let text = serde_json::to_string(&proof).expect("JSON");
        assert!(!text.contains("input 1") && !text.contains("item-2"), "no payload and no other item: {text}");
    }
}

#[tokio::test]
async fn there_is_no_proof_of_what_is_not_there_or_not_as_it_was() {
    let good = nine().await;
    let absent = prove(&good, &run_id(), &item(10).item_id).await;
    assert!(matches!(absent, Err(ProveError::NoSuchItem { .. })), "{absent:?}");
    let tampered = good.clone().record(8, |record| record.trace.attempts = 9);
    let refused = prove(&tampered, &run_id(), &item(1).item_id).await;
    assert!(matches!(refused, Err(ProveError::NotAsRecorded(_))), "{refused:?}");
    let unfinished = prove(&aborted().await, &run_id(), &item(1).item_id).await;
    assert!(matches!(unfinished, Err(ProveError::Unfinished { status: RunStatus::Aborted, .. })), "{unfinished:?}");
}

#[tokio::test]
async fn a_metric_without_a_number_survives_its_way_through_the_store() {
    let store = MemoryStore::new();
    let result = run(&store, spec(&json!({}), 1), [faulty(5)]).await;
    assert_eq!(result.metrics[0], Metric { value: None, ..result.metrics[0].clone() });
    let verification = verify(&store, &run_id()).await.expect("verified");
    assert_eq!(verification.outcome(), VerificationOutcome::Verified, "{:#?}", verification.checks);
}
