//! Appends that are cut off: by the end of their process, or of whoever waits for them.

use std::time::Duration;

use ef_model::{RunId, TaskCommit, TraceStore};

use super::{Backend, all, append, begun, open, stored, take_over};
use crate::simulation::Chance;
use crate::{commit, head, item};

/// Appends that are cut off, each at another moment.
const CUTS: u64 = 16;
/// Records of a batch.
const BATCH: u64 = 12;

fn batch(number: u64) -> Vec<TaskCommit> {
    let first = number * BATCH + 1;
    (first..first + BATCH).map(commit).collect()
}

/// Begins to append a batch and stops waiting for it after a while; tells whether it was done by then.
async fn cut_off(store: &dyn TraceStore, run: &RunId, number: u64) -> bool {
    // From at once to a little more than an append takes.
    let life = Duration::from_micros(Chance::new(number).of("life").below(if number.is_multiple_of(2) {
        500
    } else {
        12_000
    }));
    tokio::select! {
        biased;
        () = tokio::time::sleep(life) => false,
        done = store.append(run, batch(number).into()) => {
            done.expect("appended");
            true
        }
    }
}

/// Killed at any moment of an append, a store has all of the batch or nothing of it, and all of those before.
pub async fn an_append_that_was_cut_off_is_there_whole_or_not_at_all(backend: &dyn Backend) {
    let run = head("cut", 1).run_id;
    let mut expected = Vec::new();
    let store = open(backend).await;
    begun(&*store, "cut").await;
    backend.kill(store).await;
    for number in 0..CUTS {
        let store = open(backend).await;
        take_over(&*store, &run).await;
        let was_done = cut_off(&*store, &run, number).await;
        backend.kill(store).await;

        let store = open(backend).await;
        // A writer that is gone writes no more once another has the run.
        take_over(&*store, &run).await;
        let found = all(&*store, &run).await;
        let with_batch: Vec<_> = expected.iter().cloned().chain(batch(number).iter().map(stored)).collect();
        assert!(
            found == with_batch || (!was_done && found == expected),
            "cut {number}: {} records, of {} before and a batch of {BATCH}",
            found.len(),
            expected.len()
        );
        let inputs: Vec<_> = found.iter().map(|stored| item(stored.record.row).input).collect();
        let digests: Vec<_> = inputs.iter().map(ef_model::Payload::digest).collect();
        let kept = store.payloads(&digests).await.expect("readable");
        assert!(kept == inputs.into_iter().map(Some).collect::<Vec<_>>(), "cut {number}: a record without its payload");
        expected = found;
        backend.kill(store).await;
    }
}

/// Who does not know what became of an append does it again, with the same store and with the next.
pub async fn an_append_of_unknown_outcome_is_repeated_without_harm(backend: &dyn Backend) {
    let store = open(backend).await;
    let run = begun(&*store, "repeated").await;
    for number in 0..CUTS {
        cut_off(&*store, &run, number).await;
        append(&*store, &run, batch(number)).await;
    }
    cut_off(&*store, &run, CUTS).await;
    backend.kill(store).await;
    let store = open(backend).await;
    take_over(&*store, &run).await;
    append(&*store, &run, batch(CUTS)).await;
    append(&*store, &run, batch(0)).await;
    let expected: Vec<_> = (0..=CUTS).flat_map(batch).map(|commit| stored(&commit)).collect();
    assert_eq!(all(&*store, &run).await, expected);
}
