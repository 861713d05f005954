//! Two streams of records, put together by item.

use ef_model::{Digest, ItemId, Metric, Payload, TaskRecord, TraceOutcome};
use ef_spec::EvalSpec;

use super::delta::{self, Metrics};
use super::flips::{FlipKind, Flips, Kept};
use super::repeats::Repeats;
use super::slot::{Labels, Slot};
use super::{JudgeCounts, PairCounts, Pairing, Scores};
use crate::cluster::ClusterId;
use crate::column::{Source, judge_name};

/// Which item: 128 bits of the SHA-256 of its id.
type Key = [u64; 2];

/// A record as far as it is compared.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) key: Key,
    pub(super) row: u64,
    pub(super) repeat: u32,
    /// What stands for input and reference output; absent for a row that was skipped.
    content: Option<u64>,
    /// What stands for the output.
    pub(super) output: Option<u64>,
    /// By column.
    pub(super) slots: Vec<Slot>,
    item_id: ItemId,
    /// By metric; of the baseline none.
    clusters: Vec<ClusterId>,
}

/// What is compared and how.
#[derive(Debug)]
struct Layout {
    pairing: Pairing,
    columns: Vec<Source>,
    labels: Labels,
}

impl Layout {
    fn see(&mut self, record: &TaskRecord, clusters: Vec<ClusterId>) -> Seen {
        let trace = &record.trace;
        let reference = trace.reference_output.map_or(0, |digest| first_bits(&digest).rotate_left(32));
        let output = match &trace.outcome {
            TraceOutcome::Ok { output, .. } => Some(first_bits(output)),
            _ => None,
        };
        Seen {
            key: key(&record.item_id),
            row: record.row,
            repeat: record.repeat,
            content: trace.input.map(|digest| first_bits(&digest) ^ reference),
            output,
            slots: self.columns.iter().map(|source| Slot::of(record, source, &mut self.labels)).collect(),
            item_id: record.item_id.clone(),
            clusters,
        }
    }
}

fn key(item_id: &ItemId) -> Key {
    let digest = Digest::of(item_id.as_str().as_bytes());
    let (first, second) = digest.as_bytes().split_at(8);
    [word(first), word(second)]
}

fn first_bits(digest: &Digest) -> u64 {
    word(digest.as_bytes())
}

/// The first eight bytes, as many as there are.
fn word(bytes: &[u8]) -> u64 {
    bytes.iter().take(8).fold(0, |word, &byte| word << 8 | u64::from(byte))
}

/// What is compared of the judges that both have, in the order of the run's spec: the values of object scores that some
/// metric of the run takes, and the score itself unless only such values are taken.
fn columns(run: &EvalSpec, baseline: &EvalSpec) -> Vec<Source> {
    let specs = delta::specs(run);
    let taken: Vec<_> = specs.iter().flat_map(|spec| Source::select(spec.from.as_deref(), &run.judges)).collect();
    let mut columns = Vec::new();
    for judge in run.judges.iter().map(judge_name) {
        if baseline.judges.iter().all(|other| judge_name(other) != judge) {
            continue;
        }
        let score = Source { judge: judge.to_owned(), key: None };
        let values = taken.iter().filter(|source| source.judge == judge && source.key.is_some());
        if taken.contains(&score) || values.clone().next().is_none() {
            columns.push(score);
        }
        for value in values {
            if !columns.contains(value) {
                columns.push(value.clone());
            }
        }
    }
    columns
}

/// A record of the baseline. Its slots are in a list of their own. Zero stands for content or an output that is absent.
#[derive(Debug)]
struct Entry {
    key: Key,
    content: u64,
    output: u64,
    repeat: u32,
    /// Which record this was, in the order of arrival.
    index: u64,
}

/// The baseline's scores, of which each takes a few bytes; the first half of a comparison.
#[derive(Debug)]
pub struct BaselineScores {
    layout: Layout,
    metrics: Metrics,
    entries: Vec<Entry>,
    slots: Vec<Slot>,
    repeats: Repeats,
}

impl BaselineScores {
    /// Prepares a comparison of a run with a baseline, by their specs. The metrics are those of the run's spec, with its
    /// weights; what is taken from a judge that the baseline does not have is left out.
    #[must_use]
    pub fn new(run: &EvalSpec, baseline: &EvalSpec) -> Self {
        let pairing = match (run.runtime.repeats, baseline.runtime.repeats) {
            (1, 1) => Pairing::Item,
            (one, other) if one == other => Pairing::ItemAndRepeat,
            _ => Pairing::ItemMean,
        };
        let columns = columns(run, baseline);
        let metrics = Metrics::new(run, pairing, &columns);
        Self {
            layout: Layout { pairing, columns, labels: Labels::default() },
            metrics,
            entries: Vec::new(),
            slots: Vec::new(),
            repeats: Repeats::default(),
        }
    }

    /// Adds a record of the baseline. They come in the order of their rows and repeats; of the revisions of one only the
    /// latest.
    pub fn observe(&mut self, record: &TaskRecord) {
        let seen = self.layout.see(record, Vec::new());
        let seen = if self.layout.pairing == Pairing::ItemMean { self.repeats.push(seen) } else { Some(seen) };
        if let Some(seen) = seen {
            self.keep(&seen);
        }
    }

    fn keep(&mut self, seen: &Seen) {
        self.slots.extend(&seen.slots);
        self.entries.push(Entry {
            key: seen.key,
            repeat: seen.repeat,
            content: seen.content.unwrap_or(0),
            output: seen.output.unwrap_or(0),
            index: self.entries.len() as u64,
        });
    }

