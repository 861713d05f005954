//! `cargo xtask ci`: what has to pass before a change lands, besides the tests. All steps run, so that one failure does
//! not hide another.

use std::time::{Duration, Instant};

use crate::step::{self, Failure, cargo};
use crate::{audit, lock, sbom, tidy};

struct Step {
    name: &'static str,
    fix: &'static str,
    run: fn() -> Result<(), Failure>,
}

const STEPS: [Step; 7] = [
    Step { name: "format", fix: "cargo fmt --all", run: || step::run(&mut cargo(["fmt", "--all", "--", "--check"])) },
    Step {
        name: "clippy",
        fix: "cargo clippy --workspace --all-targets --all-features",
        run: || {
            let lint = ["clippy", "--workspace", "--all-targets", "--all-features", "--", "-D", "warnings"];
            step::run(&mut cargo(lint))
        },
    },
    Step { name: "tidy", fix: "cargo xtask tidy", run: || tidy::run(&tidy::Arguments::default()) },
    Step {
        name: "docs",
        fix: "RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps",
        run: || step::run(cargo(["doc", "--workspace", "--no-deps"]).env("RUSTDOCFLAGS", "-D warnings")),
    },
    Step { name: "lock", fix: "cargo xtask lock", run: || lock::run(&lock::Arguments::check()) },
    Step { name: "sbom", fix: "cargo xtask sbom", run: || sbom::run(&sbom::Arguments::default()) },
    Step { name: "audit", fix: "cargo xtask audit", run: || audit::run(&audit::Arguments::of_ci()) },
];

/// Runs all steps, then says which failed and what to do.
pub(crate) fn run() -> Result<(), Failure> {
    let outcomes: Vec<Outcome> = STEPS.iter().map(run_one).collect();
    eprintln!("\n==> ci");
    for outcome in &outcomes {
        eprintln!("{outcome}");
    }
    if outcomes.iter().all(|outcome| outcome.failure.is_none()) { Ok(()) } else { Err(Failure::new("ci failed")) }
}

struct Outcome {
    step: &'static Step,
    time: Duration,
    failure: Option<Failure>,
}

fn run_one(step: &'static Step) -> Outcome {
    eprintln!("\n==> {}", step.name);
    let begun = Instant::now();
    let failure = (step.run)().err();
    let outcome = Outcome { step, time: begun.elapsed(), failure };
    eprintln!("{outcome}");
    outcome
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { step, time, failure } = self;
        let verdict = if failure.is_some() { "FAILED" } else { "ok" };
        write!(f, "    {:<8}{verdict:<8}{:>7.1} s", step.name, time.as_secs_f64())?;
        match failure {
            Some(failure) => write!(f, "\n        {failure}\n        to see and fix it: {}", step.fix),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_step_says_what_to_run() {
        let failure = Some(Failure::new("`cargo fmt` failed"));
        let outcome = Outcome { step: &STEPS[0], time: Duration::from_millis(1500), failure };
        assert_eq!(
            outcome.to_string(),
            "    format  FAILED      1.5 s\n        `cargo fmt` failed\n        to see and fix it: cargo fmt --all"
        );
    }
}
