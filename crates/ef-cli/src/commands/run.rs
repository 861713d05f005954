//! `ef run`: runs an evaluation.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use ef_dataset::{Dataset, DatasetOptions, Format as DatasetFormat};
use ef_model::{DatasetRef, ItemField, RunHead, RunId};
use ef_plugin::Registry;
use ef_runner::{Plan, Runner};
use ef_spec::EvalSpec;

use crate::compose::{self, Composed, Parts};
use crate::evaluation::{self, ResultArgs};
use crate::failure::Failure;
use crate::output::{self, Format};
use crate::session::Session;
use crate::{Exit, artifact, dry_run, prompt, stores};

/// Run an evaluation
///
/// Runs the evaluator of a spec over a dataset, has its outputs judged, keeps every trace and judgment in the trace
/// store, and prints the metrics. The result is also written to OUTPUT/RUN_ID.json.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The spec, YAML or JSON
    spec: PathBuf,
    /// The dataset: JSONL, a JSON array, CSV or Parquet, also .gz and .zst; - is standard input
    #[arg(long, value_name = "PATH")]
    dataset: PathBuf,
    /// The dataset's format, where its name does not say it
    #[arg(long, value_name = "jsonl|json|csv|parquet")]
    dataset_format: Option<DatasetFormat>,
    /// Which column holds a field of the item, such as input=question; dots reach inside. Repeatable
    #[arg(long, value_name = "FIELD=COLUMN", value_parser = parse_mapping)]
    map: Vec<(ItemField, String)>,
    /// Stop reading after so many rows
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max_items: Option<u64>,
    /// Tasks in flight, at most
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    concurrency: Option<u32>,
    #[command(flatten)]
    store: stores::StoreArgs,
    /// The id of the run; made up where it is not given
    #[arg(long, value_name = "ID")]
    run_id: Option<RunId>,
    /// Have every judgment made, also those of costly judges that an earlier run in the store has
    #[arg(long)]
    no_cache: bool,
    /// Stop before the next call could make the run cost more than so many US dollars
    #[arg(long, value_name = "USD", value_parser = parse_dollars)]
    max_cost_usd: Option<f64>,
    /// Refuse plugins that are not as ef-plugins.lock says
    #[arg(long)]
    locked: bool,
    /// Check everything, count the items and estimate calls and cost, without sending or storing anything
    #[arg(long, conflicts_with_all = ["run_id", "no_cache"])]
    dry_run: bool,
    /// In a dry run, show what would be sent for the first item
    #[arg(long, requires = "dry_run")]
    payloads: bool,
    #[command(flatten)]
    result: ResultArgs,
}

/// Reads an amount of money.
pub(crate) fn parse_dollars(text: &str) -> Result<f64, String> {
    let usd: f64 = text.parse().map_err(|_| "write an amount in US dollars, such as 2.50")?;
    if usd.is_finite() && usd >= 0.0 { Ok(usd) } else { Err("write an amount that is not negative".to_owned()) }
}

/// Reads FIELD=COLUMN.
pub(crate) fn parse_mapping(text: &str) -> Result<(ItemField, String), String> {
    let known = || ItemField::ALL.map(ItemField::as_str).join(", ");
    let (field, column) = text.split_once('=').ok_or("write FIELD=COLUMN, such as input=question")?;
    let field = ItemField::ALL
        .into_iter()
        .find(|known| known.as_str() == field)
        .ok_or_else(|| format!("an item has no field {field:?}; it has {}", known()))?;
    if column.is_empty() { Err("the column's name is missing".to_owned()) } else { Ok((field, column.to_owned())) }
}

pub(crate) async fn execute(args: Args, own: Registry, session: Session) -> Result<Exit, Failure> {
    let run_id = args.run_id.clone().unwrap_or_else(RunId::generate);
    if !args.dry_run {
        session.set_run(&run_id);
    }
    let mut parts = Parts::gather(own, prompt::terminal(), args.locked)?;
    let ended = run(&args, run_id, &mut parts, &session).await;
    parts.plugins.shut_down().await;
    ended
}

