//! A completed run's tables: the same records, sorted, in a few large Parquet files that anyone can read.
//!
//! They are written when the run is completed already. So whatever stands where other engines look is of a completed run,
//! and a file is whole from the moment when it appears; a writer that is killed meanwhile leaves work for the next one
//! who takes an interest in the run, and nothing that is not true.

use std::collections::HashSet;
use std::io;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, Int64Array, RecordBatch, StringArray};
use arrow::buffer::{Buffer, OffsetBuffer};
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use ef_model::{Digest, RunId, StoreError};
use futures_util::{StreamExt, stream};
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use tokio::sync::mpsc::{self, Receiver, Sender};

use crate::blobs::{BlobError, Blobs};
use crate::decode::{Judgments, Keys, Traces};
use crate::encode::digest_array;
use crate::index::RunIndex;
use crate::lookup::Lookup;
use crate::manifest::{Manifest, TableFile, Tables};
use crate::merge::{Merge, Stretch};
use crate::properties::properties;
use crate::segment::{self, IndexEntry, ReadError};
use crate::{layout, schema, writer};

/// Batches between reading and encoding.
const AHEAD: usize = 2;
/// Bytes of a row group that are collected before it is written.
const GROUP_BYTES: usize = 8 << 20;
/// Rows and bytes of payloads that are encoded at once.
const PAYLOAD_ROWS: usize = 1 << 12;
const PAYLOAD_BYTES: u64 = 8 << 20;
/// Segments that are removed at the same time.
const REMOVED: usize = 8;
/// Payloads of other runs that are looked up at once.
const BORROWED: usize = 512;

/// Writes the tables of a run that was completed by somebody who did not live to do it.
pub(crate) async fn again(blobs: &Blobs, run: &RunId, completed: Manifest) -> Result<(), StoreError> {
    let index = match RunIndex::load(blobs, run, &completed.segments).await {
        Ok(index) => index,
        // Somebody else is doing the same, and has come further.
        Err(ReadError::Gone) => return Ok(()),
        Err(ReadError::Store(error)) => return Err(error),
    };
    publish(blobs, run, &completed, &index).await
}

/// Writes the tables of a completed run, and does away with what they replace.
pub(crate) async fn publish(
    blobs: &Blobs,
    run: &RunId,
    completed: &Manifest,
    index: &RunIndex,
) -> Result<(), StoreError> {
    let tables = write(blobs, run, completed, index).await.map_err(|error| match error {
        StoreError::Unavailable { reason, .. } => blobs.unavailable(format!(
            "{reason}. The run {run} is completed and whole, but not yet in the tables: `ef resume {run}` writes them"
        )),
        other => other,
    })?;
    let mut manifest = Manifest {
        entry: completed.entry + 1,
        nonce: writer::nonce(),
        leased_until_us: 0,
        head: None,
        tables: Some(tables),
        ..completed.clone()
    };
    let replaced = std::mem::take(&mut manifest.segments);
    writer::commit_tables(blobs, run, &manifest).await?;
    // What cannot be removed is named by no manifest any more.
    let removed = stream::iter(replaced).map(|segment| async move {
        let _ = blobs.remove(&layout::entry(run, segment.entry)).await;
    });
    removed.buffer_unordered(REMOVED).collect::<()>().await;
    Ok(())
}

