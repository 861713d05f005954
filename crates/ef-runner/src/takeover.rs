//! Taking over the good records of another run.

use ef_model::{
    Judgment, RecordFilter, RunId, StoreError, StoredRecord, TaskCommit, TaskRecord, Trace, TraceStore, Usage,
};
use futures_util::TryStreamExt;

use crate::ledger::is_failed;

/// Records that are written at once.
const BATCH: usize = 1024;

/// A trace and judgments as another run takes them over: there they cost nothing.
pub(crate) fn taken_over(trace: Trace, judgments: Vec<Judgment>) -> (Trace, Vec<Judgment>) {
    // Tokens are told by the run that used them.
    let usage = |usage: Usage| Usage { cost_usd: usage.cost_usd.map(|_| 0.0), ..Usage::UNKNOWN };
    let judgments = judgments.into_iter().map(|judgment| Judgment { usage: usage(judgment.usage), ..judgment });
    (Trace { usage: usage(trace.usage), ..trace }, judgments.collect())
}

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
            let TaskRecord { item_id, row, repeat, .. } = record;
            let (trace, judgments) = taken_over(record.trace, record.judgments);
            batch.push(TaskCommit::new(TaskRecord { item_id, row, repeat, revision: 0, trace, judgments }, Vec::new()));
        }
        if batch.len() >= BATCH || ended {
            store.append(to, std::mem::take(&mut batch).into()).await?;
        }
        if ended {
            return Ok(());
        }
    }
}
