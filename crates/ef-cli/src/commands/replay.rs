//! `ef replay`: a run's outputs are judged again, or everything is done again.

use std::sync::Arc;

use ef_metrics::replay::{self, ReplayDrift};
use ef_model::{
    Evaluator, JudgeIdentity, RunHead, RunId, RunPurpose, RunResult, RunSource, RunStatus, RunSummary, StoreError,
    TraceStore,
};
use ef_plugin::{ComponentKind, LookupError, Registry};
use ef_runner::{AbsentEvaluator, Plan, RunError, RunJudge, Runner, StopCause};
use ef_spec::EvalSpec;

use crate::compose::{self, Parts};
use crate::evaluation::{self, ResultArgs};
use crate::failure::{self, Failure};
use crate::output::{self, Format};
use crate::session::Session;
use crate::{Exit, artifact, console, run_ref, stores};

use super::verify;

/// Replay a run: judge its outputs again, or do everything again, and tell what drifted
///
/// Takes items, outputs and spec from the trace store; no dataset is needed. With --judges-only the recorded outputs are
/// judged again; with --all the evaluator runs again too. Without either, everything is done again where the run's
/// evaluator is available as it was, and else the outputs are judged again. What comes of it is kept as a run of its own.
///
/// Each judge is held to the determinism that it declared in the run: a deterministic one may not differ at all, one that
/// samples with a seed in one judgment of a hundred, and a stochastic one's scores are compared as distributions. Exits
/// with 6 when a judge differs by more, or when the run is not as it was recorded.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run's id, a unique prefix of it, or latest
    run: String,
    /// Judge the recorded outputs again
    #[arg(long)]
    judges_only: bool,
    /// Run the evaluator again too
    #[arg(long, conflicts_with_all = ["judges_only", "judge"])]
    all: bool,
    /// Ask only this judge again, and take over what the others said; may be given several times. Implies --judges-only
    #[arg(long, value_name = "NAME")]
    judge: Vec<String>,
    /// List the judgments that drifted
    #[arg(long)]
    items: bool,
    /// How many of them, at most
    #[arg(long, value_name = "N", default_value_t = 50, requires = "items")]
    limit: u32,
    /// Do not verify the whole run first; what is judged again is verified all the same
    #[arg(long)]
    no_verify: bool,
    /// The id of the new run; made up where it is not given
    #[arg(long, value_name = "ID")]
    run_id: Option<RunId>,
    /// Refuse plugins that are not as ef-plugins.lock says
    #[arg(long)]
    locked: bool,
    #[command(flatten)]
    store: stores::StoreArgs,
    #[command(flatten)]
    result: ResultArgs,
}

pub(crate) async fn execute(args: Args, own: Registry, session: Session) -> Result<Exit, Failure> {
    let run_id = args.run_id.clone().unwrap_or_else(RunId::generate);
    session.set_run(&run_id);
    let location = args.store.location()?;
    let store = location.open_in(&session).await?;
    location.log_opened();
    let ended = match run_ref::resolve(store.as_ref(), &args.run).await {
        Ok(source) => gather_and_replay(&args, run_id, &store, source, own, &session).await,
        Err(failure) => Err(failure),
    };
    store.close().await;
    ended
}

async fn gather_and_replay(
    args: &Args,
    run_id: RunId,
    store: &Arc<dyn TraceStore>,
    source: RunSummary,
    own: Registry,
    session: &Session,
) -> Result<Exit, Failure> {
    check_source(args, store.as_ref(), &source).await?;
    // Nobody is asked at the terminal: what people are asked stays pending.
    let mut parts = Parts::gather(own, None, args.locked)?;
    let ended = match Again::of(args, run_id, store, &source, &mut parts).await {
        Ok(again) => replay(args, again, &source, &parts, session).await,
        Err(failure) => Err(failure),
    };
    parts.plugins.shut_down().await;
    ended
}

