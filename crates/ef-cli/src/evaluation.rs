//! A run as the command line drives it: its progress, its signals, and what is told at its end.

use std::path::PathBuf;

use ef_model::{RunId, RunResult, RunStatus, StoreError, TraceStore};
use ef_runner::{Events, RunError, RunJudge, StopCause, Stopper};

use crate::compose::Parts;
use crate::failure::{self, Failure};
use crate::output::{self, Format};
use crate::{Exit, artifact, console, progress, queue, signals};

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

/// Waits for a run that is being driven, shows how far it is, and stops it when a signal says so; at a second signal it
/// fails at once.
pub(crate) async fn watched<T>(
    run: impl Future<Output = T>,
    stopper: Stopper,
    events: Events,
    total: Option<u64>,
    format: Format,
    parts: &Parts,
) -> Result<T, Failure> {
    let progress = progress::line(total, progress::is_visible() && format == Format::Text);
    console::give_way(&progress);
    let showing = tokio::spawn(progress::show(events, progress, parts.clients.clone()));
    let ended = tokio::select! {
        ended = run => Some(ended),
        // The run is dropped, and with it whatever it had started.
        () = signals::watch(stopper) => None,
    };
    // The events end with the run.
    let _ = showing.await;
    ended.ok_or_else(|| {
        Failure::new(Exit::Interrupted, "stopped at once").hint("what was reported as done is kept: `ef resume latest`")
    })
}

/// Where a run awaits people, writes what they are asked. The file can be written again at any time, so that a failure is
/// told and changes nothing.
pub(crate) async fn ask_people(
    args: &ResultArgs,
    store: &dyn TraceStore,
    ended: &Result<RunResult, RunError>,
    judges: &[RunJudge],
) {
    let Ok(result @ RunResult { status: RunStatus::Awaiting, .. }) = ended else { return };
    let path = queue::path(&args.output, &result.head.run_id);
    match queue::write(store, &result.head.run_id, judges, &path).await {
        Ok(count) => {
            let judgments = if count == 1 { "judgment waits" } else { "judgments wait" };
            console::say(&format!("queue   {count} {judgments} for people: {}", path.display()));
        }
        Err(failure) => {
            failure.report();
        }
    }
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
                console::advise(&format!("result  {}", path.display()));
                let next = match result.status {
                    RunStatus::Awaiting => {
                        let queue = queue::path(&args.output, run_id);
                        format!("fill in the scores, then ef judge import {run_id} {}", queue.display())
                    }
                    _ => format!("ef show {run_id} --traces"),
                };
                console::advise(&format!("next    {next}{store}"));
            }
            Ok(Exit::Done)
        }
        Err(RunError::Unfinished { cause, source_error, result }) => {
            print(args, &result)?;
            say_resume(args, run_id, store);
            // The text of a result has the reason, and whoever stopped the run knows it.
            let is_told = args.format == Format::Text || matches!(cause, StopCause::Interrupted);
            match source_error {
                None if is_told => Ok(failure::exit_of(&cause)),
                source_error => Err(RunError::Unfinished { cause, source_error, result }.into()),
            }
        }
        Err(error) => {
            if let RunError::Store { counts, error } = &error
                && counts.tasks() > 0
            {
                console::say(&format!("{} tasks of this run are in the store", counts.tasks()));
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
        console::advise(&format!("next    ef resume {run_id}{store}"));
    }
}

fn print(args: &ResultArgs, result: &RunResult) -> Result<(), Failure> {
    match args.format {
        Format::Text => output::print(&ef_report::summary(result, output::stdout_style())),
        Format::Json => output::print(&ef_report::json(result)),
    }
}
