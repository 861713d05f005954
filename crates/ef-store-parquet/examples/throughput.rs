//! Records a second: the store beside the barest writer of the same rows.
//!
//! ```text
//! cargo run --release -p ef-store-parquet --example throughput -- [records] [records of a batch]
//! ```
//!
//! The store gets echo items, made beforehand, and makes each batch durable before it takes the next; it is timed from the
//! begin of the run until its tables are there. The barest writer then gets the rows of those tables, as columns in memory,
//! and writes them again, table after table, compressed alike; it syncs each file once, at its end.

#![allow(clippy::print_stdout, reason = "it shows figures")]

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use ef_model::{Environment, RecordFilter, RunStatus, TaskCommit, TraceStore};
use ef_store_parquet::{Location, ParquetStore};
use futures_util::TryStreamExt;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

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
        let bare = bare(folder.path())?;
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
    for pair in batches.chunks(2) {
        // As the runner does: one is written while the next is prepared.
        futures_util::future::try_join_all(pair.iter().map(|batch| store.append(&head.run_id, Arc::clone(batch))))
            .await?;
    }
    let appended = began.elapsed().as_secs_f64();
    store.finish(&ef_testkit::result(&head, RunStatus::Completed)).await?;
    let finished = began.elapsed().as_secs_f64() - appended;
    let began = Instant::now();
    let mut records = store.records(&head.run_id, &RecordFilter::default());
    while records.try_next().await?.is_some() {}
    Ok((appended, finished, began.elapsed().as_secs_f64()))
}

/// Seconds of writing the same rows with nothing but an `ArrowWriter`.
fn bare(folder: &Path) -> Result<f64, Box<dyn std::error::Error>> {
    let mut seconds = 0.0;
    for table in ["traces", "judgments", "payloads"] {
        let part = folder.join(table).join("run_id=throughput/part-0.parquet");
        let rows = ParquetRecordBatchReaderBuilder::try_new(File::open(part)?)?.with_batch_size(2048).build()?;
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        let Some(first) = rows.first() else { continue };
        let began = Instant::now();
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
        let file = File::create(folder.join(format!("{table}.parquet")))?;
        let mut writer = ArrowWriter::try_new(file, first.schema(), Some(properties))?;
        for batch in &rows {
            writer.write(batch)?;
        }
        writer.into_inner()?.sync_all()?;
        seconds += began.elapsed().as_secs_f64();
    }
    Ok(seconds)
}
