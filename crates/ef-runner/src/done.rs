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
    /// The places of the words, in order.
    places: Vec<u64>,
    tasks: u64,
    /// Failed tasks that are to be done again, with the revision that they get.
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
        if retry_errors {
            let filter = RecordFilter::default();
            let mut records = store.records(run, &filter);
            while let Some(StoredRecord { record, .. }) = records.try_next().await? {
                // In the order of revisions: the last one decides.
                if done.add(record.key()) && is_failed(&record) {
                    done.again.insert((record.row, record.repeat), record.revision + 1);
                } else {
                    done.again.remove(&(record.row, record.repeat));
                }
            }
        } else {
            let mut keys = store.keys(run);
            while let Some(key) = keys.try_next().await? {
                done.add(key);
            }
        }
        Ok(done.sorted())
    }

    /// False for a record of a row or a repeat that no dataset can have. It is not there for us, and the check will miss
    /// its row.
    fn add(&mut self, key: RecordKey) -> bool {
        let Some((word, bit)) = self.place(key.row, key.repeat) else { return false };
        let bits = self.words.entry(word).or_default();
        self.tasks += u64::from(*bits & bit == 0);
        *bits |= bit;
        true
    }

    fn sorted(mut self) -> Self {
        self.places = self.words.keys().copied().collect();
        self.places.sort_unstable();
        self
    }

    /// The word of a task, and its bit in it.
    fn place(&self, row: u64, repeat: u32) -> Option<(u64, u64)> {
        let repeat = u64::from(repeat);
        let task = row.checked_mul(self.repeats).filter(|_| repeat < self.repeats)?.checked_add(repeat)?;
        Some((task / 64, 1 << (task % 64)))
    }

    fn has(&self, row: u64, repeat: u32) -> bool {
        self.place(row, repeat).is_some_and(|(word, bit)| self.words.get(&word).is_some_and(|bits| bits & bit != 0))
    }

    /// How many tasks are done.
    pub(crate) fn tasks(&self) -> u64 {
        self.tasks - self.again.len() as u64
    }

    /// The last row that has a record; 0 where none has.
    pub(crate) fn last_row(&self) -> u64 {
        let last =
            self.places.last().map_or(0, |place| place * 64 + (63 - u64::from(self.words[place].leading_zeros())));
        last / self.repeats.max(1)
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
        let repeats = u32::try_from(self.repeats).unwrap_or(u32::MAX);
        while (0..repeats).all(|repeat| self.revision(row, repeat).is_none()) {
            row += 1;
        }
        row
    }

    /// The first row from this one on that has a record; `u64::MAX` when there is none. What lies between two rows that
    /// are far apart is passed over, as a store that was tampered with may name any row.
    pub(crate) fn next_recorded(&self, row: u64) -> u64 {
        let Some((first, bit)) = self.place(row, 0) else { return u64::MAX };
        let words = &self.places[self.places.partition_point(|place| *place < first)..];
        let task = words.iter().find_map(|place| {
            // Of the first word only the tasks from this row on.
            let asked = if *place == first { !(bit - 1) } else { u64::MAX };
            let bits = self.words[place] & asked;
            (bits != 0).then(|| place * 64 + u64::from(bits.trailing_zeros()))
        });
        task.map_or(u64::MAX, |task| task / self.repeats)
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
        let done = done.sorted();
        assert_eq!(done.tasks(), 5, "a task is done once, whatever its revisions");
        assert_eq!([1, 2, 3, 4, 5, 9].map(|row| done.next_open(row)), [2, 2, 3, 5, 5, 9]);
        assert_eq!([1, 3, 5].map(|row| done.next_recorded(row)), [1, 4, u64::MAX]);
        assert_eq!((done.revision(2, 0), done.revision(2, 1)), (Some(0), None));
        assert_eq!((done.last_row(), Done::default().last_row()), (4, 0));
    }

    #[test]
    fn a_row_that_no_dataset_can_have_costs_nothing() {
        let mut done = Done { repeats: 10_000, ..Done::default() };
        done.add(key(u64::MAX, u32::MAX, 0));
        done.add(key(u64::MAX / 10_000, 0, 0));
        let done = done.sorted();
        assert_eq!(done.tasks(), 1, "the first is nobody's");
        assert_eq!((done.next_open(1), done.next_recorded(1)), (1, u64::MAX / 10_000));
        assert_eq!(done.next_recorded(u64::MAX / 10_000 + 1), u64::MAX);
    }
}
