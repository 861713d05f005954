//! Opening: what is no store of this version is refused.

use ef_model::StoreError;

use super::{Backend, append, begun, open, rows};
use crate::commit;

async fn with_a_run(backend: &dyn Backend) {
    let store = open(backend).await;
    let run = begun(&*store, "run").await;
    append(&*store, &run, vec![commit(1)]).await;
    store.close().await;
}

/// Of another schema version, by its number. Without a schema nothing is refused.
pub async fn another_schema_version_is_refused(backend: &dyn Backend) {
    with_a_run(backend).await;
    let version = backend.make_other_version().await;
    if !backend.capabilities().schema {
        assert_eq!(rows(&*open(backend).await, &super::id("run")).await, [1]);
        return;
    }
    for _ in 0..2 {
        match backend.open().await {
            Err(StoreError::SchemaVersion { found, supported, .. }) => {
                assert_eq!(found, version);
                assert_ne!(supported, version);
            }
            Err(other) => panic!("not refused for its version: {other:?}"),
            Ok(_) => panic!("a store of version {version} is opened"),
        }
    }
}

/// What is something else is told to be so. Without a schema nothing is refused.
pub async fn what_is_no_store_is_refused(backend: &dyn Backend) {
    with_a_run(backend).await;
    backend.make_foreign().await;
    if !backend.capabilities().schema {
        assert_eq!(rows(&*open(backend).await, &super::id("run")).await, [1]);
        return;
    }
    match backend.open().await {
        Err(StoreError::NotAStore { reason, .. }) => assert!(!reason.is_empty()),
        Err(other) => panic!("not refused as no store: {other:?}"),
        Ok(_) => panic!("what is no store is opened"),
    }
}
