//! Payloads, stored once: found by their digests through an index in two tiers.
//!
//! Digests are random, so each insert into an index over them changes a page of its own, and a commit writes nearly the
//! whole index anew. Here new keys go into a small tier that is cheap to rewrite, and many at once, in order, into the
//! large one. A key is the digest's first eight bytes; as these may be equal by chance or by malice, a payload counts as
//! known only when all 32 are equal.

use std::collections::HashSet;

use ef_model::{Digest, Payload, StoreError, TaskCommit};
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, Row, SqliteConnection};

use crate::known_keys::KnownKeys;
use crate::statements::{Insert, SelectIn};
use crate::store::SqliteStore;

/// Keys that the small tier holds before they go into the large one.
const FRESH_KEYS: i64 = 1 << 16;

/// How many statements move them, each a part of the range of keys.
const SLICES: i64 = 64;
const SLICE_WIDTH: i64 = 1 << 58;

/// The statements.
#[derive(Debug)]
pub(crate) struct Statements {
    find: SelectIn,
    insert: Insert,
    insert_keys: Insert,
}

impl Statements {
    pub(crate) fn new() -> Self {
        let tier = |table| {
            format!("SELECT p.sha256 FROM {table} k JOIN payloads p ON p.id = k.id WHERE k.key IN ({})", SelectIn::KEYS)
        };
        Self {
            find: SelectIn::new(&format!("{} UNION ALL {}", tier("payload_keys"), tier("fresh_payload_keys"))),
            insert: Insert::new("payloads", &["id", "sha256", "content"]),
            insert_keys: Insert::new("fresh_payload_keys", &["key", "id"]),
        }
    }
}

/// Stores those of the payloads, as [`distinct`] gives them, that are not there yet.
pub(crate) async fn insert(
    statements: &Statements,
    known_keys: &mut KnownKeys,
    connection: &mut SqliteConnection,
    distinct: Vec<&Payload>,
) -> Result<(), sqlx::Error> {
    known_keys.refresh(&mut *connection).await?;
    let keys: Vec<i64> = distinct.iter().map(|payload| key(payload.digest())).collect();
    let uncertain: Vec<i64> = keys.iter().copied().filter(|key| known_keys.may_have(*key)).collect();
    let mut known = HashSet::new();
    for row in statements.find.run(connection, &uncertain).await? {
        known.insert(row.get::<Vec<u8>, _>(0));
    }
    // What is rolled back leaves its keys in the filter, where they do no harm.
    keys.iter().for_each(|key| known_keys.add(*key));
    let last: Option<i64> = sqlx::query_scalar("SELECT max(id) FROM payloads").fetch_one(&mut *connection).await?;
    let unknown = distinct.into_iter().filter(|payload| !known.contains(payload.digest().as_bytes().as_slice()));
    let new: Vec<(i64, &Payload)> = (last.unwrap_or(0) + 1..).zip(unknown).collect();
    let row = |arguments: &mut SqliteArguments, (id, payload): &(i64, &Payload)| {
        arguments.add(id)?;
        arguments.add(payload.digest().as_bytes().to_vec())?;
        arguments.add(payload.expose_shared())
    };
    statements.insert.run(connection, &new, row).await?;
    let row = |arguments: &mut SqliteArguments, (id, payload): &(i64, &Payload)| {
        arguments.add(key(payload.digest()))?;
        arguments.add(id)
    };
    statements.insert_keys.run(connection, &new, row).await?;
    merge_tiers(connection).await
}

/// Moves the keys of the small tier into the large one once they are many.
async fn merge_tiers(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    // Counting reads the small tier's pages, of which there are few.
    let fresh: i64 = sqlx::query_scalar("SELECT count(*) FROM fresh_payload_keys").fetch_one(&mut *connection).await?;
    if fresh < FRESH_KEYS {
        return Ok(());
    }
    // A statement over all of them would hold every page that it changes in memory until it ends.
    for slice in -SLICES / 2..SLICES / 2 {
        let first = slice * SLICE_WIDTH;
        sqlx::query(
            "INSERT INTO payload_keys SELECT key, id FROM fresh_payload_keys WHERE key BETWEEN ?1 AND ?2 ORDER BY key, id",
        )
        .bind(first)
        .bind(first + (SLICE_WIDTH - 1))
        .execute(&mut *connection)
        .await?;
    }
    sqlx::query("DELETE FROM fresh_payload_keys").execute(connection).await?;
    Ok(())
}

/// Payloads by their digests, in the order asked for.
pub(crate) async fn get(store: &SqliteStore, digests: &[Digest]) -> Result<Vec<Option<Payload>>, StoreError> {
    const FIND: &str = "SELECT content FROM payloads
         WHERE id IN (SELECT id FROM payload_keys WHERE key = ?1
                      UNION ALL SELECT id FROM fresh_payload_keys WHERE key = ?1)
               AND sha256 = ?2";
    let failed = |error: sqlx::Error| store.failed(&error);
    let mut payloads = Vec::with_capacity(digests.len());
    let mut connection = store.readers.acquire().await.map_err(failed)?;
    for digest in digests {
        let content: Option<String> = sqlx::query_scalar(FIND)
            .bind(key(*digest))
            .bind(digest.as_bytes().to_vec())
            .fetch_optional(&mut *connection)
            .await
            .map_err(failed)?;
        let payload = content.map(Payload::from_checked);
        if payload.as_ref().is_some_and(|payload| payload.digest() != *digest) {
            return Err(store.damaged(format!("the payload {digest} has other content than its digest says")));
        }
        payloads.push(payload);
    }
    Ok(payloads)
}

/// The batch's payloads, each once, in the order of their keys: neighbours in the index are found together.
pub(crate) fn distinct(batch: &[TaskCommit]) -> Vec<&Payload> {
    let mut seen = HashSet::new();
    let mut payloads: Vec<_> =
        batch.iter().flat_map(TaskCommit::payloads).filter(|payload| seen.insert(payload.digest())).collect();
    payloads.sort_unstable_by_key(|payload| key(payload.digest()));
    payloads
}

/// The first eight bytes of a digest, as SQLite's integers have them.
fn key(digest: Digest) -> i64 {
    let bytes: [u8; 8] = digest.as_bytes()[..8].try_into().expect("a digest has 32 bytes");
    i64::from_be_bytes(bytes)
}
