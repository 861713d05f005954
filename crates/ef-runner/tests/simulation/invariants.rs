//! What must be so after each life of a process, whatever happened in it.

use std::collections::{BTreeMap, BTreeSet};

use ef_metrics::MetricSet;
use ef_model::{
    Counts, JudgmentResult, MerkleRoot, Metric, RunResult, RunStatus, StoreError, StoredRecord, TaskRecord,
    TraceStatus, TraceStore,
};
use ef_runner::{RunError, StopCause};
use ef_spec::{EvalSpec, OnFailure};
use ef_testkit::MemoryStore;
use futures_util::FutureExt;

use crate::life::{Life, Lived, Stored};
use crate::scenario::Disturbance;

/// A record without its times and its revision, by row and repeat.
pub(crate) type Timeless = BTreeMap<(u64, u32), TaskRecord>;

macro_rules! demand {
    ($held:expr, $($told:tt)+) => {
        if !$held {
            return Err(format!($($told)+));
        }
    };
}

/// A record but for its times and its revision.
pub(crate) fn timeless(record: &TaskRecord) -> TaskRecord {
    let mut record = TaskRecord { revision: 0, ..record.clone() };
    (record.trace.started_at_us, record.trace.duration_us) = (0, 0);
    for judgment in &mut record.judgments {
        (judgment.started_at_us, judgment.duration_us) = (0, 0);
    }
    record
}

pub(crate) fn is_failed(record: &TaskRecord) -> bool {
    matches!(record.trace.status(), TraceStatus::Error | TraceStatus::Timeout)
        || record.judgments.iter().any(|judgment| matches!(judgment.result, JudgmentResult::Error { .. }))
}

/// The latest revision of each record.
pub(crate) fn latest(records: &[StoredRecord]) -> BTreeMap<(u64, u32), &TaskRecord> {
    // Records come in the order of revisions: the last one stays.
    records.iter().map(|stored| ((stored.record.row, stored.record.repeat), &stored.record)).collect()
}

pub(crate) fn timeless_latest(records: &[StoredRecord]) -> Timeless {
    latest(records).into_iter().map(|(task, record)| (task, timeless(record))).collect()
}

/// Tasks that are done.
pub(crate) fn done(records: &[StoredRecord], retry_errors: bool) -> BTreeSet<(u64, u32)> {
    let latest = latest(records).into_iter();
    latest.filter(|(_, record)| !retry_errors || !is_failed(record)).map(|(task, _)| task).collect()
}

/// Whether everything is as it must be after this life. `expected` is what components make of each task in it, and
/// `taken_over` what a retried run brings along.
pub(crate) fn hold(
    life: &Life<'_>,
    lived: &Lived,
    before: &Stored,
    after: &Stored,
    expected: &Timeless,
    taken_over: &[TaskRecord],
) -> Result<(), String> {
    demand!(lived.violations.is_empty(), "{}", lived.violations.join("; "));
    let new = new_records(before, after)?;
    nothing_is_there_twice(&after.records)?;
    for stored in &new {
        demand!(stored.record.leaf() == stored.leaf, "the leaf of row {} is not its record's", stored.record.row);
    }
    let new = new.into_iter().map(|stored| &stored.record).filter(|record| !taken_over.contains(record));
    let new: Vec<&TaskRecord> = new.collect();
    for &record in &new {
        let task = (record.row, record.repeat);
        demand!(!life.done.contains(&task), "row {} was done and has a new record", record.row);
        // Which of two rows with one id comes first is chance.
        let known = expected.get(&task).filter(|_| !life.scenario.twins.contains(&record.row));
        demand!(
            known.is_none_or(|known| *known == timeless(record)),
            "invariant 2: the record of row {}, repeat {} is not that of an undisturbed run:\n{record:?}\n{known:?}",
            record.row,
            record.repeat
        );
    }
    let mut reported: BTreeMap<u64, usize> = BTreeMap::new();
    lived.reported.rows.iter().for_each(|&row| *reported.entry(row).or_default() += 1);
    for (row, times) in reported {
        let there = new.iter().filter(|record| record.row == row).count();
        demand!(
            times <= there,
            "invariant 1: row {row} was reported {times} times and has {there} new records afterwards"
        );
    }
    if let Some(told) = lived.reported.done {
        demand!(told == life.done.len() as u64, "{told} tasks are told to be done, and {} are", life.done.len());
    }
    ended_as_it_may(life, lived, before, after, new.len() as u64)
}

