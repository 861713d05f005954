//! One metric, explained.

use ef_model::{IntervalMethod, Metric};

use crate::grid;
use crate::number::{count, counted, optional, value};
use crate::style::{Style, Tone};
use crate::summary::metric_value;
use crate::text::visible;

/// Everything about one metric in words: what it is computed from and how, how its interval was made, and what was
/// counted and what was left out.
#[must_use]
pub fn metric_detail(metric: &Metric, style: Style) -> String {
    let name = style.paint(&visible(&metric.name), Tone::Heading);
    format!("{name}  {}\n\n{}", metric_value(metric), grid::pairs(facts(metric), style))
}

fn facts(metric: &Metric) -> Vec<(&'static str, String)> {
    let from = metric.from.as_deref().map_or_else(|| "all judges".to_owned(), |from| visible(from).into_owned());
    let mut facts = vec![("computed as", computed_as(&metric.aggregator)), ("taken from", from)];
    if metric.value.is_none() {
        facts.push(("value", "none: there was nothing to compute it from".to_owned()));
    }
    if metric.standard_error.is_some() {
        facts.push(("standard error", optional(metric.standard_error)));
    }
    facts.push(("95 % interval", interval(metric)));
    if let Some(p_value) = metric.p_value {
        let meaning = "how often a distance at least as large comes up where there is no difference";
        facts.push(("p-value", format!("{}: {meaning}", value(p_value))));
    }
    facts.push(("n", format!("{} entered the value", counted(metric.n, "judgment"))));
    let failed = "the evaluator or the judge failed, which is not a bad score";
    facts.push(("errors", missing(metric.n_error, failed)));
    let unscored = "the row was skipped, the judge gave no score, or the score is not a number";
    facts.push(("unscored", missing(metric.n_unscored, unscored)));
    facts
}

fn missing(number: u64, why: &str) -> String {
    if number == 0 { "none".to_owned() } else { format!("{} missing: {why}", count(number)) }
}

fn computed_as(aggregator: &str) -> String {
    let words = match aggregator {
        "mean" => "mean of the scores",
        "median" => "median of the scores",
        "count" => "number of judgments with a score",
        "rate_above" => "share of the scores at or above the spec's threshold",
        "weighted_mean" => "mean of the scores, weighted by the judges' weights",
        "ks_test" => "Kolmogorov–Smirnov distance between distributions of scores",
        other => return visible(other).into_owned(),
    };
    words.to_owned()
}

fn interval(metric: &Metric) -> String {
    let (Some(low), Some(high)) = (metric.ci_low, metric.ci_high) else {
        return "none".to_owned();
    };
    let made = match metric.ci_method {
        Some(IntervalMethod::Wilson) => ", Wilson's score interval for a proportion",
        Some(IntervalMethod::StudentT) => ", Student's t around the mean",
        Some(IntervalMethod::Bootstrap) => ", percentiles of seeded bootstrap resamples",
        None => "",
    };
    format!("{} to {}{made}", value(low), value(high))
}
