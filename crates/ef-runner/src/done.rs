//! Which tasks of a run are done, and which are to be done again.

use std::collections::HashMap;

use ef_model::{RecordFilter, RecordKey, RunId, StoreError, StoredRecord, TraceStore};
use futures_util::TryStreamExt;

use crate::ledger::is_failed;

/// The tasks of a run that have a record: a bit each.
#[derive(Debug, Default)]
pub(crate) struct Done {
    repeats: u64,
    /// 64 tasks a word, by the place of the word. A map, as a store that was tampered with may name any row.
    words: HashMap<u64, u64>,
    tasks: u64,
    last_row: u64,
    /// Failed tasks that are to be done again, with the revision that they get. Their bits are not set.
    again: HashMap<(u64, u32), u32>,
}

impl Done {
    /// What the store holds. With `retry_errors`, tasks that failed are to be done again.
    pub(crate) async fn of(
        store: &dyn TraceStore,
        run: &RunId,
        repeats: u32,
        retry_errors: bool,
    ) -> Result<Self, StoreError> {
        let mut done = Self { repeats: u64::from(repeats.max(1)), ..Self::default() };
        if !retry_errors {
            let mut keys = store.keys(run);
            while let Some(key) = keys.try_next().await? {
                done.add(key);
            }
            return Ok(done);
        }
        let filter = RecordFilter::default();
        let mut records = store.records(run, &filter);
        while let Some(StoredRecord { record, .. }) = records.try_next().await? {
            // In the order of revisions: the last one decides.
            if is_failed(&record) {
                done.add_failed(record.key());
            } else {
                done.again.remove(&(record.row, record.repeat));
                done.add(record.key());
            }
        }
        Ok(done)
    }

    fn add(&mut self, key: RecordKey) {
        let (word, bit) = self.place(key.row, key.repeat);
        let bits = self.words.entry(word).or_default();
        self.tasks += u64::from(*bits & bit == 0);
        *bits |= bit;
        self.last_row = self.last_row.max(key.row);
    }

    fn add_failed(&mut self, key: RecordKey) {
        self.again.insert((key.row, key.repeat), key.revision + 1);
        self.last_row = self.last_row.max(key.row);
    }

    fn place(&self, row: u64, repeat: u32) -> (u64, u64) {
        let task = row.wrapping_mul(self.repeats).wrapping_add(u64::from(repeat));
        (task / 64, 1 << (task % 64))
    }

    fn has(&self, row: u64, repeat: u32) -> bool {
        let (word, bit) = self.place(row, repeat);
        self.words.get(&word).is_some_and(|bits| bits & bit != 0)
    }

    /// How many tasks are done.
    pub(crate) fn tasks(&self) -> u64 {
        self.tasks
    }

    /// The revision in which a task is to be done; `None` when it is done.
    pub(crate) fn revision(&self, row: u64, repeat: u32) -> Option<u32> {
        match self.again.get(&(row, repeat)) {
            Some(revision) => Some(*revision),
            None => (!self.has(row, repeat)).then_some(0),
        }
    }

    /// The first row from this one on of which not every task is done.
    pub(crate) fn next_open(&self, mut row: u64) -> u64 {
        let is_done = |row| (0..u32::try_from(self.repeats).unwrap_or(u32::MAX)).all(|repeat| self.has(row, repeat));
        while row <= self.last_row && is_done(row) {
            row += 1;
        }
        row
    }

    /// The first row from this one on that has a record; `u64::MAX` when there is none.
    pub(crate) fn next_recorded(&self, mut row: u64) -> u64 {
        let recorded = |row, repeat| self.has(row, repeat) || self.again.contains_key(&(row, repeat));
        while row <= self.last_row {
            if (0..u32::try_from(self.repeats).unwrap_or(u32::MAX)).any(|repeat| recorded(row, repeat)) {
                return row;
            }
            row += 1;
        }
        u64::MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(row: u64, repeat: u32, revision: u32) -> RecordKey {
        RecordKey { row, repeat, revision }
    }

    #[test]
    fn rows_are_open_until_each_of_their_repeats_is_done() {
        let mut done = Done { repeats: 2, ..Done::default() };
        for done_already in [key(1, 0, 0), key(1, 1, 0), key(2, 1, 0), key(4, 0, 0), key(4, 1, 0), key(4, 1, 1)] {
            done.add(done_already);
        }
        assert_eq!(done.tasks(), 5, "a task is done once, whatever its revisions");
        assert_eq!([1, 2, 3, 4, 5, 9].map(|row| done.next_open(row)), [2, 2, 3, 5, 5, 9]);
        assert_eq!([1, 3, 5].map(|row| done.next_recorded(row)), [1, 4, u64::MAX]);
        assert_eq!((done.revision(2, 0), done.revision(2, 1)), (Some(0), None));
    }

    #[test]
    fn a_row_that_no_dataset_can_have_costs_nothing() {
        let mut done = Done { repeats: 10_000, ..Done::default() };
        done.add(key(u64::MAX, u32::MAX, 0));
        assert_eq!(done.tasks(), 1);
        assert_eq!(done.next_open(1), 1);
    }
}
