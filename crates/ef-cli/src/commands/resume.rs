//! `ef resume`: goes on with a run that ended early.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ef_dataset::{Dataset, DatasetOptions, Format as DatasetFormat};
use ef_model::{RunHead, RunId, RunPurpose, RunSource, RunStatus, RunSummary, TraceStore};
use ef_plugin::Registry;
use ef_runner::{Plan, Runner};

use crate::compose::{self, Composed, Parts};
use crate::evaluation::{self, ResultArgs};
use crate::failure::Failure;
use crate::session::Session;
use crate::{Exit, artifact, console, output, prompt, run_ref, stores};

/// Go on with a run that ended early
///
/// Goes on with a run that was interrupted, aborted or killed, with the spec that it began with and the dataset that it
/// read. What is done is not done again; the rows that it was made from must be unchanged. With --retry-errors, tasks
/// that failed are done again; of a completed run, in a new one that takes over the good records.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run's id, a unique prefix of it, or latest
    run: String,
    /// The run's dataset, where it is not any more at the path that the run began with
    #[arg(long, value_name = "PATH")]
    dataset: Option<PathBuf>,
    /// Do failed tasks again
    #[arg(long)]
    retry_errors: bool,
    /// Have every judgment made, also those of costly judges that an earlier run in the store has
    #[arg(long)]
    no_cache: bool,
    /// Another limit to what the run may cost in all, in US dollars
    #[arg(long, value_name = "USD", value_parser = super::run::parse_dollars)]
    max_cost_usd: Option<f64>,
    /// Refuse plugins that are not as ef-plugins.lock says
    #[arg(long)]
    locked: bool,
    #[command(flatten)]
    store: stores::StoreArgs,
    #[command(flatten)]
    result: ResultArgs,
}

pub(crate) async fn execute(args: Args, own: Registry, session: Session) -> Result<Exit, Failure> {
    let location = args.store.location()?;
    let store = location.open_in(&session).await?;
    let ended = resume(&args, &location, &store, own, &session).await;
    store.close().await;
    ended
}

async fn resume(
    args: &Args,
    location: &stores::Location,
    store: &Arc<dyn TraceStore>,
    own: Registry,
    session: &Session,
) -> Result<Exit, Failure> {
    let found = run_ref::resolve(store.as_ref(), &args.run).await?;
    if found.status == RunStatus::Completed && !args.retry_errors {
        return already_done(args, &found);
    }
    let is_retry = found.status == RunStatus::Completed;
    let head = if is_retry { retry_of(&found.head) } else { found.head.clone() };
    session.set_run(&head.run_id);
    location.log_opened();
    let mut parts = Parts::gather(own, prompt::terminal(), args.locked)?;
    let ended = go_on(args, store, &found, head, &mut parts, session).await;
    parts.plugins.shut_down().await;
    ended
}

fn already_done(args: &Args, found: &RunSummary) -> Result<Exit, Failure> {
    console::say(&format!("the run {} is completed: there is nothing to resume", found.head.run_id));
    if let (Some(result), output::Format::Json) = (&found.result, args.result.format) {
        output::print(&ef_report::json(result))?;
    }
    Ok(Exit::Done)
}