    /// Goes on to the run's records. As many flips are listed as are asked for, if any list is.
    #[must_use]
    pub fn against_run(mut self, flips: Option<usize>) -> Comparison {
        if let Some(last) = self.repeats.take() {
            self.keep(&last);
        }
        self.entries.sort_unstable_by_key(|entry| (entry.key, entry.repeat, entry.index));
        let judge = |source: &Source| JudgeCounts {
            judge: source.judge.clone(),
            key: source.key.clone(),
            ..JudgeCounts::default()
        };
        Comparison {
            judges: self.layout.columns.iter().map(judge).collect(),
            baseline: self,
            pairs: PairCounts::default(),
            flips: flips.map(Flips::new),
        }
    }
}

/// A comparison under way: takes the run's records, of which it keeps nothing but what metrics need.
#[derive(Debug)]
pub struct Comparison {
    baseline: BaselineScores,
    pairs: PairCounts,
    judges: Vec<JudgeCounts>,
    flips: Option<Flips>,
}

impl Comparison {
    /// Whether [`Comparison::observe`] needs the metadata of items, because some metric clusters by it.
    #[must_use]
    pub fn needs_metadata(&self) -> bool {
        self.baseline.metrics.need_metadata()
    }

    /// Adds a record of the run. They come in the order of their rows and repeats; of the revisions of one only the
    /// latest. `item_metadata` is the item's metadata payload, where it has one and [`Comparison::needs_metadata`] says
    /// so.
    pub fn observe(&mut self, record: &TaskRecord, item_metadata: Option<&Payload>) {
        let clusters = self.baseline.metrics.clusters(record.row, item_metadata);
        let seen = self.baseline.layout.see(record, clusters);
        let by_mean = self.baseline.layout.pairing == Pairing::ItemMean;
        let seen = if by_mean { self.baseline.repeats.push(seen) } else { Some(seen) };
        if let Some(seen) = seen {
            self.pair(&seen);
        }
    }

    fn pair(&mut self, seen: &Seen) {
        let entries = &self.baseline.entries;
        let wanted = (seen.key, seen.repeat);
        let Ok(place) = entries.binary_search_by_key(&wanted, |entry| (entry.key, entry.repeat)) else {
            self.pairs.appeared += 1;
            return;
        };
        let entry = &entries[place];
        let known = |bits: u64| Some(bits).filter(|&bits| bits != 0);
        self.pairs.paired += 1;
        let content = known(entry.content).zip(seen.content);
        self.pairs.other_content += u64::from(content.is_some_and(|(before, after)| before != after));
        let same_output = known(entry.output).zip(seen.output).map(|(before, after)| before == after);
        let width = seen.slots.len();
        let first = entry.index as usize * width;
        let before = &self.baseline.slots[first..first + width];
        for (column, (&run, &baseline)) in seen.slots.iter().zip(before).enumerate() {
            let Some(kind) = count(&mut self.judges[column], run, baseline, same_output) else { continue };
            if let Some(flips) = &mut self.flips {
                let (item_id, row, repeat) = (seen.item_id.clone(), seen.row, seen.repeat);
                flips.push(Kept { kind, item_id, row, repeat, column, baseline, run, same_output });
            }
        }
        self.baseline.metrics.observe(&seen.slots, before, &seen.clusters);
    }

    /// What became of the scores. `run` and `baseline` are the metrics that are stored with the two, for those that are
    /// not taken over pairs.
    #[must_use]
    pub fn finish(mut self, run: &[Metric], baseline: &[Metric]) -> Scores {
        if let Some(last) = self.baseline.repeats.take() {
            self.pair(&last);
        }
        let BaselineScores { layout, metrics, entries, .. } = self.baseline;
        self.pairs.vanished = (entries.len() as u64).saturating_sub(self.pairs.paired);
        Scores {
            pairing: layout.pairing,
            pairs: self.pairs,
            judges: self.judges,
            metrics: metrics.finish(run, baseline),
            flips: self.flips.map(|flips| flips.finish(&layout.columns, &layout.labels)),
        }
    }
}

/// Counts a pair; how it moved, if it did.
fn count(counts: &mut JudgeCounts, run: Slot, baseline: Slot, same_output: Option<bool>) -> Option<FlipKind> {
    let sides = match (run, baseline) {
        (Slot::Error, _) | (_, Slot::Error) => Some((&mut counts.error, Slot::Error)),
        (Slot::Unscored, _) | (_, Slot::Unscored) => Some((&mut counts.unscored, Slot::Unscored)),
        _ => None,
    };
    if let Some((sides, missing)) = sides {
        let (side, kind) = match (run == missing, baseline == missing) {
            (true, true) => (&mut sides.both, None),
            (true, false) => (&mut sides.run, Some(FlipKind::NotComparable)),
            _ => (&mut sides.baseline, Some(FlipKind::NotComparable)),
        };
        *side += 1;
        return kind;
    }
    let kind = match (run.number(), baseline.number()) {
        (Some(run), Some(baseline)) if run > baseline => FlipKind::Improved,
        (Some(run), Some(baseline)) if run < baseline => FlipKind::Worsened,
        (Some(_), Some(_)) => {
            counts.unchanged += 1;
            return None;
        }
        _ if run == baseline => {
            counts.unchanged += 1;
            return None;
        }
        _ => FlipKind::Changed,
    };
    match kind {
        FlipKind::Improved => counts.improved += 1,
        FlipKind::Worsened => counts.worsened += 1,
        FlipKind::Changed | FlipKind::NotComparable => counts.changed += 1,
    }
    counts.moved_with_same_output += u64::from(same_output == Some(true));
    Some(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_the_baseline_takes_48_bytes_and_16_a_column() {
        assert_eq!((size_of::<Entry>(), size_of::<Slot>()), (48, 16));
    }
}