async fn replay(
    args: &Args,
    again: Again,
    source: &RunSummary,
    parts: &Parts,
    session: &Session,
) -> Result<Exit, Failure> {
    let Again { plan, mut notes } = again;
    let store = Arc::clone(&plan.store);
    artifact::check(&args.result.output)?;
    let head = plan.head.clone();
    notes.extend(replay::notes(&source.head, &head));

    let asked: Vec<_> = plan.judges.iter().map(|judge| judge.identity.name.clone()).collect();
    let total = source.result.as_ref().map(|result| result.counts.tasks());
    let judges = plan.judges.clone();
    let (runner, events) = Runner::new(plan);
    let runner = runner.with_instruments(session.instruments());
    let stopper = runner.stopper();
    let ended = evaluation::watched(runner.replay(), stopper, events, total, args.result.format, parts).await?;
    let result = match ended {
        Ok(RunResult { status: RunStatus::Awaiting, .. }) => {
            // What people say is not known yet, so there is nothing to compare.
            evaluation::ask_people(&args.result, store.as_ref(), &ended, &judges).await;
            let store = stores::argument(args.store.store.as_deref().unwrap_or(stores::DEFAULT));
            return evaluation::conclude(&args.result, &store, &head.run_id, ended);
        }
        Ok(result) => result,
        Err(error) => return Err(unfinished(&source.head, &head, error)),
    };
    let written = artifact::write(&args.result.output, &result);
    let judges = source.head.judges.iter().filter(|judge| asked.contains(&judge.name)).map(AsRef::as_ref);
    let drift = compare(args, store.as_ref(), &source.head.run_id, &head.run_id, judges).await?;
    // The report is shown even where the result cannot be kept as a file.
    output::print(&match args.result.format {
        Format::Text => ef_report::replay(&source.head, &head, &notes, &drift, output::stdout_style()),
        Format::Json => ef_report::replay_json(&source.head, &head, &notes, &drift),
    })?;
    let path = written?;
    if args.result.format == Format::Text {
        let store = stores::argument(args.store.uri());
        console::advise(&format!("result  {}", path.display()));
        console::advise(&format!("next    ef diff {} {}{store}", head.run_id, source.head.run_id));
    }
    Ok(if drift.is_broken() { Exit::Verification } else { Exit::Done })
}

/// A run that is whole and as it was recorded.
async fn check_source(args: &Args, store: &dyn TraceStore, source: &RunSummary) -> Result<(), Failure> {
    let id = &source.head.run_id;
    if source.status != RunStatus::Completed {
        let message = format!("the run {id} is {}, and only a completed run is replayed", source.status);
        return Err(Failure::new(Exit::Inconclusive, message).hint(format!("`ef resume {id}` completes it")));
    }
    if !args.no_verify {
        verify::require(store, source).await?;
    }
    Ok(())
}

async fn compare<'j>(
    args: &Args,
    store: &dyn TraceStore,
    source: &RunId,
    replay: &RunId,
    judges: impl Iterator<Item = &'j JudgeIdentity>,
) -> Result<ReplayDrift, StoreError> {
    let listed = if args.items { args.limit as usize } else { 0 };
    ef_runner::compare_replay(store, source, replay, judges, listed).await
}

/// A replay that came to no end.
fn unfinished(source: &RunHead, replay: &RunHead, error: RunError) -> Failure {
    let counts = match &error {
        RunError::Unfinished { result, .. } => result.counts,
        RunError::Store { counts, .. } => **counts,
        _ => ef_model::Counts::default(),
    };
    let id = &source.run_id;
    if counts.tasks() > 0 {
        console::say(&format!("kept    what was done until then, as the run {}", replay.run_id));
    }
    match error {
        RunError::NotBegun { cause: cause @ StopCause::Source(_), .. }
        | RunError::Unfinished { cause: cause @ StopCause::Source(_), .. } => {
            Failure::new(failure::exit_of(&cause), cause.to_string()).hint(format!("`ef verify {id}` tells everything"))
        }
        RunError::Unfinished { cause, .. } => {
            Failure::new(failure::exit_of(&cause), format!("the replay ended early: {cause}"))
                .hint(format!("a replay is not resumed: `ef replay {id}` begins a new one"))
        }
        error => error.into(),
    }
}

/// What is to be done again.
struct Again {
    plan: Plan,
    /// What has to be known before any number is read.
    notes: Vec<String>,
}

impl Again {
    /// Makes the judges, and the evaluator where it is wanted, of the spec that the source keeps.
    async fn of(
        args: &Args,
        run_id: RunId,
        store: &Arc<dyn TraceStore>,
        source: &RunSummary,
        parts: &mut Parts,
    ) -> Result<Self, Failure> {
        let head = &source.head;
        let spec = spec_of(head)?;
        if let Some(baseline) = &spec.scoring.baseline_run_id
            && store.run(baseline).await?.is_none()
        {
            let message = format!("the run's spec names the baseline run {baseline}, which this store does not have");
            return Err(Failure::usage(message).hint("`ef runs` lists the runs"));
        }
        parts.clients.limit_to(spec.runtime.max_concurrent);
        let wanted = spec.judges.iter().map(|judge| (ComponentKind::Judge, judge.id.clone()));
        let first = (ComponentKind::Evaluator, spec.evaluator.id.clone());
        parts.provide(&std::iter::once(first).chain(wanted).collect::<Vec<_>>()).await?;
        let mut judges = judges(args, &spec, parts).await?;
        let mut notes = Vec::new();
        let evaluator = match args.judges_only || !args.judge.is_empty() {
            true => None,
            false => evaluator(args.all, head, &spec, parts, &mut notes).await?,
        };
        let used = judges.iter().map(|judge| (ComponentKind::Judge, &judge.identity.identity));
        let used = evaluator.iter().map(|made| (ComponentKind::Evaluator, made.identity())).chain(used);
        let used: Vec<_> = used.collect();
        parts.plugins.require_lock(&used).await?;
        compose::log_plugins(&used);
        let purpose = if evaluator.is_some() { RunPurpose::ReplayAll } else { RunPurpose::ReplayJudges };
        if purpose == RunPurpose::ReplayJudges && args.judge.is_empty() {
            // People are not asked twice about the same output, unless they are meant.
            judges.retain(|judge| judge.judge.inquiry().is_none());
        }
        let of_head = |began: &Arc<JudgeIdentity>| {
            let asked = judges.iter().find(|judge| judge.identity.name == began.name);
            Arc::clone(asked.map_or(began, |judge| &judge.identity))
        };
        let evaluator_identity = match &evaluator {
            Some(evaluator) if *evaluator.identity() != *head.evaluator => Arc::new(evaluator.identity().clone()),
            _ => Arc::clone(&head.evaluator),
        };
        let replay = RunHead {
            run_id,
            started_at_us: jiff::Timestamp::now().as_microsecond(),
            ef_version: env!("CARGO_PKG_VERSION").to_owned(),
            judges: head.judges.iter().map(of_head).collect(),
            evaluator: evaluator_identity,
            source: Some(RunSource { run_id: head.run_id.clone(), purpose }),
            ..head.clone()
        };
        let evaluator = evaluator.unwrap_or_else(|| Arc::new(AbsentEvaluator(Arc::clone(&head.evaluator))));
        let store = Arc::clone(store);
        Ok(Self { plan: Plan { head: replay, spec, evaluator, judges, store }, notes })
    }
}

