//! Reading runs and records.

use std::collections::VecDeque;

use arrow::array::RecordBatch;
use ef_model::{
    BoxStream, RecordFilter, RecordKey, RunId, RunStatus, RunSummary, StoreError, StoredRecord, TraceStatus,
};
use futures_util::{StreamExt, TryStreamExt, stream};
use parquet::file::metadata::PageIndexPolicy;

use crate::blobs::Blobs;
use crate::decode::{Fault, Identities, Judgments, Keys, Traces};
use crate::manifest::{Manifest, Tables};
use crate::merge::{Merge, Stretch};
use crate::segment::ReadError;
use crate::table::{Rows, Table};
use crate::{lookup, schema};

/// Runs that are asked for at the same time.
const AT_ONCE: usize = 16;
/// Records that are read at once.
const PAGE: usize = 256;
/// Rows of a table that are read at once.
const ROWS: usize = 1024;
/// How often a read begins again without coming further, because what it reads is replaced all the time.
const PATIENCE: u32 = 10;

pub(crate) async fn run(blobs: &Blobs, run: &RunId) -> Result<Option<RunSummary>, StoreError> {
    let Some(manifest) = Manifest::newest(blobs, run).await? else { return Ok(None) };
    let head = match (&manifest.result, manifest.head) {
        (_, Some(head)) => head,
        (Some(result), None) => result.head.clone(),
        (None, None) => Manifest::head(blobs, run).await?,
    };
    Ok(Some(RunSummary { head, status: manifest.status, result: manifest.result }))
}

pub(crate) async fn runs(blobs: &Blobs, prefix: &str, limit: u32) -> Result<Vec<RunSummary>, StoreError> {
    let ids = lookup::runs(blobs, prefix).await?;
    let found: Vec<Option<RunSummary>> = stream::iter(ids)
        .map(|id| async move { run(blobs, &id).await })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    let mut runs: Vec<_> = found.into_iter().flatten().collect();
    runs.sort_by(|a, b| (b.head.started_at_us, &b.head.run_id).cmp(&(a.head.started_at_us, &a.head.run_id)));
    runs.truncate(limit as usize);
    Ok(runs)
}

pub(crate) fn records<'a>(
    blobs: &'a Blobs,
    run: &'a RunId,
    filter: &RecordFilter,
) -> BoxStream<'a, Result<StoredRecord, StoreError>> {
    let pages = Pages::new(blobs, run);
    let (filter, known) = (filter.clone(), Identities::default());
    stream::try_unfold((pages, filter, known), move |(mut pages, filter, mut known)| async move {
        let Some(page) = pages.next().await? else { return Ok(None) };
        let records = page.decode(&filter, &mut known).map_err(|fault| pages.damaged(&fault))?;
        Ok::<_, StoreError>(Some((stream::iter(records.into_iter().map(Ok)), (pages, filter, known))))
    })
    .try_flatten()
    .boxed()
}

pub(crate) fn keys<'a>(blobs: &'a Blobs, run: &'a RunId) -> BoxStream<'a, Result<RecordKey, StoreError>> {
    stream::try_unfold(Pages::new(blobs, run), |mut pages| async move {
        let Some(page) = pages.next().await? else { return Ok(None) };
        let keys = page.keys().map_err(|fault| pages.damaged(&fault))?;
        Ok::<_, StoreError>(Some((stream::iter(keys.into_iter().map(Ok)), pages)))
    })
    .try_flatten()
    .boxed()
}

/// Some records as columns: the traces, and the judgments of just these.
struct Page {
    traces: RecordBatch,
    judgments: RecordBatch,
}

impl Page {
    fn keys(&self) -> Result<Vec<RecordKey>, Fault> {
        let keys = Keys::of(&self.traces)?;
        (0..self.traces.num_rows()).map(|row| keys.get(row)).collect()
    }

