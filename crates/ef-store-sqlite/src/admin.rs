//! Looking after the file as a whole.

use std::fs;
use std::path::{Path, PathBuf};

use ef_model::{BoxFuture, StoreAdmin, StoreContent, StoreError, StoreInfo};
use sqlx::{Connection as _, Row, SqliteConnection};

use crate::open;
use crate::schema::{MIGRATIONS, SCHEMA_VERSION};
use crate::{fault, migrate};

/// What an operator does with the store in a file.
#[derive(Debug, Clone)]
pub struct SqliteAdmin {
    path: PathBuf,
}

impl SqliteAdmin {
    /// Of the store in this file, or of the file that one is to be made in.
    pub fn new(path: impl AsRef<Path>) -> Self {
        Self { path: path.as_ref().to_owned() }
    }

    async fn read_info(&self) -> Result<StoreInfo, StoreError> {
        let schema_version = match open::check(&self.path).await {
            Ok(()) => SCHEMA_VERSION,
            Err(StoreError::SchemaVersion { found, .. }) => found,
            Err(error) => return Err(error),
        };
        let content = match schema_version {
            SCHEMA_VERSION => Some(self.count().await.map_err(|error| fault::of(&self.path, &error))?),
            _ => None,
        };
        Ok(StoreInfo { schema_version, content, bytes: Some(self.bytes()) })
    }

    async fn count(&self) -> Result<StoreContent, sqlx::Error> {
        let mut connection = SqliteConnection::connect_with(&open::reader_options(&self.path)).await?;
        // The index by item is a tenth of the table, and SQLite counts by it.
        let row = sqlx::query("SELECT (SELECT count(*) FROM runs), (SELECT count(*) FROM traces)")
            .fetch_one(&mut connection)
            .await?;
        connection.close().await?;
        let count = |column: usize| u64::try_from(row.get::<i64, _>(column)).unwrap_or(0);
        Ok(StoreContent { runs: count(0), records: count(1) })
    }

    /// The database and its log.
    fn bytes(&self) -> u64 {
        let mut log = self.path.as_os_str().to_owned();
        log.push("-wal");
        [self.path.as_path(), Path::new(&log)]
            .iter()
            .filter_map(|path| fs::metadata(path).ok())
            .map(|file| file.len())
            .sum()
    }
}

impl StoreAdmin for SqliteAdmin {
    fn supported_version(&self) -> i64 {
        SCHEMA_VERSION
    }

    fn init(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(open::create(&self.path))
    }

    fn migrate(&self, to: i64) -> BoxFuture<'_, Result<i64, StoreError>> {
        Box::pin(async move {
            let found = match open::check(&self.path).await {
                Ok(()) => SCHEMA_VERSION,
                Err(StoreError::SchemaVersion { found, .. }) => found,
                Err(error) => return Err(error),
            };
            if found != to {
                migrate::run(&self.path, &MIGRATIONS, found, to).await?;
            }
            Ok(found)
        })
    }

    fn info(&self) -> BoxFuture<'_, Result<StoreInfo, StoreError>> {
        Box::pin(self.read_info())
    }
}
