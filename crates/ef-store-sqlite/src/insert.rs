//! Inserting many rows with few statements.

use rusqlite::{Connection, Statement, ToSql};

/// How many rows one statement takes: the largest that fits is taken.
const SIZES: [usize; 3] = [256, 32, 1];

/// An `INSERT` of many rows.
pub(crate) struct Insert([String; SIZES.len()]);

impl Insert {
    /// Passes over rows that are there already. Whoever needs all to be new compares their number with what was inserted.
    pub(crate) fn or_ignore(table: &str, columns: &[&str]) -> Self {
        Self::new("OR IGNORE", table, columns)
    }

    /// Fails at a row that is there already, and the transaction has to be rolled back.
    pub(crate) fn or_fail(table: &str, columns: &[&str]) -> Self {
        Self::new("OR FAIL", table, columns)
    }

    fn new(conflict: &str, table: &str, columns: &[&str]) -> Self {
        let row = format!("({})", vec!["?"; columns.len()].join(","));
        let columns = columns.join(", ");
        Self(SIZES.map(|rows| {
            let values = vec![row.as_str(); rows].join(",");
            format!("INSERT {conflict} INTO {table} ({columns}) VALUES {values}")
        }))
    }

    /// Inserts the rows and returns how many were new. The function binds a row's values in the order of the columns.
    pub(crate) fn run<T>(
        &self,
        connection: &Connection,
        mut rows: &[T],
        bind: impl Fn(&mut Values<'_, '_>, &T) -> rusqlite::Result<()>,
    ) -> rusqlite::Result<usize> {
        let mut inserted = 0;
        for (sql, size) in self.0.iter().zip(SIZES) {
            if rows.len() < size {
                continue;
            }
            let mut statement = connection.prepare_cached(sql)?;
            let chunks = rows.chunks_exact(size);
            rows = chunks.remainder();
            for chunk in chunks {
                let mut values = Values { statement: &mut statement, bound: 0 };
                chunk.iter().try_for_each(|row| bind(&mut values, row))?;
                inserted += statement.raw_execute()?;
            }
        }
        Ok(inserted)
    }
}

/// The values of a statement, as they are bound one after the other.
pub(crate) struct Values<'v, 'c> {
    statement: &'v mut Statement<'c>,
    bound: usize,
}

impl Values<'_, '_> {
    /// Binds the next value.
    pub(crate) fn bind(&mut self, value: impl ToSql) -> rusqlite::Result<()> {
        self.bound += 1;
        self.statement.raw_bind_parameter(self.bound, value)
    }
}
