//! Whether a dataset still is what a run's records were made from.

use std::fmt;
use std::sync::Arc;

use ef_metrics::UsageSum;
use ef_model::{
    DatasetRow, Digest, ItemId, ItemSource, Payload, RecordFilter, RunId, SourceError, StoreError, TaskRecord,
    TraceOutcome, TraceStore,
};
use futures_util::TryStreamExt;

use crate::done::Done;
use crate::feed::{self, Fed, Feed, Rows};
use crate::tally;

/// A dataset that is not what a run began with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the dataset has changed since the run began: row {row} (item {item_id}) {change}")]
pub struct DatasetChanged {
    /// The first row that differs.
    pub row: u64,
    /// The item that the run has of it.
    pub item_id: ItemId,
    /// How it differs.
    pub change: RowChange,
}

/// How a row differs from what a run's record says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowChange {
    /// There is no such row.
    Gone,
    /// It is another item.
    ItemId,
    /// Its input is another one.
    Input,
    /// Its reference output is another one.
    ReferenceOutput,
    /// Its metadata are others.
    Metadata,
    /// It could be used and cannot any more, or the other way round.
    Usability,
    /// It could not be used, and its bytes are others.
    Fault,
}

impl fmt::Display for RowChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gone => "is not there any more",
            Self::ItemId => "has another item id",
            Self::Input => "has another input",
            Self::ReferenceOutput => "has another reference output",
            Self::Metadata => "has other metadata",
            Self::Usability => "was usable and is not, or the other way round",
            Self::Fault => "could not be used before, and is another one now",
        })
    }
}

/// What a check found in order.
#[derive(Debug)]
pub(crate) struct Checked {
    /// The dataset's digest, where all of it was read.
    pub(crate) digest: Option<Digest>,
    /// What the run's records say that it has cost by now, in US dollars, where any cost is known.
    pub(crate) cost_usd: Option<f64>,
}

/// Why a check did not end well.
#[derive(Debug)]
pub(crate) enum Refused {
    Changed(DatasetChanged),
    Source(SourceError),
    Store(StoreError),
}

/// How a dataset is checked.
pub(crate) enum Check {
    /// Beside the work.
    Beside(Box<dyn ItemSource>),
    /// It was, and this is its digest.
    Passed {
        /// The dataset's digest, where all of it was read.
        digest: Option<Digest>,
    },
}

impl Check {
    /// Does what is left of it, for a run of which this is done.
    pub(crate) async fn finish(
        self,
        store: Arc<dyn TraceStore>,
        run: RunId,
        done: Arc<Done>,
    ) -> Result<Checked, Refused> {
        match self {
            Self::Beside(source) => check(store, run, source, done).await,
            Self::Passed { digest } => {
                let usage = tally::usage(store.as_ref(), &run).await.map_err(Refused::Store)?;
                Ok(Checked { digest, cost_usd: usage.cost_usd() })
            }
        }
    }
}

/// Reads the dataset, and compares each row that has a record with what the record says of it.
async fn check(
    store: Arc<dyn TraceStore>,
    run: RunId,
    source: Box<dyn ItemSource>,
    done: Arc<Done>,
) -> Result<Checked, Refused> {
    let no_thread = |error: std::io::Error| {
        Refused::Source(SourceError { message: format!("no thread to read it: {}", error.kind()), hint: None })
    };
    let mut rows = feed::start(source, Rows::Recorded(done)).map_err(no_thread)?;
    let filter = RecordFilter::default();
    let mut records = store.records(&run, &filter);
    let mut usage = UsageSum::default();
    let mut previous: Option<TaskRecord> = None;
    let mut current = next(&mut rows).await?;
    while let Some(stored) = records.try_next().await.map_err(Refused::Store)? {
        let record = stored.record;
        usage.observe(&record, previous.as_ref());
        // Records come in the order of rows, several of one row behind each other.
        while let Delivered::Row(row) = &current
            && row.row() < record.row
        {
            current = next(&mut rows).await?;
        }
        let change = match &current {
            Delivered::Row(row) if row.row() == record.row => change(row, &record),
            _ => Some(RowChange::Gone),
        };
        if let Some(change) = change {
            return Err(Refused::Changed(DatasetChanged { row: record.row, item_id: record.item_id, change }));
        }
        previous = Some(record);
    }
    loop {
        match current {
            Delivered::End { digest } => return Ok(Checked { digest, cost_usd: usage.cost_usd() }),
            Delivered::Row(_) => current = next(&mut rows).await?,
        }
    }
}

/// What comes of a dataset that can be read.
enum Delivered {
    Row(DatasetRow),
    End { digest: Option<Digest> },
}

async fn next(rows: &mut Feed) -> Result<Delivered, Refused> {
    match rows.next().await {
        Some(Fed::Row(row)) => Ok(Delivered::Row(row)),
        Some(Fed::End { digest }) => Ok(Delivered::End { digest }),
        Some(Fed::Failed(error)) => Err(Refused::Source(error)),
        None => Err(Refused::Source(feed::broken())),
    }
}

fn change(row: &DatasetRow, record: &TaskRecord) -> Option<RowChange> {
    let trace = &record.trace;
    let (item_id, contents) = match (row, &trace.outcome) {
        (DatasetRow::Faulty { item_id, fault, .. }, TraceOutcome::Skipped { fault: known }) => {
            (item_id, vec![(fault.sha256 == known.sha256, RowChange::Fault)])
        }
        (DatasetRow::Faulty { .. }, _) | (DatasetRow::Item(_), TraceOutcome::Skipped { .. }) => {
            return Some(RowChange::Usability);
        }
        (DatasetRow::Item(item), _) => {
            let digest = |payload: &Option<Payload>| payload.as_ref().map(Payload::digest);
            let contents = vec![
                (Some(item.input.digest()) == trace.input, RowChange::Input),
                (digest(&item.reference_output) == trace.reference_output, RowChange::ReferenceOutput),
                (digest(&item.metadata) == trace.item_metadata, RowChange::Metadata),
            ];
            (&item.item_id, contents)
        }
    };
    if *item_id != record.item_id {
        return Some(RowChange::ItemId);
    }
    contents.into_iter().find_map(|(is_same, change)| (!is_same).then_some(change))
}
