//! From one version of the schema to a later one.

use std::path::Path;

use ef_model::StoreError;
use sqlx::{AssertSqlSafe, Connection as _, SqliteConnection};

use crate::schema::SCHEMA_VERSION;
use crate::{fault, open};

/// Runs the scripts that lead from one version to another, in one transaction. `scripts` has at each version the one that
/// leads from it to the next.
pub(crate) async fn run(path: &Path, scripts: &[&'static str], from: i64, to: i64) -> Result<(), StoreError> {
    // Version 0 is a file without tables, which only init fills.
    let versions = usize::try_from(from).ok().filter(|from| *from > 0).zip(usize::try_from(to).ok());
    let scripts = versions.and_then(|(from, to)| scripts.get(from..to)).ok_or_else(|| StoreError::SchemaVersion {
        store: fault::name(path),
        found: from,
        supported: SCHEMA_VERSION,
    })?;
    try_run(path, scripts, from, to).await.map_err(|error| fault::of(path, &error))
}

async fn try_run(path: &Path, scripts: &[&'static str], from: i64, to: i64) -> Result<(), sqlx::Error> {
    let mut connection = SqliteConnection::connect_with(&open::options(path)).await?;
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let version: i64 = sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *transaction).await?;
    // Another process may have migrated it meanwhile.
    if version == from {
        for script in scripts {
            sqlx::raw_sql(*script).execute(&mut *transaction).await?;
        }
        sqlx::raw_sql(AssertSqlSafe(format!("PRAGMA user_version = {to}"))).execute(&mut *transaction).await?;
    }
    transaction.commit().await?;
    connection.close().await
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;

    const SCRIPTS: [&str; 3] = [
        "CREATE TABLE one (x INTEGER) STRICT;",
        "CREATE TABLE two (x INTEGER) STRICT; INSERT INTO two VALUES (2);",
        "CREATE TABLE three (x INTEGER) STRICT; INSERT INTO nowhere VALUES (3);",
    ];

    fn version_1(path: &Path) {
        let connection = Connection::open(path).expect("SQLite");
        connection
            .execute_batch(SCRIPTS[0])
            .and_then(|()| connection.pragma_update(None, "user_version", 1))
            .expect("made");
    }

    fn state(path: &Path) -> (i64, i64) {
        let connection = Connection::open(path).expect("SQLite");
        let sql = "SELECT (SELECT user_version FROM pragma_user_version), (SELECT count(*) FROM sqlite_schema)";
        connection.query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?))).expect("readable")
    }

    #[tokio::test]
    async fn a_migration_is_whole_or_not_at_all() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("runs.db");
        version_1(&path);
        run(&path, &SCRIPTS, 1, 3).await.expect_err("the last script fails");
        assert_eq!(state(&path), (1, 1), "nothing of the first was kept");
        run(&path, &SCRIPTS, 1, 2).await.expect("the second works");
        assert_eq!(state(&path), (2, 2));
        run(&path, &SCRIPTS, 1, 2).await.expect("another was quicker");
        assert_eq!(state(&path), (2, 2));
    }

    #[tokio::test]
    async fn where_no_script_leads_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("runs.db");
        version_1(&path);
        for (from, to) in [(1, 4), (2, 1), (0, 1), (-1, 1), (99, 1)] {
            let refused = run(&path, &SCRIPTS, from, to).await;
            assert!(matches!(refused, Err(StoreError::SchemaVersion { found, .. }) if found == from), "{refused:?}");
        }
        assert_eq!(state(&path), (1, 1));
    }
}
