//! Postgres keeps every promise of the trace store contract.

use std::sync::Arc;

use ef_model::{BoxFuture, StoreError, TraceStore};
use ef_store_postgres::SCHEMA_VERSION;
use ef_testkit::conformance::{Backend, Capabilities, MemoryBackend};
use ef_testkit::postgres_server::PostgresServer;

use crate::place;

/// A database of its own.
struct Database {
    server: &'static PostgresServer,
    uri: String,
}

impl Database {
    fn sql(&self, statements: &str) {
        self.server.sql(place::database(&self.uri), statements);
    }
}

impl Backend for Database {
    fn open(&self) -> BoxFuture<'_, Result<Arc<dyn TraceStore>, StoreError>> {
        Box::pin(async {
            let store: Arc<dyn TraceStore> = Arc::new(place::open(&self.uri).await?);
            Ok(store)
        })
    }

    fn make_other_version(&self) -> BoxFuture<'_, i64> {
        let other = SCHEMA_VERSION + 1;
        self.sql(&format!("INSERT INTO eval_fabric.schema_versions (version) VALUES ({other})"));
        Box::pin(std::future::ready(other))
    }

    fn make_foreign(&self) -> BoxFuture<'_, ()> {
        self.sql("DROP SCHEMA eval_fabric CASCADE; CREATE SCHEMA eval_fabric; CREATE TABLE eval_fabric.theirs (x int)");
        Box::pin(std::future::ready(()))
    }
}

/// Where there is no server, which was said loudly, the suite runs on the fake, so that it does run.
struct Place(Box<dyn Backend>);

impl Backend for Place {
    fn open(&self) -> BoxFuture<'_, Result<Arc<dyn TraceStore>, StoreError>> {
        self.0.open()
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    fn make_other_version(&self) -> BoxFuture<'_, i64> {
        self.0.make_other_version()
    }

    fn make_foreign(&self) -> BoxFuture<'_, ()> {
        self.0.make_foreign()
    }
}

ef_testkit::trace_store_conformance! {
    async {
        match place::server() {
            Some(server) => Place(Box::new(Database { server, uri: place::new_store(server).await })),
            None => Place(Box::new(MemoryBackend::default())),
        }
    }
}
