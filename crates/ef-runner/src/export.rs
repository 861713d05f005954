//! Exporting: a run as it stands in one store is brought into another, and checked on both sides.

mod checked;

use std::sync::Arc;

use ef_model::{
    Digest, MerkleRoot, RecordFilter, RunHead, RunId, RunResult, RunStatus, RunSummary, StoreError, StoredRecord,
    TaskCommit, TraceStore,
};
use futures_util::stream::FuturesOrdered;
use futures_util::{StreamExt, TryStreamExt};
use tokio::task::JoinHandle;

use checked::{Broken, Checked};

/// Batches that are handed to the target at the same time: while one is written, it can prepare the next.
const AT_ONCE: usize = 2;

/// A run that is in another store now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exported {
    /// The run.
    pub run_id: RunId,
    /// Where it stands, in both stores.
    pub status: RunStatus,
    /// Its records, all revisions.
    pub records: u64,
    /// How many of them were written; the others were there already.
    pub written: u64,
    /// RFC 6962 root over the records, as computed from either store.
    pub records_root: Digest,
}

/// How far an export is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportProgress {
    /// So many records are in the target, and durable.
    Copied(u64),
    /// So many records were read from the target again and found to be as they should.
    Verified(u64),
}

/// Why a run was not exported. What is in the target by then stays there, and a further export goes on with it.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The source cannot be read.
    #[error("{0}")]
    Source(StoreError),
    /// The target cannot be read or written.
    #[error("{0}")]
    Target(StoreError),
    /// It is still being written, or was killed.
    #[error("the run {run} is running: only a run that has ended is exported")]
    Running {
        /// The run.
        run: RunId,
    },
    /// It went on in the source while it was read.
    #[error("the run {run} went on while it was exported")]
    WentOn {
        /// The run.
        run: RunId,
    },
    /// It is not what was recorded. The target's end of the run was not written, or is not to be trusted.
    #[error("the run {run} is not as it was recorded in the {side}: {what}")]
    Damaged {
        /// The run.
        run: RunId,
        /// In which store.
        side: ExportSide,
        /// What is wrong.
        what: String,
    },
    /// The target has a run of that id which is another, or has gone on there. It is left as it is.
    #[error("the target has a run {run} already that is another: {what}")]
    Different {
        /// The run.
        run: RunId,
        /// Wherein it differs.
        what: String,
    },
}

/// One of the two stores of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportSide {
    /// Where the run is read.
    Source,
    /// Where it is written.
    Target,
}

impl std::fmt::Display for ExportSide {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Source => "source",
            Self::Target => "target",
        })
    }
}

/// Brings a run into another store, under the same id: its head, all revisions of its records with their payloads, and
/// its result. Memory does not grow with the run.
///
/// Every record and payload is checked against its digest as it is read, the root over all against the run's, and then
/// the target is read again and checked in the same way. An export that was ended by whatever goes on where it was when
/// it is made again; of a run that is in the target already, only the check is made. A run that has ended without being
/// completed is brought over as it stands; what is added to it later, a further export brings over.
///
/// The keys by which judgments are found again are not part of a run and are not brought over.
///
/// # Errors
///
/// See [`ExportError`]. [`StoreError::RunBusy`] of the target when somebody else writes the run there.
pub async fn export(
    from: &Arc<dyn TraceStore>,
    to: &Arc<dyn TraceStore>,
    run: &RunId,
    progress: &mut (dyn FnMut(ExportProgress) + Send),
) -> Result<Exported, ExportError> {
    let (source, result) = ended(from, run).await?;
    let target = take_target(to, &source).await?;
    let copy = Copy { from, to, run, progress, written: 0, done: 0 };
    let (records, root, written) = copy.carry_out(target != Target::Whole).await?;
    check_root(&source.head, &result, records, root).map_err(|what| damaged(run, ExportSide::Source, what))?;
    let still = from.run(run).await.map_err(ExportError::Source)?;
    if still.as_ref() != Some(&source) {
        return Err(ExportError::WentOn { run: run.clone() });
    }
    if target == Target::TakenUp {
        let there = count(to, run).await?;
        if there != records {
            return Err(different(run, format!("it has {there} records, and the source {records}")));
        }
    }
    if target != Target::Whole {
        to.finish(&result).await.map_err(ExportError::Target)?;
    }
    verify_target(to, &source, (records, root), progress).await?;
    Ok(Exported { run_id: run.clone(), status: source.status, records, written, records_root: root })
}

