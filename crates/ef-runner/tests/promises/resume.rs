//! A run that ended early goes on, to what it would have been.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use ef_model::{
    CallError, DatasetRow, Digest, ErrorKind, EvalItem, Evaluator, EvaluatorOutput, ItemSource, Payload, RunResult,
    RunStatus, SourceError, StoreError, StoredRecord, TaskRecord, TraceStatus, TraceStore,
};
use ef_runner::{RowChange, RunError, RunEvent, Runner};
use ef_testkit::{ListSource, MemoryStore, ScriptedEvaluator, item};

use crate::plans::{Setup, records, rows, run_id};

const ITEMS: u64 = 300;
const HALF: u64 = ITEMS / 2 + 5;

/// An evaluator that echoes, fails for some rows, and notes which rows it was called for.
fn noting(calls: &Arc<Mutex<Vec<u64>>>, fails: impl Fn(u64) -> bool + Send + Sync + 'static) -> Arc<dyn Evaluator> {
    let calls = Arc::clone(calls);
    ScriptedEvaluator::new(move |item, _| {
        calls.lock().unwrap_or_else(PoisonError::into_inner).push(item.row);
        let result = match fails(item.row) {
            true => Err(CallError::permanent("planted", "told to fail")),
            false => Ok(EvaluatorOutput::new(item.input)),
        };
        async move { result }
    })
}

fn called(calls: &Mutex<Vec<u64>>) -> Vec<u64> {
    std::mem::take(&mut *calls.lock().unwrap_or_else(PoisonError::into_inner))
}

/// A run over `ITEMS` items whose evaluator has no quota left half-way, and whose writer is gone then.
async fn broken_off(store: &MemoryStore, evaluator: Arc<dyn Evaluator>) {
    let evaluator = ScriptedEvaluator::new(move |item, context| {
        let evaluator = Arc::clone(&evaluator);
        async move {
            match item.row {
                HALF => Err(CallError::new(ErrorKind::QuotaExhausted, "planted", "told to end")),
                _ => evaluator.evaluate(&item, &context).await,
            }
        }
    });
    let runtime = serde_json::json!({"max_concurrent": 7});
    let setup = Setup { runtime, evaluator, ..Setup::new(&store.reopened()) };
    let ended = setup.run(ListSource::of_items(ITEMS)).await;
    assert!(matches!(ended, Err(RunError::Unfinished { .. })), "{ended:?}");
}

async fn resume_over(
    setup: Setup,
    dataset: impl Fn() -> Box<dyn ItemSource>,
    retry_errors: bool,
) -> Result<RunResult, RunError> {
    let (runner, _) = Runner::new(setup.plan());
    runner.resume(dataset(), dataset(), retry_errors).await
}

fn whole() -> Box<dyn ItemSource> {
    Box::new(ListSource::of_items(ITEMS))
}

