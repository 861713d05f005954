//! Connections, each with the settings that the store relies on, whatever the server's own are.

use std::time::Duration;

use ef_model::StoreError;
use sqlx::{ConnectOptions as _, PgConnection, Row as _};

use crate::fault::{self, Refusal};
use crate::target::Target;

/// The oldest server that the store works with.
const OLDEST: u32 = 14;

/// How long one statement may take where neither the server nor the role nor `PGOPTIONS` sets a limit; in seconds.
pub(crate) const STATEMENT_SECONDS: u64 = 60;

/// What a connection is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Only reading; the server is told so.
    Read,
    /// Writing runs.
    Write,
    /// Making or changing the schema, which may take long.
    Migrate,
}

/// Connects.
pub(crate) async fn connect(target: &Target, purpose: Purpose) -> Result<PgConnection, Refusal> {
    let connecting = async {
        let mut connection = target.options.connect().await?;
        check_server(&mut connection, &target.name).await?;
        prepare(&mut connection, &target.schema, purpose).await?;
        Ok(connection)
    };
    let limit = target.connect_timeout;
    tokio::time::timeout(limit, connecting).await.unwrap_or_else(|_| Err(fault::silence(limit.as_secs()).into()))
}

/// Sets what a connection of this purpose needs.
///
/// * Only the store's own schema is searched, temporary tables last.
/// * What was committed is durable: where the server has `synchronous_commit` off it is switched on. Any other setting
///   stays as it is.
/// * A statement has a time limit. So has a transaction in which nothing happens, so that a client that hangs does not hold
///   others up; reading, which holds nobody up, may take its time.
/// * The server finds out within minutes that a client's machine is gone, and gives its locks back.
pub(crate) async fn prepare(connection: &mut PgConnection, schema: &str, purpose: Purpose) -> Result<(), sqlx::Error> {
    sqlx::query(
        "SELECT set_config('search_path', $1, false),
                set_config('synchronous_commit', replace(current_setting('synchronous_commit'), 'off', 'on'), false),
                set_config('statement_timeout',
                    CASE current_setting('statement_timeout') WHEN '0' THEN $2 ELSE current_setting('statement_timeout') END,
                    false),
                set_config('idle_in_transaction_session_timeout', $3, false),
                set_config('idle_session_timeout', '0', false),
                set_config('default_transaction_isolation', 'read committed', false),
                set_config('default_transaction_read_only',
                    CASE WHEN $4 THEN 'on' ELSE current_setting('default_transaction_read_only') END, false),
                set_config('tcp_keepalives_idle', '60', false),
                set_config('tcp_keepalives_interval', '10', false),
                set_config('tcp_keepalives_count', '6', false)",
    )
    .persistent(false)
    .bind(format!("\"{schema}\", pg_temp"))
    .bind(if purpose == Purpose::Migrate { "0".to_owned() } else { format!("{STATEMENT_SECONDS}s") })
    .bind(if purpose == Purpose::Read { "0" } else { "60s" })
    .bind(purpose == Purpose::Read)
    .execute(connection)
    .await
    .map(drop)
}

/// Checks that the server is one that the store works with.
async fn check_server(connection: &mut PgConnection, store: &str) -> Result<(), Refusal> {
    let row =
        sqlx::query("SELECT current_setting('server_version_num')::int / 10000, current_setting('server_encoding')")
            .persistent(false)
            .fetch_one(connection)
            .await?;
    let (version, encoding): (i32, String) = (row.try_get(0)?, row.try_get(1)?);
    if u32::try_from(version).unwrap_or(0) < OLDEST {
        let reason = format!("the server is PostgreSQL {version}, and {OLDEST} or newer is needed");
        return Err(fault::unavailable(store, reason).into());
    }
    if encoding != "UTF8" {
        let reason = format!("the database's encoding is {encoding}, and UTF8 is needed to keep payloads as they are");
        return Err(fault::unavailable(store, reason).into());
    }
    Ok(())
}

/// A connection that writes, and which of the server's processes is at its other end.
pub(crate) struct Session {
    pub(crate) connection: PgConnection,
    pub(crate) backend: Backend,
}