fn damaged(run: &RunId, side: ExportSide, what: impl Into<String>) -> ExportError {
    ExportError::Damaged { run: run.clone(), side, what: what.into() }
}

fn different(run: &RunId, what: impl Into<String>) -> ExportError {
    ExportError::Different { run: run.clone(), what: what.into() }
}

/// A run of the source that has ended, and its result.
async fn ended(from: &Arc<dyn TraceStore>, run: &RunId) -> Result<(RunSummary, RunResult), ExportError> {
    let found = from.run(run).await.map_err(ExportError::Source)?;
    let source = found.ok_or_else(|| ExportError::Source(StoreError::RunNotFound(run.clone())))?;
    if source.status == RunStatus::Running {
        return Err(ExportError::Running { run: run.clone() });
    }
    match source.result.clone() {
        Some(result) if result.status == source.status && result.head == source.head => Ok((source, result)),
        Some(_) => Err(damaged(run, ExportSide::Source, "what began and its result do not agree")),
        None => Err(damaged(run, ExportSide::Source, format!("it is {}, and has no result", source.status))),
    }
}

/// What of the run there was in the target.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    /// Nothing: all its records will be those of this export.
    Begun,
    /// Some records, of an earlier export if all is well.
    TakenUp,
    /// The whole run.
    Whole,
}

/// Becomes the writer of the run in the target, where it is not whole there already.
async fn take_target(to: &Arc<dyn TraceStore>, source: &RunSummary) -> Result<Target, ExportError> {
    let run = &source.head.run_id;
    let target = to.run(run).await.map_err(ExportError::Target)?;
    match target {
        None => to.begin(&source.head).await.map(|()| Target::Begun).map_err(ExportError::Target),
        Some(target) if target.head != source.head => Err(different(run, "it began in another way")),
        Some(target) if target.status == RunStatus::Completed => match target == *source {
            true => Ok(Target::Whole),
            false => Err(different(run, format!("it is completed there, and {} in the source", source.status))),
        },
        Some(_) => to.resume(run).await.map(|()| Target::TakenUp).map_err(ExportError::Target),
    }
}

/// Whether the records are those of the run's end. An end without completion has no root.
fn check_root(head: &RunHead, result: &RunResult, records: u64, root: Digest) -> Result<(), &'static str> {
    if result.status != RunStatus::Completed {
        return Ok(());
    }
    let bound = RunResult::bind(head, result.dataset_digest, records, root);
    match (result.records_root == Some(root), result.root_digest == Some(bound)) {
        (true, true) => Ok(()),
        (false, _) => Err("its records do not have the root digest of its end"),
        (true, false) => Err("its root digest is not that of its spec, dataset, components and records"),
    }
}

async fn count(store: &Arc<dyn TraceStore>, run: &RunId) -> Result<u64, ExportError> {
    let counted = store.keys(run).try_fold(0, |count, _| std::future::ready(Ok(count + 1))).await;
    counted.map_err(ExportError::Target)
}

/// Batches that are being written, each with the number of records that it stands for.
type Appending = FuturesOrdered<JoinHandle<Result<usize, StoreError>>>;

/// The way of the records from one store into the other.
struct Copy<'a> {
    from: &'a Arc<dyn TraceStore>,
    to: &'a Arc<dyn TraceStore>,
    run: &'a RunId,
    progress: &'a mut (dyn FnMut(ExportProgress) + Send),
    /// Records that were not in the target yet.
    written: u64,
    /// Records that are durable in the target.
    done: u64,
}

