//! The contract suite: what every evaluator and every judge has to keep, wherever its code runs. It is for authors: it calls
//! a component with samples and reports what held.
//!
//! ```no_run
//! # async fn example(factory: std::sync::Arc<dyn ef_model::JudgeFactory>) {
//! use ef_plugin::contract::{self, ContractOptions, Subject};
//!
//! let report = contract::check(&Subject::Judge(factory), &ContractOptions::default()).await;
//! assert!(report.passed(), "{report}");
//! # }
//! ```

mod checks;
mod samples;
mod subject;

use std::fmt;
use std::time::{Duration, Instant};

use ef_model::{Environment, EvalItem, EvaluatorOutput, Identity};
use serde_json::{Map, Value};

use self::checks::Trial;
use self::subject::Made;
pub use self::subject::Subject;
use crate::ComponentKind;

/// What a component is tried with.
#[derive(Debug, Clone)]
pub struct ContractOptions {
    /// Its config, as a spec would have it.
    pub config: Map<String, Value>,
    /// The variables that the config may name.
    pub environment: Environment,
    /// Items, and outputs for a judge to judge. Where there are none, a few of every kind of JSON are used.
    pub samples: Vec<(EvalItem, EvaluatorOutput)>,
    /// How long one call may take. Default 30 s.
    pub timeout: Duration,
}

impl Default for ContractOptions {
    fn default() -> Self {
        Self {
            config: Map::new(),
            environment: Environment::default(),
            samples: Vec::new(),
            timeout: Duration::from_secs(30),
        }
    }
}

/// What became of one check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The promise held.
    Passed,
    /// It did not: how. No payload is quoted.
    Failed(String),
    /// It could not be tried, or there is nothing to keep: why.
    Skipped(String),
}

/// One promise, and what became of it.
#[derive(Debug, Clone)]
pub struct ContractCheck {
    /// A short name.
    pub name: &'static str,
    /// What is promised.
    pub promise: &'static str,
    /// What became of it.
    pub outcome: Outcome,
    /// How long it took.
    pub took: Duration,
}

/// What held of the contract.
#[derive(Debug, Clone)]
pub struct ContractReport {
    /// What was tried; once it was made, with the identity that it has in records.
    pub identity: Identity,
    /// What it is.
    pub kind: ComponentKind,
    /// The checks, in the order in which they were made.
    pub checks: Vec<ContractCheck>,
}

impl ContractReport {
    /// Whether nothing failed.
    #[must_use]
    pub fn passed(&self) -> bool {
        !self.checks.iter().any(|check| matches!(check.outcome, Outcome::Failed(_)))
    }
}

impl fmt::Display for ContractReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {} {}", self.kind, self.identity.id, self.identity.version)?;
        for check in &self.checks {
            match &check.outcome {
                Outcome::Passed => writeln!(f, "  ok       {}: {}", check.name, check.promise)?,
                Outcome::Failed(why) => writeln!(f, "  FAILED   {}: {}\n           {why}", check.name, check.promise)?,
                Outcome::Skipped(why) => writeln!(f, "  skipped  {}: {why}", check.name)?,
            }
        }
        Ok(())
    }
}

/// Runs the suite. Inside a tokio runtime with time. A component that calls a model calls it for each sample about
/// twelve times.
pub async fn check(subject: &Subject, options: &ContractOptions) -> ContractReport {
    let began = Instant::now();
    let made = match subject.make(options).await {
        Ok(first) => subject.make(options).await.map(|second| (first, second)),
        Err(why) => Err(why),
    };
    let (outcome, made) = match made {
        Ok(made) => (Outcome::Passed, Some(made)),
        Err(why) => (Outcome::Failed(why), None),
    };
    let mut report = ContractReport { identity: subject.identity().clone(), kind: subject.kind(), checks: Vec::new() };
    let promise = "of a config that fits its schema it is made, more than once";
    report.checks.push(ContractCheck { name: "creation", promise, outcome, took: began.elapsed() });
    if let Some((first, second)) = made {
        report.identity = first.identity().clone();
        try_all(&mut report, subject, options, &first, &second).await;
    }
    report
}

async fn try_all(
    report: &mut ContractReport,
    subject: &Subject,
    options: &ContractOptions,
    first: &Made,
    second: &Made,
) {
    let samples = if options.samples.is_empty() { samples::every_kind() } else { options.samples.clone() };
    let mut trial = Trial::new(first, second, samples, options.timeout);
    let mut add = |name, promise, outcome, began: Instant| {
        report.checks.push(ContractCheck { name, promise, outcome, took: began.elapsed() });
    };
    let began = Instant::now();
    add(
        "identity",
        "what is made has the identity of what makes it",
        checks::identity(subject.identity(), first),
        began,
    );
    let began = Instant::now();
    add("answers", "every sample gets an answer that fits, or a typed error", trial.answers().await, began);
    let began = Instant::now();
    add("determinism", "judging again gives what the declared determinism promises", trial.determinism().await, began);
    let began = Instant::now();
    add("concurrency", "many calls at a time give what they give one by one", trial.concurrency().await, began);
    let began = Instant::now();
    add("cancellation", "a call that is given up holds nothing up", trial.cancellation().await, began);
    let began = Instant::now();
    add("errors", "no error's message quotes a payload", trial.errors(), began);
}
