//! The trace store contract, one function a promise.
//!
//! [`trace_store_conformance!`](crate::trace_store_conformance) makes a test of each, so that no backend can leave one
//! out.

use ef_model::{
    Digest, ErrorKind, ErrorRecord, FoundJudgment, ItemId, Judgment, JudgmentResult, Payload, RecordFilter, RecordKey,
    RowFault, RowFaultKind, RunId, RunStatus, Score, StoreError, StoredRecord, TaskCommit, TaskRecord, TraceOutcome,
    TraceStatus, TraceStore, Usage,
};
use futures_util::TryStreamExt;

use crate::{commit, head, record, result};

/// Makes one test for each promise of [`ef_model::TraceStore`], run against the store that the given future makes
/// anew for each, with whatever must outlive it.
#[macro_export]
macro_rules! trace_store_conformance {
    ($make:expr) => {
        $crate::trace_store_conformance! { @each $make;
            a_run_begins_once
            append_needs_an_open_run
            records_come_back_whole_and_in_order
            appending_again_changes_nothing
            an_item_from_two_rows_is_a_conflict_and_nothing_of_its_batch_is_added
            another_content_for_the_same_record_is_a_conflict
            revisions_and_repeats_are_all_kept
            every_kind_of_outcome_survives
            records_are_filtered
            payloads_are_found_by_digest_and_shared_by_runs
            odd_and_large_payloads_survive_to_the_byte
            judgments_are_found_by_the_keys_that_came_with_them
            a_completed_run_takes_no_more
            an_aborted_run_goes_on
            only_runs_that_are_not_completed_are_taken_up
            the_keys_of_a_run_are_those_of_its_records
            runs_are_listed_latest_first_and_found_by_prefix
            an_empty_run_is_a_run
            readers_see_whole_batches_while_a_run_is_written
        }
    };
    (@each $make:expr; $($promise:ident)*) => {
        $(
            #[test]
            fn $promise() {
                $crate::tokio::runtime::Builder::new_multi_thread()
                    .worker_threads(2)
                    .enable_all()
                    .build()
                    .expect("a runtime")
                    .block_on(async {
                        let (store, _guard) = $make.await;
                        $crate::conformance::$promise(&store).await;
                    });
            }
        )*
    };
}

async fn begun(store: &dyn TraceStore, run: &str) -> RunId {
    let head = head(run, 1);
    store.begin(&head).await.expect("the run begins");
    head.run_id
}

async fn all(store: &dyn TraceStore, run: &RunId) -> Vec<StoredRecord> {
    filtered(store, run, &RecordFilter::default()).await
}

async fn filtered(store: &dyn TraceStore, run: &RunId, filter: &RecordFilter) -> Vec<StoredRecord> {
    store.records(run, filter).try_collect().await.expect("the records are read")
}

fn without_payloads(record: TaskRecord) -> TaskCommit {
    TaskCommit::new(record, Vec::new())
}

/// Beginning a run twice is refused, and the first is untouched.
pub async fn a_run_begins_once(store: &dyn TraceStore) {
    let run = begun(store, "once").await;
    let again = store.begin(&head("once", 2)).await;
    assert!(matches!(again, Err(StoreError::RunExists(id)) if id == run));
    let summary = store.run(&run).await.expect("readable").expect("there");
    assert_eq!((summary.head, summary.status, summary.result), (head("once", 1), RunStatus::Running, None));
}

/// Records go into runs that were begun.
pub async fn append_needs_an_open_run(store: &dyn TraceStore) {
    let absent = RunId::new("absent").expect("an id");
    let refused = store.append(&absent, [commit(1)].into()).await;
    assert!(matches!(refused, Err(StoreError::RunNotFound(id)) if id == absent));
    let refused = store.finish(&result(&head("absent", 1), RunStatus::Completed)).await;
    assert!(matches!(refused, Err(StoreError::RunNotFound(id)) if id == absent));
    assert_eq!(store.run(&absent).await.expect("readable"), None);
}

/// What was appended in any order is read in row order, equal to what was appended, with its leaf.
pub async fn records_come_back_whole_and_in_order(store: &dyn TraceStore) {
    let run = begun(store, "whole").await;
    for rows in [[3_u64, 300, 2].as_slice(), &[1], &[250, 4]] {
        let batch: Vec<_> = rows.iter().map(|&row| commit(row)).collect();
        store.append(&run, batch.clone().into()).await.expect("appended");
    }
    store.append(&run, Vec::new().into()).await.expect("an empty batch is nothing");
    let stored = all(store, &run).await;
    let expected: Vec<_> =
        [1, 2, 3, 4, 250, 300].map(|row| StoredRecord { record: record(row), leaf: commit(row).leaf() }).into();
    assert_eq!(stored, expected);
}

