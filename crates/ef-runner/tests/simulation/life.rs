//! One life of a process that runs, resumes or retries: what it is given, and what it leaves behind.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ef_metrics::UsageSum;
use ef_model::{
    DatasetRow, Digest, EvalItem, ItemSource, JudgmentResult, Payload, RecordFilter, RunHead, RunId, RunResult,
    RunSummary, RunUsage, SourceError, StoredRecord, TraceStore,
};
use ef_runner::{Answer, AnswerError, Answered, Events, Plan, RunError, RunEvent, RunJudge, Runner};
use ef_spec::{EvalSpec, OnFailure};
use ef_testkit::recorder::Recorder;
use ef_testkit::simulation::{
    Chance, Script, SimulatedEvaluator, SimulatedJudge, StoreFaults, UnreliableStore, World, WorldPlan,
};
use ef_testkit::{MemoryStore, judge_identity};
use futures_util::TryStreamExt;

use crate::invariants::latest;
use crate::scenario::{Disturbance, Scenario};

/// Longer than any run: what takes as long would take for ever.
const FOR_EVER: Duration = Duration::from_secs(365 * 24 * 3600);

/// How a life begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begin {
    Run,
    Resume {
        retry_errors: bool,
    },
    Retry,
    /// People say what they were asked, all of it or a part.
    Answer {
        all: bool,
    },
}

/// What a life is given.
pub(crate) struct Life<'a> {
    pub(crate) scenario: &'a Scenario,
    pub(crate) head: RunHead,
    pub(crate) disk: &'a MemoryStore,
    pub(crate) begin: Begin,
    pub(crate) script: Script,
    pub(crate) on_failure: OnFailure,
    pub(crate) rows: Arc<[DatasetRow]>,
    /// Tasks that must not be evaluated.
    pub(crate) done: BTreeSet<(u64, u32)>,
    pub(crate) disturbance: Option<Disturbance>,
    /// What there is of the run.
    pub(crate) before: &'a Stored,
    /// The steps of an undisturbed life.
    pub(crate) steps: u64,
    /// What an undisturbed life costs, in US dollars.
    pub(crate) cost_usd: f64,
    /// Which life of this seed it is.
    pub(crate) number: u64,
    pub(crate) is_told: bool,
}

/// What a life leaves behind.
#[derive(Debug)]
pub(crate) struct Lived {
    /// How the life ended; nothing when the process was killed.
    pub(crate) ended: Option<Ended>,
    /// What it reported.
    pub(crate) reported: Reported,
    pub(crate) steps: u64,
    pub(crate) history: u64,
    pub(crate) told: Vec<String>,
    pub(crate) violations: Vec<String>,
    /// What its calls said that they cost, in US dollars.
    pub(crate) reported_usd: f64,
    /// Calls that were given up and would have answered.
    pub(crate) given_up: usize,
    /// What it told whoever watched.
    pub(crate) recorder: Option<Recorder>,
}

/// How a life ends that nobody kills.
#[derive(Debug)]
pub(crate) enum Ended {
    Ran(Result<RunResult, RunError>),
    Answered(Result<Answered, AnswerError>),
}

/// What was heard of a run.
#[derive(Debug, Default, Clone)]
pub(crate) struct Reported {
    /// Whether somebody listened to the end.
    pub(crate) is_whole: bool,
    /// The rows of the tasks that were reported as committed, one for each task.
    pub(crate) rows: Vec<u64>,
    /// How many tasks a resumed run said were done already.
    pub(crate) done: Option<u64>,
}

/// What a store has of a run.
#[derive(Debug, Default, Clone, PartialEq)]
pub(crate) struct Stored {
    pub(crate) summary: Option<RunSummary>,
    pub(crate) records: Vec<StoredRecord>,
}

impl Stored {
    pub(crate) async fn of(disk: &MemoryStore, run: &RunId) -> Self {
        let summary = disk.run(run).await.expect("memory can be read");
        let records = disk.records(run, &RecordFilter::default()).try_collect().await.expect("memory can be read");
        Self { summary, records }
    }