async fn write(blobs: &Blobs, run: &RunId, completed: &Manifest, index: &RunIndex) -> Result<Tables, StoreError> {
    let encode = |table, schema| Encoder::start(blobs, run, table, schema);
    let traces = encode("traces", schema::published(&schema::TRACES));
    let judgments = encode("judgments", schema::published(&schema::JUDGMENTS));
    let payloads = encode("payloads", Arc::clone(&schema::PAYLOADS));
    let records = async {
        let mut merge = Merge::new(blobs, run, &completed.segments, None);
        let mut borrowed = Borrowed { index, seen: HashSet::new(), digests: Vec::new() };
        let mut stretch = merge.next().await?;
        while let Some(this) = stretch {
            let next = merge.next().await?;
            let tables = this.tables(next.as_ref(), &mut borrowed);
            let (trace_rows, judgment_rows) = tables.map_err(|fault| ReadError::Store(blobs.damaged(fault)))?;
            traces.send(trace_rows).await?;
            judgments.send(judgment_rows).await?;
            stretch = next;
        }
        Ok::<_, ReadError>(borrowed.digests)
    };
    let own = async {
        for segment in &completed.segments {
            let (entries, content) =
                futures_util::try_join!(segment.payload_index(blobs, run), segment.payloads(blobs, run))?;
            for batch in batches(&entries, &content) {
                payloads.send(batch.map_err(|fault| segment.damaged(blobs, run, &fault))?).await?;
            }
        }
        Ok::<_, ReadError>(())
    };
    let sent = async {
        let (borrowed, ()) = futures_util::try_join!(records, own)?;
        let lookup = Lookup::new(blobs);
        for digests in borrowed.chunks(BORROWED) {
            let found = lookup.find(digests, Some(run)).await.map_err(ReadError::Store)?;
            // One that is nowhere is for `ef verify` to find.
            let (entries, content) = segment::payload_sections(found.iter().flatten());
            for batch in batches(&entries, &content.into()) {
                payloads.send(batch.map_err(|fault| ReadError::Store(blobs.damaged(fault)))?).await?;
            }
        }
        Ok::<_, ReadError>(())
    }
    .await;
    let whole = sent.is_ok();
    let (traces, judgments, payloads) =
        futures_util::join!(traces.finish(whole), judgments.finish(whole), payloads.finish(whole));
    // What an encoder says is the cause of what its sender says.
    let tables = Tables { traces: traces?, judgments: judgments?, payloads: payloads? };
    match sent {
        Ok(()) => Ok(tables),
        Err(ReadError::Store(error)) => Err(error),
        Err(ReadError::Gone) => Err(blobs.unavailable("somebody else is writing the tables of the run")),
    }
}

/// Payloads that records name and that the run was not given: another run of the store has them.
struct Borrowed<'i> {
    index: &'i RunIndex,
    seen: HashSet<Digest>,
    digests: Vec<Digest>,
}

impl Borrowed<'_> {
    fn note(&mut self, named: impl Iterator<Item = Result<Option<Digest>, String>>) -> Result<(), String> {
        if !self.index.borrows() {
            return Ok(());
        }
        for digest in named {
            if let Some(digest) = digest?
                && !self.index.has_payload(digest)
                && self.seen.insert(digest)
            {
                self.digests.push(digest);
            }
        }
        Ok(())
    }
}

impl Stretch {
    /// The rows of both tables, each with whether its record is the latest revision.
    fn tables(&self, next: Option<&Self>, borrowed: &mut Borrowed<'_>) -> Result<(RecordBatch, RecordBatch), String> {
        let keys = Keys::of(&self.records.traces)?;
        let traces = Traces::of(&self.records.traces)?;
        let next = next.map(|next| Keys::of(&next.records.traces)?.get(next.start)).transpose()?;
        let (mut of_traces, mut of_judgments) = (Vec::with_capacity(self.end - self.start), Vec::new());
        for row in self.start..self.end {
            let following = if row + 1 < self.end { Some(keys.get(row + 1)?) } else { next };
            let key = keys.get(row)?;
            let latest = following.is_none_or(|next| (next.row, next.repeat) != (key.row, key.repeat));
            of_traces.push(latest);
            let judgments = self.records.offsets[row + 1] - self.records.offsets[row];
            of_judgments.extend(std::iter::repeat_n(latest, judgments));
            borrowed.note(traces.payloads(row))?;
        }
        let first = self.records.offsets[self.start];
        let judgments = Judgments::of(&self.records.judgments)?;
        for row in first..first + of_judgments.len() {
            borrowed.note(judgments.payloads(row))?;
        }
        let judgments = self.records.judgments.slice(first, of_judgments.len());
        Ok((
            with_latest(&self.records.traces.slice(self.start, self.end - self.start), of_traces)?,
            with_latest(&judgments, of_judgments)?,
        ))
    }
}

fn with_latest(rows: &RecordBatch, latest: Vec<bool>) -> Result<RecordBatch, String> {
    let mut columns = rows.columns().to_vec();
    columns.push(Arc::new(BooleanArray::from(latest)));
    RecordBatch::try_new(schema::published(rows.schema_ref()), columns).map_err(|_| "rows do not fit".to_owned())
}

/// Payloads that stand one after the other as rows, not too many at once.
fn batches(entries: &[IndexEntry], content: &Bytes) -> impl Iterator<Item = Result<RecordBatch, String>> {
    let mut rest = entries;
    std::iter::from_fn(move || {
        let (mut rows, mut bytes) = (0, 0);
        for entry in rest.iter().take(PAYLOAD_ROWS) {
            bytes += entry.length;
            if rows > 0 && bytes > PAYLOAD_BYTES {
                break;
            }
            rows += 1;
        }
        let (batch, after) = rest.split_at(rows);
        rest = after;
        (!batch.is_empty()).then(|| payload_rows(batch, content))
    })
}