/// A batch that is sent again, alone or with new records, adds only what is new.
pub async fn appending_again_changes_nothing(store: &dyn TraceStore) {
    let run = begun(store, "again").await;
    store.append(&run, [commit(1), commit(2)].into()).await.expect("appended");
    store.append(&run, [commit(2), commit(1)].into()).await.expect("nothing new");
    store.append(&run, [commit(2), commit(3), commit(3)].into()).await.expect("one new");
    let rows: Vec<_> = all(store, &run).await.iter().map(|stored| stored.record.row).collect();
    assert_eq!(rows, [1, 2, 3]);
    assert_eq!(all(store, &run).await[1].record, record(2));
}

/// The same item id from another row is refused, both rows are named, and the batch is not there.
pub async fn an_item_from_two_rows_is_a_conflict_and_nothing_of_its_batch_is_added(store: &dyn TraceStore) {
    let run = begun(store, "rows").await;
    store.append(&run, [commit(7)].into()).await.expect("appended");
    let impostor = TaskRecord { item_id: record(7).item_id, ..record(9) };
    let refused = store.append(&run, [commit(8), without_payloads(impostor)].into()).await;
    assert!(
        matches!(&refused, Err(StoreError::Conflict { item_id, row: 9, existing_row: 7 }) if *item_id == record(7).item_id),
        "{refused:?}"
    );
    let rows: Vec<_> = all(store, &run).await.iter().map(|stored| stored.record.row).collect();
    assert_eq!(rows, [7]);

    let first = TaskRecord { item_id: ItemId::new("twin").expect("an id"), ..record(20) };
    let second = TaskRecord { item_id: first.item_id.clone(), ..record(21) };
    let refused = store.append(&run, [without_payloads(first), without_payloads(second)].into()).await;
    assert!(matches!(refused, Err(StoreError::Conflict { row: 21, existing_row: 20, .. })), "{refused:?}");
}

/// A record is never replaced.
pub async fn another_content_for_the_same_record_is_a_conflict(store: &dyn TraceStore) {
    let run = begun(store, "content").await;
    store.append(&run, [commit(1)].into()).await.expect("appended");
    let mut changed = record(1);
    changed.trace.duration_us += 1;
    let refused = store.append(&run, [without_payloads(changed)].into()).await;
    assert!(matches!(refused, Err(StoreError::Conflict { row: 1, existing_row: 1, .. })), "{refused:?}");
    assert_eq!(all(store, &run).await[0].record, record(1));
}

/// Each repeat and each revision of an item is a record of its own.
pub async fn revisions_and_repeats_are_all_kept(store: &dyn TraceStore) {
    let run = begun(store, "revisions").await;
    let keys = [(1_u64, 0_u32, 0_u32), (1, 0, 1), (1, 1, 0), (2, 0, 0)];
    for (row, repeat, revision) in keys.into_iter().rev() {
        let record = TaskRecord { repeat, revision, ..record(row) };
        store.append(&run, [without_payloads(record)].into()).await.expect("appended");
    }
    let stored: Vec<_> =
        all(store, &run).await.iter().map(|s| (s.record.row, s.record.repeat, s.record.revision)).collect();
    assert_eq!(stored, keys);
}

/// Timeouts, errors, skipped rows, judge errors, missing scores, object scores: all come back as they were.
pub async fn every_kind_of_outcome_survives(store: &dyn TraceStore) {
    let run = begun(store, "outcomes").await;
    let records = outcomes();
    let batch: Vec<_> = records.iter().cloned().map(without_payloads).collect();
    store.append(&run, batch.clone().into()).await.expect("appended");
    let stored: Vec<_> = all(store, &run).await.into_iter().map(|stored| stored.record).collect();
    assert_eq!(stored, records);
    for (stored, commit) in all(store, &run).await.iter().zip(&batch) {
        assert_eq!(stored.leaf, commit.leaf());
        assert_eq!(stored.record.leaf(), commit.leaf(), "the leaf can be recomputed from what is stored");
    }
}