/// The records that were not there before; all that were are there as they were.
fn new_records<'a>(before: &Stored, after: &'a Stored) -> Result<Vec<&'a StoredRecord>, String> {
    let mut there: BTreeMap<_, _> = after.records.iter().map(|stored| (stored.record.key(), stored)).collect();
    for stored in &before.records {
        let same = there.remove(&stored.record.key()) == Some(stored);
        demand!(same, "the record of row {} is gone or another", stored.record.row);
    }
    Ok(there.into_values().collect())
}

fn nothing_is_there_twice(records: &[StoredRecord]) -> Result<(), String> {
    let mut previous: Option<&TaskRecord> = None;
    let mut items = BTreeSet::new();
    for StoredRecord { record, .. } in records {
        let item = (record.item_id.clone(), record.repeat, record.revision);
        demand!(items.insert(item), "item {} is there twice", record.item_id);
        let same = previous.filter(|previous| (previous.row, previous.repeat) == (record.row, record.repeat));
        match same {
            Some(same) => {
                demand!(same.revision + 1 == record.revision, "a revision of row {} is missing", record.row);
                demand!(is_failed(same), "row {} was good and has been done again", record.row);
            }
            None => demand!(record.revision == 0, "the first revision of row {} is missing", record.row),
        }
        previous = Some(record);
    }
    Ok(())
}

/// Invariant 4: a result or an error, and nothing between.
fn ended_as_it_may(life: &Life<'_>, lived: &Lived, before: &Stored, after: &Stored, new: u64) -> Result<(), String> {
    let status = after.summary.as_ref().map(|summary| summary.status);
    if let Some(RunStatus::Completed) = status {
        // Also where the process was killed before it could tell.
        let result = after.summary.as_ref().and_then(|summary| summary.result.as_ref());
        is_whole(life, result.ok_or("invariant 4: a completed run has no result")?, after)?;
    }
    let reported = lived.reported.rows.len() as u64;
    let all_heard = lived.reported.is_whole;
    let Some(ended) = &lived.ended else {
        demand!(life.disturbance.is_some(), "the process ended without a reason");
        return Ok(());
    };
    match ended {
        Ok(result) => {
            let stored = after.summary.as_ref().and_then(|summary| summary.result.as_ref());
            demand!(status == Some(RunStatus::Completed), "invariant 4: a result, and the run is {status:?}");
            demand!(stored == Some(result), "invariant 4: the stored result is another one");
            demand!(!all_heard || reported == new, "{reported} tasks were reported, and {new} are new");
        }
        Err(RunError::Unfinished { result, cause, .. }) => {
            demand!(status == Some(RunStatus::Aborted), "invariant 4: ended early, and the run is {status:?}");
            demand!(
                result.metrics.is_empty() && result.records_root.is_none() && result.root_digest.is_none(),
                "invariant 4: a run that ended early looks whole"
            );
            demand!(counts(&after.records) == result.counts, "invariant 4: {:?} is not what is stored", result.counts);
            demand!(!all_heard || reported == new, "{reported} tasks were reported, and {new} are new");
            demand!(may_end(life, cause), "the run ended without a reason: {cause}");
        }
        Err(RunError::NotBegun { .. }) => {
            demand!(life.disturbance.is_some(), "the run did not begin, without a reason");
            demand!(before == after, "not begun, and something was written");
        }
        Err(RunError::DatasetChanged(changed)) => {
            let asked = matches!(life.disturbance, Some(Disturbance::DatasetChanged { .. }));
            demand!(asked, "row {} of an unchanged dataset is said to have changed", changed.row);
            demand!(before == after, "the dataset changed, and something was written");
        }
        Err(RunError::Store { error: StoreError::Conflict { .. }, .. }) => {
            demand!(!life.scenario.twins.is_empty(), "a conflict between items that differ");
            // A store that fails beside it cannot keep the note.
            let is_noted = status == Some(RunStatus::Aborted) || life.disturbance.is_some();
            demand!(is_noted, "a conflict, and the run is {status:?}");
        }
        Err(RunError::Store { counts, error }) => {
            demand!(life.disturbance.is_some(), "the store failed without a reason: {error}");
            demand!(
                counts.tasks() <= new && (!all_heard || counts.tasks() >= reported),
                "invariant 4: {} tasks are told to be durable, {reported} were reported, {new} are new",
                counts.tasks()
            );
        }
    }
    if let Some(Disturbance::DatasetChanged { .. }) = life.disturbance {
        demand!(matches!(ended, Err(RunError::DatasetChanged(_))), "a dataset that changed was not noticed");
    }
    Ok(())
}

