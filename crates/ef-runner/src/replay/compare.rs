//! A run beside its replay.

use ef_metrics::replay::{ReplayComparison, ReplayDrift};
use ef_model::{JudgeIdentity, RunId, StoreError, TraceStore};

use super::latest::Latest;

/// Compares what these judges said in a run, as it declares them, with what they said in its replay, in one pass over
/// both. Judgments that drifted are listed up to `listed`.
///
/// # Errors
///
/// When one of the runs cannot be read.
pub async fn compare_replay<'j>(
    store: &dyn TraceStore,
    source: &RunId,
    replay: &RunId,
    judges: impl IntoIterator<Item = &'j JudgeIdentity>,
    listed: usize,
) -> Result<ReplayDrift, StoreError> {
    let mut comparison = ReplayComparison::new(judges, listed);
    let (mut before, mut after) = (Latest::new(store, source), Latest::new(store, replay));
    let mut left = before.next().await?;
    let mut right = after.next().await?;
    while let (Some(one), Some(other)) = (&left, &right) {
        let task = |record: &ef_model::TaskRecord| (record.row, record.repeat);
        let order = task(&one.record).cmp(&task(&other.record));
        if order.is_eq() {
            comparison.observe(&one.record, &other.record);
        }
        if order.is_le() {
            left = before.next().await?;
        }
        if order.is_ge() {
            right = after.next().await?;
        }
    }
    Ok(comparison.finish())
}
