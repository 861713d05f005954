//! How long a resumed run takes to start its first new item.
//!
//! The dataset has its rows in sections, each of which ends with a row that cannot be used. The spec says
//! `on_failure: abort`, so that each such row ends the run: the first section is what is stored, and every further one is
//! resumed to, on the same store. A record says when its item was started, and the clock is read just before the program
//! is.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Deserialize;

use super::programs::Programs;
use crate::step::{self, Failure};

/// Milliseconds that the first new item may take.
pub(super) const TARGET_MS: f64 = 1000.0;

/// The bench's spec, of which each task ends before the next begins, so that nothing is started behind a row that ends
/// the run.
const SPEC: &str = "\
schema_version: \"1\"
id: bench/resume
version: 1.0.0
evaluator:
  id: eval_fabric.examples.echo
judges:
  - id: eval_fabric.exact_match
scoring:
  metrics:
    - name: accuracy
      from: exact_match
runtime:
  max_concurrent: 1
  on_failure: abort
";

/// Items of a section behind the first.
const SECTION: u64 = 100;
/// The exit code of a run that a row has ended.
const ENDED_EARLY: i32 = 3;

/// Measures so many times on a store with so many records: milliseconds from the program's start to its first new item.
pub(super) fn measure(programs: &Programs, scratch: &Path, items: u64, runs: u32) -> Result<Vec<f64>, Failure> {
    let place = Place { ef: programs.ef.clone(), folder: scratch.join("resume") };
    let failed = |error: io::Error| Failure::new(format!("{}: {error}", place.folder.display()));
    std::fs::create_dir_all(&place.folder).map_err(failed)?;
    let written = dataset(&place.folder.join("dataset.jsonl"), items, runs)
        .and_then(|()| std::fs::write(place.folder.join("spec.yaml"), SPEC));
    written.map_err(failed)?;
    eprintln!("==> {items} records to resume from");
    place.ef(&["run", "spec.yaml", "--dataset", "dataset.jsonl", "--run-id", "bench"], ENDED_EARLY)?;
    let taken = (1..=runs).map(|section| {
        let began = now_us();
        let last = section == runs;
        place.ef(&["resume", "bench"], if last { 0 } else { ENDED_EARLY })?;
        let ms = (place.started_at_us(section)? - began) as f64 / 1e3;
        eprintln!("    {section}: the first new item after {ms:.0} ms");
        Ok(ms)
    });
    let taken = taken.collect::<Result<Vec<f64>, Failure>>()?;
    step::remove(&place.folder)?;
    Ok(taken)
}

/// Where `ef` runs.
struct Place {
    ef: PathBuf,
    folder: PathBuf,
}

impl Place {
    fn ef(&self, arguments: &[&str], code: i32) -> Result<String, Failure> {
        let mut ef = Command::new(&self.ef);
        ef.args(arguments).args(["--store", "sqlite://bench.db"]).current_dir(&self.folder);
        if ["run", "resume"].contains(&arguments[0]) {
            ef.args(["--output", "out", "--format", "json"]);
        }
        let output = step::output(&mut ef)?;
        if output.status.code() == Some(code) {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(Failure::new(format!("`{}` ended with {}, not {code}:\n{said}", step::shown(&ef), output.status)))
    }

    /// When the first item of a section was started, in µs since 1970 UTC.
    fn started_at_us(&self, section: u32) -> Result<i64, Failure> {
        #[derive(Deserialize)]
        struct Record {
            trace: Trace,
        }
        #[derive(Deserialize)]
        struct Trace {
            started_at_us: i64,
        }
        let shown = self.ef(&["show", "bench", "--item", &id(section, 0), "--format", "json"], 0)?;
        let record: Record = serde_json::from_str(&shown)
            .map_err(|error| Failure::new(format!("`ef show` did not print a record: {error}")))?;
        Ok(record.trace.started_at_us)
    }
}

fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

fn id(section: u32, item: u64) -> String {
    format!("section-{section}-{item}")
}

/// A section of so many items, and `more` of a few, with a row between each two that cannot be used.
fn dataset(path: &Path, items: u64, more: u32) -> io::Result<()> {
    let mut file = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let text = "x".repeat(400);
    for section in 0..=more {
        let size = if section == 0 { items } else { SECTION };
        if section > 0 {
            writeln!(file, "no JSON")?;
        }
        for item in 0..size {
            let id = id(section, item);
            writeln!(file, r#"{{"item_id":"{id}","input":"{id} {text}","reference_output":"{item}"}}"#)?;
        }
    }
    file.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_section_but_the_first_begins_behind_a_row_that_ends_the_run() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("dataset.jsonl");
        dataset(&path, 3, 2).expect("it can be written");
        let text = std::fs::read_to_string(path).expect("it can be read");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len() as u64, 3 + 2 * (1 + SECTION));
        assert_eq!((lines[3], lines[4 + 100]), ("no JSON", "no JSON"));
        assert!(lines[4].starts_with("{\"item_id\":\"section-1-0\","), "{}", lines[4]);
    }
}
