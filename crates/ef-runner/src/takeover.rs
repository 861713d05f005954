//! Taking over the good records of another run.

use ef_model::{RecordFilter, RunId, StoreError, StoredRecord, TaskCommit, TaskRecord, TraceStore};
use futures_util::TryStreamExt;

use crate::ledger::is_failed;

/// Records that are written at once.
const BATCH: usize = 1024;

/// Adds the latest revision of each record of `from` that did not fail to `to`, as revision 0. The payloads are in the
/// store already.
pub(crate) async fn take_over(store: &dyn TraceStore, from: &RunId, to: &RunId) -> Result<(), StoreError> {
    let filter = RecordFilter::default();
    let mut records = store.records(from, &filter);
    let mut latest: Option<TaskRecord> = None;
    let mut batch = Vec::new();
    loop {
        let next = records.try_next().await?.map(|StoredRecord { record, .. }| record);
        let task = |record: &TaskRecord| (record.row, record.repeat);
        let superseded = latest.as_ref().map(task) == next.as_ref().map(task);
        let ended = next.is_none();
        if let Some(record) = std::mem::replace(&mut latest, next).filter(|record| !superseded && !is_failed(record)) {
            batch.push(TaskCommit::new(TaskRecord { revision: 0, ..record }, Vec::new()));
        }
        if batch.len() >= BATCH || ended {
            store.append(to, std::mem::take(&mut batch).into()).await?;
        }
        if ended {
            return Ok(());
        }
    }
}
