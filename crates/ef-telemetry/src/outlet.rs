//! How sending a signal goes: what was lost, and telling it once.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::settings::Signal;

/// How sending a signal goes.
#[derive(Debug)]
pub(crate) struct Outlet {
    signal: Signal,
    /// Host and port of the collector.
    host: String,
    told: AtomicBool,
    /// The last request has failed.
    failing: AtomicBool,
    lost: AtomicU64,
    /// How many of the last request the collector says it has not taken.
    rejected: AtomicU64,
    /// Why the last request failed, where the transport knows it better than the exporter.
    fault: Mutex<Option<String>>,
}

impl Outlet {
    /// Nothing was sent yet.
    pub(crate) const fn new(signal: Signal, host: String) -> Self {
        let (lost, rejected) = (AtomicU64::new(0), AtomicU64::new(0));
        let (told, failing) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { signal, host, told, failing, lost, rejected, fault: Mutex::new(None) }
    }

    /// The transport says why a request failed.
    pub(crate) fn note(&self, fault: String) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
    }

    /// The collector has answered that it took all but these.
    pub(crate) fn reject(&self, count: u64) {
        self.rejected.store(count, Ordering::Relaxed);
    }

    /// A batch of `count` was sent. What the collector did not take of it is lost.
    pub(crate) fn succeeded(&self, count: u64) {
        self.failing.store(false, Ordering::Relaxed);
        // It may say what it likes.
        self.lose(self.rejected.swap(0, Ordering::Relaxed).min(count));
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// A batch of `count` could not be sent, and is lost. The first time, that is told.
    pub(crate) fn failed(&self, count: u64, reason: &str) {
        self.lose(count);
        self.failing.store(true, Ordering::Relaxed);
        let fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner).take();
        if !self.told.swap(true, Ordering::Relaxed) {
            let reason = fault.as_deref().unwrap_or(reason);
            let things = self.signal.things();
            tracing::warn!(collector = self.host, reason, "{things} cannot be sent, the run goes on without them");
        }
    }

    /// Whether the last request has failed.
    pub(crate) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    /// These are lost.
    pub(crate) fn lose(&self, count: u64) {
        self.lost.fetch_add(count, Ordering::Relaxed);
    }

    /// How many were lost.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}
