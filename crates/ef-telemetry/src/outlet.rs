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
    lost: AtomicU64,
    /// Why the last request failed, where the transport knows it better than the exporter.
    fault: Mutex<Option<String>>,
}

impl Outlet {
    /// Nothing was sent yet.
    pub(crate) const fn new(signal: Signal, host: String) -> Self {
        Self { signal, host, told: AtomicBool::new(false), lost: AtomicU64::new(0), fault: Mutex::new(None) }
    }

    /// The transport says why a request failed.
    pub(crate) fn note(&self, fault: String) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
    }

    /// A batch was sent.
    pub(crate) fn succeeded(&self) {
        self.fault.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// A batch of `count` could not be sent, and is lost. The first time, that is told.
    pub(crate) fn failed(&self, count: u64, reason: &str) {
        self.lose(count);
        let fault = self.fault.lock().unwrap_or_else(PoisonError::into_inner).take();
        if !self.told.swap(true, Ordering::Relaxed) {
            let reason = fault.as_deref().unwrap_or(reason);
            let things = self.signal.things();
            tracing::warn!(collector = self.host, reason, "{things} cannot be sent, the run goes on without them");
        }
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
