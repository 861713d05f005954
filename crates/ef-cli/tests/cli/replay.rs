//! A run judged again: from the store alone, with a verdict that a pipeline can go by.

use std::sync::Arc;

use ef_model::{
    JudgmentResult, MerkleRoot, RecordFilter, RunHead, RunId, RunResult, RunStatus, StoredRecord, TaskCommit,
    TraceStore,
};
use ef_store_sqlite::SqliteStore;
use futures_util::TryStreamExt;

use crate::folder::{Ended, Folder, assert_seen};

fn with_run() -> Folder {
    let folder = Folder::new();
    folder.ef("run spec.yaml --dataset dataset.jsonl --run-id source --no-cache").exits(0);
    folder
}

/// What was seen without the digests of this build.
fn without_digests(ended: &Ended) -> String {
    let text = ended.to_string();
    let mut pieces = text.split("(sha256 ");
    let first = pieces.next().unwrap_or_default().to_owned();
    pieces.fold(first, |text, piece| text + "(sha256 …" + piece.trim_start_matches(|c: char| c.is_ascii_hexdigit()))
}

/// Makes a run of another that says something else: as if its judge or its evaluator had been another one.
fn remade(folder: &Folder, id: &str, change: impl Fn(&mut RunHead, &mut StoredRecord)) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let store = SqliteStore::open(folder.path("runs/runs.db")).await.expect("the store opens");
        let source = RunId::new("source").expect("an id");
        let summary = store.run(&source).await.expect("readable").expect("there");
        let mut head = RunHead { run_id: RunId::new(id).expect("an id"), ..summary.head.clone() };
        let filter = RecordFilter::default();
        let mut records: Vec<_> = store.records(&source, &filter).try_collect().await.expect("readable");
        records.iter_mut().for_each(|stored| change(&mut head, stored));
        let batch: Arc<[_]> = records.into_iter().map(|stored| TaskCommit::new(stored.record, Vec::new())).collect();
        store.begin(&head).await.expect("begun");
        store.append(&head.run_id, Arc::clone(&batch)).await.expect("appended");
        let mut tree = MerkleRoot::new();
        batch.iter().for_each(|commit| tree.push(commit.leaf()));
        let mut result = RunResult { head: head.clone(), ..summary.result.expect("a result") };
        result.records_root = Some(tree.root());
        result.root_digest = Some(RunResult::bind(&head, result.dataset_digest, tree.count(), tree.root()));
        assert_eq!(result.status, RunStatus::Completed);
        store.finish(&result).await.expect("finished");
        store.close().await;
    });
}

#[test]
fn a_run_is_replayed_without_its_dataset_as_a_run_of_its_own() {
    let folder = with_run();
    std::fs::remove_file(folder.path("dataset.jsonl")).expect("removed");
    std::fs::remove_file(folder.path("spec.yaml")).expect("removed");
    assert_seen("replay_all", folder.ef("replay source --run-id again").exits(0));
    assert_seen("replay_judges_only", folder.ef("replay source --judges-only --run-id judged").exits(0));
    for run in ["again", "judged"] {
        folder.ef(&format!("verify {run}")).exits(0);
        folder.ef(&format!("diff {run} source")).exits(0);
        assert!(folder.has(&format!("runs/{run}.json")));
    }
    assert_seen("replay_shown", folder.ef("show judged").exits(0));
    let json = folder.ef("replay source --judge right --format json").exits(0).json();
    assert_eq!(json["source"]["purpose"], "replay_judges");
    assert_eq!((&json["judges"][0]["compared"], &json["judges"][0]["drifted"]), (&4.into(), &0.into()));
    let scores = |run: &str| folder.records(run).iter().map(|r| r["judgments"][0]["score"].clone()).collect::<Vec<_>>();
    assert_eq!(scores("judged"), scores("source"));
}

#[test]
fn drift_of_a_deterministic_judge_is_listed_and_exits_6() {
    let folder = with_run();
    remade(&folder, "drifted", |_, stored| {
        if let JudgmentResult::Scored { score, .. } = &mut stored.record.judgments[0].result
            && stored.record.row == 2
        {
            *score = false.into();
        }
    });
    // Its metric is that of other scores, and that is found out first.
    assert_seen("replay_refused", folder.ef("replay drifted --judges-only").exits(6));
    assert_seen("replay_drift", folder.ef("replay drifted --judges-only --no-verify --items").exits(6));
    let json = folder.ef("replay drifted --judges-only --no-verify --format json").exits(6).json();
    assert_eq!((&json["broken"], &json["judges"][0]["verdict"]), (&true.into(), &"broken".into()));
}

