//! Statements over many values at once: each is prepared once a connection for a few sizes.

use std::sync::Arc;

use futures_util::future::join;
use sqlx::error::BoxDynError;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{AssertSqlSafe, SqliteConnection};

/// How many rows or keys one statement takes: the largest that fits is taken.
const SIZES: [usize; 5] = [1024, 256, 32, 4, 1];

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

    /// Inserts the rows and returns how many were new. While SQLite works on some, the arguments of the next are put
    /// together.
    pub(crate) async fn run<T>(
        &self,
        connection: &mut SqliteConnection,
        rows: &[T],
        add: impl Fn(&mut SqliteArguments, &T) -> Result<(), BoxDynError>,
    ) -> Result<u64, sqlx::Error> {
        let mut chunks = chunks(rows).map(|(statement, chunk)| {
            let mut arguments = SqliteArguments::default();
            for row in chunk {
                add(&mut arguments, row).expect("texts, blobs and numbers are encoded without fail");
            }
            (statement, arguments)
        });
        let mut inserted = 0;
        let mut next = chunks.next();
        while let Some((statement, arguments)) = next {
            let statement = sqlx::query_with(AssertSqlSafe(Arc::clone(&self.sql[statement])), arguments);
            let (done, prepared) = join(statement.execute(&mut *connection), async { chunks.next() }).await;
            inserted += done?.rows_affected();
            next = prepared;
        }
        Ok(inserted)
    }
}

/// Cuts rows into chunks of the sizes that there are statements for, each with the statement's place among them.
fn chunks<T>(mut rows: &[T]) -> impl Iterator<Item = (usize, &[T])> {
    std::iter::from_fn(move || {
        let statement = SIZES.iter().position(|&size| size <= rows.len())?;
        let (chunk, rest) = rows.split_at(SIZES[statement]);
        rows = rest;
        Some((statement, chunk))
    })
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
