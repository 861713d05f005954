//! An export is the run itself, in another store: whole, checked, and gone on with where it was.

use std::sync::Arc;

use ef_model::{
    BoxFuture, BoxStream, Digest, MerkleRoot, Payload, RecordFilter, RecordKey, RunHead, RunId, RunResult, RunStatus,
    RunSummary, StoreError, StoredRecord, TaskCommit, TaskRecord, TraceStore,
};
use ef_runner::{ExportError, ExportProgress, ExportSide, Exported, export};
use ef_testkit::{MemoryStore, commit, head, item, record, result};
use futures_util::{StreamExt, TryStreamExt};
use proptest::prelude::*;

use crate::plans::{records, run_id};
use crate::tampered::Tampered;

type Store = Arc<dyn TraceStore>;

fn arc(store: &MemoryStore) -> Store {
    Arc::new(store.reopened())
}

async fn exported(from: &Store, to: &Store) -> Result<Exported, ExportError> {
    export(from, to, &run_id(), &mut |_| {}).await
}

async fn append(store: &MemoryStore, commits: impl IntoIterator<Item = TaskCommit>) {
    store.append(&run_id(), commits.into_iter().collect()).await.expect("appended");
}

/// Ends the run as its records are.
async fn finish(store: &MemoryStore, status: RunStatus) {
    let mut tree = MerkleRoot::new();
    records(store).await.iter().for_each(|stored| tree.push(stored.leaf));
    let head = head("run", 1);
    let mut result = result(&head, status);
    if status == RunStatus::Completed {
        result.records_root = Some(tree.root());
        result.root_digest = Some(RunResult::bind(&head, None, tree.count(), tree.root()));
    }
    store.finish(&result).await.expect("finished");
}

/// A run of these rows that ended so.
async fn ended(rows: std::ops::RangeInclusive<u64>, status: RunStatus) -> MemoryStore {
    let store = MemoryStore::new();
    store.begin(&head("run", 1)).await.expect("begun");
    append(&store, rows.map(commit)).await;
    finish(&store, status).await;
    store
}

async fn assert_same(from: &MemoryStore, to: &MemoryStore) {
    let run = run_id();
    assert_eq!(to.run(&run).await.expect("readable"), from.run(&run).await.expect("readable"));
    let (here, there) = (records(from).await, records(to).await);
    assert!(here == there, "{} records here, and {} there, or others", here.len(), there.len());
    let digests: Vec<Digest> = here.iter().filter_map(|stored| stored.record.trace.input).collect();
    let payloads = to.payloads(&digests).await.expect("readable");
    assert!(payloads.iter().all(Option::is_some), "a payload is missing");
}

#[tokio::test]
async fn a_run_is_brought_over_as_it_stands_whatever_its_end() {
    for status in [RunStatus::Completed, RunStatus::Aborted, RunStatus::Awaiting] {
        let (from, to) = (ended(1..=3000, status).await, MemoryStore::new());
        let mut seen = Vec::new();
        let done = export(&arc(&from), &arc(&to), &run_id(), &mut |progress| seen.push(progress)).await;
        let done = done.expect("exported");
        assert_eq!((done.status, done.records, done.written), (status, 3000, 3000));
        assert_same(&from, &to).await;
        assert!(seen.contains(&ExportProgress::Copied(3000)) && seen.last() == Some(&ExportProgress::Verified(3000)));
        let again = exported(&arc(&from), &arc(&to)).await.expect("there already");
        assert_eq!((again.records, again.written, again.records_root), (3000, 0, done.records_root));
        assert_same(&from, &to).await;
    }
}

#[tokio::test]
async fn a_run_without_records_is_a_run() {
    let store = MemoryStore::new();
    store.begin(&head("run", 1)).await.expect("begun");
    finish(&store, RunStatus::Completed).await;
    let to = MemoryStore::new();
    let done = exported(&arc(&store), &arc(&to)).await.expect("exported");
    assert_eq!((done.records, done.written), (0, 0));
    assert_same(&store, &to).await;
}

#[tokio::test]
async fn what_is_added_to_an_unfinished_run_later_is_brought_over_later() {
    let (from, to) = (ended(1..=50, RunStatus::Awaiting).await, MemoryStore::new());
    exported(&arc(&from), &arc(&to)).await.expect("exported");
    // In the midst of what is there, and behind it.
    append(&from, [TaskCommit::new(TaskRecord { revision: 1, ..record(20) }, vec![]), commit(51)]).await;
    finish(&from, RunStatus::Completed).await;
    let done = exported(&arc(&from), &arc(&to)).await.expect("exported");
    assert_eq!(done.records, 52);
    assert_same(&from, &to).await;
}

