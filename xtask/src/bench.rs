//! `cargo xtask bench`: the whole of `ef run` with the cheapest evaluator and judge, beside the bare cost of writing the
//! same bytes to SQLite (the floor), and what it takes to start.
//!
//! The two take turns (A B A B …) on the same dataset, each in a process and a folder of its own, so that a slow moment of
//! the machine meets both; ratios are taken pair by pair, and every figure is a median.

use std::path::{Path, PathBuf};
use std::process::Command;

use clap::{Args, ValueEnum};

use crate::measure::measured;
use crate::step::Failure;

mod dataset;
mod figures;
mod network;
mod plugins;
mod programs;
mod report;
mod resume;
mod stores;
mod targets;
mod telemetry;

use figures::{Figures, Size, Start};
use programs::Programs;

/// Arguments of `cargo xtask bench`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// What to measure instead: the stores, each beside the barest program that writes the same rows, and an export; an
    /// evaluation that calls a model twice an item, beside a bare loop of the same calls; a judge in Python; or what traces,
    /// metrics and logs cost.
    subject: Option<Subject>,
    /// Numbers of items.
    #[arg(long, value_delimiter = ',', default_value = "10000,100000,1000000")]
    sizes: Vec<u64>,
    /// How often each program runs at each size.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Where the results go as JSON; `bench.json` in the target directory where it is absent.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Fail when a target that was measured is not met.
    #[arg(long)]
    check: bool,
    /// Measure only how long `ef resume` takes to start its first new item.
    #[arg(long)]
    resume: bool,
}

/// What can be measured besides `ef run`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Subject {
    Network,
    Plugins,
    Stores,
    Telemetry,
}

/// Items of the bench of stores.
const STORED: u64 = 100_000;

/// Runs the bench: results as a table on standard output and as JSON in a file.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let programs = programs::build()?;
    let scratch = Scratch::new(&programs.target_directory.join("bench"))?;
    if let Some(subject) = arguments.subject {
        let is_met = match subject {
            Subject::Stores => stores::run(&programs, &scratch.0, STORED, arguments.runs)?,
            Subject::Network => network::run(&programs, &scratch.0, arguments.runs)?,
            Subject::Plugins => plugins::run(&programs, &scratch.0, arguments.runs)?,
            Subject::Telemetry => telemetry::run(&programs, &scratch.0, arguments.runs)?,
        };
        return if arguments.check && !is_met { Err(Failure::new("a target is not met")) } else { Ok(()) };
    }
    if arguments.resume {
        return resumed(arguments, &programs, &scratch.0);
    }
    let sizes = arguments.sizes.iter().map(|&items| size(&programs, &scratch.0, items, arguments.runs));
    let sizes = sizes.collect::<Result<Vec<Size>, Failure>>()?;
    let start = start(&programs, &scratch.0)?;
    let figures = Figures::new(sizes, start);
    let targets = targets::judge(&figures);

    println!("{}", report::table(&figures, &targets));
    let json = arguments.json.clone().unwrap_or_else(|| programs.target_directory.join("bench.json"));
    std::fs::write(&json, report::json(&figures, &targets))
        .map_err(|error| Failure::new(format!("{}: {error}", json.display())))?;
    eprintln!("as JSON: {}", json.display());
    if arguments.check && targets.iter().any(|target| target.met == Some(false)) {
        return Err(Failure::new("a target is not met"));
    }
    Ok(())
}

/// How soon a resumed run goes on, at each size.
fn resumed(arguments: &Arguments, programs: &Programs, scratch: &Path) -> Result<(), Failure> {
    let mut is_slow = false;
    for &items in &arguments.sizes {
        let mut taken = resume::measure(programs, scratch, items, arguments.runs)?;
        taken.sort_by(f64::total_cmp);
        let (median, longest) = (taken[taken.len() / 2], taken[taken.len() - 1]);
        println!("{items} records: the first new item after {median:.0} ms (median), {longest:.0} ms (longest)");
        is_slow |= longest > resume::TARGET_MS;
    }
    if arguments.check && is_slow { Err(Failure::new("a target is not met")) } else { Ok(()) }
}

/// One size: the programs take turns on one dataset.
fn size(programs: &Programs, scratch: &Path, items: u64, runs: u32) -> Result<Size, Failure> {
    eprintln!("==> {items} items");
    let dataset = scratch.join("dataset.jsonl");
    let dataset_bytes =
        dataset::write(&dataset, items).map_err(|error| Failure::new(format!("{}: {error}", dataset.display())))?;
    let mut size = Size::new(items, dataset_bytes);
    for run in 1..=runs {
        let ef = programs.run(&dataset, items, scratch)?;
        let floor = programs.floor(&dataset, items, scratch)?;
        eprintln!("    {run}: ef {:.2} s, floor {:.2} s", ef.usage.wall_s, floor.usage.wall_s);
        size.ef.push(ef);
        size.floor.push(floor);
    }
    Ok(size)
}

/// What it takes to start: `ef run` of ten items in a new store, and `ef --version`.
fn start(programs: &Programs, scratch: &Path) -> Result<Start, Failure> {
    eprintln!("==> start");
    let dataset = scratch.join("ten.jsonl");
    dataset::write(&dataset, 10).map_err(|error| Failure::new(format!("{}: {error}", dataset.display())))?;
    let ten_items = (0..10).map(|_| Ok(programs.run(&dataset, 10, scratch)?.usage.wall_s * 1e3));
    let ten_items_ms = ten_items.collect::<Result<Vec<f64>, Failure>>()?;
    let version = (0..20).map(|_| {
        let (usage, _) = measured(Command::new(&programs.ef).arg("--version"), scratch)?;
        Ok(usage.wall_s * 1e3)
    });
    Ok(Start { ten_items_ms, version_ms: version.collect::<Result<Vec<f64>, Failure>>()? })
}

/// A folder that is empty at first and gone at last.
struct Scratch(PathBuf);

impl Scratch {
    fn new(folder: &Path) -> Result<Self, Failure> {
        let failed = |error| Failure::new(format!("{}: {error}", folder.display()));
        if folder.exists() {
            std::fs::remove_dir_all(folder).map_err(failed)?;
        }
        std::fs::create_dir_all(folder).map_err(failed)?;
        Ok(Self(folder.to_owned()))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left behind is under target/, and the next bench removes it.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
