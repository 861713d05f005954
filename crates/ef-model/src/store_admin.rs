//! Looking after a store as a whole.

use crate::{BoxFuture, StoreError};

/// Makes, migrates and describes a store: what an operator does with it, apart from reading and writing runs.
///
/// Unlike a [`crate::TraceStore`] it is of a place at which there may be no store yet, or one whose schema is of another
/// version. A backend need not have it.
pub trait StoreAdmin: Send + Sync {
    /// The schema version that this build reads and writes.
    fn supported_version(&self) -> i64;

    /// Makes a store where there is none, and checks the one that is there. Two who do it at once make one store.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when it cannot be reached or made, [`StoreError::SchemaVersion`] and
    /// [`StoreError::NotAStore`] when something else is there. That is left as it is.
    fn init(&self) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Brings the store's schema to version `to`, whole or not at all, and returns the version that it had. A store that
    /// has that version already is left as it is.
    ///
    /// # Errors
    ///
    /// As [`StoreAdmin::init`]; [`StoreError::SchemaVersion`] when no migration leads from the store's version to `to`.
    fn migrate(&self, to: i64) -> BoxFuture<'_, Result<i64, StoreError>>;

    /// What is in the store. Nothing is written. The version is told of a store of another version too.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] when it cannot be reached, [`StoreError::NotAStore`] when it is something else.
    fn info(&self) -> BoxFuture<'_, Result<StoreInfo, StoreError>>;
}

/// What is in a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreInfo {
    /// The version of its schema.
    pub schema_version: i64,
    /// What it holds; absent where its schema is of another version than this build reads.
    pub content: Option<StoreContent>,
    /// Its size in bytes, with indexes and logs, where the backend knows it.
    pub bytes: Option<u64>,
}

/// How much a store holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreContent {
    /// Runs, whatever their status.
    pub runs: u64,
    /// Records of all runs, all revisions.
    pub records: u64,
}
