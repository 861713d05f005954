//! `ef verify`: whether a run is what was recorded.

use std::path::{Path, PathBuf};

use ef_model::{
    Check, CheckResult, CheckSubject, InclusionProof, ItemId, ProofError, RunId, RunStatus, RunSummary, StoreError,
    TraceStore, Verification, VerificationOutcome, check_strict, first_difference,
};
use ef_runner::ProveError;

use crate::failure::{self, Failure};
use crate::output::{self, Format};
use crate::{Exit, artifact, run_ref, stores};

/// Verify that a run is what was recorded, or prove that an item is part of it
///
/// Reads all records of a run and checks them against their digests, every payload that they name against its own, all of
/// them against the run's root digest, the result's numbers against the records, and the result's file OUTPUT/RUN_ID.json
/// against the store. Exits with 0 when all of it holds, with 6 when something does not, and with 7 for a run that is not
/// completed, of which only what is there can be checked.
///
/// With --item it prints a proof that the item's records are part of the run. With --proof it checks such a proof, without a
/// store.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The run's id, a unique prefix of it, or latest
    #[arg(required_unless_present = "proof")]
    run: Option<String>,
    /// Print a proof that this item's records are part of the run, as JSON
    #[arg(long, value_name = "ID", conflicts_with = "artifact")]
    item: Option<ItemId>,
    /// Check the proof in this file instead of a run
    #[arg(long, value_name = "FILE", conflicts_with_all = ["run", "item", "store", "output", "artifact"])]
    proof: Option<PathBuf>,
    #[command(flatten)]
    store: stores::StoreArgs,
    /// Where the result was written
    #[arg(long, value_name = "DIR", default_value = "./runs")]
    output: PathBuf,
    /// The result's file, where it is not OUTPUT/RUN_ID.json
    #[arg(long, value_name = "FILE", conflicts_with = "output")]
    artifact: Option<PathBuf>,
    /// The form of the report
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) async fn execute(args: Args) -> Result<Exit, Failure> {
    if let Some(proof) = &args.proof {
        return check_proof(proof, args.format);
    }
    let store = args.store.open().await?;
    let ended = match run_ref::resolve(&*store, args.run.as_deref().unwrap_or_default()).await {
        Ok(run) => match &args.item {
            Some(item) => prove(&*store, &run, item).await,
            None => verify(&args, &*store, &run).await,
        },
        Err(failure) => Err(failure),
    };
    store.close().await;
    ended
}

async fn verify(args: &Args, store: &dyn TraceStore, run: &RunSummary) -> Result<Exit, Failure> {
    let artifact = artifact_check(args, run)?;
    let mut verification = verification(store, &run.head.run_id).await?;
    verification.add(artifact);
    output::print(&match args.format {
        Format::Text => ef_report::verification(&verification, output::stdout_style()),
        Format::Json => ef_report::verification_json(&verification),
    })?;
    Ok(match verification.outcome() {
        VerificationOutcome::Verified => Exit::Done,
        VerificationOutcome::Failed => Exit::Verification,
        VerificationOutcome::Unfinished => Exit::Inconclusive,
    })
}

/// The verification of a run that the store has listed.
async fn verification(store: &dyn TraceStore, run: &RunId) -> Result<Verification, Failure> {
    ef_runner::verify(store, run).await.map_err(|error| match error {
        StoreError::RunNotFound(run) => {
            let message = format!("the trace store is damaged: it lists the run {run}, and does not find it");
            Failure::new(Exit::Store, message).hint("restore the file from a copy; `PRAGMA integrity_check` tells more")
        }
        error => error.into(),
    })
}

/// Refuses to go on with a run that is not what was recorded.
pub(crate) async fn require(store: &dyn TraceStore, run: &RunSummary) -> Result<(), Failure> {
    let id = &run.head.run_id;
    match verification(store, id).await?.first_failure() {
        None => Ok(()),
        Some(Check { subject, message, .. }) => {
            let message = format!("the run {id} is not as it was recorded: {}: {message}", subject.as_str());
            Err(Failure::new(Exit::Verification, message)
                .hint(format!("`ef verify {id}` tells everything; --no-verify goes on all the same")))
        }
    }
}

