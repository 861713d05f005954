//! Nothing counts before it is durable, and what was made durable stays.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ef_model::{
    BoxFuture, BoxStream, Digest, MerkleRoot, Payload, RecordFilter, RecordKey, RunHead, RunId, RunResult, RunStatus,
    RunSummary, StoreError, StoredRecord, TaskCommit, TraceStore,
};
use ef_runner::{RunError, RunEvent, Runner};
use ef_testkit::{ListSource, MemoryStore, ScriptedEvaluator, item};
use tokio::sync::Semaphore;

use crate::plans::{Setup, echo, good, records, rows, run_id};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_1_a_task_is_reported_only_after_it_is_durable() {
    let store = MemoryStore::new();
    let (runner, mut events) = Runner::new(Setup::new(&store).plan());
    let run = tokio::spawn(runner.run(Box::new(ListSource::of_items(500))));
    let mut reported = 0;
    while let Some(event) = events.next().await {
        if let RunEvent::Committed { tasks, counts, .. } = event {
            reported += tasks.len();
            let durable = rows(&store).await;
            assert!(tasks.iter().all(|task| durable.contains(&task.row)), "a task was reported before it was durable");
            assert_eq!(counts.tasks(), reported as u64);
        }
    }
    assert_eq!(reported, 500);
    run.await.expect("no panic").expect("a result");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_completed_run_binds_its_records_in_row_order() {
    let store = MemoryStore::new();
    let result = Setup::new(&store).run(ListSource::of_items(100)).await.expect("a result");
    let mut tree = MerkleRoot::new();
    for stored in records(&store).await {
        assert_eq!(stored.leaf, stored.record.leaf());
        tree.push(stored.leaf);
    }
    assert_eq!(result.records_root, Some(tree.root()));
    let bound = RunResult::bind(&result.head, result.dataset_digest, 100, tree.root());
    assert_eq!(result.root_digest, Some(bound));
    let summary = store.run(&run_id()).await.expect("readable").expect("there");
    assert_eq!((summary.status, summary.result), (RunStatus::Completed, Some(result)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_4_a_store_that_fails_gives_an_error_and_what_was_committed_stays() {
    let store = MemoryStore::new();
    store.fail_after(3);
    let setup = Setup { runtime: serde_json::json!({"max_concurrent": 1}), ..Setup::new(&store) };
    let (runner, mut events) = Runner::new(setup.plan());
    let run = tokio::spawn(runner.run(Box::new(ListSource::of_items(100_000))));
    let mut reported = 0;
    while let Some(event) = events.next().await {
        if let RunEvent::Committed { tasks, .. } = event {
            reported += tasks.len();
        }
    }
    let error = run.await.expect("no panic").expect_err("the store failed");
    let RunError::Store { error: StoreError::Unavailable { .. }, counts } = error else {
        panic!("the store's error is the run's: {error:?}");
    };
    assert_eq!(counts.tasks(), reported as u64);
    assert_eq!(rows(&store).await.len(), reported);
    assert_eq!(store.run(&run_id()).await.expect("readable").expect("there").result, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_fails_is_told_at_once_and_not_after_the_calls_in_flight() {
    let store = MemoryStore::new();
    store.fail_after(0);
    let setup = Setup {
        evaluator: ScriptedEvaluator::new(|item, _| async move {
            if item.row > 5 {
                std::future::pending::<()>().await;
            }
            Ok(echo(item))
        }),
        ..Setup::new(&store)
    };
    let run = setup.run(ListSource::of_items(50));
    let ended = tokio::time::timeout(Duration::from_secs(20), run).await.expect("before the calls time out");
    assert!(matches!(ended, Err(RunError::Store { error: StoreError::Unavailable { .. }, .. })), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_item_id_from_two_rows_ends_the_run_names_both_and_keeps_the_rest() {
    let store = MemoryStore::new();
    let mut twin = item(40);
    twin.item_id = item(20).item_id;
    let source = (1..40).map(good).chain([ef_model::DatasetRow::Item(twin)]);
    let error = Setup::new(&store).run(ListSource::new(source)).await.expect_err("a conflict");
    let RunError::Store { error: StoreError::Conflict { item_id, row, existing_row }, .. } = error else {
        panic!("a conflict is expected: {error:?}");
    };
    assert_eq!(item_id, item(20).item_id);
    assert_eq!([row, existing_row].iter().sum::<u64>(), 60, "rows 20 and 40, whichever came first");
    assert_eq!(rows(&store).await.len(), 39);
    let summary = store.run(&run_id()).await.expect("readable").expect("there");
    assert_eq!(summary.status, RunStatus::Aborted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_3_a_store_that_stalls_holds_new_tasks_back() {
    const BACKLOG: usize = 4096;
    let started = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&started);
    let memory = MemoryStore::new();
    let gate = Arc::new(Semaphore::new(0));
    let setup = Setup {
        runtime: serde_json::json!({"max_concurrent": 8}),
        evaluator: ScriptedEvaluator::new(move |item, _| {
            counter.fetch_add(1, Ordering::Relaxed);
            async { Ok(echo(item)) }
        }),
        store: Arc::new(StalledStore { store: memory.clone(), gate: Arc::clone(&gate) }),
        ..Setup::new(&memory)
    };
    let (runner, _) = Runner::new(setup.plan());
    let run = tokio::spawn(runner.run(Box::new(ListSource::of_items(20_000))));
    let mut before = usize::MAX;
    while before != started.load(Ordering::Relaxed) {
        before = started.load(Ordering::Relaxed);
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert!((BACKLOG..=BACKLOG + 8).contains(&before), "{before} tasks were started while nothing could be written");
    gate.add_permits(1);
    let result = run.await.expect("no panic").expect("a result");
    assert_eq!(result.counts.ok, 20_000);
}

/// Lets no append through until its gate is opened.
struct StalledStore {
    store: MemoryStore,
    gate: Arc<Semaphore>,
}

impl TraceStore for StalledStore {
    fn begin<'a>(&'a self, head: &'a RunHead) -> BoxFuture<'a, Result<(), StoreError>> {
        self.store.begin(head)
    }

    fn resume<'a>(&'a self, run: &'a RunId) -> BoxFuture<'a, Result<(), StoreError>> {
        self.store.resume(run)
    }

    fn keys<'a>(&'a self, run: &'a RunId) -> BoxStream<'a, Result<RecordKey, StoreError>> {
        self.store.keys(run)
    }

    fn append<'a>(&'a self, run: &'a RunId, batch: Arc<[TaskCommit]>) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let _open = self.gate.acquire().await.expect("never closed");
            self.store.append(run, batch).await
        })
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
        self.store.records(run, filter)
    }

    fn payloads<'a>(&'a self, digests: &'a [Digest]) -> BoxFuture<'a, Result<Vec<Option<Payload>>, StoreError>> {
        self.store.payloads(digests)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_twins_in_one_commit_lose_nothing_else() {
    let store = MemoryStore::new();
    let twins = [(41, 1), (42, 2), (43, 3)].map(|(row, of)| {
        let mut twin = item(row);
        twin.item_id = item(of).item_id;
        ef_model::DatasetRow::Item(twin)
    });
    let error = Setup::new(&store).run(ListSource::new((1..=40).map(good).chain(twins))).await.expect_err("conflicts");
    assert!(matches!(error, RunError::Store { error: StoreError::Conflict { .. }, .. }), "{error:?}");
    assert_eq!(rows(&store).await.len(), 40);
}
