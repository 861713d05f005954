//! What the store makes of the server's speed: it and the barest `COPY` write the same rows into the same tables, with the
//! same constraints, in the same batches.
//!
//! `floor ITEMS BATCH [URI]` takes turns between the two, three times, each in a schema of its own that is made for it, and
//! prints a line of JSON for each turn: who wrote, how many items, in how many seconds. What the store wrote is read again, and
//! its keys alone. Without a URI it starts a private
//! server that waits for the disk with every commit, and writes over its socket and over TCP.
//!
//! An item is a record with one judgment and three payloads that nobody else has. The `COPY` puts the text of a batch
//! together, sends it in two statements, one for payloads and one for records, and commits. It asks nothing, finds out
//! nothing, and fails where a row is there already.

#![allow(clippy::print_stdout, reason = "a program whose result is what it prints")]

use std::error::Error;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Instant;

use ef_model::{Environment, Payload, RecordFilter, Secret, TaskCommit, TraceOutcome, TraceStore as _};
use ef_store_postgres::PostgresStore;
use ef_testkit::postgres_server::{PostgresOptions, PostgresServer};
use ef_testkit::{head, record};
use futures_util::TryStreamExt as _;
use sqlx::{Connection as _, PgConnection};

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [items, batch, uris @ ..] = arguments.as_slice() else { return Err("usage: floor ITEMS BATCH [URI]".into()) };
    let (items, batch) = (items.parse()?, batch.parse()?);
    let options = PostgresOptions { tcp: true, durable: true, ..PostgresOptions::default() };
    let server = if uris.is_empty() { PostgresServer::start(options) } else { None };
    let of_server = server.iter().flat_map(|server| [server.uri("postgres"), server.tcp_uri("postgres")]);
    let uris: Vec<String> = uris.iter().cloned().chain(of_server).collect();
    let batches = batches(items, batch);
    for (number, uri) in uris.iter().enumerate() {
        for turn in 0..3 {
            let [wrote, read, keys] = store(uri, &format!("store_{number}_{turn}"), &batches).await?;
            report("store", number, items, batch, wrote);
            report("store, reading", number, items, batch, read);
            report("store, keys", number, items, batch, keys);
            let seconds = copy(uri, &format!("copy_{number}_{turn}"), &batches).await?;
            report("copy", number, items, batch, seconds);
        }
    }
    Ok(())
}

fn report(who: &str, uri: usize, items: u64, batch: u64, seconds: f64) {
    let speed = (f64::from(u32::try_from(items).unwrap_or(u32::MAX)) / seconds).round();
    let line = serde_json::json!({"who": who, "uri": uri, "items": items, "batch": batch, "seconds": seconds, "items/s": speed});
    println!("{line}");
}

fn batches(items: u64, batch: u64) -> Vec<Arc<[TaskCommit]>> {
    let rows: Vec<u64> = (1..=items).collect();
    rows.chunks(usize::try_from(batch).unwrap_or(1)).map(|rows| rows.iter().map(|row| item(*row)).collect()).collect()
}

fn item(row: u64) -> TaskCommit {
    let payload =
        |name: &str, words: usize| Payload::from_text(&format!("{name} {row} {}", "lorem ipsum ".repeat(words)));
    let [input, reference, metadata] = [payload("input", 16), payload("reference", 8), payload("metadata", 2)];
    let mut record = record(row);
    record.trace.input = Some(input.digest());
    record.trace.reference_output = Some(reference.digest());
    record.trace.item_metadata = Some(metadata.digest());
    record.trace.outcome = TraceOutcome::Ok { output: input.digest(), output_metadata: None };
    TaskCommit::new(record, vec![input, reference, metadata])
}

/// A new store in a schema of this name.
async fn made(uri: &str, schema: &str) -> Result<PostgresStore, Failure> {
    let separator = if uri.contains('?') { '&' } else { '?' };
    let uri = Secret::new(format!("{uri}{separator}schema={schema}"));
    PostgresStore::init(&uri, &Environment::default()).await?;
    Ok(PostgresStore::open(&uri, &Environment::default()).await?)
}

