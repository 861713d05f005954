//! Records: whole, in order, each once.

use ef_model::{ItemId, TaskCommit, TaskRecord, TraceOutcome};

use super::{Backend, all, append, begun, open, rows, stored, without_payloads};
use crate::samples::outcomes;
use crate::{commit, record};

/// What was appended in any order is read in row order, equal to what was appended, with its leaf.
pub async fn records_come_back_whole_and_in_order(backend: &dyn Backend) {
    let store = open(backend).await;
    let run = begun(&*store, "whole").await;
    for rows in [[3_u64, 300, 2].as_slice(), &[1], &[250, 4, 9_007_199_254_740_991]] {
        append(&*store, &run, rows.iter().map(|&row| commit(row)).collect()).await;
    }
    append(&*store, &run, Vec::new()).await;
    let expected: Vec<_> = [1, 2, 3, 4, 250, 300, 9_007_199_254_740_991].map(|row| stored(&commit(row))).into();
    assert_eq!(all(&*store, &run).await, expected);
}

/// A batch that is sent again, alone or with new records, adds only what is new.
pub async fn appending_again_changes_nothing(backend: &dyn Backend) {
    let store = open(backend).await;
    let run = begun(&*store, "again").await;
    append(&*store, &run, vec![commit(1), commit(2)]).await;
    append(&*store, &run, vec![commit(2), commit(1)]).await;
    append(&*store, &run, vec![commit(2), commit(3), commit(3)]).await;
    assert_eq!(all(&*store, &run).await, [1, 2, 3].map(|row| stored(&commit(row))));
}

/// Each repeat and each revision of an item is a record of its own.
pub async fn revisions_and_repeats_are_all_kept(backend: &dyn Backend) {
    let store = open(backend).await;
    let run = begun(&*store, "revisions").await;
    let keys = [(1_u64, 0_u32, 0_u32), (1, 0, 1), (1, 1, 0), (2, 0, 0)];
    for (row, repeat, revision) in keys.into_iter().rev() {
        append(&*store, &run, vec![without_payloads(TaskRecord { repeat, revision, ..record(row) })]).await;
    }
    let found: Vec<_> =
        all(&*store, &run).await.iter().map(|s| (s.record.row, s.record.repeat, s.record.revision)).collect();
    assert_eq!(found, keys);
}

/// Timeouts, errors, skipped rows, judge errors, missing scores, object scores, verdicts that are still to come, and what
/// all of them cost: all come back as they were, and their leaves can be recomputed.
pub async fn every_kind_of_outcome_survives(backend: &dyn Backend) {
    let store = open(backend).await;
    let run = begun(&*store, "outcomes").await;
    let batch: Vec<TaskCommit> = outcomes().into_iter().map(without_payloads).collect();
    append(&*store, &run, batch.clone()).await;
    let found = all(&*store, &run).await;
    assert_eq!(found, batch.iter().map(stored).collect::<Vec<_>>());
    for stored in found {
        assert_eq!(stored.record.leaf(), stored.leaf, "the leaf can be recomputed from what is stored");
    }
}

/// Item ids and messages are any text.
pub async fn odd_texts_in_records_survive_to_the_byte(backend: &dyn Backend) {
    const TEXTS: [&str; 8] = [
        "\u{202e}desrever \u{2066}iso\u{2069}",
        "\u{1f600}\u{10ffff}",
        "e\u{301} is not \u{e9}",
        "'; DROP TABLE runs; --",
        "\\u0000 \\N \\. {}[],;|",
        " \u{a0}blank\u{3000} ",
        "\u{feff}\u{fffd}\u{200b}",
        "%_*?",
    ];
    let store = open(backend).await;
    let run = begun(&*store, "texts").await;
    let batch: Vec<TaskCommit> = TEXTS
        .iter()
        .zip(1..)
        .map(|(text, row)| {
            let mut record = record(row);
            record.item_id = ItemId::new(*text).expect("an item id");
            let mut failed = outcomes().swap_remove(1).trace.outcome;
            if let TraceOutcome::Error { error } = &mut failed {
                // A message may have what an item id may not.
                error.message = format!("{text}\n\t\u{0}\u{7f}\"{text}\"");
            }
            record.trace.outcome = failed;
            record.judgments.clear();
            without_payloads(record)
        })
        .collect();
    append(&*store, &run, batch.clone()).await;
    assert_eq!(all(&*store, &run).await, batch.iter().map(stored).collect::<Vec<_>>());
    for (text, row) in TEXTS.iter().zip(1..) {
        let filter = ef_model::RecordFilter { item_id: Some(ItemId::new(*text).expect("an item id")), status: None };
        let found = super::filtered(&*store, &run, &filter).await;
        assert_eq!(found.iter().map(|stored| stored.record.row).collect::<Vec<_>>(), [row], "{text:?}");
    }
}

/// What is written task by task is the same as what is written at once.
pub async fn many_small_batches_are_one_run(backend: &dyn Backend) {
    const RECORDS: u64 = 60;
    let store = open(backend).await;
    let run = begun(&*store, "small").await;
    // Not in the order of the rows: 7 and 61 have no common divisor.
    for step in 1..=RECORDS {
        append(&*store, &run, vec![commit(step * 7 % (RECORDS + 1))]).await;
    }
    assert_eq!(rows(&*store, &run).await, (1..=RECORDS).collect::<Vec<_>>());
    let completed = crate::result(&crate::head("small", 1), ef_model::RunStatus::Completed);
    store.finish(&completed).await.expect("finished");
    let expected: Vec<_> = (1..=RECORDS).map(|row| stored(&commit(row))).collect();
    assert_eq!(all(&*store, &run).await, expected, "finishing changes no record");
}
