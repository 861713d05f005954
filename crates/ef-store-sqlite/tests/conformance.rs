//! SQLite keeps every promise of the trace store contract.

use std::path::PathBuf;
use std::sync::Arc;

use ef_model::{BoxFuture, StoreError, TraceStore};
use ef_store_sqlite::{SCHEMA_VERSION, SqliteStore};
use ef_testkit::conformance::Backend;
use tempfile::TempDir;

/// A file in a folder of its own.
struct File(TempDir);

impl File {
    fn path(&self) -> PathBuf {
        self.0.path().join("runs.db")
    }
}

impl Backend for File {
    fn open(&self) -> BoxFuture<'_, Result<Arc<dyn TraceStore>, StoreError>> {
        Box::pin(async {
            let store: Arc<dyn TraceStore> = Arc::new(SqliteStore::open_or_create(self.path()).await?);
            Ok(store)
        })
    }

    fn make_other_version(&self) -> BoxFuture<'_, i64> {
        let other = SCHEMA_VERSION + 1;
        rusqlite::Connection::open(self.path())
            .and_then(|connection| connection.pragma_update(None, "user_version", other))
            .expect("the version is set");
        Box::pin(std::future::ready(other))
    }

    fn make_foreign(&self) -> BoxFuture<'_, ()> {
        std::fs::write(self.path(), "buy milk\n".repeat(1000)).expect("written");
        Box::pin(std::future::ready(()))
    }
}

ef_testkit::trace_store_conformance! {
    async { File(tempfile::tempdir().expect("a folder")) }
}
