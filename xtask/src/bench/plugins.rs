//! `cargo xtask bench plugins`: a trivial judge in Python, called by the host alone and in a run.

use std::path::Path;
use std::process::Command;

use serde::Deserialize;

use super::figures::{as_f64, median};
use super::programs::{self, Programs};
use super::targets::Target;
use super::{dataset, report};
use crate::measure::measured;
use crate::step::{self, Failure, cargo};

const ITEMS: u64 = 100_000;
const IN_FLIGHT: u32 = 64;
/// CPU time of the host for one call, in µs, below.
const HOST_CPU_US: f64 = 150.0;
/// Judgments/s of a run with one Python process, at least.
const JUDGMENTS: f64 = 5_000.0;

const JUDGE: &str = "def same(item, output):\n    return output.output == item.reference_output\n";
const MANIFEST: &str = "python = \"python3\"\n\n[plugins.trivial]\npython = \"trivial:same\"\n";
const SPEC: &str = "\
schema_version: \"1\"
id: bench/plugins
version: 1.0.0
evaluator: { id: eval_fabric.examples.echo }
judges:
  - id: trivial.same
";

/// Measures, prints, and says whether every target is met.
pub(super) fn run(programs: &Programs, scratch: &Path, runs: u32) -> Result<bool, Failure> {
    let example = ["--package", "ef-plugin", "--features", "process", "--example", "round-trip"];
    step::run(cargo(["build", "--release"]).args(example))?;
    let round_trip = programs.target_directory.join("release/examples/round-trip");
    let (mut cpu, mut rates) = (Vec::new(), Vec::new());
    for run in 1..=runs {
        cpu.push(host_cpu_us(&round_trip, scratch)?);
        rates.push(judgments_per_second(programs, scratch)?);
        eprintln!(
            "    {run}: {:.1} µs of the host's CPU a call, {:.0} judgments/s",
            cpu[cpu.len() - 1],
            rates[rates.len() - 1]
        );
    }
    let (cpu, rate) = (median(cpu), median(rates));
    let targets = [
        Target {
            name: "host's CPU for a call to a Python plugin, µs",
            wanted: format!("< {HOST_CPU_US}"),
            measured: Some(cpu),
            met: Some(cpu < HOST_CPU_US),
        },
        Target {
            name: "judgments/s of a run with a Python judge",
            wanted: format!(">= {JUDGMENTS}"),
            measured: Some(rate),
            met: Some(rate >= JUDGMENTS),
        },
    ];
    println!("{}", report::judged(&targets));
    Ok(targets.iter().all(|target| target.met == Some(true)))
}

fn host_cpu_us(program: &Path, scratch: &Path) -> Result<f64, Failure> {
    #[derive(Deserialize)]
    struct Printed {
        host_cpu_us_per_call: f64,
    }
    let mut command = Command::new(program);
    command.args(["python3", &ITEMS.to_string(), &IN_FLIGHT.to_string()]);
    let (_, printed) = measured(&command, scratch)?;
    let done: Printed = serde_json::from_str(&printed)
        .map_err(|error| Failure::new(format!("round-trip did not print its result: {error}")))?;
    Ok(done.host_cpu_us_per_call)
}

fn judgments_per_second(programs: &Programs, scratch: &Path) -> Result<f64, Failure> {
    #[derive(Deserialize)]
    struct Printed {
        counts: Counts,
    }
    #[derive(Deserialize)]
    struct Counts {
        scored: u64,
    }
    let folder = programs::new_folder(scratch)?;
    for (name, text) in [("trivial.py", JUDGE), ("ef.toml", MANIFEST), ("spec.yaml", SPEC)] {
        let path = folder.join(name);
        std::fs::write(&path, text).map_err(|error| Failure::new(format!("{}: {error}", path.display())))?;
    }
    let dataset = folder.join("dataset.jsonl");
    dataset::write(&dataset, ITEMS).map_err(|error| Failure::new(format!("{}: {error}", dataset.display())))?;
    // `ef` looks for `ef.toml` in the folder that it runs in.
    let mut ef = Command::new("env");
    ef.arg("--chdir").arg(&folder).arg(&programs.ef);
    ef.args(["run", "spec.yaml", "--dataset", "dataset.jsonl", "--format", "json"]);
    let (usage, printed) = measured(&ef, scratch)?;
    let done: Printed = serde_json::from_str(&printed)
        .map_err(|error| Failure::new(format!("ef run did not print its result as JSON: {error}")))?;
    // A run that failed quickly must not look like a fast one.
    if done.counts.scored != ITEMS {
        return Err(Failure::new(format!("{} of {ITEMS} items were scored", done.counts.scored)));
    }
    Ok(as_f64(ITEMS) / usage.wall_s)
}