#[test]
fn an_evaluator_or_a_judge_of_another_version_is_named_before_any_number() {
    let folder = with_run();
    remade(&folder, "older-evaluator", |head, stored| {
        let mut identity = (*head.evaluator).clone();
        identity.version = "0.9.0".to_owned();
        head.evaluator = Arc::new(identity);
        stored.record.trace.evaluator = Arc::clone(&head.evaluator);
    });
    assert_seen("replay_other_evaluator", without_digests(&folder.ef("replay older-evaluator").exits(0)));
    let everything = folder.ef("replay older-evaluator --all --run-id all").exits(0);
    assert_seen("replay_other_evaluator_asked", without_digests(&everything));
    remade(&folder, "older-judge", |head, stored| {
        let mut identity = (*head.judges[0]).clone();
        identity.identity.version = "0.9.0".to_owned();
        head.judges = vec![Arc::new(identity)];
        stored.record.judgments[0].judge = Arc::clone(&head.judges[0]);
    });
    let judged = folder.ef("replay older-judge --judges-only --run-id judged").exits(0);
    assert_seen("replay_other_judge", without_digests(&judged));
    for run in ["all", "judged"] {
        folder.ef(&format!("verify {run}")).exits(0);
    }
}

#[test]
fn what_cannot_be_replayed_says_why_and_leaves_nothing() {
    let folder = with_run();
    remade(&folder, "unknown-judge", |head, _| {
        head.spec["judges"][0]["id"] = "eval_fabric.exact_mach".into();
        head.spec_digest = ef_model::canonical::digest(&head.spec);
    });
    folder.write("broken.json", "[{\"input\": \"1\", \"reference_output\": \"1\"}, oops");
    folder.ef("run spec.yaml --dataset broken.json --run-id aborted").exits(2);
    let before = folder.ef("runs --format json").exits(0).stdout;
    assert_seen("replay_unknown_judge", folder.ef("replay unknown-judge --judges-only").exits(5));
    assert_seen("replay_aborted", folder.ef("replay aborted").exits(7));
    assert_seen("replay_no_such_judge", folder.ef("replay source --judge wrong").exits(2));
    folder.ef("replay nowhere").exits(2);
    folder.ef("replay source --all --judges-only").exits(2);
    folder.ef("replay source --run-id source").exits(2);
    assert_eq!(folder.ef("runs --format json").exits(0).stdout, before);
}

#[test]
fn a_replay_is_not_resumed() {
    let folder = with_run();
    folder.ef("replay source --run-id again").exits(0);
    folder.ef("resume again").exits(0);
    assert_seen("replay_resumed", folder.ef("resume again --retry-errors").exits(2));
}

#[test]
fn nothing_is_judged_on_a_payload_or_a_record_that_was_changed() {
    const SECRET: &str = "whatever was put there";
    let forgeries = [
        ("payload", format!("UPDATE payloads SET content = '\"{SECRET}\"' WHERE content = '\"2\"'")),
        ("lost", "UPDATE payloads SET sha256 = zeroblob(32) WHERE content = '\"2\"'".to_owned()),
        ("score", "UPDATE traces SET judgments = replace(judgments, 'true', 'false') WHERE row = 2".to_owned()),
    ];
    for (name, forgery) in forgeries {
        let folder = with_run();
        let store = rusqlite::Connection::open(folder.path("runs/runs.db")).expect("the store");
        assert_eq!(store.execute(&forgery, []).expect("forged"), 1, "{name}");
        drop(store);
        let refused = folder.ef("replay source").exits(6);
        assert!(refused.stderr.contains("item b (row 2)") && !refused.stderr.contains(SECRET), "{name}: {refused}");
        assert_seen(&format!("replay_forged_{name}"), folder.ef("replay source --no-verify").exits(6));
        assert_eq!(folder.ef("runs --format json").exits(0).json_lines().len(), 1, "{name}");
    }
}
