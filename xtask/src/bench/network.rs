//! `cargo xtask bench network`: an evaluation that calls a model twice an item, against a server on loopback that takes
//! 50 ms for each answer, beside a bare loop of the same calls. Server and client share the machine's cores.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use serde::{Deserialize, Serialize};

use super::dataset;
use super::figures::{Sample, as_f64, median};
use super::programs::{self, Programs};
use crate::measure::measured;
use crate::step::{self, Failure, cargo};

const ITEMS: u64 = 30_000;
const DELAY_MS: u64 = 50;
/// Calls at a time, and the share of the bare loop's items/s that is wanted there.
const TARGETS: [(u32, f64); 2] = [(256, 0.9), (1_024, 0.8)];
/// Peak memory, below.
const RSS_MIB: f64 = 100.0;

/// All runs at one concurrency; `ef[i]` and `bare[i]` are a pair.
#[derive(Debug, Serialize)]
struct Figures {
    concurrency: u32,
    wanted: f64,
    ef: Vec<Sample>,
    bare: Vec<Sample>,
}

/// Runs both programs in turns, prints what came of it, and says whether every target is met.
pub(super) fn run(programs: &Programs, scratch: &Path, runs: u32) -> Result<bool, Failure> {
    step::run(&mut cargo(["build", "--release", "--package", "ef-client", "--example", "bare-loop"]))?;
    let server = ["--package", "ef-testkit", "--features", "model-server", "--example", "model-server"];
    step::run(cargo(["build", "--release"]).args(server))?;
    let examples = programs.target_directory.join("release/examples");
    let server = Server::start(&examples.join("model-server"))?;
    let dataset = scratch.join("dataset.jsonl");
    dataset::write(&dataset, ITEMS).map_err(|error| Failure::new(format!("{}: {error}", dataset.display())))?;

    let mut missed = false;
    let mut all = Vec::new();
    for (concurrency, wanted) in TARGETS {
        eprintln!("==> {ITEMS} items, {concurrency} at a time");
        let mut figures = Figures { concurrency, wanted, ef: Vec::new(), bare: Vec::new() };
        for run in 1..=runs {
            let ef = evaluate(programs, &dataset, &server.base_url, concurrency, scratch)?;
            let bare = bare_loop(&examples.join("bare-loop"), &dataset, &server.base_url, concurrency, scratch)?;
            eprintln!("    {run}: ef {:.2} s, bare loop {:.2} s", ef.usage.wall_s, bare.usage.wall_s);
            figures.ef.push(ef);
            figures.bare.push(bare);
        }
        missed |= !figures.is_met();
        println!("{}", figures.line());
        all.push(figures);
    }
    let json = programs.target_directory.join("bench-network.json");
    let text = serde_json::to_string_pretty(&all).map_err(|error| Failure::new(error.to_string()))?;
    std::fs::write(&json, text).map_err(|error| Failure::new(format!("{}: {error}", json.display())))?;
    eprintln!("as JSON: {}", json.display());
    Ok(!missed)
}

impl Figures {
    /// The items/s of `ef` as a share of the bare loop's: the median over the pairs.
    fn ratio(&self) -> f64 {
        median(self.ef.iter().zip(&self.bare).map(|(ef, bare)| bare.usage.wall_s / ef.usage.wall_s))
    }

    fn worst_rss_mib(&self) -> f64 {
        self.ef.iter().map(|sample| as_f64(sample.usage.peak_rss_bytes) / f64::from(1 << 20)).fold(0.0, f64::max)
    }

    fn is_met(&self) -> bool {
        self.ratio() >= self.wanted && self.worst_rss_mib() < RSS_MIB
    }

    fn line(&self) -> String {
        let rate = |samples: &[Sample]| as_f64(ITEMS) / median(samples.iter().map(|sample| sample.usage.wall_s));
        format!(
            "{} at a time: ef {:.0} items/s, bare loop {:.0} items/s, {:.2} of it (wanted {}), peak RSS {:.1} MiB \
             (wanted < {RSS_MIB}): {}",
            self.concurrency,
            rate(&self.ef),
            rate(&self.bare),
            self.ratio(),
            self.wanted,
            self.worst_rss_mib(),
            if self.is_met() { "met" } else { "NOT MET" }
        )
    }
}

