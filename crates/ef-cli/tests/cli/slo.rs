//! The objectives in `docs/slo.yaml` are OpenSLO documents (`openslo/v1`) about metrics that there are.
//!
//! The rules are those of the OpenSLO specification, version 1, as far as the kinds that are used here go.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::prometheus;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Document {
    api_version: String,
    kind: String,
    metadata: Metadata,
    spec: Value,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Metadata {
    name: String,
    #[serde(default)]
    display_name: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Slo {
    description: String,
    service: String,
    indicator: Indicator,
    time_window: Vec<TimeWindow>,
    budgeting_method: String,
    objectives: Vec<Objective>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Indicator {
    metadata: Metadata,
    spec: IndicatorSpec,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct IndicatorSpec {
    ratio_metric: RatioMetric,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RatioMetric {
    counter: bool,
    good: Option<Metric>,
    bad: Option<Metric>,
    total: Metric,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Metric {
    metric_source: MetricSource,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct MetricSource {
    metric_source_ref: String,
    #[serde(rename = "type")]
    kind: String,
    spec: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct TimeWindow {
    duration: String,
    is_rolling: bool,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Objective {
    display_name: String,
    target: f64,
}

fn documents() -> Vec<Document> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/slo.yaml");
    let text = std::fs::read_to_string(path).expect("docs/slo.yaml");
    serde_yaml::from_multiple(&text).unwrap_or_else(|error| panic!("docs/slo.yaml: {error}"))
}

/// A DNS label, as OpenSLO wants names to be (RFC 1123).
fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=63).contains(&text.len()) && text.chars().all(plain) && !text.starts_with('-') && !text.ends_with('-')
}

/// A number and a unit, such as `28d`.
fn is_duration(text: &str) -> bool {
    let (number, unit) = text.split_at(text.len().saturating_sub(1));
    number.parse::<u32>().is_ok_and(|number| number > 0) && ["m", "h", "d", "w", "M", "Q", "Y"].contains(&unit)
}

#[test]
fn the_objectives_are_openslo_documents_about_metrics_that_there_are() {
    let documents = documents();
    let named = |kind: &str| -> BTreeSet<_> {
        let of_kind = documents.iter().filter(|document| document.kind == kind);
        of_kind.map(|document| document.metadata.name.clone()).collect()
    };
    let (services, sources) = (named("Service"), named("DataSource"));
    let mut names = BTreeSet::new();
    for Document { api_version, kind, metadata, spec } in &documents {
        let name = &metadata.name;
        assert_eq!(api_version, "openslo/v1", "{name}");
        assert!(is_name(name) && metadata.display_name.is_some() && names.insert((kind, name)), "{name}");
        match kind.as_str() {
            "Service" => assert!(spec["description"].as_str().is_some_and(|text| text.len() <= 1050), "{name}"),
            "DataSource" => {
                assert!(spec["type"].is_string() && spec["connectionDetails"].is_object(), "{name}");
            }
            "SLO" => {
                let slo: Slo = serde_json::from_value(spec.clone()).unwrap_or_else(|error| panic!("{name}: {error}"));
                check_objective(name, &slo, &services, &sources);
            }
            other => panic!("{name}: OpenSLO has no kind {other} that is used here"),
        }
    }
    assert!(named("SLO").len() >= 3, "{names:?}");
}

fn check_objective(name: &str, slo: &Slo, services: &BTreeSet<String>, sources: &BTreeSet<String>) {
    assert!(!slo.description.is_empty() && slo.description.len() <= 1050, "{name}");
    assert!(services.contains(&slo.service), "{name}: the service {} is not defined", slo.service);
    assert!(is_name(&slo.indicator.metadata.name), "{name}");
    let [TimeWindow { duration, is_rolling: true }] = &slo.time_window[..] else {
        panic!("{name}: one rolling window")
    };
    assert!(is_duration(duration), "{name}: {duration}");
    assert_eq!(slo.budgeting_method, "Occurrences", "{name}");
    assert!(!slo.objectives.is_empty(), "{name}");
    for Objective { display_name, target } in &slo.objectives {
        assert!(!display_name.is_empty() && *target > 0.0 && *target < 1.0, "{name}: {target}");
    }
    let RatioMetric { counter, good, bad, total } = &slo.indicator.spec.ratio_metric;
    assert!(*counter, "{name}: what is exported are counters");
    assert!(good.is_some() != bad.is_some(), "{name}: either what is good or what is bad, of a total");
    for Metric { metric_source: MetricSource { metric_source_ref, kind, spec } } in
        good.iter().chain(bad).chain(std::iter::once(total))
    {
        assert!(sources.contains(metric_source_ref), "{name}: the source {metric_source_ref} is not defined");
        assert_eq!(kind, "Prometheus", "{name}");
        let query = spec.get("query").unwrap_or_else(|| panic!("{name}: a source of Prometheus has a query"));
        let series = prometheus::check(query).unwrap_or_else(|problem| panic!("{name}: {problem}: {query}"));
        assert!(!series.is_empty(), "{name}: {query}");
    }
}