/// Records but for their times.
fn timeless(records: Vec<StoredRecord>) -> Vec<TaskRecord> {
    let strip = |stored: StoredRecord| {
        let mut record = stored.record;
        (record.trace.started_at_us, record.trace.duration_us) = (0, 0);
        for judgment in &mut record.judgments {
            (judgment.started_at_us, judgment.duration_us) = (0, 0);
        }
        record
    };
    records.into_iter().map(strip).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_2_a_resumed_run_has_the_records_and_metrics_of_an_undisturbed_one() {
    let undisturbed = MemoryStore::new();
    let expected = Setup::new(&undisturbed).run(ListSource::of_items(ITEMS)).await.expect("a result");

    let store = MemoryStore::new();
    let calls = Arc::default();
    broken_off(&store, noting(&calls, |_| false)).await;
    let done: BTreeSet<u64> = rows(&store).await.into_iter().collect();
    assert!((1..ITEMS).contains(&(done.len() as u64)), "{} items were done", done.len());
    called(&calls);

    let again = store.reopened();
    let setup = Setup { evaluator: noting(&calls, |_| false), ..Setup::new(&again) };
    let result = resume_over(setup, whole, false).await.expect("a result");
    let called: BTreeSet<u64> = called(&calls).into_iter().collect();
    assert!(called.is_disjoint(&done), "a task that was done was done again");
    assert_eq!(called.len() + done.len(), usize::try_from(ITEMS).expect("small"));
    assert_eq!((result.status, result.counts), (RunStatus::Completed, expected.counts));
    assert_eq!((result.metrics, result.dataset_digest), (expected.metrics, expected.dataset_digest));
    assert_eq!(timeless(records(&store).await), timeless(records(&undisturbed).await));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_was_resumed_and_broken_off_again_says_what_it_has_in_all() {
    let store = MemoryStore::new();
    broken_off(&store, ScriptedEvaluator::echo()).await;
    let before = rows(&store).await.len() as u64;
    let again = store.reopened();
    let failing = noting(&Arc::default(), |row| row == ITEMS);
    let runtime = serde_json::json!({"on_failure": "abort"});
    let setup = Setup { runtime, evaluator: failing, ..Setup::new(&again) };
    let ended = resume_over(setup, whole, false).await;
    let Err(RunError::Unfinished { result, .. }) = ended else { panic!("the last item fails: {ended:?}") };
    let stored = rows(&store).await.len() as u64;
    assert!(stored > before);
    assert_eq!(result.counts.tasks(), stored);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_changed_is_refused_by_name_and_nothing_is_written() {
    type Edit = fn(&mut EvalItem);
    let changes: [(RowChange, Edit); 4] = [
        (RowChange::ItemId, |item| item.item_id = item_id("other")),
        (RowChange::Input, |item| item.input = Payload::from_text("other")),
        (RowChange::ReferenceOutput, |item| item.reference_output = Some(Payload::from_text("new"))),
        (RowChange::Metadata, |item| item.metadata = Some(Payload::parse("{}").expect("JSON"))),
    ];
    for (expected, change) in changes {
        let store = MemoryStore::new();
        broken_off(&store, ScriptedEvaluator::echo()).await;
        let (before, summary) = (records(&store).await, store.run(&run_id()).await.expect("readable"));
        let changed_row = before.last().expect("some were done").record.row;
        let dataset = || -> Box<dyn ItemSource> {
            Box::new(ListSource::new((1..=ITEMS).map(|row| {
                let mut item = item(row);
                if row == changed_row {
                    change(&mut item);
                }
                DatasetRow::Item(item)
            })))
        };
        let ended = resume_over(Setup::new(&store.reopened()), dataset, false).await;
        let Err(RunError::DatasetChanged(changed)) = ended else { panic!("{expected:?} was not noticed: {ended:?}") };
        assert_eq!((changed.row, changed.change), (changed_row, expected));
        assert_eq!(records(&store).await, before);
        assert_eq!(store.run(&run_id()).await.expect("readable"), summary);
    }
}

fn item_id(text: &str) -> ef_model::ItemId {
    ef_model::ItemId::new(text).expect("an item id")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dataset_that_lost_rows_is_refused() {
    let store = MemoryStore::new();
    broken_off(&store, ScriptedEvaluator::echo()).await;
    let ended = resume_over(Setup::new(&store.reopened()), || Box::new(ListSource::of_items(2)), false).await;
    let Err(RunError::DatasetChanged(changed)) = ended else { panic!("rows are gone: {ended:?}") };
    assert_eq!(changed.change, RowChange::Gone);
}

/// Delivers its rows, and its end only when it is allowed to.
struct Gated(ListSource, std::sync::mpsc::Receiver<()>);

impl ItemSource for Gated {
    fn next_row(&mut self) -> Result<Option<DatasetRow>, SourceError> {
        let row = self.0.next_row()?;
        if row.is_none() {
            let _ = self.1.recv();
        }
        Ok(row)
    }
    fn skip_to(&mut self, row: u64) -> Result<(), SourceError> {
        self.0.skip_to(row)
    }
    fn digest(&self) -> Option<Digest> {
        self.0.digest()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_items_start_while_old_ones_are_checked_and_are_written_only_afterwards() {
    let store = MemoryStore::new();
    broken_off(&store, ScriptedEvaluator::echo()).await;
    let before = rows(&store).await.len();
    let again = store.reopened();
    let (started, mut first_start) = tokio::sync::mpsc::unbounded_channel();
    let evaluator = ScriptedEvaluator::new(move |item, _| {
        let _ = started.send(item.row);
        async move { Ok(EvaluatorOutput::new(item.input)) }
    });
    let (runner, _) = Runner::new(Setup { evaluator, ..Setup::new(&again) }.plan());
    let (allow, allowed) = std::sync::mpsc::channel();
    let check = Box::new(Gated(ListSource::of_items(ITEMS), allowed));
    let run = tokio::spawn(runner.resume(whole(), check, false));
    for _ in before..usize::try_from(ITEMS).expect("small") {
        first_start.recv().await.expect("an item starts");
    }
    assert_eq!(rows(&store).await.len(), before, "something was written before the check was over");
    allow.send(()).expect("the check waits");
    run.await.expect("no panic").expect("a result");
    assert_eq!(rows(&store).await.len(), usize::try_from(ITEMS).expect("small"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failed_tasks_are_done_again_as_the_next_revision_when_asked() {
    let store = MemoryStore::new();
    let calls = Arc::default();
    broken_off(&store, noting(&calls, |row| row % 10 == 0)).await;
    let failed: Vec<u64> = failed_rows(&store).await;
    called(&calls);
    let setup = Setup { evaluator: noting(&calls, |_| false), ..Setup::new(&store.reopened()) };
    let result = resume_over(setup, whole, true).await.expect("a result");
    assert_eq!((result.counts.ok, result.counts.error), (ITEMS, 0));
    assert_eq!(result.metrics[0].n, ITEMS);
    let called: BTreeSet<u64> = called(&calls).into_iter().collect();
    assert!(failed.iter().all(|row| called.contains(row)));
    let stored = records(&store).await;
    assert_eq!(stored.len() as u64, ITEMS + failed.len() as u64, "what failed is kept");
    let revised = stored.iter().filter(|stored| stored.record.revision == 1).map(|stored| stored.record.row);
    assert_eq!(revised.collect::<Vec<_>>(), failed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_being_asked_failed_tasks_stay_as_they_are() {
    let store = MemoryStore::new();
    broken_off(&store, noting(&Arc::default(), |row| row % 10 == 0)).await;
    let failed = failed_rows(&store).await;
    assert!(!failed.is_empty());
    let result = resume_over(Setup::new(&store.reopened()), whole, false).await.expect("a result");
    assert_eq!(result.counts.error, failed.len() as u64);
}

async fn failed_rows(store: &MemoryStore) -> Vec<u64> {
    let failed = |stored: &StoredRecord| stored.record.trace.status() == TraceStatus::Error;
    records(store).await.iter().filter(|stored| failed(stored)).map(|stored| stored.record.row).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_completed_run_and_one_that_is_being_written_are_not_taken_up() {
    let store = MemoryStore::new();
    broken_off(&store, ScriptedEvaluator::echo()).await;
    store.resume(&run_id()).await.expect("free");
    let busy = resume_over(Setup::new(&store.reopened()), whole, false).await;
    assert!(matches!(busy, Err(RunError::Store { error: StoreError::RunBusy(_), .. })), "{busy:?}");
    resume_over(Setup::new(&store), whole, false).await.expect("its own");
    let closed = resume_over(Setup::new(&store), whole, false).await;
    assert!(matches!(closed, Err(RunError::Store { error: StoreError::RunClosed(_), .. })), "{closed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_listens_hears_how_much_is_done_already() {
    let store = MemoryStore::new();
    broken_off(&store, ScriptedEvaluator::echo()).await;
    let before = rows(&store).await.len() as u64;
    let (runner, mut events) = Runner::new(Setup::new(&store).plan());
    let run = tokio::spawn(runner.resume(whole(), whole(), false));
    let first = events.next().await;
    assert!(matches!(first, Some(RunEvent::Resumed { done, .. }) if done == before), "{first:?}");
    drop(events);
    run.await.expect("no panic").expect("a result");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_of_a_row_far_beyond_the_dataset_is_refused_at_once() {
    for row in [1 << 40, u64::MAX] {
        let store = MemoryStore::new();
        broken_off(&store, ScriptedEvaluator::echo()).await;
        store.append(&run_id(), [ef_testkit::commit(row)].into()).await.expect("appended");
        let resumed = resume_over(Setup::new(&store.reopened()), whole, false);
        let ended = tokio::time::timeout(std::time::Duration::from_secs(20), resumed).await.expect("no endless search");
        let Err(RunError::DatasetChanged(changed)) = ended else { panic!("there is no such row: {ended:?}") };
        assert_eq!((changed.row, changed.change), (row, RowChange::Gone));
    }
}
