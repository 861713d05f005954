//! Which crate may import which. The table here is the one of `docs/architecture.md`; an edge that is in neither was
//! never decided.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::Finding;
use super::metadata::{Dependency, EdgeKind, Kind, Metadata, Package};

struct Row {
    name: &'static str,
    /// Members that it may import.
    may: &'static [&'static str],
    /// Members that its tests may import besides; `ef-testkit` they all may.
    tests: &'static [&'static str],
}

const TESTKIT: &str = "ef-testkit";

#[rustfmt::skip]
const TABLE: &[Row] = &[
    Row { name: "ef-model", may: &[], tests: &[] },
    Row { name: "ef-spec", may: &["ef-model"], tests: &[] },
    Row { name: "ef-dataset", may: &["ef-model"], tests: &[] },
    Row { name: "ef-metrics", may: &["ef-model", "ef-spec"], tests: &[] },
    Row { name: "ef-client", may: &["ef-model"], tests: &[] },
    Row { name: "ef-evaluators", may: &["ef-model", "ef-client"], tests: &["ef-plugin"] },
    Row { name: "ef-judges", may: &["ef-model", "ef-client"], tests: &["ef-plugin"] },
    Row { name: "ef-plugin", may: &["ef-model"], tests: &[] },
    Row { name: "ef-runner", may: &["ef-model", "ef-spec", "ef-metrics"], tests: &[] },
    Row { name: "ef-store-sqlite", may: &["ef-model"], tests: &[] },
    Row { name: "ef-store-postgres", may: &["ef-model"], tests: &[] },
    Row { name: "ef-store-parquet", may: &["ef-model"], tests: &[] },
    Row { name: "ef-telemetry", may: &["ef-model"], tests: &[] },
    Row { name: "ef-report", may: &["ef-model", "ef-metrics"], tests: &[] },
    Row { name: "ef-testkit", may: &["ef-model", "ef-client", "ef-plugin"], tests: &[] },
    Row {
        name: "ef-cli",
        may: &[
            "ef-model", "ef-spec", "ef-dataset", "ef-metrics", "ef-client", "ef-evaluators", "ef-judges", "ef-plugin",
            "ef-runner", "ef-store-sqlite", "ef-store-postgres", "ef-store-parquet", "ef-telemetry", "ef-report",
        ],
        tests: &[],
    },
    Row { name: "ef-fuzz", may: &["ef-model", "ef-spec", "ef-dataset", "ef-store-sqlite"], tests: &[] },
    Row { name: "xtask", may: &[], tests: &[] },
];

/// Crates that must not be reached by normal dependencies, however far away.
const OUT_OF_REACH: &[(&str, &[&str], &str)] = &[
    (
        "ef-model",
        &["tokio", "sqlx", "rusqlite", "arrow", "parquet", "clap", "reqwest", "hyper"],
        "ef-model does no I/O and needs no runtime",
    ),
    (
        "ef-runner",
        &["sqlx", "rusqlite", "arrow", "parquet", "clap", "reqwest", "hyper"],
        "the runner takes a ready store, evaluator and judges, and never sees what is behind them",
    ),
];

/// The only members that may have a command line.
const COMMAND_LINE: [&str; 2] = ["ef-cli", "xtask"];

pub(super) fn check(metadata: &Metadata) -> Vec<Finding> {
    let members = metadata.members();
    let names: BTreeSet<&str> = members.iter().map(|member| member.name.as_str()).collect();
    let mut findings = Vec::new();
    for member in members {
        let Some(row) = TABLE.iter().find(|row| row.name == member.name) else {
            findings.push(Finding::new(
                &member.name,
                "it is not in the import table",
                "decide what it may import: docs/architecture.md and the table in xtask/src/tidy/imports.rs",
            ));
            continue;
        };
        findings.extend(member.dependencies.iter().filter_map(|dependency| edge(row, dependency, &names)));
        findings.extend(reach(metadata, member));
    }
    findings
}

fn edge(row: &Row, dependency: &Dependency, members: &BTreeSet<&str>) -> Option<Finding> {
    let (from, to) = (row.name, dependency.name.as_str());
    let dev = dependency.kind == Some(Kind::Dev);
    if to == "clap" && !COMMAND_LINE.contains(&from) {
        return Some(Finding::new(from, "it depends on clap", "only ef-cli and xtask have a command line"));
    }
    if !members.contains(to) || row.may.contains(&to) || (dev && row.tests.contains(&to)) {
        return None;
    }
    if to == TESTKIT {
        return (!dev || from == "xtask").then(|| {
            Finding::new(from, "it depends on ef-testkit", "ef-testkit is for tests: make it a dev-dependency")
        });
    }
    let problem = format!("its {} import {to}", if dev { "tests" } else { "sources" });
    let allowed = if row.may.is_empty() { "no other member".to_owned() } else { row.may.join(", ") };
    Some(Finding::new(from, problem, format!("it may import {allowed} (docs/architecture.md)")))
}

