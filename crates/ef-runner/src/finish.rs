//! The end of a run: metrics and digests, computed in one pass over what the store holds.

use ef_metrics::MetricSet;
use ef_model::{
    Counts, Digest, MerkleRoot, Metric, Payload, RecordFilter, RunId, StoreError, StoredRecord, TraceStore,
};
use ef_spec::EvalSpec;
use futures_util::TryStreamExt;

/// Records whose metadata is fetched at once.
const CHUNK: usize = 512;

/// What the records of a run come to.
pub(crate) struct Tally {
    pub(crate) counts: Counts,
    pub(crate) metrics: Vec<Metric>,
    pub(crate) records: u64,
    pub(crate) root: Digest,
}

/// Reads the run's records once and computes everything from them.
pub(crate) async fn tally(store: &dyn TraceStore, run: &RunId, spec: &EvalSpec) -> Result<Tally, StoreError> {
    let mut pass = Pass::new(spec);
    pass.read(store, run).await?;
    let baseline = match &spec.scoring.baseline_run_id {
        Some(baseline) if store.run(baseline).await?.is_none() => {
            return Err(StoreError::RunNotFound(baseline.clone()));
        }
        Some(baseline) => {
            let mut pass = Pass::new(spec);
            pass.read(store, baseline).await?;
            Some(pass.metrics)
        }
        None => None,
    };
    let Pass { counts, metrics, tree, .. } = pass;
    let (records, root) = (tree.count(), tree.root());
    // A bootstrap takes a while: not on a thread that drives others.
    let metrics = tokio::task::spawn_blocking(move || metrics.finish(baseline.as_ref()))
        .await
        .expect("computing metrics does not panic");
    Ok(Tally { counts, metrics, records, root })
}

/// One pass over a run's records, in their order.
struct Pass {
    counts: Counts,
    metrics: MetricSet,
    tree: MerkleRoot,
    /// The latest revision so far of the record being read.
    latest: Option<StoredRecord>,
    /// Latest revisions whose metadata is not fetched yet.
    chunk: Vec<StoredRecord>,
}

impl Pass {
    fn new(spec: &EvalSpec) -> Self {
        Self {
            counts: Counts::default(),
            metrics: MetricSet::new(&spec.scoring, &spec.judges, spec.runtime.seed),
            tree: MerkleRoot::new(),
            latest: None,
            chunk: Vec::new(),
        }
    }

    async fn read(&mut self, store: &dyn TraceStore, run: &RunId) -> Result<(), StoreError> {
        let filter = RecordFilter::default();
        let mut records = store.records(run, &filter);
        while let Some(next) = records.try_next().await? {
            self.tree.push(next.leaf);
            let key = |stored: &StoredRecord| (stored.record.row, stored.record.repeat);
            let superseded = self.latest.as_ref().is_some_and(|latest| key(latest) == key(&next));
            if let Some(latest) = self.latest.replace(next).filter(|_| !superseded) {
                self.count(store, latest).await?;
            }
        }
        if let Some(latest) = self.latest.take() {
            self.count(store, latest).await?;
        }
        self.flush(store).await
    }

    async fn count(&mut self, store: &dyn TraceStore, stored: StoredRecord) -> Result<(), StoreError> {
        self.counts.add(&stored.record);
        if !self.metrics.needs_metadata() {
            self.metrics.observe(&stored.record, None);
            return Ok(());
        }
        self.chunk.push(stored);
        if self.chunk.len() >= CHUNK { self.flush(store).await } else { Ok(()) }
    }

    async fn flush(&mut self, store: &dyn TraceStore) -> Result<(), StoreError> {
        let digests: Vec<_> = self.chunk.iter().filter_map(|stored| stored.record.trace.item_metadata).collect();
        let mut found = store.payloads(&digests).await?.into_iter();
        for stored in self.chunk.drain(..) {
            let metadata: Option<Payload> = stored.record.trace.item_metadata.and_then(|_| found.next().flatten());
            self.metrics.observe(&stored.record, metadata.as_ref());
        }
        Ok(())
    }
}
