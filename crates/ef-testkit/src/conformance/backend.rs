//! What a backend tells of itself, so that the contract can be tried on it.

use std::sync::Arc;

use ef_model::{BoxFuture, StoreError, TraceStore};

use crate::MemoryStore;

/// A place at which one store is kept, empty at first. It lives as long as its test.
pub trait Backend: Send + Sync {
    /// Opens the store as another process would: each call gives a writer of its own on the same data.
    fn open(&self) -> BoxFuture<'_, Result<Arc<dyn TraceStore>, StoreError>>;

    /// What it can do; all of it, unless it says otherwise.
    fn capabilities(&self) -> Capabilities {
        Capabilities::default()
    }

    /// Ends a store as a kill of its process would, as far as a test can. Without anything better, it is dropped.
    fn kill(&self, store: Arc<dyn TraceStore>) -> BoxFuture<'_, ()> {
        drop(store);
        Box::pin(std::future::ready(()))
    }

    /// Turns the store, which nobody has open, into one of a later schema version, and gives that version.
    fn make_other_version(&self) -> BoxFuture<'_, i64>;

    /// Puts something into the place of the store, which nobody has open, that is no trace store.
    fn make_foreign(&self) -> BoxFuture<'_, ()>;
}

/// What a backend can do. One that lacks something is still tried: that it does without in the way that is documented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Finds judgments by the keys that came with their records. Without it, it finds none.
    pub judgment_keys: bool,
    /// Keeps what it has outside the process, with the version of its schema. Without it there is no version, and nothing
    /// to refuse.
    pub schema: bool,
    /// Streams records in constant memory. Without it, all of a run's records are in memory.
    pub constant_memory: bool,
}

impl Default for Capabilities {
    fn default() -> Self {
        Self { judgment_keys: true, schema: true, constant_memory: true }
    }
}

/// The fake as a backend: it shares its memory between all who open it.
#[derive(Debug, Default)]
pub struct MemoryBackend(MemoryStore);

impl Backend for MemoryBackend {
    fn open(&self) -> BoxFuture<'_, Result<Arc<dyn TraceStore>, StoreError>> {
        let store: Arc<dyn TraceStore> = Arc::new(self.0.reopened());
        Box::pin(std::future::ready(Ok(store)))
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { schema: false, constant_memory: false, ..Capabilities::default() }
    }

    fn make_other_version(&self) -> BoxFuture<'_, i64> {
        Box::pin(std::future::ready(0))
    }

    fn make_foreign(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}
