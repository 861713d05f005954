//! `ef gate`: turns a metric into a verdict.

use ef_metrics::gate::{self, GateVerdict};
use ef_model::{Metric, RunStatus, RunSummary, TraceStore};

use crate::failure::Failure;
use crate::output::{self, Format};
use crate::{Exit, console, run_ref, stores};

/// Turn a metric into a verdict for continuous integration
///
/// Passes (exit 0) when a metric of a run is good enough, fails (exit 1) when it is not, and says so (exit 7) when it
/// cannot conclude: there is no data, the run is not whole, or more than 5 % of the judgments are errors or unscored.
///
/// Before it judges, it verifies the run, and the baseline too, as `ef verify` does, and ends with exit 6 where they are not
/// as they were recorded.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("limit").required(true).multiple(true).args(["min", "max_drop"]))]
pub(crate) struct Args {
    /// The run's id, a unique prefix of it, or latest
    run: String,
    /// The metric
    #[arg(long, value_name = "NAME")]
    metric: String,
    /// The least value that passes
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    min: Option<f64>,
    /// The run to compare with
    #[arg(long, value_name = "RUN", requires = "max_drop")]
    baseline: Option<String>,
    /// How far the metric may be below the baseline's
    #[arg(long, value_name = "X", requires = "baseline")]
    max_drop: Option<f64>,
    /// Judge the stored numbers without verifying them first
    #[arg(long)]
    no_verify: bool,
    #[command(flatten)]
    store: stores::StoreArgs,
    /// The form of the verdict
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// One condition and what came of it.
struct Check {
    condition: String,
    /// What is so where the condition is not met.
    otherwise: String,
    verdict: GateVerdict,
}

pub(crate) async fn execute(args: Args) -> Result<Exit, Failure> {
    let store = args.store.open().await?;
    let run = run_ref::resolve(&*store, &args.run).await?;
    let baseline = match &args.baseline {
        Some(baseline) => Some(run_ref::resolve(&*store, baseline).await?),
        None => None,
    };
    let ready = ready(&args, &*store, &run, baseline.as_ref()).await;
    store.close().await;
    let metric = ready?;
    let mut checks = Vec::new();
    if let Some(min) = args.min {
        checks.push(Check {
            condition: format!("{} is at least {min}", args.metric),
            otherwise: format!("{} is below {min}", args.metric),
            verdict: gate::judge(metric, min),
        });
    }
    if let (Some(baseline), Some(max_drop)) = (&baseline, args.max_drop) {
        say_what_differs(&run, baseline);
        let before = find_metric(baseline, &args.metric)?;
        let than = format!("{max_drop} below its {} in {}", number(before.value), baseline.head.run_id);
        checks.push(Check {
            condition: format!("{} is at most {than}", args.metric),
            otherwise: format!("{} is more than {than}", args.metric),
            verdict: gate::max_drop(metric, before, max_drop),
        });
    }
    print(&args, &run, metric, &checks)?;
    Ok(exit_of(&checks))
}

/// The metric to judge, once there is nothing against judging it.
async fn ready<'r>(
    args: &Args,
    store: &dyn TraceStore,
    run: &'r RunSummary,
    baseline: Option<&RunSummary>,
) -> Result<&'r Metric, Failure> {
    let runs = || [Some(run), baseline].into_iter().flatten();
    for run in runs() {
        if run.status != RunStatus::Completed {
            let id = &run.head.run_id;
            return Err(Failure::new(Exit::Inconclusive, format!("cannot conclude: the run {id} is {}", run.status))
                .hint("only a completed run has metrics"));
        }
        find_metric(run, &args.metric)?;
    }
    if !args.no_verify {
        for run in runs() {
            super::verify::require(store, run).await?;
        }
    }
    find_metric(run, &args.metric)
}

/// The worst verdict counts; a failure is certain even where another condition cannot be judged.
fn exit_of(checks: &[Check]) -> Exit {
    let any = |wanted: fn(&GateVerdict) -> bool| checks.iter().any(|check| wanted(&check.verdict));
    if any(|verdict| matches!(verdict, GateVerdict::Fail)) {
        Exit::GateFailed
    } else if any(|verdict| matches!(verdict, GateVerdict::Inconclusive(_))) {
        Exit::Inconclusive
    } else {
        Exit::Done
    }
}

/// A difference between numbers of different judges says nothing of the system under test.
fn say_what_differs(run: &RunSummary, baseline: &RunSummary) {
    if run.head.judges != baseline.head.judges {
        console::say("note: the two runs were judged differently (judges, their versions or their configs)");
    }
    let digest = |run: &RunSummary| run.result.as_ref().and_then(|result| result.dataset_digest);
    if digest(run) != digest(baseline) {
        console::say("note: the two runs do not have the same dataset");
    }
}

fn print(args: &Args, run: &RunSummary, metric: &Metric, checks: &[Check]) -> Result<(), Failure> {
    if args.format == Format::Json {
        let checks: Vec<_> = checks
            .iter()
            .map(|check| {
                let (verdict, reason) = words(&check.verdict);
                serde_json::json!({"condition": check.condition, "verdict": verdict, "reason": reason})
            })
            .collect();
        let value = serde_json::json!({
            "run_id": run.head.run_id,
            "verified": !args.no_verify,
            "metric": metric,
            "checks": checks,
        });
        return output::print(&format!("{value:#}\n"));
    }
    let interval = match (metric.ci_low, metric.ci_high) {
        (Some(low), Some(high)) => format!(" (95 % {} to {})", number(Some(low)), number(Some(high))),
        _ => String::new(),
    };
    let mut text = format!("{} = {}{interval}, n = {}\n", metric.name, number(metric.value), metric.n);
    for check in checks {
        text += &match &check.verdict {
            GateVerdict::Pass => format!("pass: {}\n", check.condition),
            GateVerdict::Fail => format!("fail: {}\n", check.otherwise),
            GateVerdict::Inconclusive(reason) => {
                format!("cannot conclude whether {}: {reason}\n", check.condition)
            }
        };
    }
    output::print(&text)
}

fn words(verdict: &GateVerdict) -> (&'static str, Option<String>) {
    match verdict {
        GateVerdict::Pass => ("pass", None),
        GateVerdict::Fail => ("fail", None),
        GateVerdict::Inconclusive(reason) => ("cannot conclude", Some(reason.to_string())),
    }
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.4}"))
}

/// A run's metric of this name.
pub(crate) fn find_metric<'r>(run: &'r RunSummary, name: &str) -> Result<&'r Metric, Failure> {
    let id = &run.head.run_id;
    let Some(result) = run.result.as_ref().filter(|_| run.status == RunStatus::Completed) else {
        return Err(Failure::new(Exit::Inconclusive, format!("the run {id} is {}: it has no metrics", run.status)));
    };
    result.metrics.iter().find(|metric| metric.name == name).ok_or_else(|| {
        let known: Vec<_> = result.metrics.iter().map(|metric| metric.name.as_str()).collect();
        Failure::usage(format!("the run {id} has no metric {name:?}")).hint(format!("it has: {}", known.join(", ")))
    })
}
