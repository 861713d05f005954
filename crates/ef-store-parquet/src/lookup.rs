//! Payloads by their digests, in whichever run they are.
//!
//! Digests are random, so that statistics of a file cannot tell where one is. For each run that is asked for payloads an
//! index of theirs is kept in memory, up to [`MAX_ENTRIES`] in all.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::{Array, RecordBatch, StringArray};
use ef_model::{Digest, Payload, RunId, RunStatus, StoreError};
use parquet::arrow::arrow_reader::RowSelection;
use parquet::file::metadata::PageIndexPolicy;

use crate::blobs::Blobs;
use crate::decode::Digests;
use crate::manifest::{Manifest, Tables};
use crate::segment::{IndexEntry, ReadError, Segment};
use crate::table::Table;
use crate::{layout, schema};

/// Entries of indexes that are kept: 16 to 48 bytes each.
const MAX_ENTRIES: usize = 2 << 20;
/// Runs that are asked first, because they were read or written last.
const RECENT: usize = 8;
/// Rows that are read at once.
const ROWS: usize = 256;

/// Finds payloads.
pub(crate) struct Lookup {
    blobs: Blobs,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    recent: VecDeque<RunId>,
    /// Completed runs, which do not change any more.
    tables: HashMap<RunId, Arc<TableIndex>>,
    segments: HashMap<(RunId, u64), Arc<SegmentIndex>>,
    entries: usize,
}

/// Where a completed run's payloads are: the first bytes of each digest with its row, in their order.
struct TableIndex {
    table: Table,
    rows: Vec<(u64, u32)>,
}

/// Where a segment's payloads are, in the order of their digests.
type SegmentIndex = Vec<IndexEntry>;

/// The digests that are still looked for, each with the first place where it was asked for.
struct Wanted {
    places: HashMap<Digest, usize>,
    found: Vec<Option<Payload>>,
}

impl Wanted {
    /// Takes a payload's text, which has to be what its digest says.
    fn take(&mut self, digest: Digest, text: &str) -> bool {
        let Some(place) = self.places.remove(&digest) else { return true };
        let payload = Payload::from_checked(text);
        let sound = payload.digest() == digest;
        self.found[place] = sound.then_some(payload);
        sound
    }
}

fn prefix(digest: Digest) -> u64 {
    u64::from_be_bytes(std::array::from_fn(|index| digest.as_bytes()[index]))
}

