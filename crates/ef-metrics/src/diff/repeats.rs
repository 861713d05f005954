//! An item's repeats as one, where two runs do not repeat items equally often.

use super::pairs::Seen;
use super::slot::Slot;
use crate::multiset::Ordered;
use crate::sum::Sum;

/// Takes an item's repeats, which come one after the other.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    item: Option<Seen>,
    columns: Vec<Column>,
}

impl Repeats {
    /// Adds a repeat; the item before it, if this is another.
    pub(super) fn push(&mut self, next: Seen) -> Option<Seen> {
        match &mut self.item {
            Some(item) if item.row == next.row && item.key == next.key => {
                // Outputs of several repeats are not one output.
                item.output = None;
                add(&mut self.columns, &next.slots);
                None
            }
            _ => {
                let done = self.take();
                self.columns = vec![Column::default(); next.slots.len()];
                add(&mut self.columns, &next.slots);
                self.item = Some(next);
                done
            }
        }
    }

    /// The last item.
    pub(super) fn take(&mut self) -> Option<Seen> {
        let mut item = self.item.take()?;
        // Which of the repeats there are says nothing of the item.
        item.repeat = 0;
        item.slots = self.columns.iter().map(Column::slot).collect();
        Some(item)
    }
}

fn add(columns: &mut [Column], slots: &[Slot]) {
    for (column, &slot) in columns.iter_mut().zip(slots) {
        column.add(slot);
    }
}

/// What one judge left in an item's repeats.
#[derive(Debug, Clone, Default)]
struct Column {
    first: Option<Slot>,
    /// Whether there were several repeats.
    several: bool,
    /// Whether all left the same.
    alike: bool,
    sum: Sum,
    numbers: u64,
    errors: u64,
}

impl Column {
    fn add(&mut self, slot: Slot) {
        self.alike = self.first.is_none_or(|first| self.alike && first == slot);
        self.several |= self.first.is_some();
        self.first.get_or_insert(slot);
        self.errors += u64::from(slot == Slot::Error);
        if let Some(number) = slot.number() {
            self.sum.add(number.get());
            self.numbers += 1;
        }
    }

    /// The mean of the numbers, where there are any; what there is where all are alike; no score where labels differ,
    /// which have no mean.
    fn slot(&self) -> Slot {
        match self.first {
            Some(first) if self.alike && !(self.several && self.numbers > 0) => first,
            _ if self.numbers > 0 => Slot::Number(Ordered::new(self.sum.divided_by(self.numbers as f64))),
            _ if self.errors > 0 => Slot::Error,
            _ => Slot::Unscored,
        }
    }
}
