//! Whether spans are made at all: not while they would be dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tracing::{Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

/// What stands before spans are made. It is shut while there is no room for them in their [queue](crate::queue::Queue), and
/// nobody may wait for any: to make a span costs many times what it costs to find the gate shut.
///
/// It orders nothing: who is let in a moment too early or too late has a span that is dropped, or none where there was room.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    shut: AtomicBool,
    kept_out: AtomicU64,
}

impl Gate {
    /// Whether a span may be made. One that may not is counted.
    pub(crate) fn lets_in(&self) -> bool {
        let is_open = self.is_open();
        if !is_open {
            self.kept_out.fetch_add(1, Ordering::Relaxed);
        }
        is_open
    }

    /// Whether it is open.
    pub(crate) fn is_open(&self) -> bool {
        !self.shut.load(Ordering::Relaxed)
    }

    /// Lets no more in.
    pub(crate) fn shut(&self) {
        self.shut.store(true, Ordering::Relaxed);
    }

    /// Lets them in again.
    pub(crate) fn open(&self) {
        self.shut.store(false, Ordering::Relaxed);
    }

    /// How many were not let in.
    pub(crate) fn kept_out(&self) -> u64 {
        self.kept_out.load(Ordering::Relaxed)
    }
}

/// Asks a gate for each new span; without one, all are made. It stands behind a filter that lets nothing else through.
///
/// It is a layer and no filter, because what all filters refuse is made nevertheless, as a span that nobody sees; what a layer
/// refuses is not.
#[derive(Debug)]
pub(crate) struct AtGate(pub(crate) Option<Arc<Gate>>);

impl<S: Subscriber> Layer<S> for AtGate {
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        !metadata.is_span() || self.0.as_ref().is_none_or(|gate| gate.lets_in())
    }
}
