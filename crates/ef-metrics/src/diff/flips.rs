//! The pairs of which a judge says something else than before, the worst first.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use ef_model::ItemId;
use serde::Serialize;

use super::Outcome;
use super::slot::{Labels, Slot};
use crate::column::Source;
use crate::multiset::Ordered;

/// How the two sides of a pair stand to each other. Flips are listed in this order; those of one kind by the size of the
/// difference, the largest first, and then by row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FlipKind {
    /// A lower number than before.
    Worsened,
    /// A score on one side alone, or an error on one side alone: there is nothing to compare.
    NotComparable,
    /// Another label than before, or a label instead of a number.
    Changed,
    /// A higher number than before.
    Improved,
}

/// A pair of which a judge says something else than before.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Flip {
    /// How it moved.
    pub kind: FlipKind,
    /// The item.
    pub item_id: ItemId,
    /// The item's row in the run's dataset, from 1.
    pub row: u64,
    /// Which repeat, from 0; 0 where the means of repeats are compared.
    pub repeat: u32,
    /// The judge's name.
    pub judge: String,
    /// Which value of its object scores; absent for the score itself.
    pub key: Option<String>,
    /// What it left in the baseline.
    pub baseline: Outcome,
    /// What it left in the run.
    pub run: Outcome,
    /// Whether both runs have the very same output; absent where there is no output on a side, or several.
    pub same_output: Option<bool>,
}

/// A flip as it is kept.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) kind: FlipKind,
    pub(super) item_id: ItemId,
    pub(super) row: u64,
    pub(super) repeat: u32,
    pub(super) column: usize,
    pub(super) baseline: Slot,
    pub(super) run: Slot,
    pub(super) same_output: Option<bool>,
}

impl Kept {
    /// What comes first in the list is least.
    fn rank(&self) -> impl Ord + use<> {
        let size = match (self.run.number(), self.baseline.number()) {
            (Some(run), Some(baseline)) => (run.get() - baseline.get()).abs(),
            _ => 0.0,
        };
        (self.kind, Reverse(Ordered::new(size)), self.row, self.repeat, self.column)
    }
}

impl Ord for Kept {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.rank().cmp(&other.rank())
    }
}

impl PartialOrd for Kept {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Kept {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Kept {}

/// The first of all flips, no more than were asked for.
#[derive(Debug)]
pub(super) struct Flips {
    kept: BinaryHeap<Kept>,
    limit: usize,
}

impl Flips {
    pub(super) fn new(limit: usize) -> Self {
        Self { kept: BinaryHeap::new(), limit }
    }

    pub(super) fn push(&mut self, flip: Kept) {
        self.kept.push(flip);
        if self.kept.len() > self.limit {
            self.kept.pop();
        }
    }

    pub(super) fn finish(self, columns: &[Source], labels: &Labels) -> Vec<Flip> {
        let flip = |kept: Kept| {
            let source = &columns[kept.column];
            Flip {
                kind: kept.kind,
                item_id: kept.item_id,
                row: kept.row,
                repeat: kept.repeat,
                judge: source.judge.clone(),
                key: source.key.clone(),
                baseline: kept.baseline.outcome(labels),
                run: kept.run.outcome(labels),
                same_output: kept.same_output,
            }
        };
        self.kept.into_sorted_vec().into_iter().map(flip).collect()
    }
}
