//! What must be so after each life of a process, whatever happened in it.

use std::collections::{BTreeMap, BTreeSet};

use ef_metrics::MetricSet;
use ef_model::{
    Counts, JudgmentResult, MerkleRoot, Metric, RunResult, RunStatus, RunUsage, StoreError, StoredRecord, TaskRecord,
    TraceStatus, TraceStore,
};
use ef_runner::{AnswerError, Answered, RunError, StopCause};
use ef_spec::{EvalSpec, OnFailure};
use ef_testkit::MemoryStore;
use futures_util::FutureExt;

use crate::life::{Begin, Ended, Life, Lived, Stored};
use crate::scenario::Disturbance;
use crate::spans;

/// A record without its times and its revision, by row and repeat.
pub(crate) type Timeless = BTreeMap<(u64, u32), TaskRecord>;

macro_rules! demand {
    ($held:expr, $($told:tt)+) => {
        if !$held {
            return Err(format!($($told)+));
        }
    };
}
pub(crate) use demand;

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
    after: &Stored,
    expected: &Timeless,
    taken_over: &[TaskRecord],
) -> Result<(), String> {
    let before = life.before;
    demand!(lived.violations.is_empty(), "{}", lived.violations.join("; "));
    let new = new_records(before, after)?;
    nothing_is_there_twice(&after.records)?;
    for stored in &new {
        demand!(stored.record.leaf() == stored.leaf, "the leaf of row {} is not its record's", stored.record.row);
    }
    let new = new.into_iter().map(|stored| &stored.record).filter(|record| !taken_over.contains(record));
    let new: Vec<&TaskRecord> = new.collect();
    spans::hold(life, lived, &new)?;
    if let Begin::Answer { all } = life.begin {
        answers_are_taken(life, before, &new)?;
        return answered_as_it_may(life, lived, after, all);
    }
    for &record in &new {
        let task = (record.row, record.repeat);
        demand!(!life.done.contains(&task), "row {} was done and has a new record", record.row);
        // Which of two rows with one id comes first is chance.
        let known = expected.get(&task).filter(|_| !life.scenario.twins.contains(&record.row));
        demand!(
            known.is_none_or(|known| waiting(life, known) == timeless(record)),
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
    money_is_accounted_for(life, lived, after)?;
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
                let is_new = is_failed(same) || is_answer(same, record);
                demand!(is_new, "row {} was good and has been done again", record.row);
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
    if let Some(RunStatus::Completed | RunStatus::Awaiting) = status {
        // Also where the process was killed before it could tell.
        is_whole(life, after.result().ok_or("invariant 4: a completed run has no result")?, after)?;
    }
    let reported = lived.reported.rows.len() as u64;
    let all_heard = lived.reported.is_whole;
    let Some(ended) = &lived.ended else {
        demand!(life.disturbance.is_some(), "the process ended without a reason");
        return Ok(());
    };
    let Ended::Ran(ended) = ended else { return Err("nobody answered anything".to_owned()) };
    // What can be kept nowhere is not waited for.
    let is_kept = matches!(ended, Ok(_) | Err(RunError::Unfinished { .. }));
    demand!(lived.given_up == 0 || !is_kept, "{} calls were given up before they could answer", lived.given_up);
    match ended {
        Ok(result) => {
            let whole = matches!(result.status, RunStatus::Completed | RunStatus::Awaiting);
            demand!(whole && status == Some(result.status), "invariant 4: a result, and the run is {status:?}");
            demand!(after.result() == Some(result), "invariant 4: the stored result is another one");
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
        StopCause::BudgetSpent { .. } => matches!(life.disturbance, Some(Disturbance::Budget { .. })),
        _ => false,
    }
}

/// A record as it is while people are still to say what they will have said in it.
fn waiting(life: &Life<'_>, known: &TaskRecord) -> TaskRecord {
    let mut record = known.clone();
    for judgment in &mut record.judgments {
        let are_asked = life.script.people.are_asked(&judgment.judge.name, &record.item_id, record.repeat);
        if are_asked && !matches!(judgment.result, JudgmentResult::Error { .. }) {
            judgment.result = JudgmentResult::Pending;
        }
    }
    record
}

/// Whether a revision adds verdicts of people to the one before it, and nothing else.
fn is_answer(before: &TaskRecord, after: &TaskRecord) -> bool {
    let mut given = 0;
    let pairs = before.judgments.iter().zip(&after.judgments);
    let are_same = { pairs }.all(|(before, after)| {
        let is_said = matches!(after.result, JudgmentResult::Scored { .. } | JudgmentResult::Unscored { .. });
        let is_given = before.result == JudgmentResult::Pending && is_said;
        given += usize::from(is_given);
        before == after || (is_given && before.judge == after.judge && before.started_at_us == after.started_at_us)
    });
    are_same && given > 0 && before.trace == after.trace && before.judgments.len() == after.judgments.len()
}

/// Each new record is what people said of the latest revision.
fn answers_are_taken(life: &Life<'_>, before: &Stored, new: &[&TaskRecord]) -> Result<(), String> {
    let known = latest(&before.records);
    for record in new {
        let earlier = known.get(&(record.row, record.repeat));
        demand!(earlier.is_some_and(|earlier| is_answer(earlier, record)), "row {} was done again", record.row);
        for judgment in &record.judgments {
            let people = life.script.people;
            let is_theirs = people.are_asked(&judgment.judge.name, &record.item_id, record.repeat);
            if let (true, JudgmentResult::Scored { score, .. }) = (is_theirs, &judgment.result) {
                let said = people.verdict(&judgment.judge.name, &record.item_id, record.repeat).score;
                demand!(said.as_ref() == Some(score), "row {} has another verdict than was given", record.row);
            }
        }
    }
    Ok(())
}

/// A run that was answered has all of the answers or none, and is completed when nothing is pending.
fn answered_as_it_may(life: &Life<'_>, lived: &Lived, after: &Stored, all: bool) -> Result<(), String> {
    let status_before = life.before.summary.as_ref().map(|summary| summary.status);
    let status = after.summary.as_ref().map(|summary| summary.status);
    if let Some(RunStatus::Completed | RunStatus::Awaiting) = status {
        is_whole(life, after.result().ok_or("invariant 4: a completed run has no result")?, after)?;
    }
    match &lived.ended {
        None | Some(Ended::Answered(Err(AnswerError::Store(_)))) => {
            demand!(life.disturbance.is_some(), "answers were not taken, without a reason");
        }
        Some(Ended::Answered(Ok(Answered { given, pending, status: told, result, .. }))) => {
            let added = after.records.len() - life.before.records.len();
            demand!(*given >= added as u64 && (*given == 0) == (added == 0), "{given} were given, {added} added");
            demand!(counts(&after.records).pending == *pending, "{pending} are said to be pending");
            demand!(!all || *pending == 0, "all was answered, and {pending} are pending");
            demand!(status == Some(*told), "the run is {status:?}, and is said to be {told}");
            demand!(after.result() == result.as_ref(), "invariant 4: the stored result is another one");
            let is_completed = status_before == Some(RunStatus::Awaiting) && *pending == 0;
            let expected = if is_completed { Some(RunStatus::Completed) } else { status_before };
            demand!(status == expected, "the run was {status_before:?} and is {status:?}");
        }
        Some(ended) => return Err(format!("answers were refused: {ended:?}")),
    }
    Ok(())
}

/// What calls said that they cost is in the records, or told as unrecorded.
fn money_is_accounted_for(life: &Life<'_>, lived: &Lived, after: &Stored) -> Result<(), String> {
    let Some(Ended::Ran(Ok(_) | Err(RunError::Unfinished { .. }))) = &lived.ended else { return Ok(()) };
    let result = after.result().ok_or("a run that ended has no result")?;
    let used = RunUsage { unrecorded_usd: result.usage.unrecorded_usd, ..after.used() };
    demand!(result.usage == used, "the result tells {:?}, and the records {used:?}", result.usage);
    let (before, after) = (life.before.spent_usd(), after.spent_usd());
    let accounted = (before + lived.reported_usd - after).abs() < 1e-9;
    demand!(accounted, "{before} and {} were spent, and {after} is told", lived.reported_usd);
    Ok(())
}

/// Whether a completed run has everything, and its result is about what is stored.
fn is_whole(life: &Life<'_>, result: &RunResult, after: &Stored) -> Result<(), String> {
    let rows = life.scenario.rows.iter();
    let tasks = rows.flat_map(|row| (0..life.scenario.repeats(row)).map(|repeat| (row.row(), repeat)));
    let stored: BTreeSet<_> = latest(&after.records).into_keys().collect();
    demand!(stored == tasks.collect(), "invariant 4: a completed run does not have the tasks of its dataset");
    demand!(counts(&after.records) == result.counts, "invariant 4: {:?} is not what is stored", result.counts);
    demand!(result.dataset_digest.is_some(), "the dataset was read to its end and has no digest");
    demand!((result.status == RunStatus::Awaiting) == (result.counts.pending > 0), "{:?}", result.status);
    if result.status == RunStatus::Awaiting {
        let is_bare = result.metrics.is_empty() && result.records_root.is_none() && result.root_digest.is_none();
        demand!(is_bare, "invariant 4: a run that waits for people looks whole");
        return Ok(());
    }
    let mut tree = MerkleRoot::new();
    after.records.iter().for_each(|stored| tree.push(stored.leaf));
    demand!(result.records_root == Some(tree.root()), "the root over the records is another one");
    let bound = RunResult::bind(&result.head, result.dataset_digest, tree.count(), tree.root());
    demand!(result.root_digest == Some(bound), "the root digest does not bind the run");
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
