//! What SQLite complains about, in the words of the store contract.

use std::path::Path;

use ef_model::StoreError;

/// SQLite's primary result codes that mean something of their own here.
mod code {
    pub(super) const BUSY: i32 = 5;
    pub(super) const READONLY: i32 = 8;
    pub(super) const IOERR: i32 = 10;
    pub(super) const CORRUPT: i32 = 11;
    pub(super) const FULL: i32 = 13;
    pub(super) const CANTOPEN: i32 = 14;
    pub(super) const NOTADB: i32 = 26;
}

/// How the store's file is named in messages. A path may hold a question mark; more often it is followed by parameters that
/// were meant for another kind of store, with a password among them.
pub(crate) fn name(path: &Path) -> String {
    let path = path.display().to_string();
    match path.split_once('?') {
        Some((path, _)) => format!("sqlite://{path}?…"),
        None => format!("sqlite://{path}"),
    }
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

/// Translates an error of sqlx. SQLite's messages name tables and constraints, never values.
pub(crate) fn of(path: &Path, error: &sqlx::Error) -> StoreError {
    primary_code(error).and_then(|code| of_code(path, code)).unwrap_or_else(|| match error {
        sqlx::Error::ColumnDecode { index, .. } => damaged(path, format!("a value of the wrong kind in {index}")),
        // These quote settings or values.
        sqlx::Error::Configuration(_) => unavailable(path, "its settings are not valid"),
        sqlx::Error::Encode(_) | sqlx::Error::Decode(_) => damaged(path, "a value of the wrong kind"),
        other => unavailable(path, other.to_string()),
    })
}

/// Translates an error of rusqlite. Those that could quote a value are named without it.
pub(crate) fn of_writing(path: &Path, error: &rusqlite::Error) -> StoreError {
    use rusqlite::Error as E;
    error.sqlite_error().and_then(|failure| of_code(path, failure.extended_code & 0xff)).unwrap_or_else(
        || match error {
            E::FromSqlConversionFailure(index, ..)
            | E::IntegralValueOutOfRange(index, _)
            | E::InvalidColumnType(index, ..) => {
                damaged(path, format!("a value of the wrong kind in column {index} of a result"))
            }
            E::ToSqlConversionFailure(_) => unavailable(path, "a value cannot be written"),
            other => unavailable(path, other.to_string()),
        },
    )
}

/// What a primary result code means, if it means something of its own here.
fn of_code(path: &Path, primary: i32) -> Option<StoreError> {
    Some(match primary {
        code::BUSY => unavailable(path, "another process has held its write lock for a minute"),
        code::FULL => unavailable(path, "the disk is full"),
        code::IOERR => unavailable(path, "the system could not read or write the file: a quota, a limit or its disk"),
        code::READONLY => unavailable(path, "it cannot be written: the file or its folder is read-only"),
        code::CANTOPEN => unavailable(path, "the file cannot be opened"),
        code::CORRUPT => damaged(path, "SQLite finds the file malformed"),
        code::NOTADB => {
            StoreError::NotAStore { store: name(path), reason: "the file is not an SQLite database".to_owned() }
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invariant_8_parameters_behind_a_path_are_not_named() {
        assert_eq!(name(Path::new("/srv/evals.db")), "sqlite:///srv/evals.db");
        let error = unavailable(Path::new("/srv/evals.db?password=hunter2"), "it is a folder");
        assert_eq!(error.to_string(), "the trace store sqlite:///srv/evals.db?… is unavailable: it is a folder");
    }

    #[test]
    fn invariant_8_an_error_of_a_value_does_not_quote_it() {
        let refused = || -> Box<dyn std::error::Error + Send + Sync> { "hunter2".into() };
        let path = Path::new("evals.db");
        let told = [
            of(path, &sqlx::Error::Decode(refused())),
            of(path, &sqlx::Error::Encode(refused())),
            of(path, &sqlx::Error::Configuration(refused())),
            of_writing(path, &rusqlite::Error::ToSqlConversionFailure(refused())),
        ];
        for error in told {
            assert!(!error.to_string().contains("hunter2") && error.to_string().contains("evals.db"), "{error}");
        }
    }
}
