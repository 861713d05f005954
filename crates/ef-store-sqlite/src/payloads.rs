//! Payloads, stored once and found by their digests.
//!
//! Digests are random, so each insert into an index over them changes a page of its own, and a commit would write nearly
//! the whole index anew. So only keys of many payloads go into the index together, in its order; the payloads since then
//! are the [`Tail`], which writer and readers know in memory. A key in the index is the digest's first eight bytes; as
//! these may be equal by chance or by malice, a payload counts as known only when all 32 are equal.

use std::collections::HashMap;

use ef_model::{Digest, Payload, StoreError};
use serde::Deserialize;
use sqlx::{Row, SqliteConnection};

use crate::store::SqliteStore;
use crate::tail::{Tail, key};

/// Payloads that are looked up at once.
const LOOK_UP: usize = 1 << 12;
/// Those that are read at once.
const READ: usize = 128;

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
            let payload = found.get(digest).cloned();
            if payload.as_ref().is_some_and(|payload| payload.digest() != *digest) {
                return Err(store.damaged(format!("the payload {digest} has other content than its digest says")));
            }
            payloads.push(payload);
        }
    }
    Ok(payloads)
}

/// Payloads by the digests that are stored with them, whether or not these are right.
type Found = HashMap<Digest, Payload>;

/// Those of the payloads that are there.
async fn find(store: &SqliteStore, snapshot: &mut SqliteConnection, digests: &[Digest]) -> Result<Found, sqlx::Error> {
    let mut found = Found::with_capacity(digests.len());
    read_neighbours(snapshot, digests, &mut found).await?;
    let missing = |found: &Found| -> Vec<Digest> {
        digests.iter().copied().filter(|digest| !found.contains_key(digest)).collect()
    };
    let indexed = ids(snapshot, &missing(&found)).await?;
    read(snapshot, indexed, &mut found).await?;
    let missing = missing(&found);
    if missing.is_empty() {
        return Ok(found);
    }
    let new: Vec<(Digest, i64)> = {
        let mut tail = store.tail.lock().await;
        if missing.iter().any(|digest| tail.find(*digest).is_none()) {
            read_tail(&mut tail, snapshot).await?;
        }
        missing.iter().filter_map(|digest| Some((*digest, tail.find(*digest)?))).collect()
    };
    read(snapshot, new, &mut found).await?;
    Ok(found)
}

/// Payloads of which that many are asked for are often neighbours, as those of a run's next records are.
const MANY: usize = 256;
/// Of those, the ones whose places tell whether it is so.
const SAMPLE: usize = 16;

/// Reads the payloads of a stretch of ids, where those that are wanted seem to be in one: that saves looking up each.
async fn read_neighbours(
    snapshot: &mut SqliteConnection,
    digests: &[Digest],
    found: &mut Found,
) -> Result<(), sqlx::Error> {
    if digests.len() < MANY {
        return Ok(());
    }
    let sample: Vec<Digest> = digests.iter().step_by(digests.len() / SAMPLE).copied().collect();
    let known = ids(snapshot, &sample).await?;
    let of_sample = || known.iter().map(|(_, id)| *id);
    let (Some(first), Some(last)) = (of_sample().min(), of_sample().max()) else { return Ok(()) };
    let length = last.saturating_sub(first);
    if known.len() < SAMPLE || usize::try_from(length).is_ok_and(|length| length > 2 * digests.len()) {
        return Ok(());
    }
    // Beyond the outermost of so many there are about as many as between two of them.
    let beyond = length / 16;
    let stretch: Vec<i64> = (first.saturating_sub(beyond)..=last.saturating_add(beyond)).collect();
    for ids in stretch.chunks(READ) {
        read_small(snapshot, ids.iter().copied(), found).await?;
    }
    Ok(())
}

/// What the index knows: the payloads that may have these digests.
async fn ids(snapshot: &mut SqliteConnection, digests: &[Digest]) -> Result<Vec<(Digest, i64)>, sqlx::Error> {
    if digests.is_empty() {
        return Ok(Vec::new());
    }
    // As one text, because the driver's cost is by the row.
    let pairs: String = sqlx::query_scalar(
        "SELECT json_group_array(json_array(key, id)) FROM payload_keys
         WHERE key IN (SELECT value FROM json_each(?))",
    )
    .bind(array(digests.iter().map(|digest| key(*digest))))
    .fetch_one(snapshot)
    .await?;
    let mut pairs: Vec<(i64, i64)> = serde_json::from_str(&pairs).map_err(|error| sqlx::Error::Decode(error.into()))?;
    pairs.sort_unstable();
    let of = |digest: Digest| {
        let first = pairs.partition_point(|(known, _)| *known < key(digest));
        pairs[first..].iter().take_while(move |(known, _)| *known == key(digest)).map(move |(_, id)| (digest, *id))
    };
    Ok(digests.iter().flat_map(|digest| of(*digest)).collect())
}

fn array(values: impl Iterator<Item = i64>) -> String {
    serde_json::Value::from_iter(values).to_string()
}

/// Reads payloads, in the order of their ids, in which those of one record lie side by side.
async fn read(
    snapshot: &mut SqliteConnection,
    mut wanted: Vec<(Digest, i64)>,
    found: &mut Found,
) -> Result<(), sqlx::Error> {
    wanted.sort_unstable_by_key(|(_, id)| *id);
    for wanted in wanted.chunks(READ) {
        read_small(snapshot, wanted.iter().map(|(_, id)| *id), found).await?;
        let others = wanted.iter().filter(|(digest, _)| !found.contains_key(digest)).map(|(_, id)| *id).collect();
        read_rows(snapshot, others, found).await?;
    }
    Ok(())
}

/// Reads those that are not large: as one text, because the driver's cost is by the row. No JSON text has the character in
/// it that separates them; where one has nevertheless, none is taken.
async fn read_small(
    snapshot: &mut SqliteConnection,
    ids: impl Iterator<Item = i64>,
    found: &mut Found,
) -> Result<(), sqlx::Error> {
    const SEPARATOR: char = '\u{1e}';
    let (rows, texts): (i64, Option<String>) = sqlx::query_as(
        "SELECT count(*), group_concat(content, char(30)) FROM payloads
         WHERE id IN (SELECT value FROM json_each(?)) AND octet_length(content) <= 65536",
    )
    .bind(array(ids))
    .fetch_one(snapshot)
    .await?;
    let texts: Vec<&str> = texts.iter().flat_map(|texts| texts.split(SEPARATOR)).collect();
    if i64::try_from(texts.len()) == Ok(rows) {
        let payloads = texts.into_iter().map(Payload::from_checked);
        found.extend(payloads.map(|payload| (payload.digest(), payload)));
    }
    Ok(())
}

/// Reads the others: large ones, and those whose content is not what it was.
async fn read_rows(snapshot: &mut SqliteConnection, ids: Vec<i64>, found: &mut Found) -> Result<(), sqlx::Error> {
    if ids.is_empty() {
        return Ok(());
    }
    let rows = sqlx::query("SELECT sha256, content FROM payloads WHERE id IN (SELECT value FROM json_each(?))")
        .bind(array(ids.into_iter()))
        .fetch_all(snapshot)
        .await?;
    for row in &rows {
        let sha256: Vec<u8> = row.try_get(0)?;
        // A digest of another length is nobody's.
        if let Ok(sha256) = <[u8; 32]>::try_from(sha256) {
            let content: &str = row.try_get(1)?;
            found.entry(Digest::from_bytes(sha256)).or_insert_with(|| Payload::from_checked(content));
        }
    }
    Ok(())
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