async fn run(args: &Args, run_id: RunId, parts: &mut Parts, session: &Session) -> Result<Exit, Failure> {
    let mut composed = compose::compose(&args.spec, parts).await?;
    override_spec(&mut composed.spec, args);
    parts.clients.limit_to(composed.spec.runtime.max_concurrent);
    let spec = &composed.spec;
    let uri = args.store.store.as_deref().unwrap_or(composed.store.expose());
    // What can be refused is refused before anything is made.
    let location = stores::Location::parse(uri)?;
    let dataset = open_dataset(args, spec)?;
    if args.dry_run {
        return show_dry_run(args, &composed, dataset);
    }
    artifact::check(&args.result.output)?;
    let store = location.open_or_create_in(session).await?;
    location.log_opened();
    let store_argument = stores::argument(args.store.store.as_deref().unwrap_or(&spec.runtime.trace_store));
    if let Some(baseline) = &spec.scoring.baseline_run_id
        && store.run(baseline).await?.is_none()
    {
        let message =
            format!("the spec's scoring.baseline_run_id names the run {baseline}, which this store does not have");
        return Err(Failure::usage(message).hint("`ef runs` lists the runs; --store names another store"));
    }

    let head = head(args, run_id.clone(), &dataset, &composed);
    let total = spec.runtime.max_items.map(|items| items * u64::from(spec.runtime.repeats));
    let Composed { spec, evaluator, judges, .. } = composed;
    let plan = Plan { head, spec, evaluator, judges: judges.clone(), store: store.clone() };
    let (runner, events) = Runner::new(plan);
    let runner = runner.with_instruments(session.instruments());
    let runner = if args.no_cache { runner.without_reuse() } else { runner };
    let stopper = runner.stopper();
    let ended =
        evaluation::watched(runner.run(Box::new(dataset)), stopper, events, total, args.result.format, parts).await?;
    evaluation::ask_people(&args.result, store.as_ref(), &ended, &judges).await;
    store.close().await;
    evaluation::conclude(&args.result, &store_argument, &run_id, ended)
}

fn show_dry_run(args: &Args, composed: &Composed, dataset: Dataset) -> Result<Exit, Failure> {
    let estimate = dry_run::estimate(composed, dataset)?;
    output::print(&match args.result.format {
        Format::Text => estimate.text(composed, args.payloads),
        Format::Json => format!("{:#}\n", estimate.to_json(composed, args.payloads)),
    })?;
    Ok(Exit::Done)
}

/// What the command line says counts over what the spec says, and is recorded as part of it.
fn override_spec(spec: &mut EvalSpec, args: &Args) {
    spec.runtime.max_items = args.max_items.or(spec.runtime.max_items);
    spec.runtime.max_cost_usd = args.max_cost_usd.or(spec.runtime.max_cost_usd);
    spec.runtime.max_concurrent = args.concurrency.unwrap_or(spec.runtime.max_concurrent);
    spec.dataset.fields.extend(args.map.iter().cloned());
}

fn open_dataset(args: &Args, spec: &EvalSpec) -> Result<Dataset, Failure> {
    let options = DatasetOptions {
        format: args.dataset_format,
        fields: spec.dataset.fields.clone(),
        max_items: spec.runtime.max_items,
        max_item_bytes: spec.runtime.max_item_bytes,
        digest: true,
    };
    let dataset = if args.dataset.as_os_str() == "-" {
        ef_dataset::from_reader("stdin", Box::new(io::stdin()), options)?
    } else {
        ef_dataset::open(&args.dataset, options)?
    };
    Ok(dataset)
}

fn head(args: &Args, run_id: RunId, dataset: &Dataset, composed: &Composed) -> RunHead {
    let spec = &composed.spec;
    let fields: BTreeMap<_, _> =
        spec.dataset.fields.iter().map(|(field, column)| (field.as_str().to_owned(), column.clone())).collect();
    RunHead {
        run_id,
        started_at_us: jiff::Timestamp::now().as_microsecond(),
        ef_version: env!("CARGO_PKG_VERSION").to_owned(),
        spec_id: spec.id.clone(),
        spec_version: spec.version.clone(),
        spec: spec.to_value(),
        spec_digest: spec.digest(),
        dataset: DatasetRef {
            path: args.dataset.to_string_lossy().into_owned(),
            format: dataset.format().as_str().to_owned(),
            fields,
        },
        source: None,
        evaluator: Arc::new(composed.evaluator.identity().clone()),
        judges: composed.judges.iter().map(|judge| Arc::clone(&judge.identity)).collect(),
    }
}