/// The spec that a run keeps.
fn spec_of(head: &RunHead) -> Result<EvalSpec, Failure> {
    serde_json::from_value(head.spec.clone()).map_err(|_| {
        let message = format!("the spec that is kept with the run {} cannot be read", head.run_id);
        Failure::new(Exit::Store, message)
            .hint("a newer ef made the run: update ef; or else the trace store is damaged")
    })
}

/// The judges that are asked again.
async fn judges(args: &Args, spec: &EvalSpec, parts: &Parts) -> Result<Vec<RunJudge>, Failure> {
    if let Some(unknown) = args.judge.iter().find(|name| spec.judges.iter().all(|judge| judge.name != **name)) {
        let known: Vec<_> = spec.judges.iter().map(|judge| judge.name.as_str()).collect();
        return Err(Failure::usage(format!("the run has no judge {unknown:?}"))
            .hint(format!("its judges are {}", known.join(", "))));
    }
    let mut judges = Vec::new();
    for named in spec.judges.iter().filter(|named| args.judge.is_empty() || args.judge.contains(&named.name)) {
        let judge = parts.registry.create_judge(&named.id, &named.config, &parts.environment).await;
        let judge = judge.map_err(|error| not_available(&format!("the judge {}", named.name), &error))?;
        judges.push(RunJudge { identity: Arc::new(compose::judge_identity(named, &*judge)), judge });
    }
    Ok(judges)
}

/// The evaluator, where everything is to be done again: because that was asked for, or because it is what it was.
async fn evaluator(
    asked: bool,
    head: &RunHead,
    spec: &EvalSpec,
    parts: &Parts,
    notes: &mut Vec<String>,
) -> Result<Option<Arc<dyn Evaluator>>, Failure> {
    let made = parts.registry.create_evaluator(&spec.evaluator.id, &spec.evaluator.config, &parts.environment).await;
    let why_not = match made {
        Ok(evaluator) if asked || *evaluator.identity() == *head.evaluator => return Ok(Some(evaluator)),
        Ok(evaluator) => {
            let (was, is) = (&head.evaluator, evaluator.identity());
            format!(
                "the run's evaluator is not available: it was {} {} (sha256 {:.12}), and this ef has {} (sha256 {:.12})",
                was.id, was.version, was.digest, is.version, is.digest
            )
        }
        Err(error) if asked => return Err(not_available("the evaluator", &error)),
        Err(error) => format!("the run's evaluator is not available: {}", told(&error)),
    };
    notes.push(format!("{why_not}. Only the judges are asked again; --all runs whatever evaluator there is"));
    Ok(None)
}

fn not_available(what: &str, error: &LookupError) -> Failure {
    let exit = if matches!(error, LookupError::Config(_)) { Exit::Usage } else { Exit::Component };
    let failure = Failure::new(exit, format!("{what} cannot be had again: {}", told(error)));
    match error {
        LookupError::Config(problems) => match problems.iter().find_map(|problem| problem.hint.clone()) {
            Some(hint) => failure.hint(hint),
            None => failure,
        },
        other => match other.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        },
    }
}

/// What is wrong, with the first problem of a config.
fn told(error: &LookupError) -> String {
    match error {
        LookupError::Config(problems) => match problems.first() {
            Some(problem) => format!("its config does not fit: {} at {:?}", problem.message, problem.pointer),
            None => error.to_string(),
        },
        other => other.to_string(),
    }
}