#[tokio::test]
async fn what_has_not_ended_or_is_not_there_is_not_exported() {
    let (from, to) = (MemoryStore::new(), MemoryStore::new());
    let absent = exported(&arc(&from), &arc(&to)).await;
    assert!(matches!(&absent, Err(ExportError::Source(StoreError::RunNotFound(_)))), "{absent:?}");
    from.begin(&head("run", 1)).await.expect("begun");
    let running = exported(&arc(&from), &arc(&to)).await;
    assert!(matches!(&running, Err(ExportError::Running { .. })), "{running:?}");
    assert_eq!(to.run(&run_id()).await.expect("readable"), None);
}

#[tokio::test]
async fn another_run_of_that_id_is_left_as_it_is() {
    let from = ended(1..=10, RunStatus::Completed).await;
    let began_otherwise = MemoryStore::new();
    began_otherwise.begin(&head("run", 2)).await.expect("begun");
    let other_record = ended(1..=3, RunStatus::Aborted).await;
    let changed = TaskRecord { trace: ef_model::Trace { attempts: 7, ..record(5).trace }, ..record(5) };
    append(&other_record, [TaskCommit::new(changed, vec![])]).await;
    finish(&other_record, RunStatus::Aborted).await;
    let more = ended(1..=11, RunStatus::Aborted).await;
    let shorter = ended(1..=9, RunStatus::Completed).await;
    for (name, to) in
        [("begin", began_otherwise), ("record", other_record), ("more records", more), ("completed", shorter)]
    {
        let before = (to.run(&run_id()).await.expect("readable"), records(&to).await.len());
        let refused = exported(&arc(&from), &arc(&to)).await;
        assert!(matches!(&refused, Err(ExportError::Different { .. })), "{name}: {refused:?}");
        let after = to.run(&run_id()).await.expect("readable");
        if name == "completed" || name == "begin" {
            assert_eq!((after, records(&to).await.len()), before, "{name}");
        } else {
            assert_ne!(after.map(|run| run.status), Some(RunStatus::Completed), "{name}");
        }
    }
}

#[tokio::test]
async fn a_run_that_somebody_else_writes_there_is_left_to_them() {
    let (from, to) = (ended(1..=10, RunStatus::Completed).await, MemoryStore::new());
    to.begin(&head("run", 1)).await.expect("begun");
    let refused = exported(&arc(&from), &arc(&to)).await;
    assert!(matches!(&refused, Err(ExportError::Target(StoreError::RunBusy(_)))), "{refused:?}");
    to.close().await;
    exported(&arc(&from), &arc(&to)).await.expect("free now");
}

#[tokio::test]
async fn what_is_not_as_it_was_recorded_is_not_made_to_look_so() {
    let from = ended(1..=10, RunStatus::Completed).await;
    let whole = Tampered::new(&from).await;
    let input = item(4).input.digest();
    let cases: [(&str, Tampered); 7] = [
        ("a record", whole.clone().record(3, |record| record.trace.attempts = 9)),
        ("a record and its leaf", whole.clone().record(3, |record| record.trace.attempts = 9).with_new_leaves()),
        ("a lost payload", Tampered { lost: vec![input], ..whole.clone() }),
        ("a damaged payload", Tampered { damaged: vec![input], ..whole.clone() }),
        ("unreadable records", Tampered { broken_at: Some(5), ..whole.clone() }),
        ("a root digest", whole.clone().result(|result| result.root_digest = Some(input))),
        ("a dataset", whole.clone().result(|result| result.dataset_digest = Some(input))),
    ];
    for (name, from) in cases {
        let to = MemoryStore::new();
        let from: Store = Arc::new(from);
        let refused = exported(&from, &arc(&to)).await.expect_err(name);
        assert!(matches!(refused, ExportError::Damaged { side: ExportSide::Source, .. }), "{name}: {refused:?}");
        assert!(!refused.to_string().contains("input 4"), "{name}: a payload is shown: {refused}");
        let status = to.run(&run_id()).await.expect("readable").expect("there").status;
        assert_eq!(status, RunStatus::Running, "{name}: it looks whole");
    }
    let lost = Tampered { records: whole.records[1..].to_vec(), ..whole };
    let refused = exported(&(Arc::new(lost) as Store), &arc(&MemoryStore::new())).await.expect_err("a record is lost");
    assert!(matches!(refused, ExportError::Damaged { side: ExportSide::Source, .. }), "{refused:?}");
}

