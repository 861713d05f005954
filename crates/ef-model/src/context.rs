//! What a call knows besides its data.

use std::fmt;
use std::sync::Arc;
use std::time::Instant;

/// What a call knows besides its data.
#[derive(Clone)]
#[non_exhaustive]
pub struct CallContext {
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// Which repeat of the item this is, from 0.
    pub repeat: u32,
    /// The seed of this item, repeat and component: the same in every run of the same spec.
    pub seed: u64,
    deadline: Instant,
    clock: Option<Arc<dyn AttemptClock>>,
    propagator: Option<Arc<dyn Propagator>>,
}

impl CallContext {
    /// The context of one attempt that ends at `deadline`.
    #[must_use]
    pub const fn new(deadline: Instant, attempt: u32, repeat: u32, seed: u64) -> Self {
        Self { attempt, repeat, seed, deadline, clock: None, propagator: None }
    }

    /// The same with a clock that can be paused.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn AttemptClock>) -> Self {
        Self { clock: Some(clock), ..self }
    }

    /// The same as part of whatever span the propagator tells.
    #[must_use]
    pub fn with_propagator(self, propagator: Arc<dyn Propagator>) -> Self {
        Self { propagator: Some(propagator), ..self }
    }

    /// The span that is current now, to be passed on to whatever is called; absent where nothing is traced.
    #[must_use]
    pub fn trace(&self) -> Option<TraceContext> {
        self.propagator.as_ref()?.current()
    }

    /// When the runner gives up on this attempt; later after each pause.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.clock.as_ref().map_or(self.deadline, |clock| clock.deadline())
    }

    /// Stops the attempt's clock until what is returned is dropped: the call waits for its turn (at a limiter, or for a
    /// person) and has not begun its work.
    pub fn pause_clock(&self) -> PausedClock {
        let clock = self.clock.clone();
        if let Some(clock) = &clock {
            clock.pause();
        }
        PausedClock { clock }
    }
}

impl fmt::Debug for CallContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { attempt, repeat, seed, .. } = self;
        f.debug_struct("CallContext")
            .field("attempt", attempt)
            .field("repeat", repeat)
            .field("seed", seed)
            .finish_non_exhaustive()
    }
}

/// The clock that an attempt's time limit goes by. It stands still while anyone has paused it.
pub trait AttemptClock: Send + Sync {
    /// When the time is over, if the clock is not paused again.
    fn deadline(&self) -> Instant;

    /// One more has paused it.
    fn pause(&self);

    /// One of those that paused it lets it go on.
    fn resume(&self);
}

/// A clock that stands still as long as this is kept.
#[must_use = "the clock goes on when this is dropped"]
pub struct PausedClock {
    clock: Option<Arc<dyn AttemptClock>>,
}

impl Drop for PausedClock {
    fn drop(&mut self) {
        if let Some(clock) = &self.clock {
            clock.resume();
        }
    }
}

/// Knows which span is current, in the form in which it is passed on to another process.
pub trait Propagator: Send + Sync {
    /// The span that is current where this is called; `None` where there is none, or it is not to be passed on.
    fn current(&self) -> Option<TraceContext>;
}

/// A span that is always the same one.
impl Propagator for TraceContext {
    fn current(&self) -> Option<TraceContext> {
        Some(self.clone())
    }
}

/// A span's identity as W3C Trace Context writes it: the values of the headers of that name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceContext {
    /// The value of `traceparent`.
    pub traceparent: String,
    /// The value of `tracestate`, where there is one.
    pub tracestate: Option<String>,
}