/// The model server, ended when it is dropped.
struct Server {
    process: Child,
    base_url: String,
    /// Kept open: the server says more than is read, and would fail to.
    _output: BufReader<ChildStdout>,
}

impl Server {
    fn start(program: &Path) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::new(format!("{}: {error}", program.display()));
        let mut command = Command::new(program);
        command.args(["--port", "0", "--delay-ms", &DELAY_MS.to_string()]).stdout(Stdio::piped());
        let mut process = command.spawn().map_err(failed)?;
        let mut line = String::new();
        let stdout = process.stdout.take().ok_or_else(|| Failure::new("the server has no output"))?;
        let mut output = BufReader::new(stdout);
        output.read_line(&mut line).map_err(failed)?;
        // Its first line ends with the address that OpenAI's clients take.
        let base_url = line.split_whitespace().find(|word| word.starts_with("http://") && word.ends_with("/v1"));
        let base_url = base_url.ok_or_else(|| Failure::new(format!("the server said {line:?}, not where it is")))?;
        Ok(Self { base_url: base_url.to_owned(), process, _output: output })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// One evaluator call and one judge call an item.
fn spec(base_url: &str, concurrency: u32) -> String {
    format!(
        "\
schema_version: \"1\"
id: bench/network
version: 1.0.0
evaluator:
  id: eval_fabric.openai_chat
  config: {{ base_url: \"{base_url}\", model: bench }}
judges:
  - id: eval_fabric.llm_judge
    config:
      criterion: The answer is good.
      provider: openai
      base_url: \"{base_url}\"
      model: bench
scoring:
  metrics:
    - name: passed
      from: llm_judge
runtime: {{ max_concurrent: {concurrency} }}
"
    )
}

fn evaluate(
    programs: &Programs,
    dataset: &Path,
    base_url: &str,
    concurrency: u32,
    scratch: &Path,
) -> Result<Sample, Failure> {
    let folder = programs::new_folder(scratch)?;
    let file = folder.join("spec.yaml");
    let written = std::fs::write(&file, spec(base_url, concurrency));
    written.map_err(|error| Failure::new(format!("{}: {error}", file.display())))?;
    let database = folder.join("run.db");
    let mut ef = Command::new(&programs.ef);
    ef.arg("run").arg(&file).arg("--dataset").arg(dataset);
    ef.arg("--store").arg(format!("sqlite://{}", database.display()));
    ef.arg("--output").arg(folder.join("out")).args(["--format", "json"]);
    let (usage, printed) = measured(&ef, scratch)?;
    assert_scored(&printed)?;
    Ok(Sample { usage, disk_bytes: programs::size_of(&database) })
}

fn bare_loop(
    program: &Path,
    dataset: &Path,
    base_url: &str,
    concurrency: u32,
    scratch: &Path,
) -> Result<Sample, Failure> {
    #[derive(Deserialize)]
    struct Printed {
        items: u64,
    }
    let mut bare = Command::new(program);
    bare.arg(dataset).arg(base_url).arg(concurrency.to_string());
    let (usage, printed) = measured(&bare, scratch)?;
    let done: Printed = serde_json::from_str(&printed)
        .map_err(|error| Failure::new(format!("the bare loop did not print its result: {error}")))?;
    if done.items != ITEMS {
        return Err(Failure::new(format!("the bare loop did {} of {ITEMS} items", done.items)));
    }
    Ok(Sample { usage, disk_bytes: 0 })
}

/// A run that failed quickly must not look like a fast one.
fn assert_scored(printed: &str) -> Result<(), Failure> {
    #[derive(Deserialize)]
    struct Printed {
        counts: Counts,
    }
    #[derive(Deserialize)]
    struct Counts {
        ok: u64,
        scored: u64,
    }
    let done: Printed = serde_json::from_str(printed)
        .map_err(|error| Failure::new(format!("ef run did not print its result as JSON: {error}")))?;
    let Counts { ok, scored } = done.counts;
    if (ok, scored) == (ITEMS, ITEMS) {
        Ok(())
    } else {
        Err(Failure::new(format!("of {ITEMS} items {ok} were answered and {scored} scored")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_with_an_unscored_item_is_no_figure() {
        assert_scored(r#"{"counts": {"ok": 30000, "scored": 30000}}"#).expect("it is whole");
        assert_scored(r#"{"counts": {"ok": 30000, "scored": 29999}}"#).expect_err("one is missing");
    }
}
