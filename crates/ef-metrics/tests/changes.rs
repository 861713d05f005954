//! What two runs say of what changed between them, before any score is looked at.

use std::collections::BTreeMap;
use std::sync::Arc;

use ef_metrics::diff::{Part, changes};
use ef_model::{
    ComponentId, Counts, DatasetRef, Determinism, Digest, Identity, JudgeIdentity, RunHead, RunId, RunResult,
    RunStatus, RunSummary, RunUsage, canonical,
};
use serde_json::json;

fn judge(name: &str) -> JudgeIdentity {
    JudgeIdentity {
        name: name.to_owned(),
        identity: Identity {
            id: ComponentId::new("test.judge").expect("an id"),
            version: "1".to_owned(),
            source: "builtin".to_owned(),
            digest: Digest::of(b"code"),
        },
        determinism: Determinism::Deterministic,
        config_digest: Digest::of(b"{}"),
    }
}

fn run(id: &str) -> RunSummary {
    let spec = json!({"id": "test", "version": "1.0.0", "evaluator": {"config": {"n": 1}}, "runtime": {"seed": 42}});
    let head = RunHead {
        run_id: RunId::new(id).expect("an id"),
        started_at_us: 0,
        ef_version: "0.1.0".to_owned(),
        spec_id: "test".to_owned(),
        spec_version: "1.0.0".to_owned(),
        spec_digest: canonical::digest(&spec),
        spec,
        dataset: DatasetRef { path: "d.jsonl".to_owned(), format: "jsonl".to_owned(), fields: BTreeMap::new() },
        evaluator: Arc::new(Identity::builtin("test.evaluator", "1", "test", "1")),
        judges: vec![Arc::new(judge("right"))],
        source: None,
    };
    let result = RunResult {
        format_version: RunResult::FORMAT_VERSION,
        head: head.clone(),
        status: RunStatus::Completed,
        abort_reason: None,
        finished_at_us: 1,
        dataset_digest: Some(Digest::of(b"dataset")),
        counts: Counts::default(),
        usage: RunUsage::default(),
        metrics: Vec::new(),
        records_root: None,
        root_digest: None,
    };
    RunSummary { head, status: RunStatus::Completed, result: Some(result) }
}

/// All changes, a line each: part, field, baseline, run.
fn told(run: &RunSummary, baseline: &RunSummary) -> Vec<String> {
    let side = |value: &Option<serde_json::Value>| value.as_ref().map_or_else(|| "–".to_owned(), ToString::to_string);
    let parts = changes(run, baseline).parts.into_iter();
    let lines = parts.flat_map(|part| {
        part.fields.into_iter().map(move |change| {
            format!("{} {} {} {}", part.part.as_str(), change.field, side(&change.baseline), side(&change.run))
        })
    });
    lines.collect()
}

#[test]
fn runs_that_are_the_same_have_no_changes_and_no_notes() {
    let same = changes(&run("a"), &run("b"));
    assert_eq!(same.parts.iter().map(|part| part.part).collect::<Vec<_>>(), Part::ALL);
    assert!(same.parts.iter().all(|part| part.fields.is_empty()));
    assert!(same.notes.is_empty() && same.judges_that_differ.is_empty(), "{same:?}");
}

#[test]
fn every_part_says_which_of_its_fields_differ() {
    let (baseline, mut after) = (run("a"), run("b"));
    after.head.spec["runtime"]["seed"] = 43.into();
    after.head.spec["evaluator"]["config"]["n"] = 2.into();
    after.head.dataset.path = "e.jsonl".to_owned();
    after.head.dataset.fields.insert("input".to_owned(), "question".to_owned());
    after.head.ef_version = "0.2.0".to_owned();
    Arc::make_mut(&mut after.head.evaluator).version = "2".to_owned();
    Arc::make_mut(&mut after.head.judges[0]).identity.version = "2".to_owned();
    let digest = |value: serde_json::Value| canonical::digest(&value).to_string();
    assert_eq!(
        told(&after, &baseline),
        [
            "spec /evaluator/config/n 1 2".to_owned(),
            "spec /runtime/seed 42 43".to_owned(),
            r#"dataset fields.input – "question""#.to_owned(),
            r#"dataset path "d.jsonl" "e.jsonl""#.to_owned(),
            format!("evaluator config {:?} {:?}", digest(json!({"n": 1})), digest(json!({"n": 2}))),
            r#"evaluator version "1" "2""#.to_owned(),
            r#"judges right.version "1" "2""#.to_owned(),
            r#"ef version "0.1.0" "0.2.0""#.to_owned(),
        ]
    );
}

#[test]
fn a_judge_differs_by_id_version_digest_config_or_promise_but_not_by_where_it_was_found() {
    let differs = |change: fn(&mut JudgeIdentity)| {
        let mut after = run("b");
        change(Arc::make_mut(&mut after.head.judges[0]));
        let changes = changes(&after, &run("a"));
        assert_eq!(changes.judges_that_differ.is_empty(), changes.notes.is_empty(), "{changes:?}");
        assert!(changes.notes.first().is_none_or(|note| note.contains("the judge right is not the same in both runs")));
        !changes.judges_that_differ.is_empty()
    };
    assert!(differs(|judge| judge.identity.id = ComponentId::new("test.other").expect("an id")));
    assert!(differs(|judge| judge.identity.version = "2".to_owned()));
    assert!(differs(|judge| judge.identity.digest = Digest::of(b"other")));
    assert!(differs(|judge| judge.config_digest = Digest::of(b"other")));
    assert!(differs(|judge| judge.determinism = Determinism::Stochastic));
    assert!(!differs(|judge| judge.identity.source = "elsewhere".to_owned()));
}

#[test]
fn what_makes_numbers_hard_to_compare_is_noted_and_judges_come_first() {
    let (mut after, mut before) = (run("b"), run("a"));
    Arc::make_mut(&mut after.head.judges[0]).identity.version = "2".to_owned();
    after.head.judges.push(Arc::new(judge("new")));
    before.head.judges.push(Arc::new(judge("old")));
    after.head.spec_id = "other".to_owned();
    if let Some(result) = &mut after.result {
        result.dataset_digest = Some(Digest::of(b"other"));
    }
    before.status = RunStatus::Aborted;
    assert_eq!(
        changes(&after, &before).notes,
        [
            "the judge right is not the same in both runs: numbers may have moved because the judge did, not what was \
             judged",
            "the judge new is only in the run: it is left out",
            "the judge old is only in the baseline: it is left out",
            "the runs are of different specs, other and test: judges are paired by name",
            "the baseline is aborted, not completed: only what it has so far is compared",
            "the datasets differ: items are paired by their ids",
        ]
    );
    assert_eq!(changes(&before, &before).notes[0], "the run is compared with itself");
    before.result = None;
    assert_eq!(changes(&after, &before).notes.len(), 5, "where a digest is not known, nothing is said of the datasets");
}