/// One of the server's processes, told apart from a later one with the same number.
#[derive(Clone)]
pub(crate) struct Backend {
    process: i32,
    started: String,
}

impl Session {
    /// Connects, and ends the process of the connection before, if it is still there: a server that has not noticed that a
    /// connection is lost keeps its locks.
    pub(crate) async fn open(target: &Target, before: Option<&Backend>) -> Result<Self, Refusal> {
        let mut connection = connect(target, Purpose::Write).await?;
        let row = sqlx::query("SELECT pid, backend_start::text FROM pg_stat_activity WHERE pid = pg_backend_pid()")
            .fetch_one(&mut connection)
            .await?;
        if let Some(Backend { process, started }) = before {
            sqlx::query(
                "SELECT pg_terminate_backend(pid, 2000) FROM pg_stat_activity WHERE pid = $1 AND backend_start::text = $2",
            )
            .bind(process)
            .bind(started)
            .fetch_all(&mut connection)
            .await?;
        }
        Ok(Self { connection, backend: Backend { process: row.try_get(0)?, started: row.try_get(1)? } })
    }
}

/// What came of connecting, for someone who does not try again.
pub(crate) fn refused(target: &Target, refusal: Refusal) -> StoreError {
    match refusal {
        Refusal::Store(error) => error,
        Refusal::Sql(error) => login_refused(target, &error).unwrap_or_else(|| fault::of(&target.name, &error)),
        Refusal::Locked => fault::unavailable(&target.name, "somebody else is changing it"),
    }
}

/// A refused login, with what is known of the password.
fn login_refused(target: &Target, error: &sqlx::Error) -> Option<StoreError> {
    let note = target.password_note.as_ref()?;
    let code = error.as_database_error()?.code()?;
    let refused = fault::of(&target.name, error);
    match refused {
        StoreError::Unavailable { store, reason } if code == "28P01" => {
            Some(StoreError::Unavailable { store, reason: format!("{reason} ({note})") })
        }
        _ => None,
    }
}

/// How long an attempt at something may take in all before its connection is given up, whatever the server does: twice what
/// a statement may.
pub(crate) const ATTEMPT: Duration = Duration::from_secs(2 * STATEMENT_SECONDS);

#[cfg(test)]
mod tests {
    use ef_model::{Environment, Secret};
    use ef_testkit::postgres_server::{PostgresOptions, PostgresServer};

    use super::*;

    async fn settings(uri: &str, purpose: Purpose) -> Vec<String> {
        let target = Target::new(&Secret::new(uri.to_owned()), &Environment::default()).expect("a place");
        let mut connection = connect(&target, purpose).await.ok().expect("a connection");
        let names = ["synchronous_commit", "statement_timeout", "search_path", "default_transaction_read_only"];
        let mut values = Vec::new();
        for name in names {
            let setting = sqlx::query_scalar("SELECT current_setting($1)").bind(name);
            values.push(setting.fetch_one(&mut connection).await.expect("a setting"));
        }
        values
    }

    #[tokio::test]
    async fn a_session_is_durable_and_limited_whatever_the_server_is_set_to() {
        let Some(server) = PostgresServer::start(PostgresOptions::default()) else { return };
        let uri = server.uri("postgres");
        let path = "\"eval_fabric\", pg_temp";
        assert_eq!(settings(&uri, Purpose::Write).await, ["on", "1min", path, "off"]);
        assert_eq!(settings(&uri, Purpose::Read).await, ["on", "1min", path, "on"]);
        assert_eq!(settings(&uri, Purpose::Migrate).await, ["on", "0", path, "off"]);
        server.sql("postgres", "ALTER ROLE postgres SET synchronous_commit = off");
        server.sql("postgres", "ALTER ROLE postgres SET statement_timeout = '7s'");
        assert_eq!(settings(&uri, Purpose::Write).await, ["on", "7s", path, "off"]);
        server.sql("postgres", "ALTER ROLE postgres SET synchronous_commit = remote_apply");
        assert_eq!(settings(&uri, Purpose::Write).await[0], "remote_apply", "more than is asked for stays");
    }
}
