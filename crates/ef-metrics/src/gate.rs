//! Verdicts over metrics, for continuous integration: pass, fail, or cannot say.

use std::fmt;

use ef_model::Metric;

use crate::missing_share;

/// The share of judgments that may be missing (errors and unscored together) before a gate refuses to conclude: with
/// more, what is missing could hide a failure.
pub const MAX_MISSING_SHARE: f64 = 0.05;

/// A difference that rounding explains, relative to the values compared: a drop from 0.9 to 0.85 is one of 0.05, though
/// the doubles differ by a little more.
const ROUNDING: f64 = 1e-12;

/// What a gate says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum GateVerdict {
    /// The metric is good enough.
    Pass,
    /// It is not.
    Fail,
    /// There is too little to say so.
    Inconclusive(InconclusiveReason),
}

/// Why a gate cannot conclude. Its text is a clause for a person, such as `the baseline has no value`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum InconclusiveReason {
    /// No judgment entered the metric, or there is no value.
    NoValue(Side),
    /// More than [`MAX_MISSING_SHARE`] of the judgments are errors or unscored.
    TooMuchMissing(Side, f64),
    /// The metric is computed in another way in the baseline.
    DifferentAggregator,
    /// The limit is not a finite number.
    NotFinite,
}

/// Which metric of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The metric that is judged.
    Metric,
    /// The one that it is compared with.
    Baseline,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Metric => "the metric",
            Self::Baseline => "the baseline's metric",
        })
    }
}

impl fmt::Display for InconclusiveReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoValue(side) => write!(f, "{side} has no value: no judgment entered it"),
            Self::TooMuchMissing(side, share) => write!(
                f,
                "{:.1} % of the judgments of {side} are errors or unscored, more than {} %",
                100.0 * share,
                100.0 * MAX_MISSING_SHARE
            ),
            Self::DifferentAggregator => f.write_str("the baseline computes the metric in another way"),
            Self::NotFinite => f.write_str("the limit is not a finite number"),
        }
    }
}

/// Whether a metric is at least `min`.
#[must_use]
pub fn judge(metric: &Metric, min: f64) -> GateVerdict {
    conclude(|| {
        let value = value_of(metric, Side::Metric)?;
        at_least(value, min)
    })
}

/// Whether a metric is at most `max_drop` below the baseline's.
#[must_use]
pub fn max_drop(metric: &Metric, baseline: &Metric, max_drop: f64) -> GateVerdict {
    conclude(|| {
        let value = value_of(metric, Side::Metric)?;
        let before = value_of(baseline, Side::Baseline)?;
        if metric.aggregator != baseline.aggregator {
            return Err(InconclusiveReason::DifferentAggregator);
        }
        at_least(value, before - max_drop)
    })
}

fn conclude(passes: impl FnOnce() -> Result<bool, InconclusiveReason>) -> GateVerdict {
    match passes() {
        Ok(true) => GateVerdict::Pass,
        Ok(false) => GateVerdict::Fail,
        Err(reason) => GateVerdict::Inconclusive(reason),
    }
}

/// The value, if enough judgments stand behind it.
fn value_of(metric: &Metric, side: Side) -> Result<f64, InconclusiveReason> {
    let share = missing_share(metric);
    if share > MAX_MISSING_SHARE {
        return Err(InconclusiveReason::TooMuchMissing(side, share));
    }
    metric.value.filter(|_| metric.n > 0).ok_or(InconclusiveReason::NoValue(side))
}

fn at_least(value: f64, limit: f64) -> Result<bool, InconclusiveReason> {
    if !limit.is_finite() {
        return Err(InconclusiveReason::NotFinite);
    }
    Ok(value >= limit - ROUNDING * value.abs().max(limit.abs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn metric(value: Option<f64>, n: u64, n_error: u64, n_unscored: u64) -> Metric {
        Metric {
            name: "accuracy".to_owned(),
            aggregator: "mean".to_owned(),
            from: None,
            value,
            standard_error: None,
            ci_low: None,
            ci_high: None,
            ci_method: None,
            p_value: None,
            n,
            n_error,
            n_unscored,
        }
    }

    #[test]
    fn a_value_at_the_limit_passes() {
        assert_eq!(judge(&metric(Some(0.85), 20, 0, 0), 0.85), GateVerdict::Pass);
        assert_eq!(judge(&metric(Some(0.85), 20, 0, 0), 0.8501), GateVerdict::Fail);
        assert_eq!(judge(&metric(Some(-2.0), 20, 0, 0), -1.0), GateVerdict::Fail);
    }

    #[test]
    fn a_drop_of_exactly_the_allowed_size_passes() {
        let drops = |before, after, allowed| {
            max_drop(&metric(Some(after), 100, 0, 0), &metric(Some(before), 100, 0, 0), allowed)
        };
        for before in 5..=100 {
            let (before, after) = (f64::from(before) / 100.0, f64::from(before - 5) / 100.0);
            assert_eq!(drops(before, after, 0.05), GateVerdict::Pass, "{before} to {after}");
            assert_eq!(drops(before, after - 1e-6, 0.05), GateVerdict::Fail, "{before} to less than {after}");
        }
        assert_eq!(drops(0.5, 0.9, 0.0), GateVerdict::Pass);
    }

    #[test]
    fn more_than_five_percent_missing_is_inconclusive_and_exactly_five_is_not() {
        assert_eq!(judge(&metric(Some(1.0), 95, 3, 2), 0.5), GateVerdict::Pass);
        let verdict = judge(&metric(Some(1.0), 94, 3, 3), 0.5);
        let reason = InconclusiveReason::TooMuchMissing(Side::Metric, 0.06);
        assert_eq!(verdict, GateVerdict::Inconclusive(reason));
        assert_eq!(reason.to_string(), "6.0 % of the judgments of the metric are errors or unscored, more than 5 %");
        let verdict = max_drop(&metric(Some(1.0), 10, 0, 0), &metric(Some(1.0), 9, 1, 0), 0.5);
        let reason = InconclusiveReason::TooMuchMissing(Side::Baseline, 0.1);
        assert_eq!(verdict, GateVerdict::Inconclusive(reason));
    }

    #[test]
    fn no_data_is_never_a_pass() {
        let none = GateVerdict::Inconclusive(InconclusiveReason::NoValue(Side::Metric));
        assert_eq!(judge(&metric(None, 0, 0, 0), 0.0), none);
        assert_eq!(judge(&metric(Some(0.0), 0, 0, 0), 0.0), none, "a count of nothing");
        let good = metric(Some(1.0), 1, 0, 0);
        let none = GateVerdict::Inconclusive(InconclusiveReason::NoValue(Side::Baseline));
        assert_eq!(max_drop(&good, &metric(None, 0, 0, 0), 1.0), none);
    }

    #[test]
    fn a_limit_that_is_no_number_concludes_nothing() {
        let good = metric(Some(1.0), 1, 0, 0);
        for limit in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(judge(&good, limit), GateVerdict::Inconclusive(InconclusiveReason::NotFinite));
            assert_eq!(max_drop(&good, &good, limit), GateVerdict::Inconclusive(InconclusiveReason::NotFinite));
        }
    }

    #[test]
    fn different_ways_of_computing_are_not_compared() {
        let good = metric(Some(1.0), 1, 0, 0);
        let median = Metric { aggregator: "median".to_owned(), ..good.clone() };
        let reason = InconclusiveReason::DifferentAggregator;
        assert_eq!(max_drop(&good, &median, 1.0), GateVerdict::Inconclusive(reason));
    }
}