/// One record of each kind of outcome.
fn outcomes() -> Vec<TaskRecord> {
    let error = |kind| ErrorRecord {
        kind,
        code: "http_503".to_owned(),
        message: "the endpoint is \"overloaded\" — é\u{1f600}".to_owned(),
        detail: Some(Payload::from_text("a body").digest()),
    };
    let fault = RowFault {
        kind: RowFaultKind::Oversized,
        message: "data.jsonl, row 4".to_owned(),
        bytes: 9_007_199_254_740_991,
        sha256: ef_model::Digest::of(b"row"),
    };
    let mut records: Vec<_> = (1..=9).map(record).collect();
    let [timeout, failed, skipped, judged @ ..] = records.as_mut_slice() else { unreachable!("there are nine") };
    timeout.trace.outcome = TraceOutcome::Timeout { error: error(ErrorKind::Timeout) };
    failed.trace.outcome = TraceOutcome::Error { error: error(ErrorKind::InvalidOutput) };
    skipped.trace.outcome = TraceOutcome::Skipped { fault };
    skipped.trace.input = None;
    for record in [timeout, failed, skipped] {
        record.judgments.clear();
    }
    let results = [
        JudgmentResult::Error { error: error(ErrorKind::Permanent) },
        JudgmentResult::Pending,
        JudgmentResult::Unscored { rationale: Some(Payload::from_text("why").digest()) },
        JudgmentResult::Scored { score: true.into(), rationale: None },
        JudgmentResult::Scored {
            score: serde_json::from_str::<Score>(r#"{"score":0.1,"tone":"kind é","safe":false}"#).expect("a score"),
            rationale: Some(Payload::from_text("why").digest()),
        },
        JudgmentResult::Scored { score: Score::number(f64::MIN_POSITIVE).expect("finite"), rationale: None },
    ];
    let usages = [
        Usage::cost(0.1 + 0.7),
        Usage { cost_usd: Some(1e-9), input_tokens: Some(9_007_199_254_740_991), output_tokens: Some(0) },
        Usage { output_tokens: Some(7), ..Usage::UNKNOWN },
        Usage::cost(0.0),
        Usage::UNKNOWN,
        Usage { input_tokens: Some(1), ..Usage::UNKNOWN },
    ];
    for ((record, result), usage) in judged.iter_mut().zip(results).zip(usages) {
        record.trace.usage = usage;
        let mut second = record.judgments[0].clone();
        second.judge = crate::judge_identity("second");
        second.result = result;
        second.usage = usage;
        record.judgments.push(second);
    }
    records
}

/// By status, by item, by both.
pub async fn records_are_filtered(store: &dyn TraceStore) {
    let run = begun(store, "filtered").await;
    let batch: Vec<_> = outcomes().into_iter().map(without_payloads).collect();
    store.append(&run, batch.clone().into()).await.expect("appended");
    let mut seen = 0;
    for status in TraceStatus::ALL {
        let stored = filtered(store, &run, &RecordFilter { status: Some(status), item_id: None }).await;
        assert!(stored.iter().all(|stored| stored.record.trace.status() == status));
        seen += stored.len();
    }
    assert_eq!(seen, batch.len());
    let item_id = Some(record(2).item_id);
    let by_item = filtered(store, &run, &RecordFilter { item_id: item_id.clone(), status: None }).await;
    assert_eq!(by_item.iter().map(|stored| stored.record.row).collect::<Vec<_>>(), [2]);
    let by_both = RecordFilter { item_id, status: Some(TraceStatus::Ok) };
    assert_eq!(filtered(store, &run, &by_both).await, []);
}

/// A payload is there after the append that brought it, whichever run that was.
pub async fn payloads_are_found_by_digest_and_shared_by_runs(store: &dyn TraceStore) {
    for run in ["first", "second"] {
        let run = begun(store, run).await;
        store.append(&run, [commit(1), commit(2)].into()).await.expect("appended");
    }
    let [one, two] = [1, 2].map(|row| crate::item(row).input);
    let absent = Payload::from_text("never stored").digest();
    let found = store.payloads(&[two.digest(), absent, one.digest()]).await.expect("readable");
    assert_eq!(found, [Some(two), None, Some(one)]);
}

/// Bytes are bytes.
pub async fn odd_and_large_payloads_survive_to_the_byte(store: &dyn TraceStore) {
    let run = begun(store, "odd").await;
    let texts = [
        "\"\\u0000 \\ud83d\\ude00 \u{1f600} \u{202e} e\u{301}\"".to_owned(),
        " {\"a\" :1.10, \"a b\":[1E+2,  12345678901234567890123]}\n".to_owned(),
        "null".to_owned(),
        format!("\"{}\"", "x".repeat(3 << 20)),
    ];
    let payloads: Vec<_> = texts.iter().map(|text| Payload::parse(text.as_str()).expect("strict JSON")).collect();
    let batch: Vec<_> = payloads
        .iter()
        .zip(1..)
        .map(|(payload, row)| {
            let mut record = record(row);
            record.trace.input = Some(payload.digest());
            TaskCommit::new(record, vec![payload.clone()])
        })
        .collect();
    store.append(&run, batch.clone().into()).await.expect("appended");
    let digests: Vec<_> = payloads.iter().map(Payload::digest).collect();
    let found = store.payloads(&digests).await.expect("readable");
    for (found, text) in found.iter().zip(&texts) {
        let found = found.as_ref().map(Payload::expose);
        assert!(found == Some(text), "a payload of {} bytes has changed", text.len());
    }
}

/// By key, whichever run it was; of several with one key the first; what has no key is not found.
pub async fn judgments_are_found_by_the_keys_that_came_with_them(store: &dyn TraceStore) {
    let key = |text: &str| Digest::of(text.as_bytes());
    let [first, second] = [begun(store, "first").await, begun(store, "second").await];
    let mut two = record(2);
    two.revision = 3;
    two.repeat = 1;
    two.judgments.push(Judgment { judge: crate::judge_identity("other"), ..two.judgments[0].clone() });
    let one = commit(1).with_cache_keys(vec![(0, key("one"))]);
    let two = TaskCommit::new(two, Vec::new()).with_cache_keys(vec![(1, key("two"))]);
    store.append(&first, [one.clone(), two.clone(), commit(3)].into()).await.expect("appended");
    store.append(&first, [one.clone()].into()).await.expect("nothing new");
    let again = commit(4).with_cache_keys(vec![(0, key("one")), (0, key("four"))]);
    store.append(&second, [again.clone()].into()).await.expect("appended");

    let keys = [key("two"), key("never"), key("one"), key("four"), key("two")];
    let found = store.judgments(&keys).await.expect("readable");
    let expected = |run_id: &RunId, commit: &TaskCommit, judgment| {
        let stored = StoredRecord { record: commit.record().clone(), leaf: commit.leaf() };
        Some(FoundJudgment { run_id: run_id.clone(), stored, judgment })
    };
    let two = expected(&first, &two, 1);
    assert_eq!(found, [two.clone(), None, expected(&first, &one, 0), expected(&second, &again, 0), two]);
    assert_eq!(store.judgments(&[]).await.expect("readable"), []);

    // What was refused is not found.
    let impostor = TaskRecord { item_id: record(1).item_id, ..record(9) };
    let refused = TaskCommit::new(impostor, Vec::new()).with_cache_keys(vec![(0, key("refused"))]);
    store.append(&first, [refused].into()).await.expect_err("another row has the item");
    assert_eq!(store.judgments(&[key("refused")]).await.expect("readable"), [None]);
}

/// A completed run is closed for good.
pub async fn a_completed_run_takes_no_more(store: &dyn TraceStore) {
    let run = begun(store, "completed").await;
    store.append(&run, [commit(1)].into()).await.expect("appended");
    let completed = result(&head("completed", 1), RunStatus::Completed);
    store.finish(&completed).await.expect("finished");
    let summary = store.run(&run).await.expect("readable").expect("there");
    assert_eq!((summary.status, summary.result), (RunStatus::Completed, Some(completed)));
    let refused = store.append(&run, [commit(2)].into()).await;
    assert!(matches!(refused, Err(StoreError::RunClosed(_))), "{refused:?}");
    let refused = store.finish(&result(&head("completed", 1), RunStatus::Aborted)).await;
    assert!(matches!(refused, Err(StoreError::RunClosed(_))), "{refused:?}");
    assert_eq!(all(store, &run).await.len(), 1);
}

/// A run that ended early takes more records and can be completed.
pub async fn an_aborted_run_goes_on(store: &dyn TraceStore) {
    let run = begun(store, "aborted").await;
    let aborted = result(&head("aborted", 1), RunStatus::Aborted);
    store.finish(&aborted).await.expect("finished");
    assert_eq!(store.run(&run).await.expect("readable").expect("there").status, RunStatus::Aborted);
    store.resume(&run).await.expect("taken up");
    let untouched = store.run(&run).await.expect("readable").expect("there");
    assert_eq!((untouched.status, untouched.result), (RunStatus::Aborted, Some(aborted)), "nothing is written yet");
    store.append(&run, [commit(1)].into()).await.expect("appended");
    let summary = store.run(&run).await.expect("readable").expect("there");
    assert_eq!((summary.status, summary.result), (RunStatus::Running, None), "it runs again");
    store.finish(&result(&head("aborted", 1), RunStatus::Completed)).await.expect("finished");
    assert_eq!(all(store, &run).await.len(), 1);
}

/// Taking up what is not there or over is refused; the one who began a run may take it up.
pub async fn only_runs_that_are_not_completed_are_taken_up(store: &dyn TraceStore) {
    let absent = RunId::new("absent").expect("an id");
    let refused = store.resume(&absent).await;
    assert!(matches!(refused, Err(StoreError::RunNotFound(id)) if id == absent));
    let run = begun(store, "begun").await;
    store.resume(&run).await.expect("its own run");
    store.finish(&result(&head("begun", 1), RunStatus::Completed)).await.expect("finished");
    let refused = store.resume(&run).await;
    assert!(matches!(refused, Err(StoreError::RunClosed(id)) if id == run));
}

/// Each key once, whatever the number of records.
pub async fn the_keys_of_a_run_are_those_of_its_records(store: &dyn TraceStore) {
    const RECORDS: u64 = 3000;
    let [run, other] = [begun(store, "keys").await, begun(store, "other").await];
    assert_eq!(store.keys(&run).try_collect::<Vec<_>>().await.expect("readable"), []);
    let mut batch: Vec<_> = (1..=RECORDS).map(record).collect();
    for (repeat, revision) in [(1, 0), (0, 1), (0, 2)] {
        batch.push(TaskRecord { repeat, revision, ..record(7) });
    }
    store.append(&run, batch.iter().cloned().map(without_payloads).collect()).await.expect("appended");
    store.append(&other, [commit(9)].into()).await.expect("appended");
    let mut keys: Vec<RecordKey> = store.keys(&run).try_collect().await.expect("readable");
    keys.sort_unstable();
    let mut expected: Vec<_> = batch.iter().map(TaskRecord::key).collect();
    expected.sort_unstable();
    assert!(keys == expected, "{} keys of {} records", keys.len(), expected.len());
}

/// By begin, latest first; a prefix is taken literally.
pub async fn runs_are_listed_latest_first_and_found_by_prefix(store: &dyn TraceStore) {
    for (run, started_at_us) in [("a-1", 20), ("a_2", 30), ("b-1", 10)] {
        store.begin(&head(run, started_at_us)).await.expect("begun");
    }
    let mut found = Vec::new();
    for (prefix, limit) in [("", 10), ("", 2), ("a", 10), ("a-", 10), ("a-1", 10), ("c", 10), ("%", 10)] {
        let runs = store.runs(prefix, limit).await.expect("readable");
        found.push(runs.iter().map(|run| run.head.run_id.to_string()).collect::<Vec<_>>().join(" "));
    }
    assert_eq!(found, ["a_2 a-1 b-1", "a_2 a-1", "a_2 a-1", "a-1", "a-1", "", ""]);
}

/// No records is a valid number of records.
pub async fn an_empty_run_is_a_run(store: &dyn TraceStore) {
    let run = begun(store, "empty").await;
    assert_eq!(all(store, &run).await, []);
    store.finish(&result(&head("empty", 1), RunStatus::Completed)).await.expect("finished");
    assert_eq!(store.payloads(&[]).await.expect("readable"), []);
}

/// A reader never sees a part of a batch.
pub async fn readers_see_whole_batches_while_a_run_is_written(store: &dyn TraceStore) {
    const BATCH: u64 = 10;
    let run = begun(store, "concurrent").await;
    let write = async {
        for first in (1..=20 * BATCH).step_by(10) {
            let batch: Vec<_> = (first..first + BATCH).map(commit).collect();
            store.append(&run, batch.clone().into()).await.expect("appended");
        }
    };
    let read = async {
        for _ in 0..20 {
            let stored = all(store, &run).await;
            assert_eq!(stored.len() as u64 % BATCH, 0, "a part of a batch was seen");
            assert!(stored.iter().all(|stored| stored.record.judgments.len() == 1), "a part of a record was seen");
        }
    };
    futures_util::future::join(write, read).await;
    assert_eq!(all(store, &run).await.len() as u64, 20 * BATCH);
}
