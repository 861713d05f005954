//! A seed: its run undisturbed, and its run with everything that goes wrong, to the end.

use std::collections::BTreeSet;
use std::sync::Arc;

use ef_model::{
    DatasetRow, Judgment, RunHead, RunPurpose, RunResult, RunSource, RunStatus, RunUsage, TaskRecord, Trace, Usage,
};
use ef_spec::OnFailure;
use ef_testkit::MemoryStore;
use ef_testkit::simulation::{People, Script};
use futures_util::FutureExt;

use crate::invariants::{self, Timeless, done, is_failed, latest, timeless_latest};
use crate::life::{Begin, Ended, Life, Lived, Stored, edited};
use crate::scenario::{Disturbance, Scenario};

/// Lives after which a run that nothing disturbs any more must have ended.
const PATIENCE: usize = 300;

/// What a seed came to.
#[derive(Debug, Default)]
pub(crate) struct Story {
    /// A digest of everything that happened, and when.
    pub(crate) history: Vec<u64>,
    /// Lives that ended by a kill.
    pub(crate) kills: usize,
    /// The steps of each life, where they were asked for.
    pub(crate) told: Vec<String>,
    /// What must not be.
    pub(crate) broken: Option<String>,
}

/// Plays a seed.
pub(crate) fn play(seed: u64, is_told: bool) -> Story {
    let mut player =
        Player { scenario: Scenario::of(seed), disk: MemoryStore::new(), is_told, lives: 0, story: Story::default() };
    let broken = player.play().err();
    Story { broken, ..player.story }
}

struct Player {
    scenario: Scenario,
    disk: MemoryStore,
    is_told: bool,
    lives: u64,
    story: Story,
}

/// What an undisturbed run of the seed comes to.
#[derive(Clone)]
struct Reference {
    records: Timeless,
    steps: u64,
    result: RunResult,
}

impl Reference {
    fn cost_usd(&self) -> f64 {
        self.result.usage.total().cost_usd.unwrap_or(0.0)
    }
}

/// One run from its begin through all its lives to its end.
struct Saga<'a> {
    head: RunHead,
    disturbances: &'a [Disturbance],
    /// What components do in the first life, and later.
    scripts: [&'a Reference; 2],
    is_retry: bool,
    /// Good records of the source of a run that retries.
    taken_over: Vec<TaskRecord>,
}

impl Player {
    fn play(&mut self) -> Result<(), String> {
        let first = self.reference("undisturbed", self.scenario.script)?;
        let is_needed = self.scenario.is_repaired || self.scenario.then_retry;
        let repaired = if is_needed { self.reference("repaired", self.scenario.repaired)? } else { first.clone() };
        let disturbances = self.scenario.disturbances.clone();
        let is_repaired = self.scenario.is_repaired;
        let saga = Saga {
            head: self.scenario.head("run"),
            disturbances: &disturbances,
            scripts: [&first, if is_repaired { &repaired } else { &first }],
            is_retry: false,
            taken_over: Vec::new(),
        };
        let Some(whole) = self.tell(&saga, is_repaired)? else { return Ok(()) };
        if !is_repaired {
            self.is_as_if_undisturbed(&whole, &first)?;
        }
        if self.scenario.then_retry { self.retry(&whole, &repaired) } else { Ok(()) }
    }

    /// Invariant 2, also of a run that waited for people.
    fn is_as_if_undisturbed(&self, whole: &Stored, undisturbed: &Reference) -> Result<(), String> {
        let result = whole.result().ok_or("a completed run has no result")?;
        let known = |result: &RunResult| {
            let usage = RunUsage { unrecorded_usd: None, ..result.usage.clone() };
            (result.metrics.clone(), result.counts, usage)
        };
        if known(result) != known(&undisturbed.result) {
            return Err(format!(
                "invariant 2: metrics, counts or usage are not those of an undisturbed run:\n{result:?}\n{:?}",
                undisturbed.result
            ));
        }
        // What asking people used is told by the revision that asked them.
        let unused = |records: &Timeless| -> Timeless {
            let people = self.scenario.script.people;
            let unused = |mut record: TaskRecord| {
                let (item_id, repeat) = (record.item_id.clone(), record.repeat);
                let asked = |judgment: &&mut Judgment| people.are_asked(&judgment.judge.name, &item_id, repeat);
                record.judgments.iter_mut().filter(asked).for_each(|judgment| judgment.usage = Usage::UNKNOWN);
                record
            };
            records.iter().map(|(task, record)| (*task, unused(record.clone()))).collect()
        };
        match unused(&timeless_latest(&whole.records)) == unused(&undisturbed.records) {
            true => Ok(()),
            false => Err("invariant 2: the records are not those of an undisturbed run".to_owned()),
        }
    }