/// Compares the result's file with the result in the store.
fn artifact_check(args: &Args, run: &RunSummary) -> Result<Check, Failure> {
    let RunSummary { head, status, result } = run;
    let path = args.artifact.clone().unwrap_or_else(|| args.output.join(format!("{}.json", head.run_id)));
    let shown = path.display();
    let check = |result, message| Check { subject: CheckSubject::Artifact, result, message, record: None };
    let bytes = match artifact::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if args.artifact.is_some() => {
            return Err(Failure::usage(format!("the artifact {shown} cannot be read: {}", failure::reason(&error))));
        }
        Err(error) => return Ok(check(CheckResult::NotChecked, format!("{shown}: {}", failure::reason(&error)))),
    };
    let failed = |message| Ok(check(CheckResult::Failed, message));
    let artifact = match strict_json(&bytes) {
        Ok(artifact) => artifact,
        Err(what) => return failed(format!("{shown} {what}")),
    };
    let Some(result) = result.as_ref().filter(|_| *status == RunStatus::Completed) else {
        return failed(format!(
            "{shown} is there, and the run is {status} in the store: only a completed run leaves one"
        ));
    };
    let stored = serde_json::to_value(result).expect("a result has a JSON form");
    match first_difference(&stored, &artifact) {
        None => Ok(check(CheckResult::Passed, format!("{shown} is the result in the store"))),
        Some(whole) if whole.is_empty() => failed(format!("{shown} has another shape than the result in the store")),
        Some(pointer) => failed(format!("{shown} differs from the result in the store at {pointer}")),
    }
}

/// JSON in which no key stands twice, so that nobody reads anything else in it than this program.
fn strict_json(bytes: &[u8]) -> Result<serde_json::Value, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())?;
    check_strict(text).map_err(|fault| format!("is not a result: {fault}"))?;
    serde_json::from_str(text).map_err(|_| "is not JSON".to_owned())
}

async fn prove(store: &dyn TraceStore, run: &RunSummary, item: &ItemId) -> Result<Exit, Failure> {
    let id = &run.head.run_id;
    let proof = ef_runner::prove(store, id, item).await.map_err(|error| {
        let message = error.to_string();
        match error {
            ProveError::Store(error) => error.into(),
            ProveError::Unfinished { .. } => Failure::new(Exit::Inconclusive, message),
            ProveError::NoSuchItem { .. } => {
                Failure::usage(message).hint(format!("`ef show {id} --traces` lists them"))
            }
            ProveError::NotAsRecorded(_) => {
                Failure::new(Exit::Verification, message).hint(format!("`ef verify {id}` tells what is wrong"))
            }
        }
    })?;
    output::print(&ef_report::proof_json(&proof))?;
    Ok(Exit::Done)
}

fn check_proof(path: &Path, format: Format) -> Result<Exit, Failure> {
    let shown = path.display();
    let bytes = artifact::read(path)
        .map_err(|error| Failure::usage(format!("the proof {shown} cannot be read: {}", failure::reason(&error))))?;
    let wrong = |error: ProofError| {
        let exit = if error.is_refutation() { Exit::Verification } else { Exit::Usage };
        Failure::new(exit, format!("{shown}: {error}"))
    };
    let text =
        String::from_utf8(bytes).map_err(|_| Failure::usage(format!("{shown} is not a proof: it is not UTF-8")))?;
    let proof = InclusionProof::parse(&text).map_err(wrong)?;
    let proven = proof.check().map_err(wrong)?;
    output::print(&match format {
        Format::Text => ef_report::proven(&proof, &proven, output::stdout_style()),
        Format::Json => ef_report::proven_json(&proof, &proven),
    })?;
    Ok(Exit::Done)
}
