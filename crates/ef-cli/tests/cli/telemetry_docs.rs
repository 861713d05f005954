//! What the documents say of telemetry is what the code does: the tables of `docs/observability.md`, the dashboard and the
//! objectives.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use ef_model::telemetry::{EventName, METRICS, SPANS};

use crate::prometheus::{self, Series};

fn document(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn code(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn spans() -> String {
    let mut table = "| span | part of | what it spans | attributes | events |\n|---|---|---|---|---|\n".to_owned();
    for span in SPANS {
        let parents: Vec<_> = span.parent.split(" or ").filter(|parent| !parent.is_empty()).collect();
        let parents: Vec<_> = parents.iter().map(|parent| format!("`{parent}`")).collect();
        let events: Vec<_> = span.events.iter().map(|event| event.name).collect();
        let (parents, attributes, events) = (parents.join(" or "), code(span.attributes), code(&events));
        let _ = writeln!(table, "| `{}` | {parents} | {} | {attributes} | {events} |", span.name, span.description);
    }
    table.replace("|  |", "| |")
}

fn events() -> String {
    let mut table = "| event | attributes |\n|---|---|\n".to_owned();
    let mut told: Vec<EventName> = Vec::new();
    for event in SPANS.iter().flat_map(|span| span.events) {
        if !told.contains(event) {
            told.push(*event);
            let _ = writeln!(table, "| `{}` | {} |", event.name, code(event.attributes));
        }
    }
    table
}

fn metrics() -> String {
    let mut table =
        "| metric | kind | unit | labels | what it counts or measures |\n|---|---|---|---|---|\n".to_owned();
    for metric in METRICS {
        let (labels, description) = (code(metric.labels), metric.description);
        let _ = writeln!(
            table,
            "| `{}` | {} | `{}` | {labels} | {description} |",
            metric.name, metric.instrument, metric.unit
        );
    }
    table.replace("|  |", "| |")
}

/// The tables of the document that begin with this heading of their first column.
fn tables<'d>(document: &'d str, first: &str) -> Vec<&'d str> {
    let beginning = format!("| {first} |");
    let blocks = document.split("\n\n").map(str::trim);
    blocks.filter(|block| block.starts_with(&beginning)).collect()
}

#[test]
fn the_tables_of_spans_events_and_metrics_are_those_of_the_code() {
    let page = document("observability.md");
    for (first, expected) in [("span", spans()), ("event", events()), ("metric", metrics())] {
        let found = tables(&page, first);
        assert!(
            found == [expected.trim()],
            "docs/observability.md is not as crates/ef-model/src/telemetry.rs has it. Its table of {first}s should be:\n\n{expected}"
        );
    }
}

#[test]
fn every_attribute_is_explained_and_nothing_is_explained_that_there_is_not() {
    let page = document("observability.md");
    let [table] = tables(&page, "attribute")[..] else { panic!("docs/observability.md has one table of attributes") };
    let cells = table.lines().skip(2).filter_map(|row| row.split('|').nth(1));
    let explained: BTreeSet<_> = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    let events = SPANS.iter().flat_map(|span| span.events).flat_map(|event| event.attributes);
    let all: BTreeSet<_> = SPANS.iter().flat_map(|span| span.attributes).chain(events).copied().collect();
    let missing: Vec<_> = all.difference(&explained).collect();
    let gone: Vec<_> = explained.difference(&all).collect();
    assert!(
        missing.is_empty() && gone.is_empty(),
        "the table of attributes in docs/observability.md does not explain {missing:?}, and explains {gone:?}, which no span has"
    );
}

/// Every query of the dashboard, with where it stands.
fn dashboard_queries(dashboard: &serde_json::Value) -> Vec<(String, String, Option<String>)> {
    let mut queries = Vec::new();
    let panels = dashboard["panels"].as_array().expect("the dashboard has panels");
    for panel in panels {
        let title = panel["title"].as_str().expect("a panel has a title");
        for target in panel["targets"].as_array().expect("a panel has targets") {
            let query = target["expr"].as_str().unwrap_or_else(|| panic!("{title}: a target has a query"));
            queries.push((title.to_owned(), query.to_owned(), target["legendFormat"].as_str().map(str::to_owned)));
        }
    }
    for variable in dashboard["templating"]["list"].as_array().expect("the dashboard has variables") {
        if variable["type"] == "query" {
            let query = variable["query"]["query"].as_str().expect("a variable has a query");
            assert_eq!(variable["definition"], query, "the two forms of a variable's query are one");
            queries.push((format!("variable {}", variable["name"]), query.to_owned(), None));
        }
    }
    queries
}

#[test]
fn the_dashboard_asks_for_every_metric_and_for_nothing_that_there_is_not() {
    let dashboard: serde_json::Value =
        serde_json::from_str(&document("grafana/eval-fabric.json")).expect("the dashboard is JSON");
    let queries = dashboard_queries(&dashboard);
    let mut asked = BTreeSet::new();
    for (place, query, legend) in &queries {
        let series = prometheus::check(query).unwrap_or_else(|problem| panic!("{place}: {problem}: {query}"));
        assert!(!series.is_empty(), "{place}: {query}");
        for label in legend.iter().flat_map(|legend| legend.split("{{").skip(1)) {
            let label = label.split("}}").next().unwrap_or_default();
            assert!(query.contains(label), "{place}: the legend's {label} is no label that {query} keeps");
        }
        asked.extend(series.iter().map(|Series { metric, .. }| metric.name));
    }
    let all: BTreeSet<_> = METRICS.iter().map(|metric| metric.name).collect();
    assert_eq!(asked, all, "each metric has a place on the dashboard");
    let titles: Vec<_> = queries.iter().map(|(title, ..)| title.as_str()).collect();
    for wanted in ["Success rate", "p95 latency of the evaluator", "Cost", "In flight and waiting"] {
        assert!(titles.contains(&wanted), "{wanted}: {titles:?}");
    }
}

#[test]
fn no_two_panels_of_the_dashboard_lie_upon_one_another() {
    let dashboard: serde_json::Value =
        serde_json::from_str(&document("grafana/eval-fabric.json")).expect("the dashboard is JSON");
    let number = |value: &serde_json::Value| value.as_u64().expect("a place is a number");
    let panels = dashboard["panels"].as_array().expect("panels");
    let (mut cells, mut ids) = (BTreeSet::new(), BTreeSet::new());
    for panel in panels {
        assert!(ids.insert(number(&panel["id"])), "{panel}");
        let [x, y, w, h] = ["x", "y", "w", "h"].map(|side| number(&panel["gridPos"][side]));
        assert!(x + w <= 24, "{panel}");
        for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(cells.insert(cell), "{}", panel["title"]);
        }
    }
}
