//! Statements over many values at once: each is prepared once a connection for a few sizes.

use std::sync::Arc;

use sqlx::error::BoxDynError;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{AssertSqlSafe, SqliteConnection};

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

    /// The arguments for these rows, a chunk a statement.
    pub(crate) fn prepare<T>(
        mut rows: &[T],
        add: impl Fn(&mut SqliteArguments, &T) -> Result<(), BoxDynError>,
    ) -> Vec<Chunk> {
        let mut chunks = Vec::new();
        for (statement, size) in SIZES.into_iter().enumerate() {
            while rows.len() >= size {
                let (chunk, rest) = rows.split_at(size);
                let mut arguments = SqliteArguments::default();
                for row in chunk {
                    add(&mut arguments, row).expect("texts, blobs and numbers are encoded without fail");
                }
                chunks.push(Chunk { statement, arguments });
                rows = rest;
            }
        }
        chunks
    }

    /// Inserts what was prepared and returns how many rows were new.
    pub(crate) async fn run(&self, connection: &mut SqliteConnection, chunks: Vec<Chunk>) -> Result<u64, sqlx::Error> {
        let mut inserted = 0;
        for Chunk { statement, arguments } in chunks {
            let statement = sqlx::query_with(AssertSqlSafe(Arc::clone(&self.sql[statement])), arguments);
            inserted += statement.execute(&mut *connection).await?.rows_affected();
        }
        Ok(inserted)
    }
}

/// The arguments of one statement.
#[derive(Debug)]
pub(crate) struct Chunk {
    /// Which of the sizes it has.
    statement: usize,
    arguments: SqliteArguments,
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
