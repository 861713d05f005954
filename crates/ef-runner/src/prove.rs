//! Proving that an item's records are part of a run.

use ef_model::{
    AuditPaths, InclusionProof, ItemId, RecordFilter, RunBinding, RunId, RunResult, RunStatus, StoreError, TraceStore,
};
use futures_util::TryStreamExt;

/// Why there is no proof.
#[derive(Debug, thiserror::Error)]
pub enum ProveError {
    /// The run has no root digest yet.
    #[error("the run {run} is {status}: only a completed run has a root digest to prove anything by")]
    Unfinished {
        /// The run.
        run: RunId,
        /// Where it stands.
        status: RunStatus,
    },
    /// The run has no record of this item.
    #[error("the run {run} has no record of item {item}")]
    NoSuchItem {
        /// The run.
        run: RunId,
        /// The item.
        item: ItemId,
    },
    /// The records do not lead to the run's root digest.
    #[error("the records of the run {0} do not have its root digest: nothing can be proven by them")]
    NotAsRecorded(RunId),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Proves that an item's records, all repeats and revisions of it, are part of a completed run: in one pass over the run's
/// records, in memory that grows with the number of the item's records alone.
///
/// # Errors
///
/// When there is nothing to prove, or the run's records are not those that it ended with.
pub async fn prove(store: &dyn TraceStore, run: &RunId, item: &ItemId) -> Result<InclusionProof, ProveError> {
    let summary = store.run(run).await?.ok_or_else(|| StoreError::RunNotFound(run.clone()))?;
    let status = summary.status;
    let result = summary.result.filter(|_| status == RunStatus::Completed);
    let Some(RunResult { dataset_digest, root_digest, .. }) = result else {
        return Err(ProveError::Unfinished { run: run.clone(), status });
    };
    let mut paths = AuditPaths::new();
    let mut proven = Vec::new();
    let filter = RecordFilter::default();
    let mut records = store.records(run, &filter);
    while let Some(stored) = records.try_next().await? {
        let wanted = stored.record.item_id == *item;
        paths.push(stored.record.leaf(), wanted);
        if wanted {
            proven.push(stored.record);
        }
    }
    if proven.is_empty() {
        return Err(ProveError::NoSuchItem { run: run.clone(), item: item.clone() });
    }
    let count = paths.count();
    let (root, paths) = paths.finish();
    let binding = RunBinding::new(&summary.head, dataset_digest, count, root);
    if root_digest != Some(binding.digest()) {
        return Err(ProveError::NotAsRecorded(run.clone()));
    }
    Ok(InclusionProof::new(&binding, proven.into_iter().zip(paths)))
}
