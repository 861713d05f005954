//! Reading a completed run's part of a table.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use ef_model::{RunId, StoreError};
use futures_util::TryStreamExt;
use futures_util::future::{BoxFuture, FutureExt};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, RowSelection};
use parquet::arrow::async_reader::{AsyncFileReader, ParquetRecordBatchStream, ParquetRecordBatchStreamBuilder};
use parquet::errors::ParquetError;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use parquet::file::page_index::offset_index::PageLocation;

use crate::blobs::{BlobError, Blobs};
use crate::layout;
use crate::manifest::TableFile;

/// One file of a table, opened.
#[derive(Clone)]
pub(crate) struct Table {
    file: File,
    name: String,
    metadata: ArrowReaderMetadata,
}

/// The rows of a table, batch by batch.
pub(crate) struct Rows {
    stream: ParquetRecordBatchStream<File>,
    blobs: Blobs,
    name: String,
}

impl Table {
    /// Opens the file that a manifest names, and checks that it is the one. Who selects rows needs the index of pages.
    pub(crate) async fn open(
        blobs: &Blobs,
        run: &RunId,
        (table, pages): (&str, PageIndexPolicy),
        schema: &SchemaRef,
        expected: TableFile,
    ) -> Result<Self, StoreError> {
        let name = layout::table(table, run);
        let mut file = File { blobs: blobs.clone(), key: name.clone(), size: expected.bytes };
        let options = ArrowReaderOptions::new().with_page_index_policy(pages);
        let metadata = ArrowReaderMetadata::load_async(&mut file, options).await;
        let metadata = metadata.map_err(|error| fault(blobs, &name, &error))?;
        let rows = metadata.metadata().file_metadata().num_rows();
        let fits = u64::try_from(rows) == Ok(expected.rows) && metadata.schema().fields() == schema.fields();
        if !fits || !is_sound(metadata.metadata(), expected.bytes) {
            return Err(blobs.damaged(format!("{name} is not the file that its manifest names")));
        }
        Ok(Self { file, name, metadata })
    }

    /// All rows of some columns, or of all.
    pub(crate) fn rows(
        &self,
        columns: Option<&[&str]>,
        selection: Option<RowSelection>,
        at_once: usize,
    ) -> Result<Rows, StoreError> {
        let mut builder = ParquetRecordBatchStreamBuilder::new_with_metadata(self.file.clone(), self.metadata.clone())
            .with_batch_size(at_once);
        if let Some(columns) = columns {
            let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
            builder = builder.with_projection(mask);
        }
        if let Some(selection) = selection {
            builder = builder.with_row_selection(selection);
        }
        let blobs = self.file.blobs.clone();
        let stream = builder.build().map_err(|error| fault(&blobs, &self.name, &error))?;
        Ok(Rows { stream, blobs, name: self.name.clone() })
    }
}

/// Whether what the file says of its parts is possible in one of so many bytes: the reader takes it for granted.
fn is_sound(metadata: &ParquetMetaData, bytes: u64) -> bool {
    metadata.row_groups().iter().enumerate().all(|(place, group)| {
        let index = metadata.page_index_for_row_group(place);
        group.columns().iter().enumerate().all(|(column, chunk)| {
            let start = chunk.dictionary_page_offset().unwrap_or(chunk.data_page_offset());
            let (Ok(start), Ok(length)) = (u64::try_from(start), u64::try_from(chunk.compressed_size())) else {
                return false;
            };
            let Some(end) = start.checked_add(length).filter(|end| *end <= bytes) else { return false };
            let pages = index.offset_index(column).map(|pages| pages.page_locations().as_slice());
            pages.is_none_or(|pages| are_sound(pages, start..end, group.num_rows()))
        })
    })
}

/// Whether pages follow one another in these bytes, and begin with ever later rows.
fn are_sound(pages: &[PageLocation], bytes: Range<u64>, rows: i64) -> bool {
    let (mut end, mut row) = (bytes.start, -1);
    pages.first().is_none_or(|first| first.first_row_index == 0)
        && pages.iter().all(|page| {
            let (Ok(start), Ok(length)) = (u64::try_from(page.offset), u64::try_from(page.compressed_page_size)) else {
                return false;
            };
            let follows = start >= end && page.first_row_index > row && page.first_row_index < rows;
            (end, row) = (start.saturating_add(length), page.first_row_index);
            follows && end <= bytes.end
        })
}

impl Rows {
    pub(crate) async fn next(&mut self) -> Result<Option<RecordBatch>, StoreError> {
        self.stream.try_next().await.map_err(|error| fault(&self.blobs, &self.name, &error))
    }

    /// What was read does not make sense.
    pub(crate) fn damaged(&self, fault: &str) -> StoreError {
        self.blobs.damaged(format!("{}: {fault}", self.name))
    }
}

/// What went wrong: with the storage, or with the content, which is not quoted.
fn fault(blobs: &Blobs, name: &str, error: &ParquetError) -> StoreError {
    if let ParquetError::External(cause) = error
        && let Some(Refused(cause)) = cause.downcast_ref()
    {
        return match cause {
            BlobError::NotFound => blobs.damaged(format!("{name} is gone")),
            other => blobs.failed(other),
        };
    }
    blobs.damaged(format!("{name} cannot be read as Parquet"))
}

/// The storage's error on its way through the Parquet reader.
#[derive(Debug, thiserror::Error)]
#[error("the storage failed")]
struct Refused(BlobError);

#[derive(Clone)]
struct File {
    blobs: Blobs,
    key: String,
    size: u64,
}

impl AsyncFileReader for File {
    fn get_bytes(&mut self, range: Range<u64>) -> BoxFuture<'_, parquet::errors::Result<Bytes>> {
        self.blobs
            .range(&self.key, range)
            .map(|bytes| bytes.map_err(|error| ParquetError::External(Box::new(Refused(error)))))
            .boxed()
    }

    fn get_byte_ranges(&mut self, ranges: Vec<Range<u64>>) -> BoxFuture<'_, parquet::errors::Result<Vec<Bytes>>> {
        self.blobs
            .ranges(&self.key, ranges)
            .map(|bytes| bytes.map_err(|error| ParquetError::External(Box::new(Refused(error)))))
            .boxed()
    }

    fn get_metadata<'a>(
        &'a mut self,
        options: Option<&'a ArrowReaderOptions>,
    ) -> BoxFuture<'a, parquet::errors::Result<Arc<ParquetMetaData>>> {
        let policy = options.map_or(PageIndexPolicy::Skip, ArrowReaderOptions::offset_index_policy);
        async move {
            let reader = ParquetMetaDataReader::new().with_page_index_policy(policy).with_prefetch_hint(Some(64 << 10));
            let size = self.size;
            reader.load_and_finish(self, size).await.map(Arc::new)
        }
        .boxed()
    }
}
