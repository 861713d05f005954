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
    /// Opens the file that a manifest names, and checks that it is the one.
    pub(crate) async fn open(
        blobs: &Blobs,
        run: &RunId,
        table: &str,
        schema: &SchemaRef,
        expected: TableFile,
    ) -> Result<Self, StoreError> {
        let name = layout::table(table, run);
        let mut file = File { blobs: blobs.clone(), key: name.clone(), size: expected.bytes };
        let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Optional);
        let metadata = ArrowReaderMetadata::load_async(&mut file, options).await;
        let metadata = metadata.map_err(|error| fault(blobs, &name, &error))?;
        let rows = metadata.metadata().file_metadata().num_rows();
        if u64::try_from(rows) != Ok(expected.rows) || metadata.schema().fields() != schema.fields() {
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
