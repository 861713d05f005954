//! What waits to be sent: a bounded queue that holds its producers back while sending goes well, and never otherwise.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::gate::Gate;
use crate::patience::{self, Pace};
use crate::settings::Batching;

/// A bounded queue between those who make things and the one who sends them.
#[derive(Debug)]
pub(crate) struct Queue<T> {
    state: Mutex<State<T>>,
    /// There is a batch, or the end.
    ready: Notify,
    /// There is room, or no use in waiting for it.
    room: Condvar,
    /// Shut while what is made would not fit.
    gate: Arc<Gate>,
    batching: Batching,
    started: Instant,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<T>,
    closed: bool,
    /// The last batch could not be sent.
    failing: bool,
    /// Since when a batch has been under way.
    sending_since: Option<Instant>,
    /// How long the last two took.
    took: [Option<Duration>; 2],
    /// How many producers are held back.
    held: usize,
    /// Since when there has been one.
    held_since: Instant,
    /// For how long there was one, until the last time.
    held_for: Duration,
    /// How many did not fit.
    dropped: u64,
}

impl<T> State<T> {
    fn pace(&self, now: Instant) -> Pace {
        let current = self.sending_since.map(|since| now.saturating_duration_since(since));
        Pace { last: self.took.iter().flatten().min().copied(), current }
    }

    fn held_until(&self, now: Instant) -> Duration {
        self.held_for + if self.held > 0 { now.saturating_duration_since(self.held_since) } else { Duration::ZERO }
    }
}

impl<T> Queue<T> {
    /// An empty one.
    pub(crate) fn new(batching: Batching, started: Instant) -> Self {
        let state = State {
            items: VecDeque::with_capacity(batching.queue.min(1024)),
            closed: false,
            failing: false,
            sending_since: None,
            took: [None; 2],
            held: 0,
            held_since: started,
            held_for: Duration::ZERO,
            dropped: 0,
        };
        Self {
            state: Mutex::new(state),
            ready: Notify::new(),
            room: Condvar::new(),
            gate: Arc::default(),
            batching,
            started,
        }
    }

    /// What whoever makes things may ask before, so as not to make what would be dropped.
    pub(crate) fn gate(&self) -> Arc<Gate> {
        Arc::clone(&self.gate)
    }

    /// How it is sent.
    pub(crate) const fn batching(&self) -> Batching {
        self.batching
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        // A producer that panicked while it held the lock left nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds one; where there is no room, and none is made in the time that may be waited, it is dropped and counted.
    pub(crate) fn push(&self, item: T) {
        let mut state = self.state();
        if state.items.len() >= self.batching.queue {
            state = self.hold_back(state);
        }
        if state.closed || state.items.len() >= self.batching.queue {
            state.dropped += 1;
            self.gate.shut();
            return;
        }
        state.items.push_back(item);
        let is_batch = state.items.len() == self.batching.batch || state.items.len() == 1;
        drop(state);
        if is_batch {
            self.ready.notify_one();
        }
    }

    fn hold_back<'a>(&'a self, mut state: MutexGuard<'a, State<T>>) -> MutexGuard<'a, State<T>> {
        loop {
            let now = Instant::now();
            let is_of_use = !state.closed && !state.failing && state.items.len() >= self.batching.queue;
            let patience = patience::of_a_producer(self.started.elapsed(), state.held_until(now), state.pace(now));
            if !is_of_use || patience.is_zero() {
                return state;
            }
            if state.held == 0 {
                state.held_since = now;
            }
            state.held += 1;
            state = self.room.wait_timeout(state, patience).unwrap_or_else(PoisonError::into_inner).0;
            state.held -= 1;
            if state.held == 0 {
                let held = state.held_since.elapsed();
                state.held_for += held;
            }
        }
    }

    /// The next batch: as soon as it is full, or `delay` after its first, or at the end. `None` once all have been taken
    /// and no more come.
    pub(crate) async fn next(&self, delay: Duration) -> Option<Vec<T>> {
        let mut due = None;
        loop {
            {
                let mut state = self.state();
                let waits = !state.items.is_empty();
                let is_due = due.is_some_and(|due| tokio::time::Instant::now() >= due);
                if state.items.len() >= self.batching.batch || waits && (is_due || state.closed) {
                    let count = state.items.len().min(self.batching.batch);
                    let batch = state.items.drain(..count).collect();
                    state.sending_since = Some(Instant::now());
                    // A batch after a failure is one that is tried. What would take its place is most likely dropped, so
                    // the rest is tried first; the gate is open before there is nothing left to try.
                    if !state.closed && (!state.failing || state.items.len() < self.batching.batch) {
                        self.gate.open();
                    }
                    drop(state);
                    self.room.notify_all();
                    return Some(batch);
                }
                if state.closed {
                    return None;
                }
                if waits {
                    due.get_or_insert_with(|| tokio::time::Instant::now() + delay);
                }
            }
            match due {
                None => self.ready.notified().await,
                // A timeout is what is waited for.
                Some(due) => drop(tokio::time::timeout_at(due, self.ready.notified()).await),
            }
        }
    }

    /// Tells how the batch that was taken fared. Where it could not be sent, nobody waits for room.
    pub(crate) fn sent(&self, well: bool) {
        let mut state = self.state();
        state.took = [state.took[1], state.sending_since.take().map(|since| since.elapsed())];
        state.failing = !well;
        drop(state);
        self.room.notify_all();
    }

    /// Whether the last batch could not be sent.
    pub(crate) fn is_failing(&self) -> bool {
        self.state().failing
    }

    /// Whether sending fails, hangs, or is too slow for those who make things.
    pub(crate) fn is_in_trouble(&self) -> bool {
        let state = self.state();
        let pace = state.pace(Instant::now());
        state.failing || pace.hangs() || state.dropped > 0 && !pace.is_quick()
    }

    /// Takes no more.
    pub(crate) fn close(&self) {
        self.shut(&mut self.state());
        self.ready.notify_one();
        self.room.notify_all();
    }

    /// Takes no more, drops what waits, and returns how many were dropped in all, those that were not made included.
    pub(crate) fn give_up(&self) -> u64 {
        let mut state = self.state();
        self.shut(&mut state);
        state.dropped += state.items.len() as u64;
        state.items.clear();
        state.dropped + self.gate.kept_out()
    }

    fn shut(&self, state: &mut State<T>) {
        state.closed = true;
        self.gate.shut();
    }

    /// Ends when no more are taken.
    pub(crate) async fn closed(&self) {
        while !self.state().closed {
            self.ready.notified().await;
        }
    }
}

#[cfg(test)]
mod tests;
