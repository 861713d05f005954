//! A world in which a run happens, and which ends at a step that was chosen before.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;
use tokio::time::Instant;

use super::Chance;

/// What is to happen in a world.
#[derive(Debug, Clone, Default)]
pub struct WorldPlan {
    /// The step, from 1, at which the process is killed and the power fails.
    pub kill_at: Option<u64>,
    /// The step at which the run is asked to stop.
    pub stop_at: Option<u64>,
    /// The call to a component, from 1, that finds no quota left.
    pub quota_at: Option<u64>,
    /// What a run must keep to.
    pub limits: Limits,
    /// Whether each step is kept as a text.
    pub is_told: bool,
}

/// What a run must keep to, whatever happens.
#[derive(Debug, Clone, Default)]
pub struct Limits {
    /// Tasks with a call in progress, at most.
    pub tasks: usize,
    /// Calls in progress to a component of this name, at most; the evaluator's name is empty.
    pub calls: BTreeMap<String, usize>,
    /// Tasks that were begun and are not durable, at most.
    pub waiting: u64,
    /// Tasks, as row and repeat, that must not be evaluated: they are done.
    pub done: BTreeSet<(u64, u32)>,
    /// What calls may cost in US dollars, at most, each in flight counted at its worst.
    pub cost_usd: Option<f64>,
}

/// Something that can be seen from outside the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// What happens.
    pub what: &'static str,
    /// To which row, or which one of its kind.
    pub which: u64,
    /// Which part of it, such as a repeat or an attempt.
    pub part: u64,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}.{}", self.what, self.which, self.part)
    }
}

/// A world. What it sees is kept for whoever judges the run.
pub struct World {
    plan: WorldPlan,
    state: Mutex<State>,
    dead: watch::Sender<bool>,
}

#[derive(Default)]
struct State {
    began: Option<Instant>,
    steps: u64,
    history: Option<Chance>,
    told: Vec<String>,
    calls: u64,
    stop: Option<Box<dyn FnOnce() + Send>>,
    active: BTreeMap<(u64, u32), usize>,
    active_of: BTreeMap<String, usize>,
    begun: BTreeSet<(u64, u32)>,
    durable: u64,
    money: Money,
    given_up: usize,
    violations: Vec<String>,
}

/// What calls have cost, in US dollars.
#[derive(Debug, Clone, Copy, Default)]
struct Money {
    /// What those that have ended cost, or may have cost.
    spent: f64,
    /// What those in flight can cost.
    at_most: f64,
    /// What those that have ended said that they cost.
    reported: f64,
}

impl State {
    /// The first few tell enough.
    fn broken(&mut self, what: String) {
        if self.violations.len() < 3 {
            self.violations.push(what);
        }
    }
}

impl World {
    /// A world in which this will happen.
    #[must_use]
    pub fn new(plan: WorldPlan) -> Arc<Self> {
        Arc::new(Self { plan, state: Mutex::default(), dead: watch::Sender::new(false) })
    }

    /// Called once, at the step at which the run is to be asked to stop.
    pub fn when_stopping(&self, stop: impl FnOnce() + Send + 'static) {
        self.state().stop = Some(Box::new(stop));
    }

    /// Drives a run for as long as the world lasts. Dropping it is the end of its process.
    pub async fn outlived_by<F: Future>(&self, run: F) -> Option<F::Output> {
        let mut dead = self.dead.subscribe();
        tokio::select! {
            biased;
            _ = dead.wait_for(|dead| *dead) => None,
            ended = run => (!self.is_dead()).then_some(ended),
        }
    }

    /// A step. Where the world ends with it, it never returns.
    pub async fn step(&self, what: &'static str, which: u64, part: u64) {
        if !self.step_now(what, which, part) {
            std::future::pending::<()>().await;
        }
    }

    /// A step of something that cannot wait; whether the world goes on.
    pub fn step_now(&self, what: &'static str, which: u64, part: u64) -> bool {
        let mut state = self.state();
        if self.is_dead() {
            return false;
        }
        state.steps += 1;
        let (step, at) = (Step { what, which, part }, state.steps);
        let elapsed = state.began.get_or_insert_with(Instant::now).elapsed().as_millis();
        let elapsed = u64::try_from(elapsed).unwrap_or(u64::MAX);
        let so_far = state.history.unwrap_or(Chance::new(0));
        state.history = Some(so_far.of(what).at(which).at(part).at(elapsed));
        if self.plan.is_told {
            state.told.push(format!("{at} {elapsed} ms: {step}"));
        }
        let stop = state.stop.take_if(|_| self.plan.stop_at == Some(at));
        drop(state);
        if let Some(stop) = stop {
            stop();
        }
        if self.plan.kill_at == Some(at) {
            self.dead.send_replace(true);
        }
        !self.is_dead()
    }

