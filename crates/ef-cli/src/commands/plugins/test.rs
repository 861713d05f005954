//! `ef plugins test`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use ef_model::ComponentId;
use ef_plugin::contract::{self, ContractOptions, ContractReport, Outcome, Subject};
use ef_plugin::{ComponentKind, LookupError, Registry};
use serde_json::{Map, Value, json};

use crate::Exit;
use crate::compose::Parts;
use crate::failure::{self, Failure};
use crate::output::{self, Format};

/// Check that an evaluator or a judge keeps the contract
///
/// Starts the component, asks it about samples of all kinds, and checks what every component promises: answers of the right
/// form, cancellation, many calls at once, errors that are told as such, and the determinism that it declares. Exits with 5
/// when a promise is broken.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The component's id
    id: ComponentId,
    /// Its config, a JSON object in a file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Seconds that one call may take
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    timeout: u64,
    /// The form of the report
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(crate) async fn execute(args: &Args, parts: &mut Parts) -> Result<Exit, Failure> {
    let config = args.config.as_deref().map_or_else(|| Ok(Map::new()), read_config)?;
    // Nobody says which of the two it is, and an id may be both.
    let kinds = [ComponentKind::Evaluator, ComponentKind::Judge];
    if subjects(&parts.registry, &args.id).is_empty() {
        parts.provide(&kinds.map(|kind| (kind, args.id.clone()))).await?;
    }
    let subjects = subjects(&parts.registry, &args.id);
    if subjects.is_empty() {
        return Err(unknown(args, parts).await);
    }
    let options = ContractOptions {
        config,
        environment: parts.environment.clone(),
        timeout: Duration::from_secs(args.timeout),
        ..ContractOptions::default()
    };
    let mut reports = Vec::new();
    for subject in &subjects {
        reports.push(contract::check(subject, &options).await);
    }
    output::print(&match args.format {
        Format::Text => reports.iter().map(text).collect::<Vec<_>>().join("\n"),
        Format::Json => format!("{:#}\n", Value::from(reports.iter().map(to_json).collect::<Vec<_>>())),
    })?;
    let is_kept = reports.iter().all(ContractReport::passed);
    Ok(if is_kept { Exit::Done } else { Exit::Component })
}

fn subjects(registry: &Registry, id: &ComponentId) -> Vec<Subject> {
    let evaluators = registry.evaluators().filter(|factory| factory.identity().id == *id);
    let judges = registry.judges().filter(|factory| factory.identity().id == *id);
    evaluators.cloned().map(Subject::Evaluator).chain(judges.cloned().map(Subject::Judge)).collect()
}

async fn unknown(args: &Args, parts: &Parts) -> Failure {
    let failure = Failure::new(Exit::Component, format!("there is neither an evaluator nor a judge `{}`", args.id));
    let sought = parts.registry.create_judge(&args.id, &Map::new(), &parts.environment).await.err();
    match sought.as_ref().and_then(|error: &LookupError| parts.hint(error)) {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

fn read_config(path: &Path) -> Result<Map<String, Value>, Failure> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        Failure::usage(format!("the config {} cannot be read: {}", path.display(), failure::reason(&error)))
    })?;
    serde_json::from_str(&text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let message = format!("the config {} is not a JSON object: see line {line}, column {column}", path.display());
        Failure::usage(message).hint("write what a spec has under `config`, as JSON")
    })
}

fn word(outcome: &Outcome) -> (&'static str, Option<&str>) {
    match outcome {
        Outcome::Passed => ("passed", None),
        Outcome::Failed(why) => ("failed", Some(why)),
        Outcome::Skipped(why) => ("skipped", Some(why)),
    }
}

/// The report, without what could move a terminal's cursor.
fn text(report: &ContractReport) -> String {
    report.to_string().lines().map(|line| format!("{}\n", ef_report::visible(line))).collect()
}

fn to_json(report: &ContractReport) -> Value {
    let checks: Vec<_> = report
        .checks
        .iter()
        .map(|check| {
            let (word, why) = word(&check.outcome);
            json!({
                "name": check.name,
                "promise": check.promise,
                "outcome": word,
                "why": why,
                "took_ms": check.took.as_nanos() as f64 / 1e6,
            })
        })
        .collect();
    json!({
        "kind": report.kind.to_string(),
        "id": report.identity.id,
        "version": report.identity.version,
        "source": report.identity.source,
        "sha256": report.identity.digest,
        "passed": report.passed(),
        "checks": checks,
    })
}
