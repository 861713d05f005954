//! Payloads, stored once and found by their digests.
//!
//! Digests are random, so each insert into an index over them changes a page of its own, and a commit would write nearly
//! the whole index anew. So only keys of many payloads go into the index together, in its order; the payloads since then
//! are the [`Tail`], which writer and readers know in memory. A key in the index is the digest's first eight bytes; as
//! these may be equal by chance or by malice, a payload counts as known only when all 32 are equal.

use std::collections::HashMap;
use std::sync::Arc;

use ef_model::{Digest, Payload, StoreError};
use serde::Deserialize;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

use crate::store::SqliteStore;
use crate::tail::{Tail, key};

/// Payloads that are looked up at once.
const LOOK_UP: usize = 128;

/// Payloads by their digests, in the order asked for.
pub(crate) async fn get(store: &SqliteStore, digests: &[Digest]) -> Result<Vec<Option<Payload>>, StoreError> {
    let failed = |error: sqlx::Error| store.failed(&error);
    let mut payloads = Vec::with_capacity(digests.len());
    // One snapshot: no payload moves from the tail into the index between two looks.
    let mut snapshot = store.readers.begin().await.map_err(failed)?;
    for digests in digests.chunks(LOOK_UP) {
        let found = find(store, &mut snapshot, digests).await.map_err(failed)?;
        for digest in digests {
            // Asked for twice, it is given twice.
            let payload = found.get(digest).map(|content| Payload::from_checked(Arc::clone(content)));
            if payload.as_ref().is_some_and(|payload| payload.digest() != *digest) {
                return Err(store.damaged(format!("the payload {digest} has other content than its digest says")));
            }
            payloads.push(payload);
        }
    }
    Ok(payloads)
}

/// The contents of those of the payloads that are there.
async fn find(
    store: &SqliteStore,
    snapshot: &mut SqliteConnection,
    digests: &[Digest],
) -> Result<HashMap<Digest, Arc<str>>, sqlx::Error> {
    const BY_KEY: &str = "SELECT sha256, content FROM payloads
         WHERE id IN (SELECT id FROM payload_keys WHERE key IN (SELECT value FROM json_each(?)))";
    const BY_ID: &str = "SELECT sha256, content FROM payloads WHERE id IN (SELECT value FROM json_each(?))";
    let keys: Vec<i64> = digests.iter().map(|digest| key(*digest)).collect();
    let mut found = select(snapshot, BY_KEY, &keys).await?;
    let missing: Vec<Digest> = digests.iter().copied().filter(|digest| !found.contains_key(digest)).collect();
    if missing.is_empty() {
        return Ok(found);
    }
    let ids: Vec<i64> = {
        let mut tail = store.tail.lock().await;
        if missing.iter().any(|digest| tail.find(*digest).is_none()) {
            read_tail(&mut tail, snapshot).await?;
        }
        missing.iter().filter_map(|digest| tail.find(*digest)).collect()
    };
    found.extend(select(snapshot, BY_ID, &ids).await?);
    Ok(found)
}

/// Payloads by keys or ids.
async fn select(
    snapshot: &mut SqliteConnection,
    sql: &'static str,
    values: &[i64],
) -> Result<HashMap<Digest, Arc<str>>, sqlx::Error> {
    if values.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = sqlx::query(sql).bind(serde_json::json!(values).to_string()).fetch_all(snapshot).await?;
    let payload = |row: &SqliteRow| {
        let sha256: Vec<u8> = row.try_get(0)?;
        let content: &str = row.try_get(1)?;
        // A digest of another length is nobody's.
        Ok(<[u8; 32]>::try_from(sha256).ok().map(|sha256| (Digest::from_bytes(sha256), content.into())))
    };
    rows.iter().filter_map(|row| payload(row).transpose()).collect()
}

/// Payloads of the tail that are read at once.
const PAGE: u32 = 1 << 13;

/// Reads what was added to the tail.
async fn read_tail(tail: &mut Tail, snapshot: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    #[derive(Deserialize)]
    struct Page(Vec<(i64, Digest)>);

    let indexed: i64 =
        sqlx::query_scalar("SELECT coalesce(max(up_to), 0) FROM payload_key_merges").fetch_one(&mut *snapshot).await?;
    if indexed > tail.indexed() {
        tail.restart(indexed);
    }
    loop {
        // As one text, because the driver's cost is by the row.
        let page: String = sqlx::query_scalar(
            "SELECT json_group_array(json_array(id, lower(hex(sha256)))) FROM
               (SELECT id, sha256 FROM payloads WHERE id > ?1 ORDER BY id LIMIT ?2)",
        )
        .bind(tail.last())
        .bind(PAGE)
        .fetch_one(&mut *snapshot)
        .await?;
        let Page(page) = serde_json::from_str(&page).map_err(|error| sqlx::Error::Decode(error.into()))?;
        page.iter().for_each(|(id, digest)| tail.push(*id, *digest, 0));
        if page.len() < PAGE as usize {
            return Ok(());
        }
    }
}
