//! What SQLite complains about, in the words of the store contract.

use std::path::Path;

use ef_model::StoreError;

/// SQLite's primary result codes that mean something of their own here.
mod code {
    pub(super) const BUSY: i32 = 5;
    pub(super) const READONLY: i32 = 8;
    pub(super) const CORRUPT: i32 = 11;
    pub(super) const FULL: i32 = 13;
    pub(super) const CANTOPEN: i32 = 14;
    pub(super) const NOTADB: i32 = 26;
}

/// How the store's file is named in messages.
pub(crate) fn name(path: &Path) -> String {
    format!("sqlite://{}", path.display())
}

/// The store cannot be reached.
pub(crate) fn unavailable(path: &Path, reason: impl Into<String>) -> StoreError {
    StoreError::Unavailable { store: name(path), reason: reason.into() }
}

/// What is stored cannot be understood.
pub(crate) fn damaged(path: &Path, reason: impl Into<String>) -> StoreError {
    StoreError::Damaged { store: name(path), reason: reason.into() }
}

/// SQLite's primary result code, if it is SQLite that complains.
fn primary_code(error: &sqlx::Error) -> Option<i32> {
    let extended = error.as_database_error()?.code()?.parse::<i32>().ok()?;
    Some(extended & 0xff)
}

/// Whether somebody else holds a lock.
pub(crate) fn is_busy(error: &sqlx::Error) -> bool {
    primary_code(error) == Some(code::BUSY)
}

/// Translates an error of the driver. SQLite's messages name tables and constraints, never values.
pub(crate) fn of(path: &Path, error: &sqlx::Error) -> StoreError {
    match primary_code(error) {
        Some(code::BUSY) => unavailable(path, "another process has held its write lock for a minute"),
        Some(code::FULL) => unavailable(path, "the disk is full"),
        Some(code::READONLY) => unavailable(path, "it cannot be written: the file or its folder is read-only"),
        Some(code::CANTOPEN) => unavailable(path, "the file cannot be opened"),
        Some(code::CORRUPT) => damaged(path, "SQLite finds the file malformed"),
        Some(code::NOTADB) => {
            StoreError::NotAStore { store: name(path), reason: "the file is not an SQLite database".to_owned() }
        }
        _ => match error {
            sqlx::Error::ColumnDecode { index, .. } => damaged(path, format!("a value of the wrong kind in {index}")),
            other => unavailable(path, other.to_string()),
        },
    }
}
