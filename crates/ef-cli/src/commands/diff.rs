//! `ef diff`: compares a run with a baseline.

use clap::ValueEnum;
use ef_metrics::diff::{self, BaselineScores, Comparison, Part, Scores};
use ef_model::{BoxStream, Metric, Payload, RecordFilter, RunSummary, StoreError, StoredRecord, TraceStore};
use ef_spec::EvalSpec;
use futures_util::stream::Fuse;
use futures_util::{StreamExt, TryStreamExt};

use crate::failure::Failure;
use crate::output::{self, Format};
use crate::{Exit, run_ref, stores};

/// Compare a run with a baseline: what changed, and what became of each item
///
/// Says first what changed between the two runs, and whether their judges are the same. Then each judge's scores are
/// compared item by item, a higher one being the better, and each metric of the run over the items that both have.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run's id, a unique prefix of it, or latest
    run: String,
    /// The run to compare with
    baseline: String,
    /// Of what changed, list only this; may be given several times, or with commas between
    #[arg(long, value_name = "PART", value_delimiter = ',')]
    by: Vec<By>,
    /// List the items whose scores differ, the worsened first
    #[arg(long)]
    items: bool,
    /// How many of them, at most
    #[arg(long, value_name = "N", default_value_t = 50, requires = "items")]
    limit: u32,
    #[command(flatten)]
    store: stores::StoreArgs,
    /// The form of the comparison
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// What may have changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum By {
    /// The spec, field by field
    Spec,
    /// The dataset: path, format, digest, fields
    Dataset,
    /// The evaluator: id, version, source, digest, config
    Evaluator,
    /// The judges: id, version, source, digest, determinism, config
    Judges,
}

impl From<By> for Part {
    fn from(by: By) -> Self {
        match by {
            By::Spec => Self::Spec,
            By::Dataset => Self::Dataset,
            By::Evaluator => Self::Evaluator,
            By::Judges => Self::Judges,
        }
    }
}

pub(crate) async fn execute(args: Args) -> Result<Exit, Failure> {
    let store = args.store.open().await?;
    let run = run_ref::resolve(&*store, &args.run).await?;
    let baseline = run_ref::resolve(&*store, &args.baseline).await?;
    let mut changes = diff::changes(&run, &baseline);
    changes.parts.retain(|part| args.by.is_empty() || args.by.iter().any(|&by| Part::from(by) == part.part));
    let flips = args.items.then_some(args.limit as usize);
    let scores = compare(&*store, &run, &baseline, flips).await?;
    store.close().await;
    output::print(&match args.format {
        Format::Text => ef_report::diff(&changes, &scores, output::stdout_style()),
        Format::Json => ef_report::diff_json(&changes, &scores),
    })?;
    Ok(Exit::Done)
}

/// Reads the baseline's records and then the run's.
async fn compare(
    store: &dyn TraceStore,
    run: &RunSummary,
    baseline: &RunSummary,
    flips: Option<usize>,
) -> Result<Scores, Failure> {
    let mut before = BaselineScores::new(&spec_of(run)?, &spec_of(baseline)?);
    let mut records = Latest::new(store, baseline);
    while let Some(stored) = records.next().await? {
        before.observe(&stored.record);
    }
    let mut comparison = before.against_run(flips);
    let mut records = Latest::new(store, run);
    let mut chunk = Vec::new();
    loop {
        let next = records.next().await?;
        let ended = next.is_none();
        chunk.extend(next);
        if chunk.len() >= CHUNK || ended {
            observe(store, &mut comparison, &chunk).await?;
            chunk.clear();
        }
        if ended {
            break;
        }
    }
    let metrics = |run: &RunSummary| run.result.as_ref().map_or_else(Vec::new, |result| result.metrics.clone());
    let (after, before): (Vec<Metric>, Vec<Metric>) = (metrics(run), metrics(baseline));
    // A bootstrap takes a while: not on a thread that drives others.
    let finished = tokio::task::spawn_blocking(move || comparison.finish(&after, &before)).await;
    Ok(finished.expect("comparing scores does not panic"))
}

/// Records whose metadata is fetched at once.
const CHUNK: usize = 512;

async fn observe(
    store: &dyn TraceStore,
    comparison: &mut Comparison,
    chunk: &[StoredRecord],
) -> Result<(), StoreError> {
    let metadata_of = |stored: &StoredRecord| stored.record.trace.item_metadata;
    let needed = comparison.needs_metadata();
    let digests: Vec<_> = chunk.iter().filter_map(metadata_of).filter(|_| needed).collect();
    let found = if digests.is_empty() { Vec::new() } else { store.payloads(&digests).await? };
    let mut found = found.into_iter();
    for stored in chunk {
        let metadata: Option<Payload> = metadata_of(stored).and_then(|_| found.next().flatten());
        comparison.observe(&stored.record, metadata.as_ref());
    }
    Ok(())
}

/// A run's records, of each only the latest revision.
struct Latest<'s> {
    records: Fuse<BoxStream<'s, Result<StoredRecord, StoreError>>>,
    held: Option<StoredRecord>,
}

impl<'s> Latest<'s> {
    fn new(store: &'s dyn TraceStore, run: &'s RunSummary) -> Self {
        let records = store.records(&run.head.run_id, &RecordFilter::default());
        Self { records: records.fuse(), held: None }
    }

    async fn next(&mut self) -> Result<Option<StoredRecord>, StoreError> {
        let key = |stored: &StoredRecord| (stored.record.row, stored.record.repeat);
        loop {
            let next = self.records.try_next().await?;
            let is_revised = self.held.as_ref().map(key) == next.as_ref().map(key);
            let ended = next.is_none();
            let held = std::mem::replace(&mut self.held, next);
            if ended || (held.is_some() && !is_revised) {
                return Ok(held);
            }
        }
    }
}

/// The spec that a run keeps.
fn spec_of(run: &RunSummary) -> Result<EvalSpec, Failure> {
    serde_json::from_value(run.head.spec.clone()).map_err(|_| {
        let id = &run.head.run_id;
        Failure::new(Exit::Store, format!("the spec that is kept with the run {id} cannot be read"))
            .hint("a newer ef made the run: update ef; or else the trace store is damaged")
    })
}
