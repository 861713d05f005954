//! The floor of the bench: what it costs on this machine to write an evaluation's bytes to SQLite with the durability
//! that a trace store owes, and nothing else.
//!
//! `floor DATASET DATABASE` reads a JSONL dataset line by line and inserts two rows an item into a new database:
//!
//! - a trace: integer key, dataset row, item id, status and the input, as the JSON text that stands in the dataset;
//! - a judgment: integer key, the trace's key, the judge's name, the score, and the reference output and the metadata, as
//!   the JSON text that stands in the dataset.
//!
//! The echo's output is the input again and is not written twice, as a trace store keeps equal payloads once; the
//! reference is written always. Statements are prepared once, a transaction holds the rows of 256 items, the journal is a
//! WAL and every commit waits for the disk (`synchronous = FULL`). There is no index but the integer keys, no digest, no
//! canonical form, no schema version, no concurrency and no check: what a store adds to this is what its promises cost.
//!
//! It prints `{"items": …, "seconds": …}`, timed from the opening of the database to its closing.

#![allow(clippy::print_stdout, reason = "a program whose result is what it prints")]

use std::error::Error;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::time::Instant;

use rusqlite::{Connection, params};
use serde::Deserialize;
use serde_json::value::RawValue;

/// Items whose rows are written in one transaction.
const BATCH: i64 = 256;

#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow)]
    item_id: &'a str,
    #[serde(borrow)]
    input: &'a RawValue,
    #[serde(borrow)]
    reference_output: &'a RawValue,
    #[serde(borrow)]
    metadata: &'a RawValue,
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let (Some(dataset), Some(database)) = (arguments.next(), arguments.next()) else {
        return Err("usage: floor DATASET DATABASE".into());
    };
    let mut dataset = BufReader::with_capacity(1 << 18, File::open(dataset)?);

    let begun = Instant::now();
    let connection = Connection::open(database)?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         CREATE TABLE trace (id INTEGER PRIMARY KEY, row INTEGER NOT NULL, item_id TEXT NOT NULL, status TEXT NOT NULL,
                             input TEXT NOT NULL) STRICT;
         CREATE TABLE judgment (id INTEGER PRIMARY KEY, trace INTEGER NOT NULL, judge TEXT NOT NULL, score INTEGER NOT NULL,
                                reference TEXT NOT NULL, metadata TEXT NOT NULL) STRICT;",
    )?;
    let items = insert(&connection, &mut dataset)?;
    connection.close().map_err(|(_, error)| error)?;
    let seconds = begun.elapsed().as_secs_f64();

    println!("{}", serde_json::json!({"items": items, "seconds": seconds}));
    Ok(())
}

/// Inserts the rows of all items, and gives their number.
fn insert(connection: &Connection, dataset: &mut BufReader<File>) -> Result<i64, Box<dyn Error>> {
    let mut trace = connection.prepare("INSERT INTO trace (row, item_id, status, input) VALUES (?1, ?2, 'ok', ?3)")?;
    let mut judgment = connection.prepare(
        "INSERT INTO judgment (trace, judge, score, reference, metadata) VALUES (?1, 'exact_match', ?2, ?3, ?4)",
    )?;
    let mut line = String::new();
    let mut items = 0;
    while dataset.read_line(&mut line)? > 0 {
        if items % BATCH == 0 {
            connection.execute_batch(if items == 0 { "BEGIN" } else { "COMMIT; BEGIN" })?;
        }
        items += 1;
        let item: Item<'_> = serde_json::from_str(&line)?;
        trace.execute(params![items, item.item_id, item.input.get()])?;
        let key = connection.last_insert_rowid();
        let equal = item.input.get() == item.reference_output.get();
        judgment.execute(params![key, equal, item.reference_output.get(), item.metadata.get()])?;
        line.clear();
    }
    if items > 0 {
        connection.execute_batch("COMMIT")?;
    }
    Ok(items)
}
