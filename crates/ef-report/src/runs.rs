//! Many runs, a line each.

use ef_model::RunSummary;

use crate::grid;
use crate::number::{NONE, count, second};
use crate::style::Style;
use crate::summary::metric_value;
use crate::text::{Align, visible};

/// How many metrics of a run are shown.
const METRICS: usize = 2;

/// A table of runs in the order given: id, when it began (UTC), spec, status, items and its first metrics.
#[must_use]
pub fn runs_table(runs: &[RunSummary], style: Style) -> String {
    if runs.is_empty() {
        return "no runs\n".to_owned();
    }
    let columns = [
        ("run", Align::Left),
        ("started", Align::Left),
        ("spec", Align::Left),
        ("status", Align::Left),
        ("items", Align::Right),
        ("metrics", Align::Left),
    ];
    let rows: Vec<_> = runs
        .iter()
        .map(|run| {
            vec![
                run.head.run_id.to_string(),
                second(run.head.started_at_us),
                format!("{}@{}", visible(&run.head.spec_id), visible(&run.head.spec_version)),
                run.status.to_string(),
                run.result.as_ref().map_or_else(|| NONE.to_owned(), |result| count(result.counts.tasks())),
                first_metrics(run),
            ]
        })
        .collect();
    grid::table(&columns, &rows, style)
}

fn first_metrics(run: &RunSummary) -> String {
    let metrics = run.result.as_ref().map_or(&[][..], |result| &result.metrics);
    if metrics.is_empty() {
        return NONE.to_owned();
    }
    let mut shown: Vec<_> = metrics
        .iter()
        .take(METRICS)
        .map(|metric| format!("{} {}", visible(&metric.name), metric_value(metric)))
        .collect();
    if metrics.len() > METRICS {
        shown.push("…".to_owned());
    }
    shown.join(", ")
}
