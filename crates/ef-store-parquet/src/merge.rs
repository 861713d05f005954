//! The records of many segments, in the order of their keys.
//!
//! A segment is read when its first key is due and let go after its last, so that memory holds those segments that
//! overlap: few, as records come nearly in the order of their rows.

use std::collections::VecDeque;

use ef_model::{RecordKey, RunId};

use crate::blobs::Blobs;
use crate::decode::Keys;
use crate::segment::{ReadError, Records, Segment};

pub(crate) struct Merge {
    blobs: Blobs,
    run: RunId,
    /// Not read yet, in the order of their first keys.
    waiting: VecDeque<Segment>,
    open: Vec<Cursor>,
    /// Records up to this one are passed over.
    after: Option<RecordKey>,
}

/// Neighbouring records of one segment.
pub(crate) struct Stretch {
    pub(crate) records: Records,
    pub(crate) start: usize,
    pub(crate) end: usize,
}

struct Cursor {
    records: Records,
    keys: Vec<RecordKey>,
    at: usize,
}

impl Cursor {
    fn key(&self) -> RecordKey {
        self.keys[self.at]
    }
}

impl Merge {
    /// The records after a key.
    pub(crate) fn new(blobs: &Blobs, run: &RunId, segments: &[Segment], after: Option<RecordKey>) -> Self {
        let mut waiting: Vec<_> =
            segments.iter().filter(|segment| after.is_none_or(|after| segment.last() > after)).cloned().collect();
        waiting.sort_by_key(Segment::first);
        Self { blobs: blobs.clone(), run: run.clone(), waiting: waiting.into(), open: Vec::new(), after }
    }

    /// The next records, at least one; `None` behind the last.
    pub(crate) async fn next(&mut self) -> Result<Option<Stretch>, ReadError> {
        loop {
            let due = self.open.iter().map(Cursor::key).min();
            match self.waiting.front() {
                Some(segment) if due.is_none_or(|due| segment.first() <= due) => {
                    let cursor = self.read(segment).await?;
                    self.waiting.pop_front();
                    self.open.extend(cursor);
                }
                _ => break,
            }
        }
        let Some(first) = (0..self.open.len()).min_by_key(|&index| self.open[index].key()) else { return Ok(None) };
        let others = self.open.iter().enumerate().filter(|(index, _)| *index != first).map(|(_, cursor)| cursor.key());
        let bound = others.chain(self.waiting.front().map(Segment::first)).min();
        let cursor = &mut self.open[first];
        let start = cursor.at;
        let ahead =
            bound.map_or(cursor.keys.len() - start, |bound| cursor.keys[start..].partition_point(|key| *key < bound));
        // Two records of one key are a defect of the store's, which must not stop a reader.
        cursor.at += ahead.max(1);
        let stretch = Stretch { records: cursor.records.clone(), start, end: cursor.at };
        if cursor.at == cursor.keys.len() {
            self.open.swap_remove(first);
        }
        Ok(Some(stretch))
    }

    /// A cursor on a segment's first record that is not passed over, if there is one.
    async fn read(&self, segment: &Segment) -> Result<Option<Cursor>, ReadError> {
        let records = segment.records(&self.blobs, &self.run).await?;
        let damaged = |fault: &str| segment.damaged(&self.blobs, &self.run, fault);
        let columns = Keys::of(&records.traces).map_err(|fault| damaged(&fault))?;
        let keys: Vec<_> = (0..records.traces.num_rows())
            .map(|row| columns.get(row))
            .collect::<Result<_, _>>()
            .map_err(|fault| damaged(&fault))?;
        let in_order = keys.is_sorted_by(|one, other| one < other);
        if !in_order || keys.first() != Some(&segment.first()) || keys.last() != Some(&segment.last()) {
            return Err(damaged("its records are not those that its manifest says"));
        }
        let at = self.after.map_or(0, |after| keys.partition_point(|key| *key <= after));
        Ok((at < keys.len()).then_some(Cursor { records, keys, at }))
    }
}
