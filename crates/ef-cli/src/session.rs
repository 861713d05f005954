//! What a command has besides its arguments: where it tells of itself.

use std::sync::Arc;

use ef_model::telemetry::Instruments;
use ef_model::{RunId, TraceStore};
use ef_telemetry::Telemetry;

use crate::{compose, console};

/// Where a command tells of itself. Clones are one session.
#[derive(Clone)]
pub(crate) struct Session(Arc<Telemetry>);

impl Session {
    /// Sets up logs and telemetry, as the environment asks for them. Before the runtime, whose threads they are not.
    pub(crate) fn start() -> Self {
        Self(Arc::new(Telemetry::start(&compose::environment(), console::logs())))
    }

    /// From now on, every line is about this run.
    pub(crate) fn set_run(&self, run: &RunId) {
        console::set_run(run);
        self.0.set_run(run);
    }

    /// What a run tells of itself to.
    pub(crate) fn instruments(&self) -> Instruments {
        self.0.instruments()
    }

    /// The same store, whose operations are told of.
    pub(crate) fn observe(&self, store: Arc<dyn TraceStore>, backend: &'static str) -> Arc<dyn TraceStore> {
        self.0.observe(store, backend)
    }

    /// Sends what is left. It blocks, and so it is called when the runtime is gone.
    pub(crate) fn shut_down(self) {
        // Whoever else had it was dropped with the runtime; a thread that hangs and keeps it is not waited for.
        if let Some(telemetry) = Arc::into_inner(self.0) {
            telemetry.shut_down();
        }
    }
}
