//! The small segments that came last, kept in memory until they are worth one larger segment.

use std::sync::Arc;

use ef_model::{Payload, TaskCommit};

/// Segments with fewer records are small.
const SMALL: usize = 512;
/// Small segments that are merged together. Until then each manifest names them all.
const MANY: usize = 64;
/// Records and bytes that are kept in memory; a merged segment that is larger stays as it is.
const MAX_RECORDS: usize = 2048;
const MAX_BYTES: u64 = 2 << 20;

#[derive(Default)]
pub(crate) struct Tail {
    entries: Vec<u64>,
    batches: Vec<(Arc<[TaskCommit]>, Vec<usize>)>,
    payloads: Vec<Payload>,
    records: usize,
    bytes: u64,
}

impl Tail {
    /// Takes note of a segment of so many bytes: of those records of a batch, with those payloads.
    pub(crate) fn push(
        &mut self,
        (entry, bytes): (u64, u64),
        batch: &Arc<[TaskCommit]>,
        new: &[usize],
        payloads: Vec<Payload>,
    ) {
        if new.is_empty() || new.len() >= SMALL || bytes >= MAX_BYTES {
            return;
        }
        self.entries.push(entry);
        self.batches.push((Arc::clone(batch), new.to_vec()));
        self.payloads.extend(payloads);
        self.records += new.len();
        self.bytes += bytes;
    }

    pub(crate) fn is_worth_merging(&self) -> bool {
        self.entries.len() >= MANY
            || (self.entries.len() > 1 && (self.records >= MAX_RECORDS || self.bytes >= MAX_BYTES))
    }

    pub(crate) fn entries(&self) -> &[u64] {
        &self.entries
    }

    pub(crate) fn commits(&self) -> impl Iterator<Item = &TaskCommit> {
        self.batches.iter().flat_map(|(batch, new)| new.iter().map(|&place| &batch[place]))
    }

    pub(crate) fn payloads(&self) -> impl Iterator<Item = &Payload> {
        self.payloads.iter()
    }

    /// The tail after it was merged into that entry.
    pub(crate) fn merged(self, entry: u64) -> Self {
        if self.records >= MAX_RECORDS || self.bytes >= MAX_BYTES {
            return Self::default();
        }
        Self { entries: vec![entry], ..self }
    }
}
