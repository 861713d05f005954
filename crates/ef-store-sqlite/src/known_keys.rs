//! Which payload keys may be stored already: a filter that answers most look-ups without the database.

use serde::Deserialize;
use sqlx::SqliteConnection;

/// Bits of the filter: 1 MiB of memory, whatever the size of the store.
const BITS: u64 = 1 << 23;

/// Payloads beyond which no filter is built: reading their keys would take longer than a short run.
const MAX_PAYLOADS: i64 = 1 << 20;

/// Keys that are read at once.
const PAGE: u32 = 1 << 15;

/// A Bloom filter over the keys of all payloads, with two bits a key. A key that it does not know is certainly new; one
/// that it knows must be looked up.
///
/// It holds as long as no other connection writes: SQLite tells by `data_version`. From then on every key is looked up.
#[derive(Debug, Default)]
pub(crate) enum KnownKeys {
    /// Nothing was asked yet.
    #[default]
    Unread,
    /// As of this `data_version` all keys are in the filter.
    Filter {
        /// Of the writing connection.
        data_version: i64,
        /// The filter's bits.
        bits: Box<[u64]>,
    },
    /// Any key may be known.
    Unknown,
}

impl KnownKeys {
    /// Brings the filter up to date. Called within a writing transaction, so that nobody else writes meanwhile.
    pub(crate) async fn refresh(&mut self, connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
        let current: i64 = sqlx::query_scalar("PRAGMA data_version").fetch_one(&mut *connection).await?;
        match self {
            Self::Filter { data_version, .. } if *data_version == current => {}
            Self::Filter { .. } => *self = Self::Unknown,
            Self::Unread => *self = Self::read(connection, current).await?,
            Self::Unknown => {}
        }
        Ok(())
    }

    async fn read(connection: &mut SqliteConnection, data_version: i64) -> Result<Self, sqlx::Error> {
        let payloads: Option<i64> =
            sqlx::query_scalar("SELECT max(id) FROM payloads").fetch_one(&mut *connection).await?;
        if payloads.unwrap_or(0) > MAX_PAYLOADS {
            return Ok(Self::Unknown);
        }
        let bits = vec![0; usize::try_from(BITS / 64).unwrap_or(usize::MAX)].into_boxed_slice();
        let mut filter = Self::Filter { data_version, bits };
        for sql in [
            "SELECT json_group_array(key) FROM
               (SELECT DISTINCT key FROM payload_keys WHERE key > ?1 OR ?1 IS NULL ORDER BY key LIMIT ?2)",
            "SELECT json_group_array(key) FROM
               (SELECT DISTINCT key FROM fresh_payload_keys WHERE key > ?1 OR ?1 IS NULL ORDER BY key LIMIT ?2)",
        ] {
            let mut after = None;
            loop {
                let page: String = sqlx::query_scalar(sql).bind(after).bind(PAGE).fetch_one(&mut *connection).await?;
                let Keys(keys) = serde_json::from_str(&page).map_err(|error| sqlx::Error::Decode(error.into()))?;
                keys.iter().for_each(|key| filter.add(*key));
                after = keys.last().copied();
                if keys.len() < PAGE as usize {
                    break;
                }
            }
        }
        Ok(filter)
    }

    /// Whether a key may be stored already.
    pub(crate) fn may_have(&self, key: i64) -> bool {
        match self {
            Self::Filter { bits, .. } => places(key).into_iter().all(|(word, bit)| bits[word] & bit != 0),
            Self::Unread | Self::Unknown => true,
        }
    }

    /// Adds a key.
    pub(crate) fn add(&mut self, key: i64) {
        if let Self::Filter { bits, .. } = self {
            for (word, bit) in places(key) {
                bits[word] |= bit;
            }
        }
    }
}

#[derive(Deserialize)]
struct Keys(Vec<i64>);

/// A key's two bits. A key is a part of a SHA-256: its halves are as good as two hashes of it.
fn places(key: i64) -> [(usize, u64); 2] {
    let key = key.cast_unsigned();
    [key >> 32, key & 0xffff_ffff].map(|half| {
        let bit = half % BITS;
        (usize::try_from(bit / 64).expect("the filter fits into memory"), 1 << (bit % 64))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_may_be_there_and_most_else_is_not() {
        let bits = vec![0; (BITS / 64) as usize].into_boxed_slice();
        let mut filter = KnownKeys::Filter { data_version: 1, bits };
        let key = |number: u64| number.wrapping_mul(0x9e37_79b9_7f4a_7c15).cast_signed();
        (0..100_000).for_each(|number| filter.add(key(number)));
        assert!((0..100_000).all(|number| filter.may_have(key(number))));
        let mistaken = (100_000..200_000).filter(|number| filter.may_have(key(*number))).count();
        assert!(mistaken < 1000, "{mistaken} of 100,000 keys are taken for known");
    }
}