    /// How the run ended, where it has.
    pub(crate) fn result(&self) -> Option<&RunResult> {
        self.summary.as_ref().and_then(|summary| summary.result.as_ref())
    }

    /// What the records say that calls used.
    pub(crate) fn used(&self) -> RunUsage {
        let mut sum = UsageSum::default();
        let mut previous = None;
        for StoredRecord { record, .. } in &self.records {
            sum.observe(record, previous);
            previous = Some(record);
        }
        sum.get()
    }

    /// What was spent in all, in US dollars, as far as the store knows.
    pub(crate) fn spent_usd(&self) -> f64 {
        let unrecorded = self.result().and_then(|result| result.usage.unrecorded_usd);
        self.used().total().cost_usd.unwrap_or(0.0) + unrecorded.unwrap_or(0.0)
    }
}

/// The rows of a run's records, one for each.
async fn rows_of(disk: &MemoryStore, run: &RunId) -> Vec<u64> {
    let keys: Vec<_> = disk.keys(run).try_collect().await.expect("memory can be read");
    keys.iter().map(|key| key.row).collect()
}

impl Life<'_> {
    /// Lives it, on a runtime of its own; one life in two with somebody watching, which must change nothing.
    pub(crate) fn live(&self) -> Lived {
        if !self.scenario.chance.of("watched").at(self.number).percent(50) {
            return self.live_watched(None);
        }
        let recorder = Recorder::default();
        tracing::subscriber::with_default(recorder.subscriber(), || self.live_watched(Some(&recorder)))
    }

    fn live_watched(&self, recorder: Option<&Recorder>) -> Lived {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            // Whoever ends the world is heard before anything else happens.
            .event_interval(1)
            .build()
            .expect("a runtime");
        let world = World::new(self.plan());
        let chance = self.scenario.chance.of("life").at(self.number);
        let store = UnreliableStore::new(self.disk, &world, chance, self.faults());
        let reported = Arc::new(Mutex::default());
        let ended = runtime.block_on(self.drive(&world, &store, chance, &reported, recorder));
        // What the process still had goes with it.
        drop(runtime);
        futures_util::FutureExt::now_or_never(store.settle()).expect("memory does not wait");
        let reported = reported.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Lived {
            ended,
            reported,
            steps: world.steps(),
            history: world.history(),
            told: world.told(),
            violations: world.violations(),
            reported_usd: world.reported_usd(),
            given_up: world.given_up(),
            recorder: recorder.cloned(),
        }
    }

    /// What may be spent in this life and was before, in US dollars.
    fn max_cost_usd(&self) -> Option<f64> {
        match self.disturbance {
            Some(Disturbance::Budget { part }) => Some(self.before.spent_usd() + self.cost_usd * part as f64 / 1000.0),
            _ => None,
        }
    }

    async fn drive(
        &self,
        world: &Arc<World>,
        store: &Arc<UnreliableStore>,
        chance: Chance,
        reported: &Arc<Mutex<Reported>>,
        recorder: Option<&Recorder>,
    ) -> Option<Ended> {
        if let Begin::Answer { all } = self.begin {
            let answers = self.answers(chance.of("answers"), all);
            let answering = ef_runner::answer(store.as_ref(), &self.head.run_id, &answers);
            return world.outlived_by(answering).await.map(Ended::Answered);
        }
        let (runner, events) = Runner::new(self.runner_plan(world, store));
        let runner = runner.with_instruments(recorder.map(Recorder::instruments).unwrap_or_default());
        let stopper = runner.stopper();
        world.when_stopping(move || stopper.stop());
        let listener = Listener {
            world: Arc::clone(world),
            disk: self.disk.clone(),
            run: self.head.run_id.clone(),
            before: rows_of(self.disk, &self.head.run_id).await.len(),
            reported: Arc::clone(reported),
        };
        let listening = match chance.of("listens").below(10) {
            0 => None,
            1 => Some(tokio::spawn(listener.listen(events, Duration::from_millis(30)))),
            _ => Some(tokio::spawn(listener.listen(events, Duration::ZERO))),
        };
        let (source, check) = (self.source(world, "row"), self.source(world, "row to check"));
        let run = async {
            match self.begin {
                Begin::Run => runner.run(source).await,
                Begin::Resume { retry_errors } => runner.resume(source, check, retry_errors).await,
                Begin::Retry => runner.retry(source, check).await,
                Begin::Answer { .. } => unreachable!("answers need no runner"),
            }
        };
        let ended = match tokio::time::timeout(FOR_EVER, world.outlived_by(run)).await {
            Ok(ended) => ended,
            Err(_) => {
                world.violation("the run neither ends nor waits for anything that will come");
                None
            }
        };
        if let Some(listening) = listening.filter(|_| ended.is_some()) {
            listening.await.expect("the listener does not panic");
        }
        ended.map(Ended::Ran)
    }

    /// What people say now: what they are asked, and again some of what they have said.
    fn answers(&self, chance: Chance, all: bool) -> Vec<Answer> {
        let people = self.scenario.script.people;
        let mut answers = Vec::new();
        for ((row, repeat), record) in latest(&self.before.records) {
            for judgment in &record.judgments {
                let judge = judgment.judge.name.clone();
                let chance = chance.of(&judge).at(row).at(u64::from(repeat));
                let is_said = match judgment.result {
                    JudgmentResult::Pending => all || chance.percent(50),
                    JudgmentResult::Scored { .. } | JudgmentResult::Unscored { .. } => {
                        people.are_asked(&judge, &record.item_id, repeat) && chance.percent(20)
                    }
                    JudgmentResult::Error { .. } => false,
                };
                if is_said {
                    let verdict = people.verdict(&judge, &record.item_id, repeat);
                    answers.push(Answer { row, repeat, item_id: record.item_id.clone(), judge, verdict });
                }
            }
        }
        answers
    }

    fn runner_plan(&self, world: &Arc<World>, store: &Arc<UnreliableStore>) -> Plan {
        let mut spec: EvalSpec = self.scenario.spec.clone();
        spec.runtime.on_failure = self.on_failure;
        spec.runtime.max_cost_usd = self.max_cost_usd();
        let judge = |name: &String| RunJudge {
            identity: judge_identity(name),
            judge: SimulatedJudge::new(world, self.script, name),
        };
        Plan {
            head: self.head.clone(),
            spec,
            evaluator: SimulatedEvaluator::new(world, self.script),
            judges: self.scenario.judges.iter().map(judge).collect(),
            store: Arc::<UnreliableStore>::clone(store),
        }
    }

    fn source(&self, world: &Arc<World>, what: &'static str) -> Box<dyn ItemSource> {
        let rows = Arc::clone(&self.rows);
        let fails_at = match self.disturbance {
            Some(Disturbance::DatasetFails { at }) => Some(part_of(rows.len() as u64, at)),
            _ => None,
        };
        Box::new(Source { rows, next: 0, fails_at, has_ended: false, what, world: Arc::clone(world) })
    }

    fn plan(&self) -> WorldPlan {
        let step = |at| Some(1 + part_of(self.steps, at));
        let (mut kill_at, mut stop_at, mut quota_at) = (None, None, None);
        match self.disturbance {
            Some(Disturbance::Kill { at }) => kill_at = step(at),
            Some(Disturbance::Stop { at }) => stop_at = step(at),
            Some(Disturbance::StopThenKill { stop, kill }) => (stop_at, kill_at) = (step(stop), step(kill)),
            Some(Disturbance::WriteStalls { kill: Some(at), .. }) => kill_at = step(at),
            Some(Disturbance::QuotaExhausted { at }) => quota_at = Some(1 + part_of(self.rows.len() as u64, at)),
            _ => {}
        }
        // What was spent before is not spent in this world.
        let cost_usd = self.max_cost_usd().map(|cap| cap - self.before.spent_usd());
        let limits = self.scenario.limits(self.done.clone(), cost_usd);
        WorldPlan { kill_at, stop_at, quota_at, limits, is_told: self.is_told }
    }

    fn faults(&self) -> StoreFaults {
        match self.disturbance {
            Some(Disturbance::WriteFails { write, is_gone_then }) => {
                StoreFaults { failing_write: Some(write), is_gone_then, ..StoreFaults::default() }
            }
            Some(Disturbance::WriteStalls { write, .. }) => {
                StoreFaults { stalling_write: Some(write), ..StoreFaults::default() }
            }
            Some(Disturbance::ReadFails { read }) => StoreFaults { failing_read: Some(read), ..StoreFaults::default() },
            _ => StoreFaults::default(),
        }
    }
}

