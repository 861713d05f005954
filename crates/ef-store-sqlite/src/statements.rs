//! Statements over many values at once: each is prepared once a connection for a few sizes.

use std::sync::Arc;

use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteRow};
use sqlx::{AssertSqlSafe, SqliteConnection};

/// A statement that is being bound.
pub(crate) type Statement<'q> = Query<'q, Sqlite, SqliteArguments>;

/// How many rows or keys one statement takes: the largest that fits is taken.
const SIZES: [usize; 4] = [256, 32, 4, 1];

/// An `INSERT` of many rows.
#[derive(Debug)]
pub(crate) struct Insert {
    sql: [Arc<str>; SIZES.len()],
}

impl Insert {
    /// `OR IGNORE` instead of a conflict clause: a statement that cannot be aborted half-way needs no journal of its own.
    /// Whoever needs all rows to be new compares their number with what was inserted.
    pub(crate) fn new(table: &str, columns: &[&str]) -> Self {
        let row = format!("({})", vec!["?"; columns.len()].join(","));
        let columns = columns.join(", ");
        let sql = SIZES.map(|size| {
            let values = vec![row.as_str(); size].join(",");
            format!("INSERT OR IGNORE INTO {table} ({columns}) VALUES {values}").into()
        });
        Self { sql }
    }

    /// Inserts all rows and returns how many were new.
    pub(crate) async fn run<T>(
        &self,
        connection: &mut SqliteConnection,
        mut rows: &[T],
        bind: impl for<'q> Fn(Statement<'q>, &T) -> Statement<'q>,
    ) -> Result<u64, sqlx::Error> {
        let mut inserted = 0;
        for (sql, size) in self.sql.iter().zip(SIZES) {
            while rows.len() >= size {
                let (chunk, rest) = rows.split_at(size);
                let statement = sqlx::query(AssertSqlSafe(Arc::clone(sql)));
                let statement = chunk.iter().fold(statement, &bind);
                inserted += statement.execute(&mut *connection).await?.rows_affected();
                rows = rest;
            }
        }
        Ok(inserted)
    }
}

/// A `SELECT` by many keys.
#[derive(Debug)]
pub(crate) struct SelectIn {
    sql: [Arc<str>; SIZES.len()],
}

impl SelectIn {
    /// Stands for the keys in a statement.
    pub(crate) const KEYS: &'static str = "{keys}";

    pub(crate) fn new(sql: &str) -> Self {
        let numbered = |size: usize| (1..=size).map(|key| format!("?{key}")).collect::<Vec<_>>().join(",");
        Self { sql: SIZES.map(|size| sql.replace(Self::KEYS, &numbered(size)).into()) }
    }

    /// All rows for all keys.
    pub(crate) async fn run(
        &self,
        connection: &mut SqliteConnection,
        mut keys: &[i64],
    ) -> Result<Vec<SqliteRow>, sqlx::Error> {
        let mut found = Vec::new();
        for (sql, size) in self.sql.iter().zip(SIZES) {
            while keys.len() >= size {
                let (chunk, rest) = keys.split_at(size);
                let statement = sqlx::query(AssertSqlSafe(Arc::clone(sql)));
                let statement = chunk.iter().fold(statement, |statement, key| statement.bind(*key));
                found.extend(statement.fetch_all(&mut *connection).await?);
                keys = rest;
            }
        }
        Ok(found)
    }
}
