//! The two programs of the bench: `ef` as it is shipped, and the floor.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use super::figures::Sample;
use crate::measure::{Usage, measured, measured_with_log};
use crate::step::{self, Failure, cargo};

/// The cheapest evaluation: an evaluator that gives its input back, and a judge that compares it with the reference.
const SPEC: &str = "\
schema_version: \"1\"
id: bench/echo
version: 1.0.0
evaluator:
  id: eval_fabric.examples.echo
judges:
  - id: eval_fabric.exact_match
scoring:
  metrics:
    - name: accuracy
      from: exact_match
      aggregator: mean
";

/// The folder of one run's files, within the scratch folder.
const RUN: &str = "run";

/// Where the programs are.
pub(super) struct Programs {
    pub(super) ef: PathBuf,
    floor: PathBuf,
    pub(super) target_directory: PathBuf,
}

/// Builds both, each by itself, so that neither is given features for the other's sake.
pub(super) fn build() -> Result<Programs, Failure> {
    step::run(&mut cargo(["build", "--release", "--package", "ef-cli", "--bin", "ef"]))?;
    step::run(&mut cargo(["build", "--release", "--package", "ef-store-sqlite", "--example", "floor"]))?;
    let target_directory = target_directory()?;
    let release = target_directory.join("release");
    Ok(Programs { ef: release.join("ef"), floor: release.join("examples/floor"), target_directory })
}

fn target_directory() -> Result<PathBuf, Failure> {
    #[derive(Deserialize)]
    struct Metadata {
        target_directory: PathBuf,
    }
    let output = step::output(&mut cargo(["metadata", "--format-version", "1", "--no-deps"]))?;
    let metadata: Metadata = serde_json::from_slice(&output.stdout)
        .map_err(|error| Failure::new(format!("`cargo metadata` gave no JSON: {error}")))?;
    Ok(metadata.target_directory)
}

impl Programs {
    /// `ef run` into a new store; its files are gone with the next run.
    pub(super) fn run(&self, dataset: &Path, items: u64, scratch: &Path) -> Result<Sample, Failure> {
        let (usage, database) = self.run_into(dataset, items, scratch)?;
        Ok(Sample { usage, disk_bytes: size_of(&database) })
    }

    /// The same with these environment variables and no others of OpenTelemetry's, and what it logged, a line of JSON each.
    pub(super) fn run_told(
        &self,
        dataset: &Path,
        items: u64,
        variables: &[(&str, String)],
        scratch: &Path,
    ) -> Result<(Usage, String), Failure> {
        let (mut ef, _) = self.command(dataset, scratch)?;
        ef.args(["--log-format", "json"]);
        untold(&mut ef).envs(variables.iter().map(|(name, value)| (name, value)));
        let (usage, printed, log) = measured_with_log(&ef, scratch)?;
        assert_whole(&printed, items)?;
        Ok((usage, log))
    }

    /// A new store with a run of so many items.
    pub(super) fn stored(&self, dataset: &Path, items: u64, scratch: &Path) -> Result<PathBuf, Failure> {
        self.run_into(dataset, items, scratch).map(|(_, database)| database)
    }

    fn run_into(&self, dataset: &Path, items: u64, scratch: &Path) -> Result<(Usage, PathBuf), Failure> {
        let (ef, database) = self.command(dataset, scratch)?;
        let (usage, printed) = measured(&ef, scratch)?;
        assert_whole(&printed, items)?;
        Ok((usage, database))
    }

    /// `ef run` into a new store, and where that is.
    fn command(&self, dataset: &Path, scratch: &Path) -> Result<(Command, PathBuf), Failure> {
        let folder = new_folder(scratch)?;
        let spec = folder.join("spec.yaml");
        std::fs::write(&spec, SPEC).map_err(|error| Failure::new(format!("{}: {error}", spec.display())))?;
        let database = folder.join("run.db");
        let mut ef = Command::new(&self.ef);
        ef.arg("run").arg(&spec).arg("--dataset").arg(dataset);
        ef.arg("--store").arg(format!("sqlite://{}", database.display()));
        ef.arg("--output").arg(folder.join("out")).args(["--format", "json"]);
        Ok((ef, database))
    }

    /// The floor into a new database; its files are gone afterwards.
    pub(super) fn floor(&self, dataset: &Path, items: u64, scratch: &Path) -> Result<Sample, Failure> {
        #[derive(Deserialize)]
        struct Printed {
            items: u64,
        }
        let database = new_folder(scratch)?.join("floor.db");
        let (usage, printed) = measured(Command::new(&self.floor).arg(dataset).arg(&database), scratch)?;
        let done: Printed = serde_json::from_str(&printed)
            .map_err(|error| Failure::new(format!("the floor did not print its result: {error}")))?;
        if done.items != items {
            return Err(Failure::new(format!("the floor wrote {} of {items} items", done.items)));
        }
        Ok(Sample { usage, disk_bytes: size_of(&database) })
    }
}

/// The command without the variables by which whoever runs the bench has telemetry sent.
pub(super) fn untold(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("OTEL_") {
            command.env_remove(name);
        }
    }
    command
}

/// An empty folder in place of the last run's, whose pages need not reach the disk any more.
pub(super) fn new_folder(scratch: &Path) -> Result<PathBuf, Failure> {
    let folder = scratch.join(RUN);
    let failed = |error| Failure::new(format!("{}: {error}", folder.display()));
    if folder.exists() {
        std::fs::remove_dir_all(&folder).map_err(failed)?;
    }
    std::fs::create_dir_all(&folder).map_err(failed)?;
    Ok(folder)
}

/// Bytes of the database and of the log beside it.
pub(super) fn size_of(database: &Path) -> u64 {
    let log = format!("{}-wal", database.display());
    [database, Path::new(&log)].iter().filter_map(|path| std::fs::metadata(path).ok()).map(|file| file.len()).sum()
}

/// A run that failed quickly must not look like a fast one.
fn assert_whole(printed: &str, items: u64) -> Result<(), Failure> {
    #[derive(Deserialize)]
    struct Printed {
        metrics: Vec<Metric>,
    }
    #[derive(Deserialize)]
    struct Metric {
        value: Option<f64>,
        n: u64,
    }
    let done: Printed = serde_json::from_str(printed)
        .map_err(|error| Failure::new(format!("ef run did not print its result as JSON: {error}")))?;
    let whole = done.metrics.iter().any(|metric| {
        // Every second item's reference is its input.
        let half = metric.value.is_some_and(|value| (value - 0.5).abs() < 1e-9);
        metric.n == items && half
    });
    if whole { Ok(()) } else { Err(Failure::new(format!("ef run did not score {items} items, half of them right"))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_that_is_not_whole_is_no_figure() {
        assert_whole(r#"{"metrics": [{"name": "accuracy", "value": 0.5, "n": 10}]}"#, 10).expect("it is whole");
        for printed in [
            r#"{"metrics": [{"name": "accuracy", "value": 0.5, "n": 9}]}"#,
            r#"{"metrics": [{"name": "accuracy", "value": 1.0, "n": 10}]}"#,
            r#"{"metrics": []}"#,
            "",
        ] {
            assert_whole(printed, 10).expect_err(printed);
        }
    }

    #[test]
    fn the_size_on_disk_includes_the_log() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("run.db"), [0; 10]).expect("a file");
        std::fs::write(folder.path().join("run.db-wal"), [0; 5]).expect("a file");
        assert_eq!(size_of(&folder.path().join("run.db")), 15);
    }
}
