//! What the writer of a run knows of it without asking: which records and which payloads are there.
//!
//! About 120 bytes a record with two payloads, for the run that is being written alone.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, RandomState};

use ef_model::{Digest, RecordKey, RunId, StoreError, TaskCommit};
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::blobs::Blobs;
use crate::decode::Traces;
use crate::segment::{ReadError, Segment};

/// The first half of a digest: whoever finds two that are equal has broken SHA-256 for most purposes.
type Short = [u8; 16];

/// The segments that are fetched at the same time.
const AT_ONCE: usize = 8;

#[derive(Default)]
pub(crate) struct RunIndex {
    leaves: HashMap<RecordKey, Short>,
    /// The row of each item, by a keyed hash of its id.
    rows: HashMap<(u64, u64), u64>,
    hashers: [RandomState; 2],
    payloads: HashSet<Short>,
}

fn short(digest: Digest) -> Short {
    let bytes = digest.as_bytes();
    std::array::from_fn(|index| bytes[index])
}

impl RunIndex {
    /// Reads what is in these segments.
    pub(crate) async fn load(blobs: &Blobs, run: &RunId, segments: &[Segment]) -> Result<Self, ReadError> {
        let mut index = Self::default();
        let mut read = stream::iter(segments.to_vec())
            .map(|segment| async move {
                let (records, payloads) =
                    futures_util::try_join!(segment.records(blobs, run), segment.payload_index(blobs, run))?;
                Ok::<_, ReadError>((segment, records, payloads))
            })
            .buffered(AT_ONCE);
        while let Some((segment, records, payloads)) = read.try_next().await? {
            let damaged = |fault: String| segment.damaged(blobs, run, &fault);
            let traces = Traces::of(&records.traces).map_err(damaged)?;
            for row in 0..records.traces.num_rows() {
                let key = traces.keys.get(row).map_err(damaged)?;
                let leaf = traces.leaf(row).map_err(damaged)?;
                let item = index.item(traces.item_id(row).map_err(damaged)?);
                index.leaves.insert(key, short(leaf));
                index.rows.insert(item, key.row);
            }
            index.payloads.extend(payloads.iter().map(|entry| short(entry.digest)));
        }
        drop(read);
        Ok(index)
    }

    fn item(&self, id: &str) -> (u64, u64) {
        let [one, other] = &self.hashers;
        (one.hash_one(id), other.hash_one(id))
    }

    /// Adds a batch, and says which of its records are new, by their places in it. After an error nothing was added.
    pub(crate) fn add(&mut self, batch: &[TaskCommit]) -> Result<Vec<usize>, StoreError> {
        let (mut added, mut items) = (Vec::with_capacity(batch.len()), Vec::new());
        for (place, commit) in batch.iter().enumerate() {
            match self.add_one(commit, &mut items) {
                Ok(true) => added.push(place),
                Ok(false) => {}
                Err(conflict) => {
                    for place in added {
                        self.leaves.remove(&batch[place].record().key());
                    }
                    for item in items {
                        self.rows.remove(&item);
                    }
                    return Err(conflict);
                }
            }
        }
        Ok(added)
    }

    /// Whether the record is new.
    fn add_one(&mut self, commit: &TaskCommit, items: &mut Vec<(u64, u64)>) -> Result<bool, StoreError> {
        let record = commit.record();
        let conflict =
            |existing_row| StoreError::Conflict { item_id: record.item_id.clone(), row: record.row, existing_row };
        let leaf = short(commit.leaf());
        let item = self.item(record.item_id.as_str());
        match self.rows.get(&item) {
            Some(&row) if row != record.row => return Err(conflict(row)),
            _ => {}
        }
        match self.leaves.entry(record.key()) {
            Entry::Occupied(known) if *known.get() == leaf => return Ok(false),
            Entry::Occupied(_) => return Err(conflict(record.row)),
            Entry::Vacant(vacant) => vacant.insert(leaf),
        };
        if let Entry::Vacant(vacant) = self.rows.entry(item) {
            vacant.insert(record.row);
            items.push(item);
        }
        Ok(true)
    }

    /// Whether a payload is new; from now on it is known.
    pub(crate) fn add_payload(&mut self, digest: Digest) -> bool {
        self.payloads.insert(short(digest))
    }

    /// Whether the run has the payload.
    pub(crate) fn has_payload(&self, digest: Digest) -> bool {
        self.payloads.contains(&short(digest))
    }
}