    /// A new run that does the failed tasks of this one again.
    fn retry(&mut self, whole: &Stored, repaired: &Reference) -> Result<(), String> {
        let from = &whole.summary.as_ref().ok_or("a completed run is not there")?.head;
        let source = Some(RunSource { run_id: from.run_id.clone(), purpose: RunPurpose::Retry });
        let good = latest(&whole.records).into_values().filter(|record| !is_failed(record));
        let disturbances = self.scenario.retry_disturbances.clone();
        let saga = Saga {
            head: RunHead { source, ..self.scenario.head("again") },
            disturbances: &disturbances,
            scripts: [repaired; 2],
            is_retry: true,
            taken_over: good.map(taken_over).collect(),
        };
        let again = self.tell(&saga, false)?.ok_or("a retried run did not end")?;
        for record in &saga.taken_over {
            if !again.records.iter().any(|stored| stored.record == *record) {
                return Err(format!("the good record of row {} was not taken over", record.row));
            }
        }
        match *whole == self.stored(from) {
            true => Ok(()),
            false => Err("retrying a run changed it".to_owned()),
        }
    }

    fn stored(&self, head: &RunHead) -> Stored {
        Stored::of(&self.disk, &head.run_id).now_or_never().expect("memory does not wait")
    }

    /// The run with these components and nothing going wrong, of the rows that can all be recorded.
    fn reference(&mut self, run_id: &str, script: Script) -> Result<Reference, String> {
        let disk = std::mem::take(&mut self.disk);
        let twin = self.scenario.twins.last().copied();
        let rows = self.scenario.rows.iter().filter(|row| Some(row.row()) != twin).cloned().collect();
        let head = self.scenario.head(run_id);
        let people = People { are_there: true, ..script.people };
        let life = Life {
            scenario: &self.scenario,
            head: head.clone(),
            disk: &self.disk,
            begin: Begin::Run,
            script: Script { people, ..script },
            on_failure: OnFailure::Skip,
            rows,
            done: BTreeSet::new(),
            disturbance: None,
            before: &Stored::default(),
            steps: 0,
            cost_usd: 0.0,
            number: self.lives,
            is_told: self.is_told,
        };
        let lived = life.live();
        self.lives += 1;
        self.note(&format!("{} of {}", shown(Begin::Run), head.run_id), &lived);
        let stored = self.stored(&head);
        self.disk = disk;
        match (lived.ended, lived.violations.as_slice()) {
            (Some(Ended::Ran(Ok(result))), []) if lived.given_up == 0 => {
                Ok(Reference { records: timeless_latest(&stored.records), steps: lived.steps, result })
            }
            (Some(Ended::Ran(Err(error))), []) => Err(format!("undisturbed, it ended early: {error}")),
            (_, violations) => Err(format!("undisturbed, {} given up: {}", lived.given_up, violations.join("; "))),
        }
    }

    /// Lives until the run has ended; nothing when it cannot, as two rows have one item id.
    fn tell(&mut self, saga: &Saga<'_>, retry_errors: bool) -> Result<Option<Stored>, String> {
        for number in 0..PATIENCE {
            let disturbance = saga.disturbances.get(number).copied();
            let before = self.stored(&saga.head);
            let is_last = disturbance.is_none();
            let retry_errors =
                retry_errors && (is_last || self.scenario.chance.of("asks").at(number as u64).percent(50));
            let asks_people = |percent| self.scenario.chance.of("asks people").at(number as u64).percent(percent);
            let begin = match (&before.summary, saga.is_retry) {
                (Some(summary), _) if summary.status == RunStatus::Completed => return Ok(Some(before)),
                (Some(summary), _) if summary.status == RunStatus::Awaiting && (is_last || asks_people(70)) => {
                    Begin::Answer { all: is_last || asks_people(50) }
                }
                // Also of a run that is not at its end.
                (Some(_), _) if !is_last && asks_people(20) => Begin::Answer { all: false },
                (Some(_), _) => Begin::Resume { retry_errors: retry_errors && number > 0 },
                (None, true) => Begin::Retry,
                (None, false) => Begin::Run,
            };
            let progress = before.records.len();
            let after = self.life(saga, number, begin, disturbance, &before)?;
            let status = after.summary.as_ref().map(|summary| summary.status);
            if is_last && status == Some(RunStatus::Awaiting) && !matches!(begin, Begin::Answer { .. }) {
                continue;
            }
            if is_last && status != Some(RunStatus::Completed) {
                if !self.scenario.twins.is_empty() {
                    return Ok(None);
                }
                if after.records.len() <= progress {
                    return Err("the run does not get on, and nothing is in its way".to_owned());
                }
            }
        }
        Err(format!("the run did not end within {PATIENCE} lives"))
    }