    fn decode(&self, filter: &RecordFilter, known: &mut Identities) -> Result<Vec<StoredRecord>, Fault> {
        let (traces, judgments) = (Traces::of(&self.traces)?, Judgments::of(&self.judgments)?);
        let mut records = Vec::with_capacity(self.traces.num_rows());
        let mut next = 0;
        for row in 0..self.traces.num_rows() {
            let first = next;
            next += traces.judgments(row)?;
            if !matches(&traces, row, filter)? {
                continue;
            }
            let key = traces.keys.get(row)?;
            let mut own = Vec::with_capacity(next - first);
            for judgment in first..next {
                if judgments.keys.get(judgment)? != key {
                    return Err("a judgment stands with another record than its own".to_owned());
                }
                own.push(judgments.judgment(judgment, known)?);
            }
            records.push(traces.record(row, known, own)?);
        }
        Ok(records)
    }
}

fn matches(traces: &Traces<'_>, row: usize, filter: &RecordFilter) -> Result<bool, Fault> {
    let status = |status: TraceStatus| Ok::<_, Fault>(traces.status(row)? == status);
    let item = match &filter.item_id {
        Some(id) => traces.item_id(row)? == id.as_str(),
        None => true,
    };
    Ok(item && filter.status.map_or(Ok(true), status)?)
}

/// Reads a run page by page, from wherever its records are at the moment.
struct Pages<'a> {
    blobs: &'a Blobs,
    run: &'a RunId,
    source: Option<Source>,
    /// The last record so far.
    after: Option<RecordKey>,
    restarts: u32,
    ended: bool,
}

enum Source {
    Segments(Box<SegmentPages>),
    Tables(Box<TablePages>),
}

impl<'a> Pages<'a> {
    const fn new(blobs: &'a Blobs, run: &'a RunId) -> Self {
        Self { blobs, run, source: None, after: None, restarts: 0, ended: false }
    }

    fn damaged(&self, fault: &str) -> StoreError {
        self.blobs.damaged(format!("the records of the run {}: {fault}", self.run))
    }

    async fn next(&mut self) -> Result<Option<Page>, StoreError> {
        while !self.ended {
            let page = match &mut self.source {
                None => {
                    self.source = open(self.blobs, self.run, self.after).await?;
                    self.ended = self.source.is_none();
                    continue;
                }
                Some(Source::Segments(segments)) => match segments.next().await {
                    Ok(page) => page,
                    Err(ReadError::Store(error)) => return Err(error),
                    // A newer manifest does without a segment of ours. The rest is found by it.
                    Err(ReadError::Gone) if self.restarts < PATIENCE => {
                        self.restarts += 1;
                        self.source = None;
                        continue;
                    }
                    Err(ReadError::Gone) => return Err(self.damaged("a segment is gone that a manifest names")),
                },
                Some(Source::Tables(tables)) => tables.next(self.after).await?,
            };
            let Some(page) = page else { break };
            let keys = page.keys().map_err(|fault| self.damaged(&fault))?;
            let in_order = keys.is_sorted_by(|one, other| one < other);
            if !in_order || keys.first().is_some_and(|first| self.after.is_some_and(|after| *first <= after)) {
                return Err(self.damaged("they are not in the order of their keys"));
            }
            if let Some(last) = keys.last() {
                (self.after, self.restarts) = (Some(*last), 0);
                return Ok(Some(page));
            }
        }
        self.ended = true;
        Ok(None)
    }
}

/// Where a run's records are now, from the one after a key; `None` when there is no such run.
async fn open(blobs: &Blobs, run: &RunId, after: Option<RecordKey>) -> Result<Option<Source>, StoreError> {
    let Some(manifest) = Manifest::newest(blobs, run).await? else { return Ok(None) };
    if let (RunStatus::Completed, Some(tables)) = (manifest.status, manifest.tables) {
        return Ok(Some(Source::Tables(Box::new(TablePages::open(blobs, run, tables).await?))));
    }
    let merge = Merge::new(blobs, run, &manifest.segments, after);
    Ok(Some(Source::Segments(Box::new(SegmentPages { merge, stretch: None }))))
}

