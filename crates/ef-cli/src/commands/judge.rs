//! `ef judge`: what concerns judges alone.

use std::path::PathBuf;

use ef_dataset::{DatasetOptions, Format as DatasetFormat};
use ef_metrics::replay::ContractVerdict;
use ef_model::ItemField;
use ef_plugin::Registry;
use ef_runner::{Trial, TrialError};

use crate::Exit;
use crate::compose::{self, Parts};
use crate::failure::{self, Failure};
use crate::output::{self, Format};
use crate::session::Session;

use super::judge_import::{self, ImportArgs, QueueArgs};
use super::run;

/// Look into judges, and bring in verdicts of people
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Verify(VerifyArgs),
    Import(ImportArgs),
    Queue(QueueArgs),
}

/// Verify that a judge is as deterministic as it declares
///
/// Has the outputs of a dataset judged several times each, and tells how much the judge varies. The spec's evaluator makes
/// each output once; with eval_fabric.recorded they are those that the dataset holds. Nothing is stored. Exits with 6 when
/// the judge varies more than it declares, and with 7 when there was nothing to compare.
#[derive(Debug, clap::Args)]
struct VerifyArgs {
    /// The spec, YAML or JSON
    spec: PathBuf,
    /// The judge's name in the spec
    #[arg(long, value_name = "NAME")]
    judge: String,
    /// The dataset: JSONL, a JSON array, CSV or Parquet, also .gz and .zst
    #[arg(long, value_name = "PATH")]
    dataset: PathBuf,
    /// The dataset's format, where its name does not say it
    #[arg(long, value_name = "jsonl|json|csv|parquet")]
    dataset_format: Option<DatasetFormat>,
    /// Which column holds a field of the item, such as input=question; dots reach inside. Repeatable
    #[arg(long, value_name = "FIELD=COLUMN", value_parser = run::parse_mapping)]
    map: Vec<(ItemField, String)>,
    /// How often each output is judged
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(2..=1000))]
    times: u32,
    /// Stop reading after so many rows
    #[arg(long, value_name = "M", value_parser = clap::value_parser!(u64).range(1..))]
    items: Option<u64>,
    /// The form of the report
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) async fn execute(args: Args, own: Registry, session: Session) -> Result<Exit, Failure> {
    let mut parts = Parts::gather(own, None, false)?;
    let ended = match args.command {
        Command::Verify(args) => verify(args, &mut parts).await,
        Command::Import(args) => judge_import::import(args, &mut parts, &session).await,
        Command::Queue(args) => judge_import::write_queue(args, &mut parts).await,
    };
    parts.plugins.shut_down().await;
    ended
}

async fn verify(args: VerifyArgs, parts: &mut Parts) -> Result<Exit, Failure> {
    let composed = compose::compose(&args.spec, parts).await?;
    let names: Vec<_> = composed.judges.iter().map(|judge| judge.identity.name.clone()).collect();
    let Some(judge) = composed.judges.into_iter().find(|judge| judge.identity.name == args.judge) else {
        return Err(Failure::usage(format!("the spec has no judge {:?}", args.judge))
            .hint(format!("its judges are {}", names.join(", "))));
    };
    let mut spec = composed.spec;
    spec.dataset.fields.extend(args.map);
    let options = DatasetOptions {
        format: args.dataset_format,
        fields: spec.dataset.fields.clone(),
        max_items: args.items.or(spec.runtime.max_items),
        max_item_bytes: spec.runtime.max_item_bytes,
        digest: false,
    };
    let dataset = ef_dataset::open(&args.dataset, options)?;
    let trial = Trial { spec, evaluator: composed.evaluator, judge, times: args.times };
    let report = trial.run(Box::new(dataset)).await.map_err(|error| match error {
        TrialError::Dataset(error) => error.into(),
        error @ TrialError::QuotaExhausted(_) => Failure::new(Exit::Aborted, error.to_string()),
        TrialError::Stopped(cause) => Failure::new(failure::exit_of(&cause), cause.to_string()),
    })?;
    output::print(&match args.format {
        Format::Text => ef_report::judge_trial(&report, output::stdout_style()),
        Format::Json => ef_report::judge_trial_json(&report),
    })?;
    Ok(match report.variance.verdict {
        ContractVerdict::Kept | ContractVerdict::NoContract => Exit::Done,
        ContractVerdict::Broken => Exit::Verification,
        ContractVerdict::NothingCompared => Exit::Inconclusive,
    })
}
