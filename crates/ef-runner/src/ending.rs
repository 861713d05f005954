//! What a run ends with: completed, waiting for people, or early.

use ef_model::{Counts, Digest, RunHead, RunResult, RunStatus, RunUsage, StoreError, TraceStore, Usage};
use ef_spec::EvalSpec;

use crate::call::now_us;
use crate::tally::{self, Whole};

/// A run that ends now.
pub(crate) struct Ending<'a> {
    pub(crate) store: &'a dyn TraceStore,
    pub(crate) head: &'a RunHead,
    /// What the metrics are computed by.
    pub(crate) spec: &'a EvalSpec,
    /// What was spent on calls that left no record, where any such cost is known.
    pub(crate) unrecorded_usd: Option<f64>,
}

impl Ending<'_> {
    /// Every task has a record: the run is completed, or it waits for people.
    pub(crate) async fn whole(&self, dataset: Option<Digest>, whole: Whole) -> Result<RunResult, StoreError> {
        let Whole { sums, tree } = whole;
        let result = if sums.counts.pending > 0 {
            self.result(RunStatus::Awaiting, dataset, sums.counts, sums.usage.get())
        } else {
            let baseline = tally::baseline(self.store, self.spec).await?;
            let totals = sums.finish(tree, baseline).await;
            RunResult {
                metrics: totals.metrics,
                records_root: Some(totals.root),
                root_digest: Some(RunResult::bind(self.head, dataset, totals.records, totals.root)),
                ..self.result(RunStatus::Completed, dataset, totals.counts, totals.usage)
            }
        };
        self.store.finish(&result).await?;
        Ok(result)
    }

    /// The run ended before every task had a record.
    pub(crate) async fn early(&self, reason: String, counts: Counts, usage: RunUsage) -> Result<RunResult, StoreError> {
        let result = RunResult { abort_reason: Some(reason), ..self.result(RunStatus::Aborted, None, counts, usage) };
        self.store.finish(&result).await?;
        Ok(result)
    }

    fn result(&self, status: RunStatus, dataset: Option<Digest>, counts: Counts, usage: RunUsage) -> RunResult {
        RunResult {
            format_version: RunResult::FORMAT_VERSION,
            head: self.head.clone(),
            status,
            abort_reason: None,
            finished_at_us: now_us(),
            dataset_digest: dataset,
            counts,
            usage: RunUsage { unrecorded_usd: self.unrecorded_usd, ..usage },
            metrics: Vec::new(),
            records_root: None,
            root_digest: None,
        }
    }
}

/// Two costs together, where any is known.
pub(crate) fn both(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    let usage = |cost_usd| Usage { cost_usd, ..Usage::UNKNOWN };
    usage(one).and(usage(other)).cost_usd
}
