//! Payloads by their digests.

use std::collections::HashMap;
use std::sync::Arc;

use ef_model::{Digest, Payload, StoreError};
use sqlx::Row as _;

use crate::fault::Refusal;
use crate::store::PostgresStore;

/// Payloads that are looked up at once.
const LOOK_UP: usize = 256;

/// Payloads by their digests, in the order asked for.
pub(crate) async fn get(store: &PostgresStore, digests: &[Digest]) -> Result<Vec<Option<Payload>>, StoreError> {
    let mut payloads = Vec::with_capacity(digests.len());
    for digests in digests.chunks(LOOK_UP) {
        let found = store.read(|| find(store, digests)).await?;
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

async fn find(store: &PostgresStore, digests: &[Digest]) -> Result<HashMap<Digest, Arc<str>>, Refusal> {
    let rows = sqlx::query("SELECT sha256, content FROM payloads WHERE sha256 = ANY($1)")
        .bind(digests.iter().map(|digest| *digest.as_bytes()).collect::<Vec<_>>())
        .fetch_all(&mut *store.reader().await?)
        .await?;
    let mut found = HashMap::with_capacity(rows.len());
    for row in rows {
        let (sha256, content): (&[u8], &str) = (row.try_get(0)?, row.try_get(1)?);
        // A digest of another length is nobody's.
        if let Ok(sha256) = <[u8; 32]>::try_from(sha256) {
            found.insert(Digest::from_bytes(sha256), content.into());
        }
    }
    Ok(found)
}
