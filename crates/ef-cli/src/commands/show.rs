//! `ef show`: shows a run.

use std::collections::BTreeMap;

use clap::ValueEnum;
use ef_model::{
    Digest, ItemId, JudgmentResult, Payload, RecordFilter, RunSummary, StoredRecord, TraceOutcome, TraceStatus,
    TraceStore,
};
use ef_report::TraceLines;
use futures_util::TryStreamExt;
use serde_json::value::RawValue;

use crate::failure::Failure;
use crate::output::{self, Format};
use crate::{Exit, run_ref, stores};

/// Show a run: its summary, a metric, its traces, or one item
///
/// Shows a run: its summary, one metric in full, its traces a line each, or everything about one item. Payloads are
/// shown only with --payloads.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run's id, a unique prefix of it, or latest
    run: String,
    /// Show this metric in full
    #[arg(long, value_name = "NAME", conflicts_with_all = ["traces", "status", "item", "payloads"])]
    metric: Option<String>,
    /// List the traces
    #[arg(long)]
    traces: bool,
    /// List the traces of this status
    #[arg(long, value_name = "STATUS")]
    status: Option<Status>,
    /// Show everything about this item
    #[arg(long, value_name = "ID")]
    item: Option<ItemId>,
    /// Show inputs, outputs and rationales too; with --item, or with --traces and --format json
    #[arg(long)]
    payloads: bool,
    #[command(flatten)]
    store: stores::StoreArgs,
    /// The form; of traces, json is one record a line
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Status {
    Ok,
    Timeout,
    Error,
    Skipped,
}

impl From<Status> for TraceStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Ok => Self::Ok,
            Status::Timeout => Self::Timeout,
            Status::Error => Self::Error,
            Status::Skipped => Self::Skipped,
        }
    }
}

pub(crate) async fn execute(args: Args) -> Result<Exit, Failure> {
    let lists = args.traces || args.status.is_some();
    if args.payloads && args.item.is_none() && !(lists && args.format == Format::Json) {
        return Err(Failure::usage("--payloads goes with --item, or with --traces and --format json"));
    }
    let store = args.store.open().await?;
    let run = run_ref::resolve(&*store, &args.run).await?;
    let shown = match (&args.metric, lists || args.item.is_some()) {
        (Some(name), _) => metric(&args, &run, name),
        (None, true) => records(&args, &*store, &run).await,
        (None, false) => summary(&args, &run),
    };
    store.close().await;
    shown.map(|()| Exit::Done)
}

fn summary(args: &Args, run: &RunSummary) -> Result<(), Failure> {
    let text = match (&run.result, args.format) {
        (Some(result), Format::Text) => ef_report::summary(result, output::stdout_style()),
        (Some(result), Format::Json) => ef_report::json(result),
        (None, Format::Text) => ef_report::unfinished(run, output::stdout_style()),
        (None, Format::Json) => format!("{:#}\n", serde_json::json!({"status": run.status, "head": run.head})),
    };
    output::print(&text)
}

fn metric(args: &Args, run: &RunSummary, name: &str) -> Result<(), Failure> {
    let metric = super::gate::find_metric(run, name)?;
    match args.format {
        Format::Text => output::print(&ef_report::metric_detail(metric, output::stdout_style())),
        Format::Json => output::print(&format!("{:#}\n", serde_json::json!(metric))),
    }
}

async fn records(args: &Args, store: &dyn TraceStore, run: &RunSummary) -> Result<(), Failure> {
    let filter = RecordFilter { item_id: args.item.clone(), status: args.status.map(Into::into) };
    let style = output::stdout_style();
    let lines = TraceLines::new(&run.head, style);
    let in_lines = args.item.is_none() && args.format == Format::Text;
    if in_lines {
        output::print(&lines.header())?;
    }
    let mut found = 0_u64;
    let mut records = store.records(&run.head.run_id, &filter);
    while let Some(stored) = records.try_next().await? {
        found += 1;
        let payloads = if args.payloads { Some(payloads(store, &stored).await?) } else { None };
        let text = match args.format {
            Format::Json => json_line(&stored, payloads.as_ref())?,
            Format::Text if in_lines => lines.line(&stored),
            Format::Text => ef_report::record_detail(&stored, payloads.as_ref(), style),
        };
        if !output::print_part(&text)? {
            break;
        }
    }
    match &args.item {
        Some(item) if found == 0 => {
            Err(Failure::usage(format!("the run {} has no such record of item {item}", run.head.run_id))
                .hint(format!("`ef show {} --traces` lists them", run.head.run_id)))
        }
        _ => Ok(()),
    }
}

/// The payloads that a record refers to.
async fn payloads(store: &dyn TraceStore, stored: &StoredRecord) -> Result<BTreeMap<Digest, String>, Failure> {
    let trace = &stored.record.trace;
    let mut digests: Vec<_> =
        [trace.input, trace.reference_output, trace.item_metadata].into_iter().flatten().collect();
    match &trace.outcome {
        TraceOutcome::Ok { output, output_metadata } => {
            digests.push(*output);
            digests.extend(output_metadata);
        }
        TraceOutcome::Timeout { error } | TraceOutcome::Error { error } => digests.extend(error.detail),
        TraceOutcome::Skipped { .. } => {}
    }
    for judgment in &stored.record.judgments {
        match &judgment.result {
            JudgmentResult::Scored { rationale, .. } | JudgmentResult::Unscored { rationale, .. } => {
                digests.extend(rationale);
            }
            JudgmentResult::Pending => {}
            JudgmentResult::Error { error } => digests.extend(error.detail),
        }
    }
    let found = store.payloads(&digests).await?;
    let text = |payload: Payload| payload.expose().to_owned();
    Ok(digests.into_iter().zip(found).filter_map(|(digest, found)| Some((digest, found.map(text)?))).collect())
}

/// A record as one line: as it is hashed, with its leaf and, where asked for, its payloads as they are.
fn json_line(stored: &StoredRecord, payloads: Option<&BTreeMap<Digest, String>>) -> Result<String, Failure> {
    #[derive(serde::Serialize)]
    struct Line<'a> {
        #[serde(flatten)]
        record: &'a ef_model::TaskRecord,
        leaf: Digest,
        #[serde(skip_serializing_if = "Option::is_none")]
        payloads: Option<BTreeMap<Digest, &'a RawValue>>,
    }
    let unreadable = |_| Failure::new(Exit::Store, format!("a payload of item {} is not JSON", stored.record.item_id));
    let payloads = payloads
        .map(|payloads| {
            let raw = payloads.iter().map(|(digest, text)| Ok((*digest, serde_json::from_str::<&RawValue>(text)?)));
            raw.collect::<Result<_, serde_json::Error>>()
        })
        .transpose()
        .map_err(unreadable)?;
    let line = Line { record: &stored.record, leaf: stored.leaf, payloads };
    Ok(serde_json::to_string(&line).map_err(unreadable)? + "\n")
}
