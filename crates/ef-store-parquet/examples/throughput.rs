//! Records a second: the store beside the barest writer of the same rows.
//!
//! ```text
//! cargo run --release -p ef-store-parquet --example throughput -- [records] [records of a batch]
//! ```
//!
//! Both get the same echo items, made beforehand, in the same batches, and are timed from the first record until the tables
//! are on the disk. The store makes each batch durable before it takes the next one but one. The barest writer makes the same
//! columns of a batch, one value after the other, keeps each payload once, and gives them to an `ArrowWriter` a table, which
//! compresses and encodes as the store's does; it makes nothing durable but the three files, once, at its end.

#![allow(clippy::print_stdout, reason = "it shows figures")]

use std::collections::HashSet;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::SchemaRef;
use ef_model::{Environment, RecordFilter, RunStatus, TaskCommit, TraceStore};
use ef_store_parquet::{Location, ParquetStore};
use futures_util::{StreamExt, TryStreamExt, stream};
use parquet::arrow::ArrowWriter;

#[path = "../src/encode.rs"]
mod encode;
#[path = "../src/properties.rs"]
mod properties;
#[path = "../src/schema.rs"]
#[expect(unreachable_pub, reason = "it is the library's")]
mod schema;

/// What the store's columns are made of here: plain arrays.
mod packed {
    use std::iter::Take;
    use std::sync::Arc;

    use arrow::array::{ArrayRef, RecordBatch};
    use arrow::datatypes::SchemaRef;

    pub(crate) enum Column {
        Each(ArrayRef),
    }

    impl Column {
        pub(crate) fn of<I: Iterator + Clone>(values: I, array: impl FnOnce(Take<I>) -> ArrayRef) -> Self {
            let number = values.clone().count();
            Self::Each(array(values.take(number)))
        }
    }

    pub(crate) struct Packed(pub(crate) Vec<ArrayRef>);

    impl Packed {
        pub(crate) fn new(_: &SchemaRef, columns: Vec<Column>) -> Self {
            Self(columns.into_iter().map(|Column::Each(array)| array).collect())
        }

        /// Those columns and one more.
        pub(crate) fn with(mut self, column: ArrayRef, schema: &SchemaRef) -> RecordBatch {
            self.0.push(column);
            RecordBatch::try_new(Arc::clone(schema), self.0).expect("the columns are those of the schema")
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default| arguments.next().map_or(Ok(default), |text| text.parse::<usize>());
    let (records, batch) = (number(100_000)?, number(2048)?);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let commits: Vec<TaskCommit> = (1..=records as u64).map(ef_testkit::commit).collect();
    let batches: Vec<Arc<[TaskCommit]>> = commits.chunks(batch.max(1)).map(Arc::from).collect();
    for _ in 0..3 {
        let folder = tempfile::tempdir()?;
        let (appended, finished, read) = runtime.block_on(store(folder.path(), &batches))?;
        let bare = bare(folder.path(), &batches)?;
        let store = appended + finished;
        println!(
            "{}",
            serde_json::json!({
                "bare_seconds": bare,
                "store_seconds": store,
                "append_seconds": appended,
                "finish_seconds": finished,
                "read_seconds": read,
                "store_records_per_second": (records as f64 / store).round(),
                "share_of_bare": bare / store,
            })
        );
    }
    Ok(())
}

/// Seconds of appending, finishing and reading.
async fn store(folder: &Path, batches: &[Arc<[TaskCommit]>]) -> Result<(f64, f64, f64), Box<dyn std::error::Error>> {
    let store = ParquetStore::open_or_create(&Location::folder(folder), &Environment::default()).await?;
    let head = ef_testkit::head("throughput", 1);
    let began = Instant::now();
    store.begin(&head).await?;
    // As the runner does: one is written while the next is prepared.
    let appended = stream::iter(batches).map(|batch| store.append(&head.run_id, Arc::clone(batch))).buffered(2);
    appended.try_collect::<()>().await?;
    let appended = began.elapsed().as_secs_f64();
    store.finish(&ef_testkit::result(&head, RunStatus::Completed)).await?;
    let finished = began.elapsed().as_secs_f64() - appended;
    let began = Instant::now();
    let mut records = store.records(&head.run_id, &RecordFilter::default());
    while records.try_next().await?.is_some() {}
    Ok((appended, finished, began.elapsed().as_secs_f64()))
}

/// Seconds of writing the same tables with nothing but an `ArrowWriter` for each.
fn bare(folder: &Path, batches: &[Arc<[TaskCommit]>]) -> Result<f64, Box<dyn std::error::Error>> {
    let began = Instant::now();
    let (of_traces, of_judgments) = (schema::published(&schema::TRACES), schema::published(&schema::JUDGMENTS));
    let mut traces = writer(folder, "traces", &of_traces)?;
    let mut judgments = writer(folder, "judgments", &of_judgments)?;
    let mut payloads = writer(folder, "payloads", &schema::PAYLOADS)?;
    let mut known = HashSet::new();
    for batch in batches {
        let commits: Vec<_> = batch.iter().collect();
        let all_latest = |rows: usize| Arc::new(BooleanArray::from(vec![true; rows]));
        let rows = commits.len();
        traces.write(&encode::traces(&commits).with(all_latest(rows), &of_traces))?;
        let rows = commits.iter().map(|commit| commit.record().judgments.len()).sum();
        judgments.write(&encode::judgments(&commits).with(all_latest(rows), &of_judgments))?;
        let new = || commits.iter().flat_map(|commit| commit.payloads());
        let new: Vec<_> = new().filter(|payload| known.insert(payload.digest())).collect();
        let digests = new.iter().flat_map(|payload| *payload.digest().as_bytes()).collect();
        let columns: Vec<ArrayRef> = vec![
            encode::digest_array(digests, None),
            Arc::new(new.iter().map(|payload| payload.size() as i64).collect::<Int64Array>()),
            Arc::new(StringArray::from_iter_values(new.iter().map(|payload| payload.expose()))),
        ];
        payloads.write(&RecordBatch::try_new(Arc::clone(&schema::PAYLOADS), columns)?)?;
    }
    for writer in [traces, judgments, payloads] {
        writer.into_inner()?.sync_all()?;
    }
    File::open(folder)?.sync_all()?;
    Ok(began.elapsed().as_secs_f64())
}

fn writer(folder: &Path, table: &str, schema: &SchemaRef) -> parquet::errors::Result<ArrowWriter<File>> {
    let properties = properties::properties(&ef_testkit::head("throughput", 1).run_id, schema);
    let file = File::create(folder.join(format!("{table}.parquet")))?;
    ArrowWriter::try_new(file, Arc::clone(schema), Some(properties))
}
