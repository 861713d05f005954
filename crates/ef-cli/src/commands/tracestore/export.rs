//! `ef tracestore export`: brings runs into another store.

use std::sync::Arc;
use std::time::Duration;

use ef_model::{RunId, RunStatus, TraceStore};
use ef_runner::{ExportError, ExportProgress, Exported};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::failure::Failure;
use crate::output::{self, Format};
use crate::stores::Location;
use crate::{Exit, console, progress, run_ref, signals};

/// Bring runs into another trace store
///
/// Copies each run with its records and payloads under the same id, and checks it by its digests on both sides. Any kind of
/// store can be exported to any other; the target is made where it is a file or a folder and is not there. An export that
/// was interrupted goes on where it was when the command is given again, and what is in the target already is only checked.
///
/// Runs that are running are passed over. Runs that ended early, or await verdicts, are brought over as they stand.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The trace store to export from
    from: String,
    /// The trace store to export to
    #[arg(long, value_name = "URI")]
    to: String,
    /// Only this run: its id, a unique prefix of it, or latest. Repeatable
    #[arg(long, value_name = "RUN")]
    run: Vec<String>,
    /// The form of the answer; json is one run a line
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// The two stores.
struct Stores {
    from: (Location, Arc<dyn TraceStore>),
    to: (Location, Arc<dyn TraceStore>),
}

pub(super) async fn execute(args: Args) -> Result<Exit, Failure> {
    let [from, to] = [Location::parse(&args.from)?, Location::parse(&args.to)?];
    if from.shown() == to.shown() {
        return Err(Failure::usage("a trace store is not exported to itself").hint("name another with --to"));
    }
    let source = from.open().await?;
    let runs = chosen(&args, &*source).await?;
    let target = to.open_for_export().await?;
    let stores = Stores { from: (from, source), to: (to, target) };
    let ended = tokio::select! {
        ended = export_all(&args, &stores, &runs) => ended,
        () = signals::first() => {
            console::say("stopped: what is in the target stays there, and the same command goes on");
            Ok(Exit::Interrupted)
        }
    };
    stores.from.1.close().await;
    stores.to.1.close().await;
    ended
}

/// The runs that are to be exported, the first begun first. All that are running are passed over, unless they were named.
async fn chosen(args: &Args, source: &dyn TraceStore) -> Result<Vec<RunId>, Failure> {
    if args.run.is_empty() {
        let mut runs = Vec::new();
        for run in source.runs("", u32::MAX).await?.into_iter().rev() {
            match run.status {
                RunStatus::Running => {
                    console::say(&format!("passed over  {}: it is running", run.head.run_id));
                }
                _ => runs.push(run.head.run_id),
            }
        }
        return Ok(runs);
    }
    let mut runs = Vec::new();
    for reference in &args.run {
        let run = run_ref::resolve(source, reference).await?.head.run_id;
        if !runs.contains(&run) {
            runs.push(run);
        }
    }
    Ok(runs)
}

/// One run after the other. What is wrong with one is told, and does not keep the others.
async fn export_all(args: &Args, stores: &Stores, runs: &[RunId]) -> Result<Exit, Failure> {
    let mut exit = Exit::Done;
    for run in runs {
        let bar = bar(run, args.format);
        console::give_way(&bar);
        let mut told = |progress| match progress {
            ExportProgress::Copied(records) => bar.set_position(records),
            ExportProgress::Verified(records) => {
                bar.set_prefix("verifying");
                bar.set_position(records);
            }
        };
        let exported = ef_runner::export(&stores.from.1, &stores.to.1, run, &mut told).await;
        bar.finish_and_clear();
        match exported {
            Ok(exported) => print(&exported, args.format)?,
            Err(ExportError::Source(error)) => return Err(stores.from.0.failed(error)),
            Err(ExportError::Target(error)) => return Err(stores.to.0.failed(error)),
            Err(error) => exit = worse(exit, failure(error).report()),
        }
    }
    if args.format == Format::Text && runs.is_empty() {
        console::say("there is no run to export");
    }
    Ok(exit)
}

/// A run that is not what was recorded weighs more than one that is in the way.
fn worse(one: Exit, other: Exit) -> Exit {
    if one == Exit::Verification { one } else { other }
}

fn failure(error: ExportError) -> Failure {
    let message = error.to_string();
    match error {
        ExportError::Running { run } => Failure::usage(message).hint(format!("`ef resume {run}` ends it")),
        ExportError::WentOn { .. } => Failure::usage(message).hint("export it again, once nobody writes it"),
        ExportError::Different { .. } => {
            Failure::usage(message).hint("the target is left as it is: export to another store")
        }
        ExportError::Damaged { run, .. } => {
            Failure::new(Exit::Verification, message).hint(format!("`ef verify {run}` tells everything"))
        }
        ExportError::Source(error) | ExportError::Target(error) => error.into(),
    }
}

fn print(exported: &Exported, format: Format) -> Result<(), Failure> {
    let Exported { run_id, status, records, written, records_root } = exported;
    output::print(&match format {
        Format::Text => format!("{run_id}  {status}  {records} records, {written} of them written now, all verified\n"),
        Format::Json => {
            let line = serde_json::json!({
                "run_id": run_id, "status": status, "records": records, "written": written, "records_root": records_root,
            });
            format!("{line}\n")
        }
    })
}

fn bar(run: &RunId, format: Format) -> ProgressBar {
    if !progress::is_visible() || format != Format::Text {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{prefix} {msg} · {pos} records · {per_sec} · {elapsed}") {
        bar.set_style(style);
    }
    bar.set_prefix("exporting");
    bar.set_message(run.to_string());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
