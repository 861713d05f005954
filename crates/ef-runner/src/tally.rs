//! What a run's records come to: counts, metrics, and the Merkle root over their leaves.

use std::collections::BTreeMap;

use ef_metrics::{MetricSet, UsageSum};
use ef_model::{
    Counts, Digest, MerkleRoot, Metric, Payload, RecordFilter, RunId, RunUsage, StoreError, StoredRecord, TaskCommit,
    TaskRecord, TraceStore,
};
use ef_spec::EvalSpec;
use futures_util::TryStreamExt;

/// Records whose metadata is fetched at once.
const CHUNK: usize = 512;

/// Leaves that may wait for those before them: 2 MiB or so. A run in which one task takes longer than so many others is
/// read from the store at its end.
const MAX_EARLY: usize = 1 << 15;

/// What the records of a run come to.
#[derive(Debug)]
pub(crate) struct Totals {
    pub(crate) counts: Counts,
    pub(crate) usage: RunUsage,
    pub(crate) metrics: Vec<Metric>,
    pub(crate) records: u64,
    pub(crate) root: Digest,
}

/// What the records of a run that has all of them come to, but for what takes a while.
pub(crate) struct Whole {
    pub(crate) sums: Sums,
    /// The tree of the records' leaves.
    pub(crate) tree: MerkleRoot,
}

/// What has become durable in this run, added up as it comes.
///
/// Commits arrive in about the order of their tasks, so that a run that nothing disturbs need not be read again when it
/// ends. What comes out is what [`read`] gets from the store.
pub(crate) struct Tally {
    sums: Sums,
    leaves: Leaves,
}

/// What is known of the leaves.
enum Leaves {
    /// All of them, in order.
    Ordered(Order),
    /// All of them passed, and too many at once to keep their order.
    Lost,
    /// The run was taken up again: what it did before is in the store alone.
    Partly,
}

impl Tally {
    pub(crate) fn new(spec: &EvalSpec) -> Self {
        Self { sums: Sums::new(spec), leaves: Leaves::Ordered(Order::default()) }
    }

    /// The account of a run that was taken up again.
    pub(crate) fn of_resumed(spec: &EvalSpec) -> Self {
        Self { sums: Sums::new(spec), leaves: Leaves::Partly }
    }

    /// Adds tasks that have become durable. `places` are theirs in the order in which tasks were started.
    pub(crate) fn enter(&mut self, places: &[u64], commits: &[TaskCommit]) {
        // What was used needs no order, and is asked for while the run goes on.
        commits.iter().for_each(|commit| self.sums.usage.observe(commit.record(), None));
        let Leaves::Ordered(order) = &mut self.leaves else { return };
        if places.len() != commits.len() || !order.enter(places, commits) {
            self.leaves = Leaves::Lost;
            return;
        }
        for commit in commits {
            let metadata = commit.record().trace.item_metadata.filter(|_| self.sums.metrics.needs_metadata());
            let metadata = metadata.and_then(|digest| commit.payloads().iter().find(|kept| kept.digest() == digest));
            self.sums.add(commit.record(), metadata);
        }
    }

    /// What was used by all that passed through this account.
    pub(crate) const fn usage(&self) -> &UsageSum {
        &self.sums.usage
    }

    /// Whether everything of the run passed through this account, though perhaps not in order.
    pub(crate) fn has_all(&self) -> bool {
        !matches!(self.leaves, Leaves::Partly)
    }

    /// What all tasks come to; `None` when the account has gaps, and the store has to be read.
    pub(crate) fn whole(self) -> Option<Whole> {
        match self.leaves {
            Leaves::Ordered(order) => Some(Whole { sums: self.sums, tree: order.finish()? }),
            Leaves::Lost | Leaves::Partly => None,
        }
    }
}

/// The leaves in the order of their records, from commits in the order of their arrival.
#[derive(Default)]
struct Order {
    tree: MerkleRoot,
    /// The place of the next leaf of the tree.
    next: u64,
    /// The row and repeat of the last leaf of the tree.
    last: Option<(u64, u32)>,
    early: BTreeMap<u64, ((u64, u32), Digest)>,
}

impl Order {
    /// False when the order is lost: too many wait, or the tasks were not started in the order of their records.
    fn enter(&mut self, places: &[u64], commits: &[TaskCommit]) -> bool {
        for (&place, commit) in places.iter().zip(commits) {
            let record = commit.record();
            self.early.insert(place, ((record.row, record.repeat), commit.leaf()));
        }
        while let Some((key, leaf)) = self.early.remove(&self.next) {
            if self.last.is_some_and(|last| last >= key) {
                return false;
            }
            self.tree.push(leaf);
            self.last = Some(key);
            self.next += 1;
        }
        self.early.len() <= MAX_EARLY
    }