/// The records of a run that is not completed.
struct SegmentPages {
    merge: Merge,
    /// What is left of the last stretch.
    stretch: Option<Stretch>,
}

impl SegmentPages {
    async fn next(&mut self) -> Result<Option<Page>, ReadError> {
        let stretch = match self.stretch.take() {
            Some(stretch) => Some(stretch),
            None => self.merge.next().await?,
        };
        let Some(Stretch { records, start, end }) = stretch else { return Ok(None) };
        let until = end.min(start + PAGE);
        let (first, last) = (records.offsets[start], records.offsets[until]);
        let traces = records.traces.slice(start, until - start);
        let judgments = records.judgments.slice(first, last - first);
        self.stretch = (until < end).then_some(Stretch { records, start: until, end });
        Ok(Some(Page { traces, judgments }))
    }
}

/// The records of a completed run: two tables, read side by side.
struct TablePages {
    traces: Rows,
    judgments: Rows,
    /// Judgments that were read and whose records were not yet.
    ahead: VecDeque<RecordBatch>,
}

impl TablePages {
    async fn open(blobs: &Blobs, run: &RunId, tables: Tables) -> Result<Self, StoreError> {
        let (of_traces, of_judgments) = (schema::published(&schema::TRACES), schema::published(&schema::JUDGMENTS));
        let (traces, judgments) = futures_util::try_join!(
            Table::open(blobs, run, ("traces", PageIndexPolicy::Skip), &of_traces, tables.traces),
            Table::open(blobs, run, ("judgments", PageIndexPolicy::Skip), &of_judgments, tables.judgments),
        )?;
        let rows = |table: Table| table.rows(None, None, ROWS);
        Ok(Self { traces: rows(traces)?, judgments: rows(judgments)?, ahead: VecDeque::new() })
    }

    /// The next records, without those up to a key.
    async fn next(&mut self, after: Option<RecordKey>) -> Result<Option<Page>, StoreError> {
        loop {
            let Some(traces) = self.traces.next().await? else { return Ok(None) };
            let (skip, skipped, needed) = judgments_of(&traces, after).map_err(|fault| self.traces.damaged(&fault))?;
            self.take(skipped).await?;
            let judgments = self.take(needed).await?;
            if skip < traces.num_rows() {
                let traces = traces.slice(skip, traces.num_rows() - skip);
                return Ok(Some(Page { traces, judgments }));
            }
        }
    }

    /// The next judgments.
    async fn take(&mut self, number: usize) -> Result<RecordBatch, StoreError> {
        let mut have: usize = self.ahead.iter().map(RecordBatch::num_rows).sum();
        while have < number {
            let Some(batch) = self.judgments.next().await? else {
                return Err(self.judgments.damaged("it has fewer judgments than the traces say"));
            };
            have += batch.num_rows();
            self.ahead.push_back(batch);
        }
        let (mut taken, mut missing) = (Vec::new(), number);
        while missing > 0 {
            let Some(batch) = self.ahead.pop_front() else { break };
            let part = missing.min(batch.num_rows());
            taken.push(batch.slice(0, part));
            if part < batch.num_rows() {
                self.ahead.push_front(batch.slice(part, batch.num_rows() - part));
            }
            missing -= part;
        }
        let schema = schema::published(&schema::JUDGMENTS);
        arrow::compute::concat_batches(&schema, &taken)
            .map_err(|_| self.judgments.damaged("its rows do not fit together"))
    }
}

/// How many records are passed over, and how many judgments these and the others have.
fn judgments_of(traces: &RecordBatch, after: Option<RecordKey>) -> Result<(usize, usize, usize), Fault> {
    let columns = Traces::of(traces)?;
    let (mut skip, mut skipped, mut needed) = (0, 0, 0);
    for row in 0..traces.num_rows() {
        let judgments = columns.judgments(row)?;
        let key = columns.keys.get(row)?;
        if after.is_some_and(|after| key <= after) {
            skip += 1;
            skipped += judgments;
        } else {
            needed += judgments;
        }
    }
    Ok((skip, skipped, needed))
}