impl Lookup {
    pub(crate) fn new(blobs: &Blobs) -> Self {
        Self { blobs: blobs.clone(), memory: Mutex::default() }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A run is read or written: its payloads may be asked for.
    pub(crate) fn note(&self, run: &RunId) {
        let mut memory = self.memory();
        if memory.recent.front() != Some(run) {
            memory.recent.retain(|known| known != run);
            memory.recent.push_front(run.clone());
            memory.recent.truncate(RECENT);
        }
    }

    /// Payloads in the order asked for, from any run but the one.
    pub(crate) async fn find(
        &self,
        digests: &[Digest],
        but: Option<&RunId>,
    ) -> Result<Vec<Option<Payload>>, StoreError> {
        let mut places = HashMap::with_capacity(digests.len());
        let mut again = Vec::new();
        for (place, digest) in digests.iter().enumerate() {
            match places.entry(*digest) {
                Entry::Vacant(vacant) => drop(vacant.insert(place)),
                Entry::Occupied(first) => again.push((place, *first.get())),
            }
        }
        let mut wanted = Wanted { places, found: vec![None; digests.len()] };
        self.find_all(&mut wanted, but).await?;
        let mut found = wanted.found;
        for (place, first) in again {
            found[place] = found[first].clone();
        }
        Ok(found)
    }

    async fn find_all(&self, wanted: &mut Wanted, but: Option<&RunId>) -> Result<(), StoreError> {
        let recent: Vec<_> = self.memory().recent.iter().cloned().collect();
        for run in recent.iter().filter(|run| Some(*run) != but) {
            if wanted.places.is_empty() {
                return Ok(());
            }
            self.in_run(run, wanted).await?;
        }
        if wanted.places.is_empty() {
            return Ok(());
        }
        // The latest first: ids are made in the order of time.
        let mut others: Vec<_> = runs(&self.blobs, "").await?;
        others.retain(|run| Some(run) != but && !recent.contains(run));
        others.sort_unstable_by(|one, other| other.cmp(one));
        for run in &others {
            if wanted.places.is_empty() {
                break;
            }
            self.in_run(run, wanted).await?;
        }
        Ok(())
    }

    async fn in_run(&self, run: &RunId, wanted: &mut Wanted) -> Result<(), StoreError> {
        // A segment that is gone is part of what a newer manifest names.
        for _ in 0..10 {
            match self.in_run_as_it_is(run, wanted).await {
                Err(ReadError::Gone) => {}
                Err(ReadError::Store(error)) => return Err(error),
                Ok(()) => return Ok(()),
            }
        }
        Err(self.blobs.unavailable(format!("the run {run} changes all the time")))
    }

    async fn in_run_as_it_is(&self, run: &RunId, wanted: &mut Wanted) -> Result<(), ReadError> {
        let known = self.memory().tables.get(run).cloned();
        if let Some(index) = known {
            return index.find(wanted, &self.blobs).await.map_err(ReadError::Store);
        }
        let Some(manifest) = Manifest::newest(&self.blobs, run).await.map_err(ReadError::Store)? else {
            return Ok(());
        };
        if let (RunStatus::Completed, Some(tables)) = (manifest.status, manifest.tables) {
            let index = self.table_index(run, tables).await.map_err(ReadError::Store)?;
            return index.find(wanted, &self.blobs).await.map_err(ReadError::Store);
        }
        for segment in &manifest.segments {
            if wanted.places.is_empty() {
                break;
            }
            self.in_segment(run, segment, wanted).await?;
        }
        Ok(())
    }

    async fn table_index(&self, run: &RunId, tables: Tables) -> Result<Arc<TableIndex>, StoreError> {
        let payloads = ("payloads", PageIndexPolicy::Optional);
        let table = Table::open(&self.blobs, run, payloads, &schema::PAYLOADS, tables.payloads).await?;
        let mut rows = Vec::with_capacity(usize::try_from(tables.payloads.rows).unwrap_or(0).min(MAX_ENTRIES));
        let mut batches = table.rows(Some(&["sha256"]), None, 1 << 13)?;
        while let Some(batch) = batches.next().await? {
            let digests = Digests::of(&batch, "sha256").map_err(|fault| batches.damaged(&fault))?;
            for row in 0..batch.num_rows() {
                let digest = digests.get(row).map_err(|fault| batches.damaged(&fault))?;
                let place = u32::try_from(rows.len()).map_err(|_| batches.damaged("it has more than 2^32 rows"))?;
                rows.push((prefix(digest), place));
            }
        }
        rows.sort_unstable();
        let index = Arc::new(TableIndex { table, rows });
        let mut memory = self.memory();
        memory.make_room(index.rows.len());
        memory.tables.insert(run.clone(), Arc::clone(&index));
        // What it was before it was completed is not asked for any more.
        memory.segments.retain(|(of, _), _| of != run);
        Ok(index)
    }

    async fn in_segment(&self, run: &RunId, segment: &Segment, wanted: &mut Wanted) -> Result<(), ReadError> {
        let key = (run.clone(), segment.entry);
        let known = self.memory().segments.get(&key).cloned();
        let index = match known {
            Some(index) => index,
            None => {
                let mut index = segment.payload_index(&self.blobs, run).await?;
                index.sort_unstable_by_key(|entry| entry.digest);
                let index = Arc::new(index);
                let mut memory = self.memory();
                memory.make_room(index.len());
                memory.segments.insert(key, Arc::clone(&index));
                index
            }
        };
        let entries: Vec<_> = wanted
            .places
            .keys()
            .filter_map(|digest| index.binary_search_by_key(digest, |entry| entry.digest).ok())
            .map(|place| index[place])
            .collect();
        if entries.is_empty() {
            return Ok(());
        }
        let texts = segment.some_payloads(&self.blobs, run, &entries).await?;
        for (entry, text) in entries.iter().zip(texts) {
            let sound = std::str::from_utf8(&text).is_ok_and(|text| wanted.take(entry.digest, text));
            if !sound {
                return Err(ReadError::Store(changed(&self.blobs, entry.digest)));
            }
        }
        Ok(())
    }
}

fn changed(blobs: &Blobs, digest: Digest) -> StoreError {
    blobs.damaged(format!("the payload {digest} has other content than its digest says"))
}

impl Memory {
    /// Forgets everything before it becomes too much: it can be read again.
    fn make_room(&mut self, entries: usize) {
        if self.entries + entries > MAX_ENTRIES {
            self.tables.clear();
            self.segments.clear();
            self.entries = 0;
        }
        self.entries += entries;
    }
}

impl TableIndex {
    async fn find(&self, wanted: &mut Wanted, blobs: &Blobs) -> Result<(), StoreError> {
        let mut prefixes: Vec<u64> = wanted.places.keys().map(|digest| prefix(*digest)).collect();
        prefixes.sort_unstable();
        prefixes.dedup();
        // In their order, each not far behind the one before.
        let (mut rest, mut rows) = (self.rows.as_slice(), Vec::with_capacity(prefixes.len()));
        for prefix in prefixes {
            let mut near = 1;
            while rest.get(near).is_some_and(|(known, _)| *known < prefix) {
                near *= 2;
            }
            let before = rest[..rest.len().min(near)].partition_point(|(known, _)| *known < prefix);
            rest = &rest[before..];
            rows.extend(rest.iter().take_while(|(known, _)| *known == prefix).map(|(_, row)| *row as usize));
        }
        rows.sort_unstable();
        if rows.is_empty() {
            return Ok(());
        }
        let selection = RowSelection::from_consecutive_ranges(rows.iter().map(|row| *row..row + 1), self.rows.len());
        let mut batches = self.table.rows(Some(&["sha256", "content"]), Some(selection), ROWS)?;
        while let Some(batch) = batches.next().await? {
            let changed = take(&batch, wanted).map_err(|fault| batches.damaged(&fault))?;
            if let Some(digest) = changed {
                return Err(self::changed(blobs, digest));
            }
        }
        Ok(())
    }
}

/// Takes what is wanted of some rows. Returns the digest of one whose content is another.
fn take(batch: &RecordBatch, wanted: &mut Wanted) -> Result<Option<Digest>, String> {
    let digests = Digests::of(batch, "sha256")?;
    let content = batch.column_by_name("content").and_then(|column| column.as_any().downcast_ref::<StringArray>());
    let content = content.ok_or_else(|| "the column content is missing".to_owned())?;
    for row in 0..batch.num_rows() {
        let digest = digests.get(row)?;
        if content.is_null(row) || !wanted.take(digest, content.value(row)) {
            return Ok(Some(digest));
        }
    }
    Ok(None)
}

/// The runs whose id starts with this.
pub(crate) async fn runs(blobs: &Blobs, prefix: &str) -> Result<Vec<RunId>, StoreError> {
    let names = blobs.folders(layout::RUNS).await.map_err(|error| blobs.failed(&error))?;
    Ok(names.into_iter().filter(|name| name.starts_with(prefix)).filter_map(|name| RunId::new(name).ok()).collect())
}
