//! `ef judge import` and `ef judge queue`: verdicts of people, in and out.

use std::path::{Path, PathBuf};

use ef_model::{ItemId, RunStatus, RunSummary, TraceStore};
use ef_report::counted;
use ef_runner::{Answer, AnswerError, Answered, RunJudge};

use crate::compose::{self, Parts};
use crate::evaluation::ResultArgs;
use crate::failure::Failure;
use crate::output::{self, Format};
use crate::session::Session;
use crate::{Exit, artifact, console, queue, run_ref, stores};

/// Bring people's verdicts into a run
///
/// Reads the answered queue of a run: a JSON line for each judgment, with its score (and rationale) filled in, or
/// "unscored": true. Lines without either stay pending. All lines are checked first, and nothing is imported where one is
/// wrong. When nothing is pending any more the run is completed, and its metrics are printed.
#[derive(Debug, clap::Args)]
pub(crate) struct ImportArgs {
    /// The run's id, a unique prefix of it, or latest
    run: String,
    /// The answered queue
    file: PathBuf,
    #[command(flatten)]
    store: stores::StoreArgs,
    #[command(flatten)]
    result: ResultArgs,
}

/// Write what people are asked to judge in a run
///
/// Writes a JSON line for each pending judgment, with the item and the output: a file of payloads, readable by its owner
/// alone. `ef run` and `ef resume` write it by themselves.
#[derive(Debug, clap::Args)]
pub(crate) struct QueueArgs {
    /// The run's id, a unique prefix of it, or latest
    run: String,
    /// Where the queue is written; ./runs/RUN_ID.queue.jsonl where it is not given
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    store: stores::StoreArgs,
}

pub(crate) async fn write_queue(args: QueueArgs, parts: &mut Parts) -> Result<Exit, Failure> {
    let store = args.store.open().await?;
    let found = run_ref::resolve(store.as_ref(), &args.run).await?;
    let composed = compose::compose_run(&found.head, parts).await?;
    let path = args.output.unwrap_or_else(|| queue::path(Path::new("./runs"), &found.head.run_id));
    let count = queue::write(store.as_ref(), &found.head.run_id, &composed.judges, &path).await?;
    store.close().await;
    console::say(&format!("{} in {}", pending(count), path.display()));
    Ok(Exit::Done)
}

pub(crate) async fn import(args: ImportArgs, parts: &mut Parts, session: &Session) -> Result<Exit, Failure> {
    artifact::check(&args.result.output)?;
    let location = args.store.location()?;
    let store = location.open_in(session).await?;
    let found = run_ref::resolve(store.as_ref(), &args.run).await?;
    session.set_run(&found.head.run_id);
    location.log_opened();
    let imported = import_into(&args, store.as_ref(), &found, parts).await;
    store.close().await;
    let answered = imported?;
    conclude(&args, &found, &answered)
}

async fn import_into(
    args: &ImportArgs,
    store: &dyn TraceStore,
    found: &RunSummary,
    parts: &mut Parts,
) -> Result<Answered, Failure> {
    let run = &found.head.run_id;
    let (lines, _) = queue::read(&args.file, run)?;
    let composed = compose::compose_run(&found.head, parts).await?;
    let mut answers = Vec::with_capacity(lines.len());
    let mut places = Vec::with_capacity(lines.len());
    for answered in lines {
        places.push((answered.line, answered.item_id.clone()));
        answers.push(answer(answered, &composed.judges, &args.file)?);
    }
    ef_runner::answer(store, run, &answers).await.map_err(|error| refused(error, &args.file, &places))
}

/// The verdict of a line, by the judge that it is for.
fn answer(answered: queue::Answered, judges: &[RunJudge], file: &Path) -> Result<Answer, Failure> {
    let queue::Answered { line, item_id, row, repeat, judge, score, rationale } = answered;
    let at = |message: &str| queue::refused(file, line, message);
    let asked = judges.iter().find(|asked| asked.identity.name == judge);
    let inquiry = asked.and_then(|asked| asked.judge.inquiry());
    let inquiry = inquiry.ok_or_else(|| at("the run has no judge of that name that asks people"))?;
    let verdict = inquiry.verdict(&score, rationale).map_err(|error| at(&error.message))?;
    Ok(Answer { row, repeat, item_id, judge, verdict })
}

fn refused(error: AnswerError, file: &Path, places: &[(usize, ItemId)]) -> Failure {
    match error {
        AnswerError::Refused(refused) => {
            let more = refused.len().saturating_sub(1);
            let Some(first) = refused.first() else { return Failure::usage("the answers were refused") };
            let (line, item_id) = places.get(first.answer).map_or((0, ""), |(line, id)| (*line, id.as_str()));
            let others = if more > 0 { format!(" (and {more} more)") } else { String::new() };
            queue::refused(file, line, &format!("item {item_id}: {}{others}", first.problem))
        }
        AnswerError::Store(error) => error.into(),
        error @ AnswerError::Spec(_) => Failure::usage(error.to_string()).hint("use the ef that began the run"),
    }
}

fn conclude(args: &ImportArgs, found: &RunSummary, answered: &Answered) -> Result<Exit, Failure> {
    let run = &found.head.run_id;
    let store = stores::argument(args.store.store.as_deref().unwrap_or(stores::DEFAULT));
    let known = if answered.known > 0 { format!(", {} were there already", answered.known) } else { String::new() };
    console::say(&format!("imported  {}{known}", counted(answered.given, "verdict")));
    if let Some(result) = &answered.result {
        let path = artifact::write(&args.result.output, result)?;
        output::print(&match args.result.format {
            Format::Text => ef_report::summary(result, output::stdout_style()),
            Format::Json => ef_report::json(result),
        })?;
        if args.result.format == Format::Text {
            console::advise(&format!("result  {}", path.display()));
        }
    }
    if args.result.format == Format::Text {
        match answered.status {
            RunStatus::Completed => console::advise(&format!("next    ef show {run} --traces{store}")),
            RunStatus::Awaiting => {
                console::advise(&format!("next    {} left; ef judge queue {run}{store}", pending(answered.pending)));
            }
            RunStatus::Aborted | RunStatus::Running => console::advise(&format!("next    ef resume {run}{store}")),
        }
    }
    Ok(Exit::Done)
}

fn pending(count: u64) -> String {
    counted(count, "pending judgment")
}