fn part_of(whole: u64, thousandths: u64) -> u64 {
    whole * thousandths / 1000
}

/// The row with another content.
pub(crate) fn edited(row: &DatasetRow) -> DatasetRow {
    match row.clone() {
        DatasetRow::Item(item) => DatasetRow::Item(EvalItem { input: Payload::from_text("edited"), ..item }),
        DatasetRow::Faulty { item_id, row, mut fault } => {
            fault.sha256 = Digest::of(b"edited");
            DatasetRow::Faulty { item_id, row, fault }
        }
    }
}

/// The dataset, each row of which is a step.
struct Source {
    rows: Arc<[DatasetRow]>,
    next: usize,
    /// How many rows can be read.
    fails_at: Option<u64>,
    has_ended: bool,
    what: &'static str,
    world: Arc<World>,
}

impl ItemSource for Source {
    fn next_row(&mut self) -> Result<Option<DatasetRow>, SourceError> {
        let at = self.next as u64;
        self.world.step_now(self.what, at + 1, 0);
        if self.fails_at.is_some_and(|fails_at| at >= fails_at) {
            return Err(SourceError { message: "told to fail".to_owned(), hint: None });
        }
        let row = self.rows.get(self.next).cloned();
        self.next += 1;
        self.has_ended |= row.is_none();
        Ok(row)
    }

