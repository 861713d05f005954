//! What sqlx and the server complain about, in the words of the store contract.

use std::io;

use ef_model::StoreError;
use sqlx::error::DatabaseError;

/// Why something was not done.
pub(crate) enum Refusal {
    /// The store says so.
    Store(StoreError),
    /// The server or the way to it says so.
    Sql(sqlx::Error),
    /// Somebody else has the lock of the run, for now.
    Locked,
}

impl From<sqlx::Error> for Refusal {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// That there was no answer for so long.
pub(crate) fn silence(seconds: u64) -> sqlx::Error {
    sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {seconds} s")))
}

/// The store cannot be reached.
pub(crate) fn unavailable(store: &str, reason: impl Into<String>) -> StoreError {
    StoreError::Unavailable { store: store.to_owned(), reason: reason.into() }
}

/// What is stored cannot be understood.
pub(crate) fn damaged(store: &str, reason: impl Into<String>) -> StoreError {
    StoreError::Damaged { store: store.to_owned(), reason: reason.into() }
}

fn code(error: &dyn DatabaseError) -> String {
    error.code().unwrap_or_default().into_owned()
}

/// Whether the connection is of no use any more.
pub(crate) fn ends_connection(error: &sqlx::Error) -> bool {
    // Connection exceptions; shut down, crashed, starting up, idle for too long; idle in a transaction for too long.
    let ends = |code: &str| code.starts_with("08") || code.starts_with("57P") || code == "25P03";
    error.as_database_error().is_none_or(|error| ends(&code(error)))
}

/// Whether a row is there already.
pub(crate) fn is_known(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(DatabaseError::is_unique_violation)
}

/// Whether trying again may help: the server was restarted, the network failed, two transactions were in each other's
/// way.
pub(crate) fn may_pass(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(error) => {
            error.kind() != io::ErrorKind::InvalidData && error.kind() != io::ErrorKind::InvalidInput
        }
        sqlx::Error::Protocol(_) | sqlx::Error::PoolTimedOut | sqlx::Error::WorkerCrashed => true,
        // Besides lost connections: too many of them, a serialization failure, a deadlock.
        sqlx::Error::Database(failure) => {
            ends_connection(error) || ["53300", "40001", "40P01"].contains(&code(&**failure).as_str())
        }
        _ => false,
    }
}

/// Translates an error. The server's messages name tables, roles and constraints; those that may quote a value are left
/// out.
pub(crate) fn of(store: &str, error: &sqlx::Error) -> StoreError {
    match error {
        sqlx::Error::Database(error) => of_server(store, &**error),
        sqlx::Error::Io(error) => unavailable(store, of_io(error)),
        sqlx::Error::Tls(error) => unavailable(store, format!("no TLS: {error}")),
        sqlx::Error::PoolTimedOut => {
            unavailable(store, "no connection for 30 s: the server is down, or all connections are in use")
        }
        sqlx::Error::PoolClosed => unavailable(store, "it has been closed"),
        sqlx::Error::ColumnDecode { index, .. } => damaged(store, format!("a value of the wrong kind in {index}")),
        sqlx::Error::Protocol(_) => unavailable(store, "what answers there does not speak Postgres's protocol"),
        // These quote settings or values.
        sqlx::Error::Configuration(_) => unavailable(store, "its settings are not valid: check the URI and PG*"),
        sqlx::Error::Encode(_) => unavailable(store, "a value cannot be sent"),
        sqlx::Error::Decode(_) => damaged(store, "a value cannot be read"),
        other => unavailable(store, other.to_string()),
    }
}

fn of_io(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => "no server listens there (connection refused)".to_owned(),
        io::ErrorKind::NotFound => "no server listens there (the socket does not exist)".to_owned(),
        io::ErrorKind::InvalidData => format!("no TLS: {error}"),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            "the server closed the connection".to_owned()
        }
        _ => error.to_string(),
    }
}

/// By its SQLSTATE; see "PostgreSQL Error Codes" in Postgres's documentation.
fn of_server(store: &str, error: &dyn DatabaseError) -> StoreError {
    let (code, message) = (code(error), error.message());
    match code.as_str() {
        "28000" | "28P01" => unavailable(store, format!("the server refuses the login: {message}")),
        "3D000" => unavailable(store, format!("the server says: {message}; the database has to be created first")),
        "42501" => unavailable(store, format!("the role lacks a right: {message}")),
        "25006" => unavailable(store, "it can only be read: the server is a standby, or the role may only read"),
        "53100" => unavailable(store, "the server's disk is full"),
        "53300" => unavailable(store, "the server has no connection left"),
        "57014" => unavailable(store, "a statement took longer than its time limit (statement_timeout)"),
        "42P01" | "42703" | "3F000" => damaged(store, format!("a part of its schema is missing: {message}")),
        _ if code.starts_with("XX") => damaged(store, format!("the server says: {message} ({code})")),
        // Data exceptions quote the data, and so may what a function or trigger of somebody's own raises.
        _ if ["22", "P0"].iter().any(|class| code.starts_with(class)) => {
            unavailable(store, format!("the server refuses a value (SQLSTATE {code})"))
        }
        _ => unavailable(store, format!("the server says: {message} (SQLSTATE {code})")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invariant_8_an_error_of_a_value_or_a_setting_does_not_quote_it() {
        let refused = || -> Box<dyn std::error::Error + Send + Sync> { "hunter2".into() };
        for error in
            [sqlx::Error::Decode(refused()), sqlx::Error::Encode(refused()), sqlx::Error::Configuration(refused())]
        {
            let told = of("postgres://host/evals", &error).to_string();
            assert!(!told.contains("hunter2") && told.contains("postgres://host/evals"), "{told}");
        }
    }
}
