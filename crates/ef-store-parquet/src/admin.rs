//! Looking after the store as a whole.

use ef_model::{BoxFuture, Environment, StoreAdmin, StoreContent, StoreError, StoreInfo};
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::blobs::Blobs;
use crate::manifest::Manifest;
use crate::schema::SCHEMA_VERSION;
use crate::uri::Location;
use crate::{connect, lookup, marker};

/// Runs whose manifests are asked for at the same time.
const AT_ONCE: usize = 16;

/// What an operator does with a store of files. Credentials come from the environment: see the README.
#[derive(Debug, Clone)]
pub struct ParquetAdmin {
    location: Location,
    environment: Environment,
}

impl ParquetAdmin {
    /// Of the store at this place, or of the place that one is to be made at.
    #[must_use]
    pub const fn new(location: Location, environment: Environment) -> Self {
        Self { location, environment }
    }

    fn blobs(&self) -> Result<Blobs, StoreError> {
        connect::blobs(&self.location, &self.environment)
    }

    /// The version of the store that is there.
    async fn version(blobs: &Blobs) -> Result<i64, StoreError> {
        match marker::check(blobs).await {
            Ok(()) => Ok(SCHEMA_VERSION),
            Err(StoreError::SchemaVersion { found, .. }) => Ok(found),
            Err(error) => Err(error),
        }
    }
}

impl StoreAdmin for ParquetAdmin {
    fn supported_version(&self) -> i64 {
        SCHEMA_VERSION
    }

    fn init(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async { marker::create(&self.blobs()?).await })
    }

    fn migrate(&self, to: i64) -> BoxFuture<'_, Result<i64, StoreError>> {
        Box::pin(async move {
            let blobs = self.blobs()?;
            let found = Self::version(&blobs).await?;
            // There is one version so far, so that none leads to another.
            if found == to {
                return Ok(found);
            }
            Err(StoreError::SchemaVersion { store: blobs.name().to_owned(), found, supported: SCHEMA_VERSION })
        })
    }

    /// The size is that of the tables of completed runs, and not known while there are others.
    fn info(&self) -> BoxFuture<'_, Result<StoreInfo, StoreError>> {
        Box::pin(async {
            let blobs = self.blobs()?;
            let schema_version = Self::version(&blobs).await?;
            if schema_version != SCHEMA_VERSION {
                return Ok(StoreInfo { schema_version, content: None, bytes: None });
            }
            let (content, bytes) = count(&blobs).await?;
            Ok(StoreInfo { schema_version, content: Some(content), bytes })
        })
    }
}

/// What all runs come to, by their manifests.
async fn count(blobs: &Blobs) -> Result<(StoreContent, Option<u64>), StoreError> {
    let runs = lookup::runs(blobs, "").await?;
    let manifests = stream::iter(runs).map(|run| async move { Manifest::newest(blobs, &run).await });
    let nothing = (StoreContent { runs: 0, records: 0 }, Some(0));
    manifests
        .buffer_unordered(AT_ONCE)
        .try_fold(nothing, |(content, bytes), manifest| {
            let counted = manifest.map_or((content, bytes), |manifest| {
                let (records, size) = match &manifest.tables {
                    Some(tables) => {
                        let files = [tables.traces, tables.judgments, tables.payloads];
                        (tables.traces.rows, Some(files.iter().map(|file| file.bytes).sum::<u64>()))
                    }
                    None => (manifest.segments.iter().map(|segment| segment.records).sum(), None),
                };
                let content = StoreContent { runs: content.runs + 1, records: content.records + records };
                (content, bytes.zip(size).map(|(bytes, size)| bytes + size))
            });
            std::future::ready(Ok(counted))
        })
        .await
}
