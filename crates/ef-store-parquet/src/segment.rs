//! Segments: the records of one append, in columns, with their payloads.
//!
//! A segment lives until its run is completed. It is made to be written fast: traces and judgments packed, and payloads as
//! they are, one after the other, with an index before them.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use bytes::Bytes;
use ef_model::{Digest, Payload, RecordKey, RunId, StoreError, TaskCommit};
use serde::{Deserialize, Serialize};

use crate::blobs::{BlobError, Blobs};
use crate::decode::{Fault, Traces};
use crate::manifest::Place;
use crate::packed::Packed;
use crate::{encode, layout, schema};

/// A segment as manifests name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Segment {
    /// The entry that it is in.
    pub(crate) entry: u64,
    pub(crate) records: u64,
    /// The keys of its first record and of its last; its records are in the order of their keys.
    pub(crate) first: Place,
    pub(crate) last: Place,
    pub(crate) traces: Section,
    pub(crate) judgments: Section,
    pub(crate) payload_index: Section,
    pub(crate) payloads: Section,
}

/// Some bytes of an entry. In manifests, which have many, three numbers: begin, length and CRC-32.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u64, u64, u32)", into = "(u64, u64, u32)")]
pub(crate) struct Section {
    start: u64,
    length: u64,
    crc: u32,
}

impl From<(u64, u64, u32)> for Section {
    fn from((start, length, crc): (u64, u64, u32)) -> Self {
        Self { start, length, crc }
    }
}

impl From<Section> for (u64, u64, u32) {
    fn from(Section { start, length, crc }: Section) -> Self {
        (start, length, crc)
    }
}

impl Section {
    fn range(self) -> Range<u64> {
        self.start..self.start.saturating_add(self.length)
    }

    /// Adds a piece to the body.
    fn push(body: &mut Vec<Bytes>, at: &mut u64, bytes: Bytes) -> Self {
        let section = Self { start: *at, length: bytes.len() as u64, crc: crc32fast::hash(&bytes) };
        *at += section.length;
        body.push(bytes);
        section
    }
}

/// The records of an append as columns, in the order of their keys.
pub(crate) struct Columns {
    traces: Bytes,
    judgments: Bytes,
    records: u64,
    first: Place,
    last: Place,
}

impl Columns {
    /// Makes columns of some records; of none there are no columns.
    pub(crate) fn of(mut commits: Vec<&TaskCommit>) -> Option<Self> {
        commits.sort_by_key(|commit| commit.record().key());
        let (first, last) = (commits.first()?.record().key(), commits.last()?.record().key());
        Some(Self {
            traces: encode::traces(&commits).to_bytes(),
            judgments: encode::judgments(&commits).to_bytes(),
            records: commits.len() as u64,
            first: first.into(),
            last: last.into(),
        })
    }

    /// The segment with these payloads, as it is named and as its bytes.
    pub(crate) fn with_payloads(self, entry: u64, payloads: &[&Payload]) -> (Segment, Vec<Bytes>) {
        let (mut body, mut at) = (Vec::with_capacity(4), 0);
        let (entries, content) = payload_sections(payloads.iter().copied());
        let mut index = Vec::with_capacity(IndexEntry::SIZE * entries.len());
        entries.iter().for_each(|entry| entry.write(&mut index));
        let segment = Segment {
            entry,
            records: self.records,
            first: self.first,
            last: self.last,
            traces: Section::push(&mut body, &mut at, self.traces),
            judgments: Section::push(&mut body, &mut at, self.judgments),
            payload_index: Section::push(&mut body, &mut at, index.into()),
            payloads: Section::push(&mut body, &mut at, content.into()),
        };
        (segment, body)
    }
}

/// Payloads one after the other, and where each is.
pub(crate) fn payload_sections<'p>(payloads: impl Iterator<Item = &'p Payload> + Clone) -> (Vec<IndexEntry>, Vec<u8>) {
    let mut content = Vec::with_capacity(payloads.clone().map(Payload::size).sum());
    let entries = payloads.map(|payload| {
        let start = content.len() as u64;
        content.extend_from_slice(payload.expose().as_bytes());
        IndexEntry { digest: payload.digest(), start, length: payload.size() as u64 }
    });
    (entries.collect(), content)
}

/// Where in a segment's payloads one is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IndexEntry {
    pub(crate) digest: Digest,
    pub(crate) start: u64,
    pub(crate) length: u64,
}

impl IndexEntry {
    const SIZE: usize = 48;

    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self.digest.as_bytes());
        bytes.extend_from_slice(&self.start.to_le_bytes());
        bytes.extend_from_slice(&self.length.to_le_bytes());
    }

    fn read(bytes: &[u8; Self::SIZE]) -> Self {
        let number = |at: usize| u64::from_le_bytes(std::array::from_fn(|index| bytes[at + index]));
        let digest = Digest::from_bytes(std::array::from_fn(|index| bytes[index]));
        Self { digest, start: number(32), length: number(40) }
    }

    /// Its bytes among the payloads.
    fn range(self) -> Range<u64> {
        self.start..self.start.saturating_add(self.length)
    }
}