async fn go_on(
    args: &Args,
    store: &Arc<dyn TraceStore>,
    found: &RunSummary,
    head: RunHead,
    parts: &mut Parts,
    session: &Session,
) -> Result<Exit, Failure> {
    if let Some(RunSource { run_id, purpose: RunPurpose::ReplayJudges | RunPurpose::ReplayAll }) = &found.head.source {
        let message =
            format!("the run {} is a replay of the run {run_id}, and a replay is not resumed", found.head.run_id);
        return Err(Failure::usage(message).hint(format!("`ef replay {run_id}` begins a new one")));
    }
    let composed = compose::compose_run(&found.head, parts).await?;
    assert_same_components(&found.head, &composed)?;
    let path = dataset_path(args, &found.head)?;
    let open = |digest| open_dataset(&path, &found.head, &composed, digest);
    let (source, check) = (open(false)?, open(true)?);
    artifact::check(&args.result.output)?;

    let run_id = head.run_id.clone();
    let Composed { mut spec, evaluator, judges, .. } = composed;
    // A cap for what is left; the run keeps the spec that it began with.
    spec.runtime.max_cost_usd = args.max_cost_usd.or(spec.runtime.max_cost_usd);
    let total = spec.runtime.max_items.map(|items| items * u64::from(spec.runtime.repeats));
    let plan = Plan { head, spec, evaluator, judges: judges.clone(), store: Arc::clone(store) };
    let (runner, events) = Runner::new(plan);
    let runner = runner.with_instruments(session.instruments());
    let runner = if args.no_cache { runner.without_reuse() } else { runner };
    let stopper = runner.stopper();
    let ended = if found.status == RunStatus::Completed {
        let run = runner.retry(Box::new(source), Box::new(check));
        evaluation::watched(run, stopper, events, total, args.result.format, parts).await?
    } else {
        let run = runner.resume(Box::new(source), Box::new(check), args.retry_errors);
        evaluation::watched(run, stopper, events, total, args.result.format, parts).await?
    };
    evaluation::ask_people(&args.result, store.as_ref(), &ended, &judges).await;
    let store_argument = stores::argument(args.store.uri());
    evaluation::conclude(&args.result, &store_argument, &run_id, ended)
}

/// The head of a new run that does a completed one's failed tasks again.
fn retry_of(head: &RunHead) -> RunHead {
    RunHead {
        run_id: RunId::generate(),
        started_at_us: jiff::Timestamp::now().as_microsecond(),
        ef_version: env!("CARGO_PKG_VERSION").to_owned(),
        source: Some(RunSource { run_id: head.run_id.clone(), purpose: RunPurpose::Retry }),
        ..head.clone()
    }
}

/// One run is of one evaluator and the same judges from begin to end.
fn assert_same_components(head: &RunHead, composed: &Composed) -> Result<(), Failure> {
    let differs = |what: &str, began: &ef_model::Identity, now: &ef_model::Identity| {
        let shown = |identity: &ef_model::Identity| {
            let digest = identity.digest.to_string();
            format!("{} {} ({})", identity.id, identity.version, &digest[..12])
        };
        let (began, now) = (shown(began), shown(now));
        let message = format!("{what} is not what the run began with: that was {began}, and this is {now}");
        Failure::new(Exit::Component, message)
            .hint("use the version that the run began with, or start a new run with `ef run`")
    };
    let evaluator = composed.evaluator.identity();
    if *evaluator != *head.evaluator {
        return Err(differs("the evaluator", &head.evaluator, evaluator));
    }
    for (began, now) in head.judges.iter().zip(&composed.judges) {
        if **began != *now.identity {
            let what = format!("the judge {}", began.name);
            return Err(differs(&what, &began.identity, &now.identity.identity));
        }
    }
    Ok(())
}

fn dataset_path(args: &Args, head: &RunHead) -> Result<PathBuf, Failure> {
    let given = args.dataset.as_deref();
    if given.unwrap_or(Path::new(&head.dataset.path)).as_os_str() == "-" {
        return Err(Failure::usage("a dataset that came on standard input cannot be read from its begin again")
            .hint("save it as a file and name that with --dataset"));
    }
    Ok(given.map_or_else(|| PathBuf::from(&head.dataset.path), Path::to_owned))
}

fn open_dataset(path: &Path, head: &RunHead, composed: &Composed, digest: bool) -> Result<Dataset, Failure> {
    let runtime = &composed.spec.runtime;
    let options = DatasetOptions {
        format: head.dataset.format.parse::<DatasetFormat>().ok(),
        fields: composed.spec.dataset.fields.clone(),
        max_items: runtime.max_items,
        max_item_bytes: runtime.max_item_bytes,
        digest,
    };
    Ok(ef_dataset::open(path, options)?)
}
