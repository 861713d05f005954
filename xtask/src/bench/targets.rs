//! What `ef` has to reach.

use serde::Serialize;

use super::figures::{Figures, median};

/// Share of the floor's items/s at 100 thousand items, at least.
const RATIO: f64 = 0.5;
/// Peak memory at every size, below.
const RSS_MIB: f64 = 64.0;
/// Growth of peak memory from 100 thousand to a million items, below.
const GROWTH: f64 = 0.15;
/// A run of ten items, below.
const TEN_ITEMS_MS: f64 = 80.0;
/// `ef --version`, below.
const VERSION_MS: f64 = 10.0;

const MIDDLE: u64 = 100_000;
const LARGE: u64 = 1_000_000;

/// One target and what was measured.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Target {
    pub(super) name: &'static str,
    pub(super) wanted: String,
    /// What was measured; absent where the sizes that it needs were not.
    pub(super) measured: Option<f64>,
    pub(super) met: Option<bool>,
}

/// Compares what was measured with what has to be reached.
pub(super) fn judge(figures: &Figures) -> Vec<Target> {
    let ratio = figures.size(MIDDLE).map(super::figures::Size::ratio);
    let rss = figures.sizes.iter().map(super::figures::Size::worst_rss_mib).reduce(f64::max);
    let peak = |items| figures.size(items).map(|size| size.summary(&size.ef).peak_rss_mib);
    let growth = peak(MIDDLE).zip(peak(LARGE)).map(|(middle, large)| large / middle - 1.0);
    let below = |limit: f64| move |value: f64| value < limit;
    vec![
        target("share of the floor at 100k items", format!(">= {RATIO}"), ratio, |value| value >= RATIO),
        target("peak RSS at every size, MiB", format!("< {RSS_MIB}"), rss, below(RSS_MIB)),
        target("growth of peak RSS, 100k to 1M", format!("< {GROWTH}"), growth, below(GROWTH)),
        target(
            "ef run of ten items, ms",
            format!("< {TEN_ITEMS_MS}"),
            Some(median(figures.start.ten_items_ms.iter().copied())),
            below(TEN_ITEMS_MS),
        ),
        target(
            "ef --version, ms",
            format!("< {VERSION_MS}"),
            Some(median(figures.start.version_ms.iter().copied())),
            below(VERSION_MS),
        ),
    ]
}

fn target(name: &'static str, wanted: String, measured: Option<f64>, meets: impl Fn(f64) -> bool) -> Target {
    Target { name, wanted, measured, met: measured.map(meets) }
}

#[cfg(test)]
mod tests {
    use super::super::figures::tests::sample;
    use super::super::figures::{Size, Start};
    use super::*;

    fn figures(sizes: &[(u64, f64, u64)], ten_items_ms: f64, version_ms: f64) -> Figures {
        let sizes = sizes.iter().map(|&(items, wall_s, mib)| {
            let mut size = Size::new(items, 0);
            size.ef.push(sample(wall_s, mib));
            size.floor.push(sample(1.0, 5));
            size
        });
        let start = Start { ten_items_ms: vec![ten_items_ms], version_ms: vec![version_ms] };
        Figures { cpus: 2, sizes: sizes.collect(), start }
    }

    fn met(figures: &Figures) -> Vec<Option<bool>> {
        judge(figures).into_iter().map(|target| target.met).collect()
    }

    #[test]
    fn what_reaches_every_target_is_met() {
        let figures = figures(&[(10_000, 1.0, 30), (100_000, 2.0, 40), (1_000_000, 20.0, 45)], 79.0, 9.0);
        assert_eq!(met(&figures), [Some(true); 5]);
    }

    #[test]
    fn what_misses_every_target_is_not_met() {
        let figures = figures(&[(100_000, 2.1, 50), (1_000_000, 20.0, 64)], 80.0, 10.0);
        assert_eq!(met(&figures), [Some(false); 5]);
    }

    #[test]
    fn a_target_whose_size_was_not_measured_is_open() {
        let figures = figures(&[(10_000, 1.0, 30)], 50.0, 5.0);
        assert_eq!(met(&figures), [None, Some(true), None, Some(true), Some(true)]);
    }
}
