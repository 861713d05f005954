//! The names that metrics get where they are kept as Prometheus does, and queries that use them.
//!
//! The rules are those of OpenTelemetry's "Prometheus and OpenMetrics Compatibility" and of Prometheus' own OTLP receiver
//! with its default translation: what is neither letter nor digit becomes an underscore, the unit is added as a word, units
//! in braces are left out, and a counter that only grows ends in `_total`.

use std::collections::BTreeSet;

use ef_model::telemetry::{Instrument, METRICS, MetricName};

/// A metric as a query names it.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) metric: &'static MetricName,
    /// Whether it is one of a histogram's buckets.
    pub(crate) is_bucket: bool,
}

fn escaped(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}

/// The names of a metric's series.
fn names(metric: &MetricName) -> Vec<String> {
    let unit = match metric.unit {
        "ms" => "_milliseconds",
        unit if unit.starts_with('{') && unit.ends_with('}') => "",
        unit => panic!("{}: it is not known what Prometheus makes of the unit {unit}", metric.name),
    };
    let name = format!("{}{unit}", escaped(metric.name));
    match metric.instrument {
        Instrument::Counter => vec![format!("{name}_total")],
        Instrument::Gauge => vec![name],
        Instrument::Histogram => ["bucket", "sum", "count"].iter().map(|part| format!("{name}_{part}")).collect(),
    }
}

fn find(name: &str) -> Option<Series> {
    let metric = METRICS.iter().find(|metric| names(metric).iter().any(|series| series == name))?;
    Some(Series { metric, is_bucket: name.ends_with("_bucket") })
}

impl Series {
    fn has(&self, label: &str) -> bool {
        self.metric.labels.iter().any(|own| escaped(own) == label)
            || (label == "le" && self.is_bucket)
            || label == "job"
            || label == "instance"
    }
}

/// The parts of a query: words, texts in quotes, and single characters.
fn parts(query: &str) -> Result<Vec<String>, String> {
    let mut parts = Vec::new();
    let mut rest = query;
    while let Some(first) = rest.chars().next() {
        let is_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | ':' | '$' | '.');
        let length = match first {
            '"' => rest[1..].find('"').ok_or("a text does not end")? + 2,
            first if is_word(first) => rest.find(|c: char| !is_word(c)).unwrap_or(rest.len()),
            first => first.len_utf8(),
        };
        let (part, more) = rest.split_at(length);
        rest = more;
        if !part.trim().is_empty() {
            parts.push(part.to_owned());
        }
    }
    Ok(parts)
}

/// The words between an opening bracket at `from` and its end that are followed by one of these.
fn labels<'p>(parts: &'p [String], from: usize, close: &str) -> Vec<&'p str> {
    let inside = parts[from + 1..].iter().take_while(|part| *part != close);
    let words = inside.filter(|part| part.chars().next().is_some_and(|c| c.is_ascii_lowercase()));
    words.map(String::as_str).collect()
}

/// Checks that brackets close, that each metric in a query is one that there is, and each label one that it has.
///
/// # Errors
///
/// What is wrong with it.
pub(crate) fn check(query: &str) -> Result<Vec<Series>, String> {
    let parts = parts(query)?;
    let mut open = Vec::new();
    let (mut series, mut grouped) = (Vec::new(), BTreeSet::new());
    for (index, part) in parts.iter().enumerate() {
        match part.as_str() {
            "(" => open.push(")"),
            "[" => open.push("]"),
            "{" => open.push("}"),
            closing @ (")" | "]" | "}") => {
                open.pop_if(|wanted| *wanted == closing).ok_or_else(|| format!("`{closing}` closes nothing"))?;
            }
            "by" | "without" => grouped.extend(labels(&parts, index + 1, ")")),
            name if name.starts_with("eval_fabric") => {
                let found = find(name).ok_or_else(|| format!("there is no metric {name}"))?;
                if parts.get(index + 1).is_some_and(|next| next == "{") {
                    let used = labels(&parts, index + 1, "}");
                    if let Some(unknown) = used.into_iter().find(|label| !found.has(label)) {
                        return Err(format!("{name} has no label {unknown}"));
                    }
                }
                series.push(found);
            }
            _ => {}
        }
    }
    if let Some(missing) = open.pop() {
        return Err(format!("`{missing}` is missing"));
    }
    match grouped.into_iter().find(|label| !series.iter().all(|series| series.has(label))) {
        Some(unknown) => Err(format!("it is grouped by {unknown}, which is no label of what it asks for")),
        None => Ok(series),
    }
}

#[test]
fn a_query_that_asks_for_what_there_is_not_is_found_out() {
    for right in [
        r#"sum by (status) (rate(eval_fabric_tasks_completed_total{evaluator_id=~"$e", status!="ok"}[5m]))"#,
        r#"histogram_quantile(0.95, sum by (le) (eval_fabric_tasks_duration_milliseconds_bucket{le="10"}))"#,
        "eval_fabric_runner_queue_depth",
        "sum by (error_kind) (eval_fabric_runner_retries_total)",
    ] {
        assert_eq!(check(right).map(|series| series.len()), Ok(1), "{right}");
    }
    for wrong in [
        "eval_fabric_tasks_completed",
        "eval_fabric_tasks_duration_bucket",
        "eval_fabric_judges_cost_USD_total",
        "eval_fabric_runner_queue_depth_total",
        r#"eval_fabric_tasks_completed_total{item_id="a"}"#,
        r#"eval_fabric_tasks_completed_total{le="1"}"#,
        "sum by (item_id) (eval_fabric_tasks_completed_total)",
        "sum(eval_fabric_tasks_completed_total",
        "sum(eval_fabric_tasks_completed_total}",
        r#"eval_fabric_tasks_completed_total{status="ok}"#,
    ] {
        assert!(check(wrong).is_err(), "{wrong}");
    }
}