    /// Whether the world has ended.
    pub fn is_dead(&self) -> bool {
        *self.dead.borrow()
    }

    /// How many steps there were.
    pub fn steps(&self) -> u64 {
        self.state().steps
    }

    /// A number that is made of all steps and the times at which they happened.
    pub fn history(&self) -> u64 {
        self.state().history.map_or(0, Chance::number)
    }

    /// The steps, where the plan says that they are told.
    pub fn told(&self) -> Vec<String> {
        self.state().told.clone()
    }

    /// Something happened that must not happen.
    pub fn violation(&self, what: impl Into<String>) {
        self.state().broken(what.into());
    }

    /// What must not have happened and did.
    pub fn violations(&self) -> Vec<String> {
        self.state().violations.clone()
    }

    /// Tasks have become durable.
    pub fn durable(&self, tasks: u64) {
        self.state().durable += tasks;
    }

    /// What all calls said that they cost, in US dollars.
    pub fn reported_usd(&self) -> f64 {
        self.state().money.reported
    }

    /// How many calls were given up that would have answered.
    pub fn given_up(&self) -> usize {
        self.state().given_up
    }

    /// A call to a component begins, which can cost so many US dollars; it ends when what is returned is dropped. `None`:
    /// there is no quota left.
    pub fn call(self: &Arc<Self>, component: &str, row: u64, repeat: u32, most_usd: f64) -> Option<Call> {
        let limits = &self.plan.limits;
        let mut state = self.state();
        state.calls += 1;
        let is_quota_left = self.plan.quota_at.is_none_or(|at| state.calls < at);
        *state.active.entry((row, repeat)).or_default() += 1;
        let tasks = state.active.len();
        let calls = state.active_of.entry(component.to_owned()).or_default();
        *calls += 1;
        let calls = *calls;
        let mut found = Vec::new();
        if tasks > limits.tasks {
            found.push(format!("{tasks} tasks are in flight, and {} may be", limits.tasks));
        }
        if let Some(&most) = limits.calls.get(component).filter(|&&most| calls > most) {
            found.push(format!("{calls} calls of {component:?} are in flight, and {most} may be"));
        }
        if component.is_empty() {
            if limits.done.contains(&(row, repeat)) {
                found.push(format!("row {row}, repeat {repeat} is done and was evaluated again"));
            }
            state.begun.insert((row, repeat));
            let waiting = (state.begun.len() as u64).saturating_sub(state.durable);
            if waiting > limits.waiting {
                found.push(format!("{waiting} tasks were begun and are not durable, and {} may be", limits.waiting));
            }
        }
        let most_usd = if is_quota_left { most_usd } else { 0.0 };
        state.money.at_most += most_usd;
        let could_cost = state.money.spent + state.money.at_most;
        if let Some(cap) = limits.cost_usd.filter(|cap| could_cost > cap + 1e-9) {
            found.push(format!("calls could cost ${could_cost}, and ${cap} may be spent"));
        }
        found.into_iter().for_each(|what| state.broken(what));
        drop(state);
        let (component, task) = (component.to_owned(), (row, repeat));
        let ends = if is_quota_left { CallEnd::GivenUp } else { CallEnd::Answered { reported_usd: Some(0.0) } };
        let call = Call { world: Arc::clone(self), component, task, most_usd, ends };
        is_quota_left.then_some(call)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call to a component that is in progress.
pub struct Call {
    world: Arc<World>,
    component: String,
    task: (u64, u32),
    most_usd: f64,
    ends: CallEnd,
}

/// How a call ends.
#[derive(Debug, Clone, Copy)]
enum CallEnd {
    /// Nobody waits for its answer any more.
    GivenUp,
    /// It has no answer: it hangs, or panics.
    Silent,
    /// With an answer or a failure, and perhaps with what it cost.
    Answered { reported_usd: Option<f64> },
}

impl Call {
    /// It will give no answer.
    pub fn falls_silent(&mut self) {
        self.ends = CallEnd::Silent;
    }

    /// It answers now, and says what it cost or does not.
    pub fn answers(&mut self, reported_usd: Option<f64>) {
        self.ends = CallEnd::Answered { reported_usd };
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let mut state = self.world.state();
        let reported = match self.ends {
            CallEnd::Answered { reported_usd } => reported_usd,
            CallEnd::Silent | CallEnd::GivenUp => None,
        };
        state.given_up += usize::from(matches!(self.ends, CallEnd::GivenUp));
        state.money.at_most -= self.most_usd;
        state.money.spent += reported.unwrap_or(self.most_usd);
        state.money.reported += reported.unwrap_or(0.0);
        if let Some(calls) = state.active.get_mut(&self.task) {
            *calls -= 1;
            if *calls == 0 {
                state.active.remove(&self.task);
            }
        }
        if let Some(calls) = state.active_of.get_mut(&self.component) {
            *calls -= 1;
        }
    }
}