/// Why a segment could not be read.
pub(crate) enum ReadError {
    /// It is not there any more, because a newer manifest does without it.
    Gone,
    Store(StoreError),
}

/// A segment's records.
#[derive(Clone)]
pub(crate) struct Records {
    pub(crate) traces: RecordBatch,
    pub(crate) judgments: RecordBatch,
    /// Before which judgment each record's own begin, and their number behind the last.
    pub(crate) offsets: Arc<[usize]>,
}

impl Segment {
    pub(crate) fn first(&self) -> RecordKey {
        self.first.into()
    }

    pub(crate) fn last(&self) -> RecordKey {
        self.last.into()
    }

    async fn sections<const N: usize>(
        &self,
        blobs: &Blobs,
        run: &RunId,
        sections: [Section; N],
    ) -> Result<Vec<Bytes>, ReadError> {
        let ranges = sections.iter().map(|section| section.range()).collect();
        let pieces = match blobs.ranges(&layout::entry(run, self.entry), ranges).await {
            Err(BlobError::NotFound) => return Err(ReadError::Gone),
            pieces => pieces.map_err(|error| ReadError::Store(blobs.failed(&error)))?,
        };
        let sound = |(piece, section): (&Bytes, Section)| crc32fast::hash(piece) == section.crc;
        if pieces.len() == N && pieces.iter().zip(sections).all(sound) {
            Ok(pieces)
        } else {
            Err(self.damaged(blobs, run, "its bytes have changed"))
        }
    }

    pub(crate) fn damaged(&self, blobs: &Blobs, run: &RunId, fault: &str) -> ReadError {
        let entry = self.entry;
        ReadError::Store(blobs.damaged(format!("the entry {entry} in the journal of the run {run}: {fault}")))
    }

    /// Its records, in the order of their keys.
    pub(crate) async fn records(&self, blobs: &Blobs, run: &RunId) -> Result<Records, ReadError> {
        let mut pieces = self.sections(blobs, run, [self.traces, self.judgments]).await?.into_iter();
        let mut next = |schema| Packed::read(pieces.next().unwrap_or_default(), schema);
        let records = next(&schema::TRACES)
            .and_then(|traces| Records::new(traces, next(&schema::JUDGMENTS)?))
            .map_err(|fault| self.damaged(blobs, run, &fault))?;
        if records.traces.num_rows() as u64 == self.records {
            Ok(records)
        } else {
            Err(self.damaged(blobs, run, "it has another number of records than its manifest says"))
        }
    }

    /// Where its payloads are.
    pub(crate) async fn payload_index(&self, blobs: &Blobs, run: &RunId) -> Result<Vec<IndexEntry>, ReadError> {
        let pieces = self.sections(blobs, run, [self.payload_index]).await?;
        let (entries, _) = pieces[0].as_chunks::<{ IndexEntry::SIZE }>();
        Ok(entries.iter().map(IndexEntry::read).collect())
    }

    /// All its payloads, one after the other.
    pub(crate) async fn payloads(&self, blobs: &Blobs, run: &RunId) -> Result<Bytes, ReadError> {
        Ok(self.sections(blobs, run, [self.payloads]).await?.swap_remove(0))
    }

    /// Some of its payloads.
    pub(crate) async fn some_payloads(
        &self,
        blobs: &Blobs,
        run: &RunId,
        entries: &[IndexEntry],
    ) -> Result<Vec<Bytes>, ReadError> {
        let start = self.payloads.start;
        let range = |entry: &IndexEntry| {
            let range = entry.range();
            start.saturating_add(range.start)..start.saturating_add(range.end.min(self.payloads.length))
        };
        match blobs.ranges(&layout::entry(run, self.entry), entries.iter().map(range).collect()).await {
            Err(BlobError::NotFound) => Err(ReadError::Gone),
            pieces => pieces.map_err(|error| ReadError::Store(blobs.failed(&error))),
        }
    }
}

impl Records {
    /// Checks that the judgments are those of the traces.
    pub(crate) fn new(traces: RecordBatch, judgments: RecordBatch) -> Result<Self, Fault> {
        let columns = Traces::of(&traces)?;
        let mut offsets = Vec::with_capacity(traces.num_rows() + 1);
        let mut offset = 0;
        for row in 0..traces.num_rows() {
            offsets.push(offset);
            offset += columns.judgments(row)?;
        }
        offsets.push(offset);
        if offset != judgments.num_rows() {
            return Err("there are judgments without a trace, or judgments are missing".to_owned());
        }
        Ok(Self { traces, judgments, offsets: offsets.into() })
    }
}
