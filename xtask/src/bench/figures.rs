//! What the bench measured, and the medians of it.

use serde::Serialize;

use crate::measure::Usage;

/// One run of one program.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Sample {
    #[serde(flatten)]
    pub(super) usage: Usage,
    /// Bytes of the database and its log afterwards.
    pub(super) disk_bytes: u64,
}

/// All runs at one size; `ef[i]` and `floor[i]` are a pair.
#[derive(Debug, Serialize)]
pub(super) struct Size {
    pub(super) items: u64,
    pub(super) dataset_bytes: u64,
    pub(super) ef: Vec<Sample>,
    pub(super) floor: Vec<Sample>,
}

/// Wall times of what is short, in ms.
#[derive(Debug, Serialize)]
pub(super) struct Start {
    pub(super) ten_items_ms: Vec<f64>,
    pub(super) version_ms: Vec<f64>,
}

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub(super) struct Figures {
    pub(super) cpus: usize,
    pub(super) sizes: Vec<Size>,
    pub(super) start: Start,
}

/// Medians of one program at one size.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Summary {
    pub(super) items_per_second: f64,
    pub(super) wall_s: f64,
    /// User and system together.
    pub(super) cpu_s: f64,
    pub(super) peak_rss_mib: f64,
    pub(super) disk_bytes_per_item: f64,
}

impl Figures {
    pub(super) fn new(sizes: Vec<Size>, start: Start) -> Self {
        let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self { cpus, sizes, start }
    }

    pub(super) fn size(&self, items: u64) -> Option<&Size> {
        self.sizes.iter().find(|size| size.items == items)
    }
}

impl Size {
    pub(super) const fn new(items: u64, dataset_bytes: u64) -> Self {
        Self { items, dataset_bytes, ef: Vec::new(), floor: Vec::new() }
    }

    pub(super) fn summary(&self, samples: &[Sample]) -> Summary {
        let median_of = |figure: fn(&Sample) -> f64| median(samples.iter().map(figure));
        let items = as_f64(self.items);
        let wall_s = median_of(|sample| sample.usage.wall_s);
        Summary {
            items_per_second: items / wall_s,
            wall_s,
            cpu_s: median_of(|sample| sample.usage.user_s + sample.usage.system_s),
            peak_rss_mib: median_of(|sample| as_f64(sample.usage.peak_rss_bytes) / f64::from(1 << 20)),
            disk_bytes_per_item: median_of(|sample| as_f64(sample.disk_bytes)) / items,
        }
    }

    /// The items/s of `ef` as a share of the floor's: the median over the pairs.
    pub(super) fn ratio(&self) -> f64 {
        median(self.ef.iter().zip(&self.floor).map(|(ef, floor)| floor.usage.wall_s / ef.usage.wall_s))
    }

    /// The most memory that any run of `ef` held, in MiB.
    pub(super) fn worst_rss_mib(&self) -> f64 {
        self.ef.iter().map(|sample| as_f64(sample.usage.peak_rss_bytes) / f64::from(1 << 20)).fold(0.0, f64::max)
    }
}

/// The median; of an even number of values, the mean of the middle two. NaN of none.
pub(super) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.len(), values.get(middle)) {
        (length, Some(upper)) if length % 2 == 0 => f64::midpoint(values[middle - 1], *upper),
        (_, Some(value)) => *value,
        (_, None) => f64::NAN,
    }
}

#[allow(clippy::cast_precision_loss, reason = "counts and bytes stay far below 2^53")]
pub(super) const fn as_f64(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A run that took so many seconds and so many MiB.
    pub(in crate::bench) fn sample(wall_s: f64, mib: u64) -> Sample {
        let usage = Usage { wall_s, user_s: 0.5, system_s: 0.25, peak_rss_bytes: mib << 20 };
        Sample { usage, disk_bytes: 2_000_000 }
    }

    #[test]
    fn the_median_of_an_even_number_is_the_mean_of_the_middle_two() {
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median([]).is_nan());
    }

    #[test]
    fn ratios_are_taken_pair_by_pair() {
        let mut size = Size::new(1000, 0);
        size.ef = vec![sample(2.0, 10), sample(8.0, 12), sample(2.0, 10)];
        size.floor = vec![sample(1.0, 5), sample(4.0, 5), sample(1.2, 5)];
        assert_eq!(size.ratio(), 0.5);
        let summary = size.summary(&size.ef);
        assert_eq!((summary.items_per_second, summary.cpu_s, summary.peak_rss_mib), (500.0, 0.75, 10.0));
        assert_eq!(summary.disk_bytes_per_item, 2000.0);
        assert_eq!(size.worst_rss_mib(), 12.0);
    }
}
