//! Means, rates and weighted means, clustered or not: all are one ratio of two sums.

use crate::multiset::{Ordered, Run, add_up};
use crate::sum::Sum;

/// What one independent unit of a sample (a judgment, or a cluster of them) adds to both sums.
///
/// | metric | `y` of a judgment | `x` of a judgment |
/// |---|---|---|
/// | mean | score | 1 |
/// | rate_above | 1 if score ≥ threshold, else 0 | 1 |
/// | weighted_mean | weight · score | weight |
///
/// A cluster's `y` and `x` are the sums over its judgments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Unit {
    pub(crate) y: Ordered,
    pub(crate) x: Ordered,
}

/// A sample of units, from which the ratio Σy / Σx is estimated.
#[derive(Debug, Clone)]
pub(crate) struct RatioSample {
    units: Vec<Run<Unit>>,
    count: u64,
}

/// An estimate of Σy / Σx.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct RatioEstimate {
    pub(crate) value: f64,
    /// None below two units.
    pub(crate) standard_error: Option<f64>,
}

impl RatioSample {
    /// Takes units in any order. Those without weight (`x` = 0) say nothing, and are left out.
    pub(crate) fn new(mut units: Vec<Run<Unit>>) -> Self {
        units.retain(|(unit, _)| unit.x.get() > 0.0);
        add_up(&mut units);
        let count = crate::multiset::size(&units);
        Self { units, count }
    }

    /// The units, sorted and distinct.
    pub(crate) fn units(&self) -> &[Run<Unit>] {
        &self.units
    }

    /// How many units there are.
    pub(crate) const fn count(&self) -> u64 {
        self.count
    }

    /// The estimate R = Σy / Σx and its linearised standard error
    ///
    /// > SE = √( G/(G−1) · Σ (y_g − R·x_g)² ) / Σx
    ///
    /// over the G units (Cochran, *Sampling Techniques*, 3rd ed. 1977, section 2.11 for the ratio and 9A.3 for clusters
    /// of unequal size, without the finite population correction). With x = 1 it is the ordinary s/√n with n−1. Over
    /// clusters it is the clustered standard error of Miller, "Adding Error Bars to Evals" (2024, arXiv:2411.00640),
    /// with the usual small-sample factor G/(G−1), which makes it s/√n again where each cluster has one judgment.
    ///
    /// `None` for a sample without units.
    pub(crate) fn estimate(&self) -> Option<RatioEstimate> {
        if self.count == 0 {
            return None;
        }
        let (mut total_y, mut total_x) = (Sum::default(), Sum::default());
        for &(unit, count) in &self.units {
            total_y.add_times(unit.y.get(), count);
            total_x.add_times(unit.x.get(), count);
        }
        let total_x = total_x.get();
        let value = total_y.divided_by(total_x);
        let mut squares = Sum::default();
        for &(unit, count) in &self.units {
            let residual = residual(unit, value);
            squares.add_times(residual * residual, count);
        }
        let groups = self.count as f64;
        let standard_error = (self.count > 1).then(|| (groups / (groups - 1.0) * squares.get()).sqrt() / total_x);
        Some(RatioEstimate { value, standard_error })
    }
}

/// y − R·x, where a difference that rounding explains is none: scores that are all equal have no spread, even when
/// their weighted sums are rounded.
fn residual(unit: Unit, ratio: f64) -> f64 {
    let (y, x) = (unit.y.get(), unit.x.get());
    let residual = libm::fma(-ratio, x, y);
    if residual.abs() <= 4.0 * f64::EPSILON * y.abs() { 0.0 } else { residual }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(units: &[(f64, f64)]) -> RatioSample {
        let unit = |&(y, x)| (Unit { y: Ordered::new(y), x: Ordered::new(x) }, 1);
        RatioSample::new(units.iter().map(unit).collect())
    }

    #[test]
    fn with_weights_of_one_it_is_the_mean_and_its_ordinary_error() {
        // R: x <- c(2, 4, 4, 4, 5, 5, 7, 9); mean(x); sd(x) / sqrt(8)
        let scores = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0].map(|score| (score, 1.0));
        let estimate = sample(&scores).estimate().expect("there is data");
        assert_eq!(estimate.value, 5.0);
        assert!((estimate.standard_error.expect("n > 1") - 0.755_928_946_018_454_4).abs() < 1e-15);
    }

    #[test]
    fn no_units_give_no_value_and_one_gives_no_error() {
        assert_eq!(sample(&[]).estimate(), None);
        assert_eq!(sample(&[(3.0, 0.0)]).estimate(), None);
        let one = sample(&[(3.0, 2.0), (0.0, 0.0)]).estimate();
        assert_eq!(one, Some(RatioEstimate { value: 1.5, standard_error: None }));
    }

    #[test]
    fn equal_scores_of_unequal_weight_have_no_spread() {
        let units: Vec<_> = (1..50).map(|weight| (0.7 * f64::from(weight) * 0.1, f64::from(weight) * 0.1)).collect();
        assert_eq!(sample(&units).estimate().and_then(|estimate| estimate.standard_error), Some(0.0));
    }
}
