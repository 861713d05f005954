//! What is where. Names that start with an underscore are passed over by readers of Hive layouts.

use ef_model::RunId;

/// Says that the folder is a store, and of which version.
pub(crate) const MARKER: &str = "_eval_fabric.json";

/// All that belongs to runs beside the tables.
pub(crate) const RUNS: &str = "_runs/";

/// A run's own folder.
pub(crate) fn run(run: &RunId) -> String {
    format!("{RUNS}{run}/")
}

/// Where a run's entries are.
pub(crate) fn journal(run: &RunId) -> String {
    format!("{}journal/", self::run(run))
}

/// An entry of a run's journal, from 1.
pub(crate) fn entry(run: &RunId, number: u64) -> String {
    format!("{}{number:012}", journal(run))
}

/// The number of an entry, from the key that [`entry`] made.
pub(crate) fn entry_number(key: &str) -> Option<u64> {
    let name = key.rsplit('/').next()?;
    if name.len() == 12 { name.parse().ok() } else { None }
}

/// The lease of the one who made that entry to take up the run.
pub(crate) fn lease(run: &RunId, claim: u64) -> String {
    format!("{}lease/{claim:012}.json", self::run(run))
}

/// A completed run's part of a table.
pub(crate) fn table(table: &str, run: &RunId) -> String {
    format!("{table}/run_id={run}/part-0.parquet")
}
