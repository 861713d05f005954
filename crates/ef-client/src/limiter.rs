//! How many calls an endpoint gets at a time.
//!
//! First come, first served. [`Pace`] decides how many there may be; this module hands out the turns.

mod pace;

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::LimitView;
use pace::Pace;

/// The limit of one endpoint and credential.
pub(crate) struct Limiter {
    ceiling: Arc<AtomicU32>,
    state: Mutex<State>,
}

struct State {
    pace: Pace,
    in_flight: u32,
    /// The number of the next call.
    next: u64,
    waiting: VecDeque<oneshot::Sender<Permit>>,
    /// Until when nothing is sent.
    held_until: Option<Instant>,
    /// Whether a task waits for the end of the hold.
    has_timer: bool,
}

impl Limiter {
    /// A limit that never goes above the ceiling.
    pub(crate) fn new(ceiling: Arc<AtomicU32>) -> Self {
        let state = State {
            pace: Pace::new(),
            in_flight: 0,
            next: 1,
            waiting: VecDeque::new(),
            held_until: None,
            has_timer: false,
        };
        Self { ceiling, state: Mutex::new(state) }
    }

    /// A turn, if there is one right now and nobody waits for it.
    pub(crate) fn try_acquire(self: &Arc<Self>) -> Option<Permit> {
        let mut state = self.lock();
        let is_free = state.waiting.is_empty() && state.has_room(self.ceiling());
        is_free.then(|| state.take(self))
    }

    /// Waits for a turn. Dropping the future gives up the place in the queue, or the turn if it has come meanwhile.
    pub(crate) async fn acquire(self: &Arc<Self>) -> Permit {
        loop {
            if let Some(permit) = self.try_acquire() {
                return permit;
            }
            let (sender, turn) = oneshot::channel();
            let needs_timer = {
                let mut state = self.lock();
                state.waiting.push_back(sender);
                state.held_until.is_some() && !state.has_timer
            };
            if needs_timer {
                self.start_timer();
            }
            // Whoever was ahead may have left, and a turn may have come free since it was asked for.
            self.wake();
            if let Ok(permit) = turn.await {
                return permit;
            }
        }
    }

    /// Gives turns to those who wait, as many as there are.
    pub(crate) fn wake(self: &Arc<Self>) {
        loop {
            let Some((sender, permit)) = self.lock().next_turn(self) else { return };
            if let Err(permit) = sender.send(permit) {
                // The one who waited has just left. Were the permit dropped as it is, this would call itself.
                permit.vanish();
                self.lock().in_flight -= 1;
            }
        }
    }

    /// Whether there ever was a call.
    pub(crate) fn was_used(&self) -> bool {
        self.lock().next > 1
    }

    /// How it stands.
    pub(crate) fn view(&self, host: String) -> LimitView {
        let state = self.lock();
        LimitView {
            host,
            in_flight: state.in_flight,
            limit: state.pace.limit(self.ceiling()),
            waiting: state.waiting.iter().filter(|sender| !sender.is_closed()).count(),
            held_until: state.held_until.filter(|until| *until > Instant::now()).map(Instant::into_std),
        }
    }

    fn ceiling(&self) -> u32 {
        self.ceiling.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing is sent until then, or until a later time that was set before.
    fn hold(self: &Arc<Self>, until: Instant) {
        let needs_timer = {
            let mut state = self.lock();
            state.held_until = Some(state.held_until.map_or(until, |before| before.max(until)));
            !state.has_timer
        };
        if needs_timer {
            self.start_timer();
        }
    }

    /// Starts the task that ends the hold. Those who waited before the hold began know nothing of it, so that it takes one.
    fn start_timer(self: &Arc<Self>) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let mut state = self.lock();
        if state.has_timer {
            return;
        }
        state.has_timer = true;
        drop(state);
        runtime.spawn(end_hold(Timer(Arc::clone(self))));
    }
}

impl State {
    fn has_room(&mut self, ceiling: u32) -> bool {
        if let Some(until) = self.held_until {
            if Instant::now() < until {
                return false;
            }
            self.held_until = None;
        }
        self.in_flight < self.pace.limit(ceiling)
    }

    fn take(&mut self, limiter: &Arc<Limiter>) -> Permit {
        self.in_flight += 1;
        let call = self.next;
        self.next += 1;
        self.pace.start(call, self.in_flight, limiter.ceiling());
        Permit { limiter: Some(Arc::clone(limiter)), call, has_succeeded: false }
    }

    fn next_turn(&mut self, limiter: &Arc<Limiter>) -> Option<(oneshot::Sender<Permit>, Permit)> {
        while !self.waiting.is_empty() && self.has_room(limiter.ceiling()) {
            let sender = self.waiting.pop_front()?;
            if !sender.is_closed() {
                return Some((sender, self.take(limiter)));
            }
        }
        None
    }
}

/// The task that ends a hold. Its end, however it comes, lets another one start.
struct Timer(Arc<Limiter>);

impl Drop for Timer {
    fn drop(&mut self) {
        self.0.lock().has_timer = false;
    }
}

async fn end_hold(timer: Timer) {
    let limiter = Arc::clone(&timer.0);
    loop {
        let until = limiter.lock().held_until.filter(|until| *until > Instant::now());
        match until {
            Some(until) => tokio::time::sleep_until(until).await,
            None => break,
        }
    }
    drop(timer);
    limiter.wake();
}

/// A turn. Dropping it ends it.
pub(crate) struct Permit {
    limiter: Option<Arc<Limiter>>,
    call: u64,
    has_succeeded: bool,
}

impl Permit {
    /// The call was answered.
    pub(crate) fn succeed(mut self) {
        self.has_succeeded = true;
    }

    /// The call was refused because there are too many, and the server may have said for how long.
    pub(crate) fn reject(&self, wait: Option<Duration>) {
        let Some(limiter) = &self.limiter else { return };
        {
            let mut state = limiter.lock();
            let (next, ceiling) = (state.next, limiter.ceiling());
            state.pace.reject(self.call, next, ceiling, wait.is_some());
        }
        if let Some(until) = wait.and_then(|wait| Instant::now().checked_add(wait)) {
            limiter.hold(until);
        }
    }

    /// Ends it without a word to anyone.
    fn vanish(mut self) {
        self.limiter = None;
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Some(limiter) = self.limiter.take() else { return };
        let somebody_waits = {
            let mut state = limiter.lock();
            if self.has_succeeded {
                state.pace.succeed(self.call, limiter.ceiling());
            }
            state.in_flight -= 1;
            !state.waiting.is_empty()
        };
        if somebody_waits {
            limiter.wake();
        }
    }
}

#[cfg(test)]
mod tests;