impl Copy<'_> {
    /// Reads all of the source, and writes what the target lacks. Returns the number of records, the root over them, and
    /// how many were written.
    async fn carry_out(mut self, is_writing: bool) -> Result<(u64, Digest, u64), ExportError> {
        let mut tree = MerkleRoot::new();
        let mut appending = Appending::new();
        let copied = self.copy(is_writing, &mut tree, &mut appending).await;
        // Whatever came of it: nothing is written any more once this has ended.
        let mut appended = Ok(());
        while !appending.is_empty() {
            appended = appended.and(self.appended(&mut appending).await);
        }
        copied.and(appended)?;
        Ok((tree.count(), tree.root(), self.written))
    }

    async fn copy(
        &mut self,
        is_writing: bool,
        tree: &mut MerkleRoot,
        appending: &mut Appending,
    ) -> Result<(), ExportError> {
        let (to, run) = (self.to, self.run);
        let mut batches = Checked::start(self.from, run);
        let filter = RecordFilter::default();
        let mut known = is_writing.then(|| to.records(run, &filter));
        let broken = |broken| broken_of(run, ExportSide::Source, broken);
        while let Some(mut batch) = batches.next().await.map_err(broken)? {
            batch.iter().for_each(|commit| tree.push(commit.leaf()));
            let size = batch.len();
            if let Some(target) = &mut known {
                let there = common(run, &batch, target).await?;
                batch.drain(..there);
                if !batch.is_empty() {
                    // What the target has behind its first gap is compared by the target itself.
                    known = None;
                }
            }
            if !is_writing || batch.is_empty() {
                self.advance(size);
                continue;
            }
            while appending.len() >= AT_ONCE {
                self.appended(appending).await?;
            }
            self.written += batch.len() as u64;
            let (to, run) = (Arc::clone(to), run.clone());
            // On a task of its own, it is written while the next batch is waited for.
            appending.push_back(tokio::spawn(async move { to.append(&run, batch.into()).await.map(|()| size) }));
        }
        Ok(())
    }

    async fn appended(&mut self, appending: &mut Appending) -> Result<(), ExportError> {
        let Some(appended) = appending.next().await else { return Ok(()) };
        let size = appended.expect("appending does not panic").map_err(|error| match error {
            StoreError::Conflict { row, .. } => different(self.run, format!("its record of row {row} is another")),
            error => ExportError::Target(error),
        })?;
        self.advance(size);
        Ok(())
    }

    fn advance(&mut self, records: usize) {
        self.done += records as u64;
        (self.progress)(ExportProgress::Copied(self.done));
    }
}

/// How many records the batch begins with that come next in the target as well.
async fn common(
    run: &RunId,
    batch: &[TaskCommit],
    target: &mut ef_model::BoxStream<'_, Result<StoredRecord, StoreError>>,
) -> Result<usize, ExportError> {
    for (place, commit) in batch.iter().enumerate() {
        let next = target.try_next().await.map_err(|error| broken_of(run, ExportSide::Target, error.into()))?;
        let Some(StoredRecord { record, leaf }) = next else { return Ok(place) };
        let (there, here) = (record.key(), commit.record().key());
        if there > here {
            return Ok(place);
        }
        if there < here || leaf != commit.leaf() {
            return Err(different(run, format!("its record of row {} is not in the source", there.row)));
        }
    }
    Ok(batch.len())
}

fn broken_of(run: &RunId, side: ExportSide, broken: Broken) -> ExportError {
    match (broken, side) {
        (Broken::Damaged(what), side) => damaged(run, side, what),
        (Broken::Store(error), ExportSide::Source) => ExportError::Source(error),
        (Broken::Store(error), ExportSide::Target) => ExportError::Target(error),
    }
}

/// Reads the target again: the run is there as it is in the source, to the last payload.
async fn verify_target(
    to: &Arc<dyn TraceStore>,
    source: &RunSummary,
    expected: (u64, Digest),
    progress: &mut (dyn FnMut(ExportProgress) + Send),
) -> Result<(), ExportError> {
    let run = &source.head.run_id;
    let mut batches = Checked::start(to, run);
    let mut tree = MerkleRoot::new();
    while let Some(batch) = batches.next().await.map_err(|broken| broken_of(run, ExportSide::Target, broken))? {
        batch.iter().for_each(|commit| tree.push(commit.leaf()));
        progress(ExportProgress::Verified(tree.count()));
    }
    if (tree.count(), tree.root()) != expected {
        return Err(damaged(run, ExportSide::Target, "its records are not those that were written"));
    }
    if to.run(run).await.map_err(ExportError::Target)?.as_ref() != Some(source) {
        return Err(damaged(run, ExportSide::Target, "its head or its result is not what was written"));
    }
    Ok(())
}
