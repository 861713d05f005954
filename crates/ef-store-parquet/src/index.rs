//! What the writer of a run knows of it without asking: which records and which payloads are there.
//!
//! About 120 bytes a record with two payloads, for the run that is being written alone.

use std::hash::{BuildHasher, RandomState};

use ef_model::{Digest, JudgmentResult, RecordKey, RunId, StoreError, TaskCommit, TaskRecord, TraceOutcome};
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::blobs::Blobs;
use crate::decode::Traces;
use crate::segment::{ReadError, Segment};
use crate::shards::{NearlyOrdered, Shards};

/// The first half of a digest: whoever finds two that are equal has broken SHA-256 for most purposes.
type Short = [u8; 16];

/// The segments that are fetched at the same time.
const AT_ONCE: usize = 8;

pub(crate) struct RunIndex {
    leaves: NearlyOrdered<RecordKey, Short>,
    /// The row of each item, by a keyed hash of its id.
    rows: Shards<(u64, u64), u64>,
    hashers: [RandomState; 2],
    payloads: Shards<Short, ()>,
    borrows: bool,
}

impl Default for RunIndex {
    fn default() -> Self {
        Self {
            leaves: NearlyOrdered::default(),
            rows: Shards::new(|(hash, _)| hash.to_le_bytes()[0]),
            hashers: [RandomState::new(), RandomState::new()],
            payloads: Shards::new(|digest| digest[0]),
            borrows: false,
        }
    }
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
            // What they name is not looked through for its sake.
            index.borrows = true;
            let damaged = |fault: String| segment.damaged(blobs, run, &fault);
            let traces = Traces::of(&records.traces).map_err(damaged)?;
            for row in 0..records.traces.num_rows() {
                let key = traces.keys.get(row).map_err(damaged)?;
                let leaf = traces.leaf(row).map_err(damaged)?;
                let item = index.item(traces.item_id(row).map_err(damaged)?);
                index.leaves.get_or_insert(key, short(leaf));
                index.rows.get_or_insert(item, key.row);
            }
            for entry in payloads {
                index.payloads.get_or_insert(short(entry.digest), ());
            }
        }
        drop(read);
        Ok(index)
    }

    fn item(&self, id: &str) -> (u64, u64) {
        let [one, other] = &self.hashers;
        (one.hash_one(id), other.hash_one(id))
    }

    /// Adds a batch, and says which of its records are new, by their places in it and in the order of their keys. After an
    /// error nothing was added.
    pub(crate) fn add(&mut self, batch: &[TaskCommit]) -> Result<Vec<usize>, StoreError> {
        let mut places: Vec<usize> = (0..batch.len()).collect();
        places.sort_by_key(|&place| batch[place].record().key());
        let (mut added, mut items) = (Vec::with_capacity(batch.len()), Vec::new());
        for place in places {
            match self.add_one(&batch[place], &mut items) {
                Ok(true) => added.push(place),
                Ok(false) => {}
                Err(conflict) => {
                    for place in added.into_iter().rev() {
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
        match self.rows.get_or_insert(item, record.row) {
            Some(row) if row != record.row => return Err(conflict(row)),
            Some(_) => {}
            None => items.push(item),
        }
        match self.leaves.get_or_insert(record.key(), leaf) {
            Some(known) if known == leaf => return Ok(false),
            Some(_) => return Err(conflict(record.row)),
            None => {}
        }
        self.borrows |= names(record).any(|digest| commit.payloads().iter().all(|own| own.digest() != digest));
        Ok(true)
    }

    /// Forgets which records there are, when none can be added any more.
    pub(crate) fn forget_records(&mut self) {
        self.leaves = NearlyOrdered::default();
        self.rows.clear();
    }

    /// Whether a payload is new; from now on it is known.
    pub(crate) fn add_payload(&mut self, digest: Digest) -> bool {
        self.payloads.get_or_insert(short(digest), ()).is_none()
    }

    /// Whether records may name payloads that the run was not given.
    pub(crate) fn borrows(&self) -> bool {
        self.borrows
    }

    /// Whether the run has the payload.
    pub(crate) fn has_payload(&self, digest: Digest) -> bool {
        self.payloads.get(&short(digest)).is_some()
    }
}

/// The payloads that a record names.
fn names(record: &TaskRecord) -> impl Iterator<Item = Digest> {
    let trace = &record.trace;
    let outcome = match &trace.outcome {
        TraceOutcome::Ok { output, output_metadata } => [Some(*output), *output_metadata],
        TraceOutcome::Timeout { error } | TraceOutcome::Error { error } => [error.detail, None],
        TraceOutcome::Skipped { .. } => [None, None],
    };
    let of_judgments = record.judgments.iter().map(|judgment| match &judgment.result {
        JudgmentResult::Scored { rationale, .. } | JudgmentResult::Unscored { rationale } => *rationale,
        JudgmentResult::Error { error } => error.detail,
        JudgmentResult::Pending => None,
    });
    let of_item = [trace.input, trace.reference_output, trace.item_metadata];
    of_item.into_iter().chain(outcome).chain(of_judgments).flatten()
}
