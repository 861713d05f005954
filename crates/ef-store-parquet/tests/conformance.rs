//! Parquet files keep every promise of the trace store contract, in a folder and in object storage.

use std::sync::Arc;
use std::time::Duration;

use ef_model::{BoxFuture, Environment, StoreError, TraceStore};
use ef_store_parquet::{Location, ParquetStore, SCHEMA_VERSION};
use ef_testkit::conformance::{Backend, Capabilities};
use ef_testkit::s3_server::S3Server;
use tempfile::TempDir;

const CAPABILITIES: Capabilities = Capabilities { judgment_keys: false, schema: true, constant_memory: true };

/// A marker of a later version.
fn later() -> String {
    format!(r#"{{"format":"eval-fabric parquet trace store","schema_version":{}}}"#, SCHEMA_VERSION + 1)
}

async fn open(location: &Location, environment: &Environment) -> Result<Arc<dyn TraceStore>, StoreError> {
    let store = ParquetStore::open_or_create(location, environment).await?;
    Ok(Arc::new(store))
}

mod folder {
    use super::*;

    struct Folder(TempDir);

    impl Backend for Folder {
        fn open(&self) -> BoxFuture<'_, Result<Arc<dyn TraceStore>, StoreError>> {
            let location = Location::folder(self.0.path().join("store")).with_lease(Duration::from_secs(3));
            Box::pin(async move { open(&location, &Environment::default()).await })
        }

        fn capabilities(&self) -> Capabilities {
            CAPABILITIES
        }

        fn make_other_version(&self) -> BoxFuture<'_, i64> {
            std::fs::write(self.0.path().join("store/_eval_fabric.json"), later()).expect("written");
            Box::pin(std::future::ready(SCHEMA_VERSION + 1))
        }

        fn make_foreign(&self) -> BoxFuture<'_, ()> {
            std::fs::remove_file(self.0.path().join("store/_eval_fabric.json")).expect("removed");
            Box::pin(std::future::ready(()))
        }
    }

    ef_testkit::trace_store_conformance! {
        async { Folder(tempfile::tempdir().expect("a folder")) }
    }
}

mod object_storage {
    use super::*;

    struct Bucket(S3Server);

    impl Backend for Bucket {
        fn open(&self) -> BoxFuture<'_, Result<Arc<dyn TraceStore>, StoreError>> {
            Box::pin(async {
                let uri = "s3://evals/team/runs?format=parquet&lease_seconds=3";
                let location = Location::parse(uri)?.expect("of this kind");
                open(&location, &self.0.environment()).await
            })
        }

        fn capabilities(&self) -> Capabilities {
            CAPABILITIES
        }

        fn make_other_version(&self) -> BoxFuture<'_, i64> {
            std::fs::write(self.0.bucket("evals").join("team/runs/_eval_fabric.json"), later()).expect("written");
            Box::pin(std::future::ready(SCHEMA_VERSION + 1))
        }

        fn make_foreign(&self) -> BoxFuture<'_, ()> {
            std::fs::remove_file(self.0.bucket("evals").join("team/runs/_eval_fabric.json")).expect("removed");
            Box::pin(std::future::ready(()))
        }
    }

    ef_testkit::trace_store_conformance! {
        async { Bucket(S3Server::start(&["evals"]).await) }
    }
}