/// Whether a run may end early for this.
fn may_end(life: &Life<'_>, cause: &StopCause) -> bool {
    match cause {
        StopCause::TaskFailed { .. } => life.on_failure == OnFailure::Abort,
        StopCause::Interrupted => {
            matches!(life.disturbance, Some(Disturbance::Stop { .. } | Disturbance::StopThenKill { .. }))
        }
        StopCause::Dataset(_) => matches!(life.disturbance, Some(Disturbance::DatasetFails { .. })),
        StopCause::QuotaExhausted { .. } => {
            matches!(life.disturbance, Some(Disturbance::QuotaExhausted { .. }))
        }
        _ => false,
    }
}

/// Whether a completed run has everything, and its result is about what is stored.
fn is_whole(life: &Life<'_>, result: &RunResult, after: &Stored) -> Result<(), String> {
    let rows = life.scenario.rows.iter();
    let tasks = rows.flat_map(|row| (0..life.scenario.repeats(row)).map(|repeat| (row.row(), repeat)));
    let stored: BTreeSet<_> = latest(&after.records).into_keys().collect();
    demand!(stored == tasks.collect(), "invariant 4: a completed run does not have the tasks of its dataset");
    demand!(counts(&after.records) == result.counts, "invariant 4: {:?} is not what is stored", result.counts);
    let mut tree = MerkleRoot::new();
    after.records.iter().for_each(|stored| tree.push(stored.leaf));
    demand!(result.records_root == Some(tree.root()), "the root over the records is another one");
    let bound = RunResult::bind(&result.head, result.dataset_digest, tree.count(), tree.root());
    demand!(result.root_digest == Some(bound), "the root digest does not bind the run");
    demand!(result.dataset_digest.is_some(), "the dataset was read to its end and has no digest");
    let read = metrics(life.disk, &life.scenario.spec, &after.records);
    demand!(read == result.metrics, "the metrics are not those of the stored records");
    Ok(())
}

/// How many of what is stored.
fn counts(records: &[StoredRecord]) -> Counts {
    let mut counts = Counts::default();
    latest(records).into_values().for_each(|record| counts.add(record));
    counts
}

/// The metrics of what is stored.
fn metrics(disk: &MemoryStore, spec: &EvalSpec, records: &[StoredRecord]) -> Vec<Metric> {
    let mut set = MetricSet::new(&spec.scoring, &spec.judges, spec.runtime.seed);
    for record in latest(records).into_values() {
        let digest = record.trace.item_metadata;
        let found = digest.map(|digest| disk.payloads(&[digest]).now_or_never().expect("memory does not wait"));
        let payload = found.and_then(|found| found.expect("memory can be read").pop().flatten());
        set.observe(record, payload.as_ref());
    }
    set.finish(None)
}
