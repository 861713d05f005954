//! One writer a run: a lease that expires unless it is renewed.
//!
//! The lease only keeps others from disturbing a living writer. That two writers never both succeed is seen to by the
//! journal, whose entries can be made only once: a writer whose run was taken over finds the next number taken.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use ef_model::{RunId, StoreError};
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use crate::blobs::{BlobError, Blobs};
use crate::layout;
use crate::manifest::Manifest;

/// What a lease's file says.
#[derive(Serialize, Deserialize)]
struct State {
    /// Until when nobody else may take up the run, in µs since 1970-01-01 UTC; 0 once it is given back.
    until_us: i64,
}

/// A lease that is held, renewed in the background.
pub(crate) struct Lease {
    blobs: Blobs,
    key: String,
    renewing: JoinHandle<()>,
    released: bool,
}

impl Lease {
    /// Renews the lease of the one who took up the run with this entry.
    pub(crate) fn hold(blobs: &Blobs, run: &RunId, claim: u64, length: Duration) -> Self {
        let key = layout::lease(run, claim);
        let renewing = tokio::spawn(renew(blobs.clone(), key.clone(), length));
        Self { blobs: blobs.clone(), key, renewing, released: false }
    }

    /// Gives it back. What cannot be given back expires.
    pub(crate) async fn release(mut self) {
        self.renewing.abort();
        let _ = (&mut self.renewing).await;
        let _ = self.blobs.replace(&self.key, state(0)).await;
        self.released = true;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if !self.released {
            self.renewing.abort();
            self.blobs.replace_soon(&self.key, state(0));
        }
    }
}

async fn renew(blobs: Blobs, key: String, length: Duration) {
    loop {
        tokio::time::sleep(length / 3).await;
        // A lease that could not be renewed is a danger to nobody: see the journal.
        let _ = blobs.replace(&key, state(until(length))).await;
    }
}

fn state(until_us: i64) -> Bytes {
    serde_json::to_vec(&State { until_us }).expect("a number has a JSON form").into()
}

fn now_us() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_micros()).unwrap_or(i64::MAX)
}

/// When a lease that is taken now expires, in µs since 1970-01-01 UTC.
pub(crate) fn until(length: Duration) -> i64 {
    now_us().saturating_add(i64::try_from(length.as_micros()).unwrap_or(i64::MAX))
}

/// Whether somebody holds the run, as far as the newest manifest and the lease's file tell.
pub(crate) async fn is_held(blobs: &Blobs, run: &RunId, newest: &Manifest) -> Result<bool, StoreError> {
    if newest.leased_until_us == 0 {
        return Ok(false);
    }
    let renewed = match blobs.tail(&layout::lease(run, newest.claim), 1 << 10).await {
        Err(BlobError::NotFound) => newest.leased_until_us,
        bytes => {
            let bytes = bytes.map_err(|error| blobs.failed(&error))?;
            match serde_json::from_slice(&bytes) {
                Ok(State { until_us: 0 }) => return Ok(false),
                Ok(State { until_us }) => until_us.max(newest.leased_until_us),
                Err(_) => newest.leased_until_us,
            }
        }
    };
    Ok(now_us() < renewed)
}
