//! Where tests keep their stores.

use std::sync::OnceLock;

use ef_model::{Environment, RunId, Secret, StoreError, TaskCommit, TraceStore};
use ef_store_postgres::PostgresStore;
use ef_testkit::postgres_server::{PostgresOptions, PostgresServer};

/// The server that tests share which do not stop it. It is gone with the process.
pub(crate) fn server() -> Option<&'static PostgresServer> {
    static SERVER: OnceLock<Option<PostgresServer>> = OnceLock::new();
    SERVER.get_or_init(|| PostgresServer::start(PostgresOptions { tcp: true, ..PostgresOptions::default() })).as_ref()
}

pub(crate) fn secret(uri: &str) -> Secret {
    Secret::new(uri.to_owned())
}

/// Opens the store at a URI.
pub(crate) async fn open(uri: &str) -> Result<PostgresStore, StoreError> {
    PostgresStore::open(&secret(uri), &Environment::default()).await
}

/// Makes a store at a URI.
pub(crate) async fn init(uri: &str) -> Result<(), StoreError> {
    PostgresStore::init(&secret(uri), &Environment::default()).await
}

/// The URI of a new store.
pub(crate) async fn new_store(server: &PostgresServer) -> String {
    let uri = server.database();
    init(&uri).await.expect("a store is made");
    uri
}

/// A run of this id, begun by a new writer.
pub(crate) async fn begun(uri: &str, run: &str) -> (PostgresStore, RunId) {
    let store = open(uri).await.expect("the store opens");
    let head = ef_testkit::head(run, 1);
    store.begin(&head).await.expect("begun");
    (store, head.run_id)
}

/// Appends the sample records of these rows.
pub(crate) async fn append(store: &PostgresStore, run: &RunId, rows: std::ops::Range<u64>) {
    let batch: Vec<TaskCommit> = rows.map(ef_testkit::commit).collect();
    store.append(run, batch.into()).await.expect("appended");
}

/// The database that a socket URI names.
pub(crate) fn database(uri: &str) -> &str {
    uri.strip_prefix("postgres:///").and_then(|rest| rest.split('?').next()).expect("a socket URI")
}

/// The rows of a run's records.
pub(crate) async fn rows(store: &PostgresStore, run: &RunId) -> Vec<u64> {
    use futures_util::TryStreamExt as _;
    let records = store.records(run, &ef_model::RecordFilter::default());
    let records: Vec<_> = records.try_collect().await.expect("readable");
    for stored in &records {
        assert_eq!(stored.leaf, stored.record.leaf(), "what is stored is the record that the leaf was made of");
    }
    records.iter().map(|stored| stored.record.row).collect()
}