    /// One life and its judgement.
    fn life(
        &mut self,
        saga: &Saga<'_>,
        number: usize,
        begin: Begin,
        disturbance: Option<Disturbance>,
        before: &Stored,
    ) -> Result<Stored, String> {
        let (script, expected) = match (saga.is_retry, number, self.scenario.is_repaired) {
            (false, 0, _) | (false, _, false) => (self.scenario.script, saga.scripts[0]),
            _ => (self.scenario.repaired, saga.scripts[1]),
        };
        let mut done = done(&before.records, begin == Begin::Resume { retry_errors: true });
        done.extend(saga.taken_over.iter().map(|record| (record.row, record.repeat)));
        let rows = Arc::clone(&self.scenario.rows);
        let is_answered = matches!(begin, Begin::Answer { .. });
        let disturbance = disturbance.filter(|disturbance| !is_answered || disturbance.is_of_the_store());
        // The records are read twice.
        let steps = if is_answered { 8 + 2 * before.records.len() as u64 } else { expected.steps };
        let (rows, disturbance) = match disturbance {
            Some(changed @ Disturbance::DatasetChanged { at, is_cut }) => {
                match changed_rows(&rows, before, at, is_cut) {
                    Some(rows) if matches!(begin, Begin::Resume { .. }) => (rows, Some(changed)),
                    // There is nothing yet that could differ.
                    _ => (rows, None),
                }
            }
            disturbance => (rows, disturbance),
        };
        let on_failure = self.scenario.spec.runtime.on_failure;
        let life = Life {
            scenario: &self.scenario,
            head: saga.head.clone(),
            disk: &self.disk,
            begin,
            script,
            on_failure,
            rows,
            done,
            disturbance,
            before,
            steps,
            cost_usd: expected.cost_usd(),
            number: self.lives,
            is_told: self.is_told,
        };
        let lived = life.live();
        let after = Stored::of(&self.disk, &saga.head.run_id).now_or_never().expect("memory does not wait");
        let held = invariants::hold(&life, &lived, &after, &expected.records, &saga.taken_over);
        self.lives += 1;
        let told = format!("{} of {}, disturbed by {disturbance:?}", shown(begin), saga.head.run_id);
        self.note(&told, &lived);
        held.map(|()| after).map_err(|broken| format!("{told}: {broken}"))
    }

    fn note(&mut self, told: &str, lived: &Lived) {
        self.story.history.push(lived.history);
        self.story.kills += usize::from(lived.ended.is_none());
        if self.is_told {
            self.story.told.push(told.to_owned());
            self.story.told.extend(lived.told.iter().map(|step| format!("    {step}")));
            let ended = match &lived.ended {
                None => "killed".to_owned(),
                Some(Ended::Ran(Ok(result))) => result.status.to_string(),
                Some(Ended::Ran(Err(error))) => error.to_string(),
                Some(Ended::Answered(Ok(answered))) => format!("{} given, {}", answered.given, answered.status),
                Some(Ended::Answered(Err(error))) => error.to_string(),
            };
            self.story.told.push(format!("  {ended}"));
        }
    }
}

/// A good record as another run takes it over: there it costs nothing.
fn taken_over(record: &TaskRecord) -> TaskRecord {
    let free = |usage: Usage| Usage { cost_usd: usage.cost_usd.map(|_| 0.0), ..Usage::UNKNOWN };
    let mut record = TaskRecord { revision: 0, ..record.clone() };
    record.trace = Trace { usage: free(record.trace.usage), ..record.trace };
    record.judgments.iter_mut().for_each(|judgment| judgment.usage = free(judgment.usage));
    record
}

fn shown(begin: Begin) -> String {
    format!("{begin:?}").to_lowercase()
}

/// The dataset with a change in a row that has a record, where there is one.
fn changed_rows(rows: &[DatasetRow], before: &Stored, at: u64, is_cut: bool) -> Option<Arc<[DatasetRow]>> {
    let recorded: BTreeSet<u64> = before.records.iter().map(|stored| stored.record.row).collect();
    let recorded: Vec<u64> = recorded.into_iter().collect();
    let chosen = *recorded.get(usize::try_from(recorded.len() as u64 * at / 1000).ok()?)?;
    Some(if is_cut {
        rows.iter().filter(|row| row.row() < chosen).cloned().collect()
    } else {
        rows.iter().map(|row| if row.row() == chosen { edited(row) } else { row.clone() }).collect()
    })
}
