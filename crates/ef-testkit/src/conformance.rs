//! The trace store contract, one function a promise.
//!
//! [`trace_store_conformance!`](crate::trace_store_conformance) makes a test of each, so that no backend can leave one
//! out. A backend describes itself by [`Backend`]; what it cannot do it says there, and the promise about it becomes one
//! about doing without.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use ef_model::{RecordFilter, RunId, StoreError, StoredRecord, TaskCommit, TaskRecord, TraceStore};
use futures_util::TryStreamExt;

use crate::head;

mod backend;
mod conflicts;
mod crashes;
mod durability;
mod judgments;
mod memory;
mod opening;
mod payloads;
mod reading;
mod records;
mod runs;
mod writers;

pub use backend::{Backend, Capabilities, MemoryBackend};
pub use conflicts::*;
pub use crashes::*;
pub use durability::*;
pub use judgments::*;
pub use memory::*;
pub use opening::*;
pub use payloads::*;
pub use reading::*;
pub use records::*;
pub use runs::*;
pub use writers::*;

/// Makes one test for each promise of [`ef_model::TraceStore`]. The future makes a [`Backend`](crate::conformance::Backend)
/// with nothing in it, anew for each test.
#[macro_export]
macro_rules! trace_store_conformance {
    ($make:expr) => {
        $crate::trace_store_conformance! { @each $make; Beside;
            a_run_begins_once
            append_needs_an_open_run
            a_completed_run_takes_no_more
            a_run_that_ended_early_goes_on
            a_run_that_awaits_verdicts_takes_them_and_is_completed
            only_runs_that_are_not_completed_are_taken_up
            runs_are_listed_latest_first_and_found_by_prefix
            an_empty_run_is_a_run
            records_come_back_whole_and_in_order
            appending_again_changes_nothing
            revisions_and_repeats_are_all_kept
            every_kind_of_outcome_survives
            odd_texts_in_records_survive_to_the_byte
            many_small_batches_are_one_run
            an_item_from_two_rows_is_a_conflict_and_nothing_of_its_batch_is_added
            another_content_for_the_same_record_is_a_conflict
            a_conflict_within_a_batch_adds_nothing
            records_are_filtered
            the_keys_of_a_run_are_those_of_its_records
            readers_see_whole_batches_while_a_run_is_written
            many_readers_read_the_same
            payloads_are_found_by_digest_and_shared_by_runs
            many_payloads_are_given_in_the_order_asked_for
            odd_payloads_survive_to_the_byte
            a_payload_of_sixteen_mebibytes_survives_to_the_byte
            judgments_are_found_by_the_keys_that_came_with_them
            what_was_appended_is_there_when_the_store_is_opened_again
            what_ended_has_ended_when_the_store_is_opened_again
            a_run_has_one_writer_until_it_is_gone
            a_run_that_ended_is_free_for_another_writer
            two_runs_are_written_beside_each_other
            an_append_that_was_cut_off_is_there_whole_or_not_at_all
            an_append_of_unknown_outcome_is_repeated_without_harm
            another_schema_version_is_refused
            what_is_no_store_is_refused
        }
        $crate::trace_store_conformance! { @each $make; Alone;
            records_are_streamed_in_constant_memory
        }
    };
    (@each $make:expr; $company:ident; $($promise:ident)*) => {
        $(
            #[test]
            fn $promise() {
                $crate::conformance::check($crate::conformance::Company::$company, async {
                    let backend = $make.await;
                    $crate::conformance::$promise(&backend).await;
                });
            }
        )*
    };
}

/// What else a test bears in its process at the same time.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Company {
    /// Other tests.
    Beside,
    /// Nothing: it measures the process.
    Alone,
}

/// Runs one promise's test.
#[doc(hidden)]
pub fn check(company: Company, promise: impl Future<Output = ()>) {
    static PROCESS: RwLock<()> = RwLock::new(());
    let _beside = (company == Company::Beside).then(|| PROCESS.read().unwrap_or_else(PoisonError::into_inner));
    let _alone = (company == Company::Alone).then(|| PROCESS.write().unwrap_or_else(PoisonError::into_inner));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(promise);
}

/// How long a run may stay taken after its writer is gone.
const PATIENCE: Duration = Duration::from_secs(30);

async fn open(backend: &dyn Backend) -> Arc<dyn TraceStore> {
    backend.open().await.expect("the store opens")
}

async fn begun(store: &dyn TraceStore, run: &str) -> RunId {
    let head = head(run, 1);
    store.begin(&head).await.expect("the run begins");
    head.run_id
}

/// Takes up a run whose writer is gone, or soon will be.
async fn take_over(store: &dyn TraceStore, run: &RunId) {
    let began = Instant::now();
    loop {
        match store.resume(run).await {
            Ok(()) => return,
            Err(StoreError::RunBusy(_)) if began.elapsed() < PATIENCE => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            Err(error) => panic!("the run of a writer that is gone cannot be taken up: {error}"),
        }
    }
}

async fn append(store: &dyn TraceStore, run: &RunId, batch: Vec<TaskCommit>) {
    store.append(run, batch.into()).await.expect("appended");
}

async fn all(store: &dyn TraceStore, run: &RunId) -> Vec<StoredRecord> {
    filtered(store, run, &RecordFilter::default()).await
}

async fn filtered(store: &dyn TraceStore, run: &RunId, filter: &RecordFilter) -> Vec<StoredRecord> {
    store.records(run, filter).try_collect().await.expect("the records are read")
}

async fn rows(store: &dyn TraceStore, run: &RunId) -> Vec<u64> {
    all(store, run).await.iter().map(|stored| stored.record.row).collect()
}

fn stored(commit: &TaskCommit) -> StoredRecord {
    StoredRecord { record: commit.record().clone(), leaf: commit.leaf() }
}

fn without_payloads(record: TaskRecord) -> TaskCommit {
    TaskCommit::new(record, Vec::new())
}

fn id(run: &str) -> RunId {
    RunId::new(run).expect("a run id")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn no_promise_is_left_out_of_the_macro() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        let text = |path: &Path| std::fs::read_to_string(path).expect("a source");
        let listed = text(&source.join("conformance.rs"));
        let listed: Vec<&str> = listed.lines().map(str::trim).collect();
        let mut promises = 0;
        for entry in std::fs::read_dir(source.join("conformance")).expect("the promises") {
            for line in text(&entry.expect("an entry").path()).lines() {
                let Some(rest) = line.strip_prefix("pub async fn ") else { continue };
                let name = rest.split('(').next().unwrap_or_default();
                assert!(listed.contains(&name), "{name} is in no backend's tests");
                promises += 1;
            }
        }
        assert!(promises > 30, "{promises} promises were found");
    }
}
