//! A run as the command line drives it: its progress, its signals, and what is told at its end.

use std::path::PathBuf;

use ef_model::{RunId, RunResult, StoreError};
use ef_runner::{Events, RunError, Stopper};

use crate::failure::{self, Failure};
use crate::output::{self, Format};
use crate::{Exit, artifact, progress, signals};

/// Where a result goes.
#[derive(Debug, clap::Args)]
pub(crate) struct ResultArgs {
    /// Where the result is written
    #[arg(long, value_name = "DIR", default_value = "./runs")]
    pub(crate) output: PathBuf,
    /// The form of the result
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

/// Waits for a run that is being driven, shows how far it is, and stops it when a signal says so.
pub(crate) async fn watched<T>(
    run: impl Future<Output = T>,
    stopper: Stopper,
    events: Events,
    total: Option<u64>,
    format: Format,
) -> T {
    let progress = progress::line(total, progress::is_visible() && format == Format::Text);
    let watching = tokio::spawn(signals::watch(stopper, progress.clone()));
    let showing = tokio::spawn(progress::show(events, progress));
    let ended = run.await;
    watching.abort();
    // The events end with the run.
    let _ = showing.await;
    ended
}

/// Tells how a run ended. `store` is the argument that a next command needs.
pub(crate) fn conclude(
    args: &ResultArgs,
    store: &str,
    run_id: &RunId,
    ended: Result<RunResult, RunError>,
) -> Result<Exit, Failure> {
    match ended {
        Ok(result) => {
            let written = artifact::write(&args.output, &result);
            // The result is shown even where it cannot be kept as a file.
            print(args, &result)?;
            let path = written?;
            if args.format == Format::Text {
                output::say(&format!("result  {}", path.display()));
                output::say(&format!("next    ef show {run_id} --traces{store}"));
            }
            Ok(Exit::Done)
        }
        Err(RunError::Unfinished { cause, source_error, result }) => {
            print(args, &result)?;
            say_resume(args, run_id, store);
            if let Some(error) = source_error {
                return Err(error.into());
            }
            Ok(failure::exit_of(&cause))
        }
        Err(error) => {
            if let RunError::Store { counts, error } = &error
                && counts.tasks() > 0
            {
                output::say(&format!("{} tasks of this run are in the store", counts.tasks()));
                // After a conflict the dataset has to change, and with it the run.
                if !matches!(error, StoreError::Conflict { .. }) {
                    say_resume(args, run_id, store);
                }
            }
            Err(error.into())
        }
    }
}

fn say_resume(args: &ResultArgs, run_id: &RunId, store: &str) {
    if args.format == Format::Text {
        output::say(&format!("next    ef resume {run_id}{store}"));
    }
}

fn print(args: &ResultArgs, result: &RunResult) -> Result<(), Failure> {
    match args.format {
        Format::Text => output::print(&ef_report::summary(result, output::stdout_style())),
        Format::Json => output::print(&ef_report::json(result)),
    }
}