/// Rows whose texts are those bytes, not copies of them.
fn payload_rows(entries: &[IndexEntry], content: &Bytes) -> Result<RecordBatch, String> {
    let elsewhere = || "its payloads are not where they should be".to_owned();
    let start = entries.first().map_or(0, |entry| entry.start);
    let mut digests = Vec::with_capacity(32 * entries.len());
    let (mut offsets, mut end) = (Vec::with_capacity(entries.len() + 1), start);
    offsets.push(0_i32);
    for entry in entries {
        if entry.start != end {
            return Err(elsewhere());
        }
        end = entry.start.checked_add(entry.length).ok_or_else(elsewhere)?;
        digests.extend_from_slice(entry.digest.as_bytes());
        offsets.push(i32::try_from(end - start).map_err(|_| "a payload of more than 2 GiB".to_owned())?);
    }
    let range = usize::try_from(start).ok().zip(usize::try_from(end).ok());
    let (start, end) = range.filter(|(_, end)| *end <= content.len()).ok_or_else(elsewhere)?;
    let texts = StringArray::try_new(OffsetBuffer::new(offsets.into()), Buffer::from(content.slice(start..end)), None);
    let texts = texts.map_err(|_| "a payload is not UTF-8".to_owned())?;
    let sizes = entries.iter().map(|entry| entry.length.cast_signed());
    let columns: Vec<ArrayRef> =
        vec![digest_array(digests, None), Arc::new(Int64Array::from_iter_values(sizes)), Arc::new(texts)];
    Ok(RecordBatch::try_new(Arc::clone(&schema::PAYLOADS), columns).expect("the columns are those of the schema"))
}

/// Encodes one table on a thread of its own.
struct Encoder {
    blobs: Blobs,
    rows: Sender<Option<RecordBatch>>,
    done: tokio::task::JoinHandle<Result<TableFile, BlobError>>,
}

impl Encoder {
    fn start(blobs: &Blobs, run: &RunId, table: &str, schema: SchemaRef) -> Self {
        let (rows, incoming) = mpsc::channel(AHEAD);
        let (key, properties) = (layout::table(table, run), properties(run, &schema));
        let folder = blobs.clone();
        let done = tokio::task::spawn_blocking(move || encode(&folder, &key, schema, properties, incoming));
        Self { blobs: blobs.clone(), rows, done }
    }

    async fn send(&self, rows: RecordBatch) -> Result<(), ReadError> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        let gone = |_| ReadError::Store(self.blobs.unavailable("a table cannot be written"));
        self.rows.send(Some(rows)).await.map_err(gone)
    }

    /// Makes the file appear if it is whole.
    async fn finish(self, whole: bool) -> Result<TableFile, StoreError> {
        if !whole && !self.rows.is_closed() {
            // Its own failure, if it had one, would be the cause; this one is not.
            self.done.abort();
            return Ok(TableFile { bytes: 0, rows: 0 });
        }
        let _ = self.rows.send(None).await;
        drop(self.rows);
        match self.done.await {
            Ok(done) => done.map_err(|error| self.blobs.failed(&error)),
            Err(_) => Err(self.blobs.unavailable("the program is ending")),
        }
    }
}

fn encode(
    blobs: &Blobs,
    key: &str,
    schema: SchemaRef,
    properties: WriterProperties,
    mut incoming: Receiver<Option<RecordBatch>>,
) -> Result<TableFile, BlobError> {
    let mut rows = 0;
    let mut writer =
        ArrowWriter::try_new(blobs.upload(key)?, schema, Some(properties)).map_err(|error| failed(&error))?;
    while let Some(next) = incoming.blocking_recv() {
        let Some(batch) = next else {
            let upload = writer.into_inner().map_err(|error| failed(&error))?;
            return Ok(TableFile { bytes: upload.finish()?, rows });
        };
        rows += batch.num_rows() as u64;
        writer.write(&batch).map_err(|error| failed(&error))?;
        if writer.in_progress_size() >= GROUP_BYTES {
            writer.flush().map_err(|error| failed(&error))?;
        }
    }
    Err(BlobError::Failed("the table was given up".to_owned()))
}

/// What the writer says, without what it might quote.
fn failed(error: &ParquetError) -> BlobError {
    match error {
        ParquetError::External(cause) => match cause.downcast_ref::<io::Error>() {
            Some(cause) if cause.kind() == io::ErrorKind::Other => BlobError::Failed(cause.to_string()),
            Some(cause) => BlobError::io("a table cannot be written", cause),
            None => BlobError::Failed("a table cannot be written".to_owned()),
        },
        _ => BlobError::Failed("a table cannot be written".to_owned()),
    }
}
