//! What the writer knows of the file without asking: which payloads, evaluators and judges are stored.

use std::collections::HashMap;

use ef_model::{Digest, Payload};
use rusqlite::Connection;

use crate::insert::Insert;
use crate::key_filter::KeyFilter;
use crate::tail::{Tail, key};

/// Payloads in the index beyond which no filter over them is built: reading their keys would take longer than a short
/// run.
const MAX_FILTERED: i64 = 1 << 20;

/// What is known as of a transaction.
///
/// It holds as long as no other connection writes: SQLite tells by `data_version`. What one transaction adds is not there
/// if the transaction is rolled back, and then none of this holds any more.
pub(crate) struct Known {
    data_version: i64,
    /// Row ids of evaluators and judges, by the digests of their identities.
    pub(crate) components: HashMap<Digest, i64>,
    /// Over the keys in the index; without one, each is looked up.
    filter: Option<KeyFilter>,
    tail: Tail,
}

impl Known {
    /// Brings what was known up to date, within a writing transaction, so that nobody else writes meanwhile.
    pub(crate) fn refresh(before: Option<Self>, connection: &Connection) -> rusqlite::Result<Self> {
        let data_version = connection.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
        match before {
            Some(known) if known.data_version == data_version => Ok(known),
            Some(known) if known.tail.indexed() == indexed(connection)? => {
                Self { data_version, ..known }.with_tail(connection)
            }
            before => {
                let components = before.map(|known| known.components).unwrap_or_default();
                Self::read(data_version, components, connection)
            }
        }
    }

    fn read(data_version: i64, components: HashMap<Digest, i64>, connection: &Connection) -> rusqlite::Result<Self> {
        let indexed = indexed(connection)?;
        let filter = if indexed > MAX_FILTERED { None } else { Some(read_filter(connection)?) };
        Self { data_version, components, filter, tail: Tail::after(indexed) }.with_tail(connection)
    }

    /// Reads the payloads that were added to the tail.
    fn with_tail(mut self, connection: &Connection) -> rusqlite::Result<Self> {
        let mut added = connection
            .prepare_cached("SELECT id, sha256, octet_length(content) FROM payloads WHERE id > ? ORDER BY id")?;
        let mut rows = added.query([self.tail.last()])?;
        while let Some(row) = rows.next()? {
            let size: u32 = row.get(2)?;
            self.tail.push(row.get(0)?, Digest::from_bytes(row.get(1)?), size as usize);
        }
        drop(rows);
        drop(added);
        Ok(self)
    }

    /// Stores those of the payloads that are not there yet.
    pub(crate) fn insert<'p>(
        &mut self,
        payloads: impl Iterator<Item = &'p Payload>,
        connection: &Connection,
    ) -> rusqlite::Result<()> {
        let mut find = connection.prepare_cached(
            "SELECT EXISTS
               (SELECT 1 FROM payload_keys k JOIN payloads p ON p.id = k.id WHERE k.key = ? AND p.sha256 = ?)",
        )?;
        let mut new = Vec::new();
        for payload in payloads {
            let digest = payload.digest();
            let Some(place) = self.tail.place_for(digest) else { continue };
            let key = key(digest);
            let certainly_new = self.filter.as_ref().is_some_and(|filter| !filter.may_have(key));
            if certainly_new || !find.query_row((key, digest.as_bytes()), |row| row.get(0))? {
                new.push((place.take(payload.size()), payload));
            }
        }
        Insert::or_fail("payloads", &["id", "sha256", "content"]).run(connection, &new, |values, (id, payload)| {
            values.bind(id)?;
            values.bind(payload.digest().as_bytes())?;
            values.bind(payload.expose())
        })?;
        if self.tail.is_long() { self.index_tail(connection) } else { Ok(()) }
    }

    /// Puts the tail's keys into the index, in its order: each of its pages is changed once for many of them.
    fn index_tail(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        let keys = self.tail.keys();
        Insert::or_fail("payload_keys", &["key", "id"]).run(connection, &keys, |values, (key, id)| {
            values.bind(key)?;
            values.bind(id)
        })?;
        let indexed = self.tail.last();
        connection.execute("INSERT INTO payload_key_merges (up_to) VALUES (?)", [indexed])?;
        if let Some(filter) = &mut self.filter {
            keys.iter().for_each(|(key, _)| filter.add(*key));
        }
        self.tail.restart(indexed);
        Ok(())
    }
}

/// The id of the last payload whose key is in the index.
fn indexed(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("SELECT coalesce(max(up_to), 0) FROM payload_key_merges", [], |row| row.get(0))
}

fn read_filter(connection: &Connection) -> rusqlite::Result<KeyFilter> {
    let mut filter = KeyFilter::new();
    let mut keys = connection.prepare("SELECT key FROM payload_keys")?;
    let mut rows = keys.query([])?;
    while let Some(row) = rows.next()? {
        filter.add(row.get(0)?);
    }
    Ok(filter)
}
