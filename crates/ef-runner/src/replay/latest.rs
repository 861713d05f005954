//! A run's records, of each only the latest revision.

use ef_model::{BoxStream, RecordFilter, RunId, StoreError, StoredRecord, TraceStore};
use futures_util::stream::Fuse;
use futures_util::{StreamExt, TryStreamExt};

/// Reads a run's records in order and passes over those that were revised.
pub(super) struct Latest<'s> {
    records: Fuse<BoxStream<'s, Result<StoredRecord, StoreError>>>,
    held: Option<StoredRecord>,
}

impl<'s> Latest<'s> {
    pub(super) fn new(store: &'s dyn TraceStore, run: &'s RunId) -> Self {
        Self { records: store.records(run, &RecordFilter::default()).fuse(), held: None }
    }

    pub(super) async fn next(&mut self) -> Result<Option<StoredRecord>, StoreError> {
        let task = |stored: &StoredRecord| (stored.record.row, stored.record.repeat);
        loop {
            let next = self.records.try_next().await?;
            let ended = next.is_none();
            let is_revised = self.held.as_ref().map(task) == next.as_ref().map(task);
            let held = std::mem::replace(&mut self.held, next);
            if ended || (held.is_some() && !is_revised) {
                return Ok(held);
            }
        }
    }
}
