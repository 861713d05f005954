//! Manifests: what a run is after an entry of its journal.
//!
//! An entry is one immutable file: the records that were appended with it, if any, and behind them the manifest, which
//! names everything that belongs to the run from then on. So the newest entry is all that a reader has to know, and
//! making it on condition that there is none of its number is the commit.
//!
//! ```text
//! sections of a segment ‖ manifest (JSON) ‖ CRC-32 of it ‖ its length ‖ "EFJ1"      numbers: 4 bytes, little-endian
//! ```

use bytes::Bytes;
use ef_model::{RecordKey, RunHead, RunId, RunResult, RunStatus, StoreError};
use serde::{Deserialize, Serialize};

use crate::blobs::{BlobError, Blobs};
use crate::layout;
use crate::segment::Segment;

const MAGIC: [u8; 4] = *b"EFJ1";
/// CRC, length and magic.
const FOOTER: usize = 12;
/// Bytes from the end of an entry that are read at once, which most manifests fit into.
const GUESS: u64 = 32 << 10;

/// What a run is after an entry.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    /// The entry's own number.
    pub(crate) entry: u64,
    /// Made anew for each attempt at an entry, so that whoever made it knows it again.
    pub(crate) nonce: String,
    /// The entry with which the present writer took up the run.
    pub(crate) claim: u64,
    /// All entries with which someone took up the run. They stay for good: an earlier writer stumbles over them.
    pub(crate) claims: Vec<u64>,
    /// Until when nobody else may take it up, in µs since 1970-01-01 UTC; 0 when the writer is done.
    pub(crate) leased_until_us: i64,
    pub(crate) status: RunStatus,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) result: Option<RunResult>,
    /// What began; in the first entry alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) head: Option<RunHead>,
    /// Where the records are while the run is not completed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) segments: Vec<Segment>,
    /// Where they are afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tables: Option<Tables>,
}

/// The tables of a completed run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tables {
    pub(crate) traces: TableFile,
    pub(crate) judgments: TableFile,
    pub(crate) payloads: TableFile,
}

/// One file of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TableFile {
    pub(crate) bytes: u64,
    pub(crate) rows: u64,
}

impl Manifest {
    /// The manifest as the end of its entry.
    pub(crate) fn to_bytes(&self) -> Bytes {
        let mut bytes = serde_json::to_vec(self).expect("a manifest has a JSON form");
        let (crc, length) = (crc32fast::hash(&bytes), bytes.len());
        bytes.extend_from_slice(&crc.to_le_bytes());
        bytes.extend_from_slice(&u32::try_from(length).expect("a manifest is far below 4 GiB").to_le_bytes());
        bytes.extend_from_slice(&MAGIC);
        bytes.into()
    }

    fn parse(end: &[u8]) -> Result<Self, ParseFault> {
        let (rest, footer) = end.split_last_chunk::<FOOTER>().ok_or(ParseFault::Damaged)?;
        let number = |at: usize| u32::from_le_bytes([footer[at], footer[at + 1], footer[at + 2], footer[at + 3]]);
        if footer[8..] != MAGIC {
            return Err(ParseFault::Damaged);
        }
        let length = number(4) as usize;
        let json = rest.len().checked_sub(length).map(|start| &rest[start..]).ok_or(ParseFault::Longer(length))?;
        if crc32fast::hash(json) != number(0) {
            return Err(ParseFault::Damaged);
        }
        serde_json::from_slice(json).map_err(|_| ParseFault::Damaged)
    }

    /// Reads the manifest of an entry; `None` when there is no such entry.
    pub(crate) async fn read(blobs: &Blobs, run: &RunId, number: u64) -> Result<Option<Self>, StoreError> {
        Self::read_sized(blobs, run, number, None).await
    }

    /// The same for an entry whose size is known.
    async fn read_sized(
        blobs: &Blobs,
        run: &RunId,
        number: u64,
        size: Option<u64>,
    ) -> Result<Option<Self>, StoreError> {
        let key = layout::entry(run, number);
        let mut most = GUESS;
        let damaged = || blobs.damaged(format!("the entry {number} in the journal of the run {run} cannot be read"));
        loop {
            let end = match size {
                Some(size) => blobs.range(&key, size.saturating_sub(most)..size).await,
                None => blobs.tail(&key, most).await,
            };
            let end = match end {
                Err(BlobError::NotFound) => return Ok(None),
                end => end.map_err(|error| blobs.failed(&error))?,
            };
            match Self::parse(&end) {
                Ok(manifest) if manifest.entry == number => return Ok(Some(manifest)),
                Err(ParseFault::Longer(length)) if (end.len() as u64) == most => most = (length + FOOTER) as u64,
                _ => return Err(damaged()),
            }
        }
    }

    /// The newest manifest of a run; `None` when there is no such run.
    pub(crate) async fn newest(blobs: &Blobs, run: &RunId) -> Result<Option<Self>, StoreError> {
        // An entry that is removed between the two looks has a newer one.
        for _ in 0..10 {
            let keys = blobs.list(&layout::journal(run)).await.map_err(|error| blobs.failed(&error))?;
            let entries = keys.iter().filter_map(|(key, size)| Some((layout::entry_number(key)?, *size)));
            let Some((number, size)) = entries.max() else { return Ok(None) };
            if let Some(manifest) = Self::read_sized(blobs, run, number, Some(size)).await? {
                return Ok(Some(manifest));
            }
        }
        Err(blobs.unavailable(format!("the journal of the run {run} changes all the time")))
    }

    /// How the run began.
    pub(crate) async fn head(blobs: &Blobs, run: &RunId) -> Result<RunHead, StoreError> {
        let first = Self::read(blobs, run, 1).await?;
        let head = first.and_then(|first| first.head).filter(|head| head.run_id == *run);
        head.ok_or_else(|| blobs.damaged(format!("the first entry in the journal of the run {run} is not its head")))
    }
}

enum ParseFault {
    Damaged,
    /// The manifest has so many bytes.
    Longer(usize),
}

/// A record's key as numbers, for JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Place(u64, u32, u32);

impl From<RecordKey> for Place {
    fn from(key: RecordKey) -> Self {
        Self(key.row, key.repeat, key.revision)
    }
}

impl From<Place> for RecordKey {
    fn from(Place(row, repeat, revision): Place) -> Self {
        Self { row, repeat, revision }
    }
}