/// Two batches at a time, as a run has it. The seconds for writing, for reading, and for reading the keys.
async fn store(uri: &str, schema: &str, batches: &[Arc<[TaskCommit]>]) -> Result<[f64; 3], Failure> {
    let store = made(uri, schema).await?;
    let head = head("bench", 1);
    store.begin(&head).await?;
    let begun = Instant::now();
    for two in batches.chunks(2) {
        let appended = two.iter().map(|batch| store.append(&head.run_id, Arc::clone(batch)));
        futures_util::future::try_join_all(appended).await?;
    }
    let wrote = begun.elapsed().as_secs_f64();
    let items: usize = batches.iter().map(|batch| batch.len()).sum();
    let begun = Instant::now();
    let records =
        store.records(&head.run_id, &RecordFilter::default()).try_fold(0, async |count, _| Ok(count + 1)).await?;
    let read = begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    let keys = store.keys(&head.run_id).try_fold(0, async |count, _| Ok(count + 1)).await?;
    let keys_read = begun.elapsed().as_secs_f64();
    if (records, keys) != (items, items) {
        return Err(format!("{records} records and {keys} keys of {items} items").into());
    }
    store.close().await;
    Ok([wrote, read, keys_read])
}

async fn copy(uri: &str, schema: &str, batches: &[Arc<[TaskCommit]>]) -> Result<f64, Failure> {
    made(uri, schema).await?.close().await;
    let mut connection = PgConnection::connect(uri).await?;
    sqlx::query("SELECT set_config('search_path', $1, false)").bind(schema).execute(&mut connection).await?;
    let begun = Instant::now();
    for batch in batches {
        let CopyText { payloads, traces } = CopyText::of(batch);
        let mut transaction = connection.begin().await?;
        for (statement, text) in [
            ("COPY payloads FROM STDIN", payloads),
            (
                "COPY traces (run, row, repeat, revision, item_id, evaluator, status, attempts, started_at_us, duration_us,
                     input, reference_output, item_metadata, output, judgments, leaf) FROM STDIN",
                traces,
            ),
        ] {
            let mut copy = transaction.copy_in_raw(statement).await?;
            copy.send(text.as_bytes()).await?;
            copy.finish().await?;
        }
        transaction.commit().await?;
    }
    let seconds = begun.elapsed().as_secs_f64();
    connection.close().await?;
    Ok(seconds)
}

/// A batch in `COPY`'s text format.
struct CopyText {
    payloads: String,
    traces: String,
}

impl CopyText {
    fn of(batch: &[TaskCommit]) -> Self {
        let mut text = Self { payloads: String::new(), traces: String::new() };
        batch.iter().for_each(|commit| text.add(commit).expect("writing to a text does not fail"));
        text
    }

    fn add(&mut self, commit: &TaskCommit) -> std::fmt::Result {
        for payload in commit.payloads() {
            let content = payload.expose().replace('\\', "\\\\").replace('\n', "\\n").replace('\t', "\\t");
            writeln!(self.payloads, "\\\\x{}\t{content}", payload.digest())?;
        }
        let record = commit.record();
        let trace = &record.trace;
        let [input, reference, metadata] = [trace.input, trace.reference_output, trace.item_metadata]
            .map(|digest| digest.map_or_else(|| "\\N".to_owned(), |digest| format!("\\\\x{digest}")));
        let judgment = &record.judgments[0];
        let judgments = format!(
            "[{{\"judge\":1,\"attempts\":{},\"started_at_us\":{},\"duration_us\":{},\"usage\":{{\"cost_usd\":0.30000000000000004}},\
             \"status\":\"scored\",\"score\":1.5}}]",
            judgment.attempts, judgment.started_at_us, judgment.duration_us
        );
        writeln!(
            self.traces,
            "1\t{}\t{}\t{}\t{}\t1\tok\t{}\t{}\t{}\t{input}\t{reference}\t{metadata}\t{input}\t{judgments}\t\\\\x{}",
            record.row,
            record.repeat,
            record.revision,
            record.item_id,
            trace.attempts,
            trace.started_at_us,
            trace.duration_us,
            commit.leaf()
        )
    }
}