/// What the member reaches that it must not, each with the way there.
fn reach(metadata: &Metadata, member: &Package) -> Vec<Finding> {
    let Some((_, banned, why)) = OUT_OF_REACH.iter().find(|(name, ..)| *name == member.name) else {
        return Vec::new();
    };
    let ways = ways_from(metadata, &member.id);
    let names = metadata.packages.iter().filter(|package| banned.contains(&package.name.as_str()));
    let reached = names.filter_map(|package| ways.get(package.id.as_str()));
    reached.map(|way| Finding::new(&member.name, format!("it reaches {}", way.join(" → ")), *why)).collect()
}

/// The shortest way to each package that normal dependencies reach, as names.
fn ways_from<'a>(metadata: &'a Metadata, start: &'a str) -> BTreeMap<&'a str, Vec<&'a str>> {
    let names: BTreeMap<&str, &str> =
        metadata.packages.iter().map(|package| (package.id.as_str(), package.name.as_str())).collect();
    let edges: BTreeMap<&str, _> = metadata.resolve.nodes.iter().map(|node| (node.id.as_str(), &node.deps)).collect();
    let mut ways = BTreeMap::from([(start, vec![names.get(start).copied().unwrap_or(start)])]);
    let mut waiting = VecDeque::from([start]);
    while let Some(here) = waiting.pop_front() {
        let normal = |kinds: &[EdgeKind]| kinds.iter().any(|edge| edge.kind.is_none());
        for edge in edges.get(here).into_iter().copied().flatten().filter(|edge| normal(&edge.dep_kinds)) {
            let there = edge.pkg.as_str();
            if !ways.contains_key(there) {
                let mut way = ways[here].clone();
                way.push(names.get(there).copied().unwrap_or(there));
                ways.insert(there, way);
                waiting.push_back(there);
            }
        }
    }
    ways
}

#[cfg(test)]
mod tests {
    use super::super::metadata::Declared;
    use super::*;

    fn found(packages: &[Declared]) -> Vec<String> {
        check(&Metadata::of(packages)).iter().map(|finding| format!("{}: {}", finding.place, finding.problem)).collect()
    }

    #[test]
    fn the_edges_of_the_table_pass() {
        let packages: &[Declared] = &[
            ("ef-model", &[("serde", None)]),
            ("ef-spec", &[("ef-model", None)]),
            ("ef-testkit", &[("ef-model", None)]),
            ("ef-store-sqlite", &[("ef-model", None), ("ef-testkit", Some("dev")), ("sqlx", None)]),
            ("ef-cli", &[("ef-spec", None), ("clap", None), ("ef-testkit", Some("dev"))]),
            ("xtask", &[("clap", None)]),
        ];
        assert_eq!(found(packages), [""; 0]);
    }

    #[test]
    fn a_store_that_imports_another_store_or_the_runner_is_found() {
        let packages: &[Declared] = &[
            ("ef-runner", &[]),
            ("ef-store-postgres", &[]),
            ("ef-store-sqlite", &[("ef-store-postgres", None), ("ef-runner", Some("dev"))]),
        ];
        let expected =
            ["ef-store-sqlite: its sources import ef-store-postgres", "ef-store-sqlite: its tests import ef-runner"];
        assert_eq!(found(packages), expected);
    }

    #[test]
    fn a_member_outside_the_table_is_found() {
        assert_eq!(found(&[("ef-new", &[])]), ["ef-new: it is not in the import table"]);
    }

    #[test]
    fn the_testkit_outside_tests_is_found() {
        let packages: &[Declared] = &[("ef-testkit", &[]), ("ef-cli", &[("ef-testkit", None)])];
        assert_eq!(found(packages), ["ef-cli: it depends on ef-testkit"]);
    }

    #[test]
    fn a_command_line_outside_the_cli_is_found() {
        assert_eq!(found(&[("ef-report", &[("clap", Some("dev"))])]), ["ef-report: it depends on clap"]);
    }

    #[test]
    fn a_task_that_imports_a_crate_of_the_workspace_is_found() {
        let packages: &[Declared] = &[("ef-model", &[]), ("xtask", &[("ef-model", None)])];
        assert_eq!(found(packages), ["xtask: its sources import ef-model"]);
    }

    #[test]
    fn what_the_runner_must_not_see_is_found_however_far_away() {
        let packages: &[Declared] = &[
            ("ef-metrics", &[("plots", None)]),
            ("ef-runner", &[("ef-metrics", None), ("sqlx", Some("dev"))]),
            ("plots", &[("arrow", None)]),
            ("arrow", &[]),
            ("sqlx", &[]),
        ];
        assert_eq!(found(packages), ["ef-runner: it reaches ef-runner → ef-metrics → plots → arrow"]);
    }
}