/// A store that does its work and then gives out something else.
struct Forgetful {
    store: MemoryStore,
    /// A payload that it does not keep.
    forgets: Option<Digest>,
    /// The row whose record it does not keep.
    skips: Option<u64>,
    /// Appends that it takes before it fails.
    appends: Option<usize>,
}

impl Forgetful {
    fn new(store: &MemoryStore) -> Self {
        Self { store: store.reopened(), forgets: None, skips: None, appends: None }
    }
}

impl TraceStore for Forgetful {
    fn begin<'a>(&'a self, head: &'a RunHead) -> BoxFuture<'a, Result<(), StoreError>> {
        self.store.begin(head)
    }

    fn resume<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<(), StoreError>> {
        self.store.resume(run)
    }

    fn append<'a>(&'a self, run: &'a RunId, batch: Arc<[TaskCommit]>) -> BoxFuture<'a, Result<(), StoreError>> {
        if let Some(appends) = self.appends {
            self.store.fail_after(appends.saturating_sub(self.store.batches().len()));
        }
        self.store.append(run, batch)
    }

    fn finish<'a>(&'a self, result: &'a RunResult) -> BoxFuture<'a, Result<(), StoreError>> {
        self.store.finish(result)
    }

    fn run<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<Option<RunSummary>, StoreError>> {
        self.store.run(run)
    }

    fn runs<'a>(&'a self, prefix: &'a str, limit: u32) -> BoxFuture<'a, Result<Vec<RunSummary>, StoreError>> {
        self.store.runs(prefix, limit)
    }

    fn records<'a>(&'a self, run: &'a RunId, filter: &RecordFilter) -> BoxStream<'a, Result<StoredRecord, StoreError>> {
        let kept = |stored: &StoredRecord| Some(stored.record.row) != self.skips;
        self.store.records(run, filter).try_filter(move |stored| std::future::ready(kept(stored))).boxed()
    }

    fn keys<'a>(&'a self, run: &'a RunId) -> BoxStream<'a, Result<RecordKey, StoreError>> {
        self.store.keys(run)
    }

    fn payloads<'a>(&'a self, digests: &'a [Digest]) -> BoxFuture<'a, Result<Vec<Option<Payload>>, StoreError>> {
        Box::pin(async {
            let found = self.store.payloads(digests).await?;
            Ok(found.into_iter().map(|payload| payload.filter(|p| Some(p.digest()) != self.forgets)).collect())
        })
    }
}

#[tokio::test]
async fn what_the_target_does_not_give_back_is_told() {
    let from = ended(1..=10, RunStatus::Completed).await;
    let to = Forgetful::new(&MemoryStore::new());
    for (name, to) in [
        ("a payload", Forgetful { forgets: Some(item(7).input.digest()), ..Forgetful::new(&MemoryStore::new()) }),
        ("a record", Forgetful { skips: Some(7), ..to }),
    ] {
        let told = exported(&arc(&from), &(Arc::new(to) as Store)).await.expect_err(name);
        assert!(matches!(told, ExportError::Damaged { side: ExportSide::Target, .. }), "{name}: {told:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn an_export_that_was_ended_goes_on_and_nothing_is_there_twice(appends in 0_usize..6, records in 1_u64..3000) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let (from, to) = (ended(1..=records, RunStatus::Completed).await, MemoryStore::new());
            let failing = Forgetful { appends: Some(appends), ..Forgetful::new(&to) };
            let failing: Store = Arc::new(failing);
            let first = exported(&arc(&from), &failing).await;
            drop(failing);
            if let Err(error) = &first {
                assert!(matches!(error, ExportError::Target(StoreError::Unavailable { .. })), "{error:?}");
                let status = to.run(&run_id()).await.expect("readable").expect("there").status;
                assert_eq!(status, RunStatus::Running, "it looks whole");
            }
            to.fail_after(usize::MAX);
            let there = records_in(&to).await;
            let done = exported(&arc(&from), &arc(&to)).await.expect("exported");
            assert_eq!(done.written, records - there, "what was there is not written again");
            assert_same(&from, &to).await;
        });
    }
}

async fn records_in(store: &MemoryStore) -> u64 {
    records(store).await.len() as u64
}
