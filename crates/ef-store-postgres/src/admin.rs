//! Looking after the store as a whole.

use ef_model::{BoxFuture, Environment, Secret, StoreAdmin, StoreContent, StoreError, StoreInfo};
use sqlx::Row as _;

use crate::schema::SCHEMA_VERSION;
use crate::store::PostgresStore;

/// What an operator does with the store in a schema of a database.
#[derive(Debug, Clone)]
pub struct PostgresAdmin {
    uri: Secret,
    environment: Environment,
}

impl PostgresAdmin {
    /// Of the store at this URI, or of the database that one is to be made in.
    #[must_use]
    pub const fn new(uri: Secret, environment: Environment) -> Self {
        Self { uri, environment }
    }

    async fn read_info(&self) -> Result<StoreInfo, StoreError> {
        let store = match PostgresStore::open(&self.uri, &self.environment).await {
            Ok(store) => store,
            Err(StoreError::SchemaVersion { found, .. }) => {
                return Ok(StoreInfo { schema_version: found, content: None, bytes: None });
            }
            Err(error) => return Err(error),
        };
        let asked = async { Ok((count(&store).await?, store.size().await?)) };
        let asked = asked.await;
        store.close().await;
        let (content, bytes) = asked?;
        Ok(StoreInfo { schema_version: SCHEMA_VERSION, content: Some(content), bytes: Some(bytes) })
    }
}

impl StoreAdmin for PostgresAdmin {
    fn supported_version(&self) -> i64 {
        SCHEMA_VERSION
    }

    fn init(&self) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(PostgresStore::init(&self.uri, &self.environment))
    }

    fn migrate(&self, to: i64) -> BoxFuture<'_, Result<i64, StoreError>> {
        Box::pin(PostgresStore::migrate(&self.uri, &self.environment, to))
    }

    fn info(&self) -> BoxFuture<'_, Result<StoreInfo, StoreError>> {
        Box::pin(self.read_info())
    }
}

async fn count(store: &PostgresStore) -> Result<StoreContent, StoreError> {
    let ask = || async {
        let row = sqlx::query("SELECT (SELECT count(*) FROM runs), (SELECT count(*) FROM traces)")
            .fetch_one(&mut *store.reader().await?)
            .await?;
        let count = |column: usize| row.try_get::<i64, _>(column).map(|count| u64::try_from(count).unwrap_or(0));
        Ok(StoreContent { runs: count(0)?, records: count(1)? })
    };
    store.read(ask).await
}