    fn skip_to(&mut self, row: u64) -> Result<(), SourceError> {
        while self.rows.get(self.next).is_some_and(|next| next.row() < row) {
            self.next += 1;
        }
        Ok(())
    }

    fn digest(&self) -> Option<Digest> {
        self.has_ended.then(|| Digest::of(b"the dataset"))
    }

    fn may_block(&self) -> bool {
        false
    }
}

/// Hears what a run says, and looks at once whether it is so.
struct Listener {
    world: Arc<World>,
    disk: MemoryStore,
    run: RunId,
    /// Records that were there before.
    before: usize,
    reported: Arc<Mutex<Reported>>,
}

impl Listener {
    async fn listen(self, mut events: Events, pause: Duration) {
        let mut taken_over = 0;
        while let Some(event) = events.next().await {
            match event {
                RunEvent::Resumed { done, .. } => {
                    // A new run that retries another begins with the records that it takes over.
                    let there = rows_of(&self.disk, &self.run).await.len();
                    taken_over = there - self.before;
                    self.heard().done = Some(done);
                }
                RunEvent::Committed { tasks, counts, .. } => {
                    let there = rows_of(&self.disk, &self.run).await;
                    let reported = {
                        let mut heard = self.heard();
                        heard.rows.extend(tasks.iter().map(|task| task.row));
                        heard.rows.len()
                    };
                    let is_there = tasks.iter().all(|task| there.contains(&task.row));
                    if there.len() < self.before + taken_over + reported || !is_there {
                        self.world.violation("a task was reported before it was durable");
                    }
                    if counts.tasks() != reported as u64 {
                        self.world.violation(format!("{reported} tasks were reported and {} counted", counts.tasks()));
                    }
                }
                _ => {}
            }
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
        }
        self.heard().is_whole = true;
    }

    fn heard(&self) -> std::sync::MutexGuard<'_, Reported> {
        self.reported.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
