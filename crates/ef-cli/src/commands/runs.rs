//! `ef runs`: lists runs.

use crate::failure::Failure;
use crate::output::{self, Format};
use crate::{Exit, stores};

/// List runs
///
/// Lists the runs of a trace store, the latest begun first.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only runs whose id begins so
    #[arg(default_value = "", hide_default_value = true)]
    prefix: String,
    /// How many, at most
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: u32,
    #[command(flatten)]
    store: stores::StoreArgs,
    /// The form of the list; json is one run a line
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) async fn execute(args: Args) -> Result<Exit, Failure> {
    let store = args.store.open().await?;
    let runs = store.runs(&args.prefix, args.limit).await?;
    store.close().await;
    match args.format {
        Format::Text => output::print(&ef_report::runs_table(&runs, output::stdout_style()))?,
        Format::Json => {
            let line = |run: &ef_model::RunSummary| {
                let mut value = serde_json::json!({
                    "run_id": run.head.run_id,
                    "status": run.status,
                    "started_at_us": run.head.started_at_us,
                    "spec_id": run.head.spec_id,
                    "spec_version": run.head.spec_version,
                });
                if let Some(result) = &run.result {
                    value["counts"] = serde_json::json!(result.counts);
                    value["metrics"] = serde_json::json!(result.metrics);
                }
                format!("{value}\n")
            };
            output::print(&runs.iter().map(line).collect::<String>())?;
        }
    }
    Ok(Exit::Done)
}
