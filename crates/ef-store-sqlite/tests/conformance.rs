//! SQLite keeps every promise of the trace store contract.

use ef_store_sqlite::SqliteStore;

ef_testkit::trace_store_conformance! {
    async {
        let folder = tempfile::tempdir().expect("a folder");
        let store = SqliteStore::open_or_create(folder.path().join("runs.db")).await.expect("a store");
        (store, folder)
    }
}
