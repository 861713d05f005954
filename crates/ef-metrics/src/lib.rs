//! Metrics with honest intervals from judgments; pure and deterministic.
#![doc = ""]
#![doc = include_str!("../README.md")]

mod bootstrap;
mod cluster;
mod column;
pub mod diff;
mod draw;
mod estimate;
mod exact;
pub mod gate;
mod interval;
mod ks;
mod median;
mod multiset;
mod ratio;
pub mod replay;
mod resample;
mod sample;
mod set;
mod sum;
mod usage;

pub use exact::ExactSum;
pub use ks::{KsTest, ks_two_sample};
pub use set::MetricSet;
pub use usage::UsageSum;

use ef_model::Metric;

/// The share of a metric's judgments that are missing: `(n_error + n_unscored) / (n + n_error + n_unscored)`, and 0
/// where there are none at all.
#[must_use]
pub fn missing_share(metric: &Metric) -> f64 {
    let missing = metric.n_error + metric.n_unscored;
    match metric.n + missing {
        0 => 0.0,
        all => missing as f64 / all as f64,
    }
}
