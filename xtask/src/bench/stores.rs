//! What stores make of the speed of what is below them: each beside the barest program that writes the same rows, and runs
//! exported from one into another.
//!
//! Each store's crate has an example that does both in turns on the same machine, so that a slow moment meets both; a share
//! is the median over the pairs.

use std::path::Path;
use std::process::Command;

use serde::Deserialize;

use super::figures::{as_f64, median};
use super::programs::Programs;
use super::targets::Target;
use super::{dataset, report};
use crate::measure::measured;
use crate::step::{self, Failure, cargo};

/// Share of the barest writer's items/s, at least.
const SHARE: f64 = 0.6;
/// Records/s of an export from SQLite to Parquet, at least.
const EXPORTED: f64 = 50_000.0;
/// Records of a batch, as a busy run hands them over.
const BATCH: u64 = 2048;

/// Measures with so many items, and tells what was reached. Returns whether all of it was.
pub(super) fn run(programs: &Programs, scratch: &Path, items: u64, runs: u32) -> Result<bool, Failure> {
    let mut targets = Vec::new();
    targets.extend(postgres(items)?);
    targets.extend(parquet(items)?);
    targets.push(export(programs, scratch, items, runs)?);
    println!("{}", report::judged(&targets));
    Ok(targets.iter().all(|target| target.met != Some(false)))
}

fn share(name: &'static str, pairs: &[(f64, f64)]) -> Target {
    let share = median(pairs.iter().map(|(bare, store)| bare / store));
    let measured = (!share.is_nan()).then_some(share);
    Target { name, wanted: format!(">= {SHARE}"), measured, met: measured.map(|share| share >= SHARE) }
}

/// The lines of JSON that an example prints.
fn lines<T: for<'de> Deserialize<'de>>(package: &str, example: &str, arguments: &[String]) -> Result<Vec<T>, Failure> {
    step::run(&mut cargo(["build", "--release", "--package", package, "--example", example]))?;
    eprintln!("==> {package}: {example} {}", arguments.join(" "));
    let mut command = cargo(["run", "--quiet", "--release", "--package", package, "--example", example, "--"]);
    let printed = step::text(command.args(arguments).env("EF_REQUIRE_POSTGRES", "1"))?;
    let lines = printed.lines().map(|line| {
        eprintln!("    {line}");
        serde_json::from_str(line)
    });
    lines
        .collect::<Result<_, _>>()
        .map_err(|error| Failure::new(format!("{example} did not print its figures: {error}")))
}

/// One who wrote: the store, or the bare `COPY`, over the socket (0) or TCP (1).
#[derive(Deserialize)]
struct Turn {
    who: String,
    uri: usize,
    seconds: f64,
}

fn postgres(items: u64) -> Result<[Target; 2], Failure> {
    let turns: Vec<Turn> = lines("ef-store-postgres", "floor", &[items.to_string(), BATCH.to_string()])?;
    Ok([(0, "Postgres over a socket, share of COPY"), (1, "Postgres over TCP, share of COPY")]
        .map(|(uri, name)| share(name, &pairs(&turns, uri))))
}

/// Seconds of the bare `COPY` and of the store, turn by turn.
fn pairs(turns: &[Turn], uri: usize) -> Vec<(f64, f64)> {
    let of = |who: &'static str| turns.iter().filter(move |turn| turn.uri == uri && turn.who == who);
    of("copy").zip(of("store")).map(|(bare, store)| (bare.seconds, store.seconds)).collect()
}

/// One turn of the Parquet store and the bare `ArrowWriter`: one thread that makes the same columns of the same records with
/// the same settings, and syncs once, at its end. The store syncs each batch.
#[derive(Deserialize)]
struct Throughput {
    bare_seconds: f64,
    store_seconds: f64,
}

fn parquet(items: u64) -> Result<[Target; 1], Failure> {
    let turns: Vec<Throughput> = lines("ef-store-parquet", "throughput", &[items.to_string(), BATCH.to_string()])?;
    let pairs: Vec<_> = turns.iter().map(|turn| (turn.bare_seconds, turn.store_seconds)).collect();
    Ok([share("Parquet in a folder, share of ArrowWriter", &pairs)])
}

/// The whole of `ef tracestore export`, each time into a new archive.
fn export(programs: &Programs, scratch: &Path, items: u64, runs: u32) -> Result<Target, Failure> {
    eprintln!("==> export of {items} records from SQLite to Parquet");
    let dataset = scratch.join("dataset.jsonl");
    dataset::write(&dataset, items).map_err(|error| Failure::new(format!("{}: {error}", dataset.display())))?;
    let store = programs.stored(&dataset, items, scratch)?;
    let mut rates = Vec::new();
    for number in 1..=runs {
        let archive = scratch.join(format!("archive-{number}"));
        let mut ef = Command::new(&programs.ef);
        ef.args(["tracestore", "export"]).arg(format!("sqlite://{}", store.display()));
        ef.arg("--to").arg(format!("parquet://{}", archive.display())).args(["--format", "json"]);
        let (usage, printed) = measured(&ef, scratch)?;
        assert_exported(&printed, items)?;
        step::remove(&archive)?;
        eprintln!("    {number}: {:.2} s, {:.1} MiB at most", usage.wall_s, as_f64(usage.peak_rss_bytes) / 1_048_576.0);
        rates.push(as_f64(items) / usage.wall_s);
    }
    let rate = median(rates);
    Ok(Target {
        name: "export SQLite to Parquet, verified, records/s",
        wanted: format!(">= {EXPORTED}"),
        measured: Some(rate),
        met: Some(rate >= EXPORTED),
    })
}

fn assert_exported(printed: &str, items: u64) -> Result<(), Failure> {
    #[derive(Deserialize)]
    struct Exported {
        records: u64,
        written: u64,
    }
    match serde_json::from_str(printed) {
        Ok(Exported { records, written }) if records == items && written == items => Ok(()),
        _ => Err(Failure::new(format!("ef tracestore export did not write {items} records"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_taken_pair_by_pair_and_by_way_of_connection() {
        let turn = |who: &str, uri, seconds| Turn { who: who.to_owned(), uri, seconds };
        let turns = [
            turn("store", 0, 2.0),
            turn("copy", 0, 1.0),
            turn("store", 0, 4.0),
            turn("copy", 0, 3.0),
            turn("store", 1, 1.0),
            turn("copy", 1, 1.0),
        ];
        assert_eq!(pairs(&turns, 0), [(1.0, 2.0), (3.0, 4.0)]);
        let target = share("x", &pairs(&turns, 0));
        assert_eq!((target.measured, target.met), (Some(0.625), Some(true)));
        assert_eq!(share("x", &pairs(&turns, 1)).measured, Some(1.0));
        assert_eq!(share("x", &[]).met, None, "what was not measured is not met");
    }

    #[test]
    fn an_export_that_is_not_whole_is_no_figure() {
        assert_exported("{\"run_id\": \"x\", \"records\": 10, \"written\": 10}\n", 10).expect("it is whole");
        for printed in ["{\"records\": 10, \"written\": 9}", "{\"records\": 9, \"written\": 9}", ""] {
            assert_exported(printed, 10).expect_err(printed);
        }
    }
}