    fn finish(self) -> Option<MerkleRoot> {
        self.early.is_empty().then_some(self.tree)
    }
}

/// The scores of the spec's baseline run, where it names one.
pub(crate) async fn baseline(store: &dyn TraceStore, spec: &EvalSpec) -> Result<Option<MetricSet>, StoreError> {
    let Some(baseline) = &spec.scoring.baseline_run_id else { return Ok(None) };
    if store.run(baseline).await?.is_none() {
        return Err(StoreError::RunNotFound(baseline.clone()));
    }
    let Whole { sums, .. } = read(store, baseline, spec).await?;
    Ok(Some(sums.metrics))
}

/// What needs no order.
pub(crate) struct Sums {
    pub(crate) counts: Counts,
    pub(crate) usage: UsageSum,
    metrics: MetricSet,
}

impl Sums {
    fn new(spec: &EvalSpec) -> Self {
        let metrics = MetricSet::new(&spec.scoring, &spec.judges, spec.runtime.seed);
        Self { counts: Counts::default(), usage: UsageSum::default(), metrics }
    }

    /// Adds the latest revision of a record.
    fn add(&mut self, record: &TaskRecord, metadata: Option<&Payload>) {
        self.counts.add(record);
        self.metrics.observe(record, metadata);
    }

    /// The totals. `baseline` is for metrics that compare with one.
    pub(crate) async fn finish(self, tree: MerkleRoot, baseline: Option<MetricSet>) -> Totals {
        let Self { counts, usage, metrics } = self;
        // A bootstrap takes a while: not on a thread that drives others.
        let metrics = tokio::task::spawn_blocking(move || metrics.finish(baseline.as_ref()))
            .await
            .expect("computing metrics does not panic");
        Totals { counts, usage: usage.get(), metrics, records: tree.count(), root: tree.root() }
    }
}

/// One pass over a run's stored records, in their order.
pub(crate) async fn read(store: &dyn TraceStore, run: &RunId, spec: &EvalSpec) -> Result<Whole, StoreError> {
    let mut sums = Sums::new(spec);
    let mut tree = MerkleRoot::new();
    let mut latest: Option<StoredRecord> = None;
    let mut chunk = Vec::new();
    let filter = RecordFilter::default();
    let mut records = store.records(run, &filter);
    loop {
        let next = records.try_next().await?;
        if let Some(next) = &next {
            tree.push(next.leaf);
            sums.usage.observe(&next.record, latest.as_ref().map(|latest| &latest.record));
        }
        let key = |stored: &StoredRecord| (stored.record.row, stored.record.repeat);
        let superseded = latest.as_ref().map(key) == next.as_ref().map(key);
        let ended = next.is_none();
        // The latest revision of each record counts.
        chunk.extend(std::mem::replace(&mut latest, next).filter(|_| !superseded));
        if chunk.len() >= CHUNK || ended {
            add_chunk(store, &mut sums, &chunk).await?;
            chunk.clear();
        }
        if ended {
            return Ok(Whole { sums, tree });
        }
    }
}

/// What a run's stored records say that calls used.
pub(crate) async fn usage(store: &dyn TraceStore, run: &RunId) -> Result<UsageSum, StoreError> {
    let mut sum = UsageSum::default();
    let mut previous: Option<TaskRecord> = None;
    let filter = RecordFilter::default();
    let mut records = store.records(run, &filter);
    while let Some(StoredRecord { record, .. }) = records.try_next().await? {
        sum.observe(&record, previous.as_ref());
        previous = Some(record);
    }
    Ok(sum)
}

async fn add_chunk(store: &dyn TraceStore, sums: &mut Sums, chunk: &[StoredRecord]) -> Result<(), StoreError> {
    let metadata_of = |stored: &StoredRecord| stored.record.trace.item_metadata;
    let needed = sums.metrics.needs_metadata();
    let digests: Vec<_> = chunk.iter().filter_map(metadata_of).filter(|_| needed).collect();
    let mut found = if digests.is_empty() { Vec::new() } else { store.payloads(&digests).await? }.into_iter();
    for stored in chunk {
        let metadata = metadata_of(stored).and_then(|_| found.next().flatten());
        sums.add(&stored.record, metadata.as_ref());
    }
    Ok(())
}
