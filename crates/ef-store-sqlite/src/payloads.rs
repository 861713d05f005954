//! Payloads, stored once and found by their digests.
//!
//! Digests are random, so each insert into an index over them changes a page of its own, and a commit would write nearly
//! the whole index anew. So only keys of many payloads go into the index together, in its order; the payloads since then
//! are the [`Tail`], which writer and readers know in memory. A key in the index is the digest's first eight bytes; as
//! these may be equal by chance or by malice, a payload counts as known only when all 32 are equal.

use ef_model::{Digest, Payload, StoreError};
use serde::Deserialize;
use sqlx::SqliteConnection;

use crate::store::SqliteStore;
use crate::tail::{Tail, key};

/// Payloads by their digests, in the order asked for.
pub(crate) async fn get(store: &SqliteStore, digests: &[Digest]) -> Result<Vec<Option<Payload>>, StoreError> {
    let failed = |error: sqlx::Error| store.failed(&error);
    let mut payloads = Vec::with_capacity(digests.len());
    // One snapshot: no payload moves from the tail into the index between two looks.
    let mut snapshot = store.readers.begin().await.map_err(failed)?;
    for digest in digests {
        let content = match indexed(&mut snapshot, *digest).await.map_err(failed)? {
            None => in_tail(store, &mut snapshot, *digest).await.map_err(failed)?,
            content => content,
        };
        let payload = content.map(Payload::from_checked);
        if payload.as_ref().is_some_and(|payload| payload.digest() != *digest) {
            return Err(store.damaged(format!("the payload {digest} has other content than its digest says")));
        }
        payloads.push(payload);
    }
    Ok(payloads)
}

/// A payload's content by the index.
async fn indexed(snapshot: &mut SqliteConnection, digest: Digest) -> Result<Option<String>, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT content FROM payloads WHERE id IN (SELECT id FROM payload_keys WHERE key = ?1) AND sha256 = ?2",
    )
    .bind(key(digest))
    .bind(digest.as_bytes().as_slice())
    .fetch_optional(snapshot)
    .await
}

/// A payload's content by the tail, which is read as far as it is not known yet.
async fn in_tail(
    store: &SqliteStore,
    snapshot: &mut SqliteConnection,
    digest: Digest,
) -> Result<Option<String>, sqlx::Error> {
    let id = {
        let mut tail = store.tail.lock().await;
        if tail.find(digest).is_none() {
            read_tail(&mut tail, snapshot).await?;
        }
        tail.find(digest)
    };
    let Some(id) = id else { return Ok(None) };
    sqlx::query_scalar("SELECT content FROM payloads WHERE id = ?").bind(id).fetch_optional(snapshot).await
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
