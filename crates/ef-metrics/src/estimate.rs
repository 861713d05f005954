//! From a sample to a value with its error and interval.

use ef_model::IntervalMethod;

use crate::bootstrap::Bootstrap;
use crate::interval::{student_t, wilson};
use crate::ks::KsTest;
use crate::median::{self, ClusteredScores};
use crate::multiset::{Ordered, Run, add_up};
use crate::ratio::{RatioSample, Unit};
use crate::resample::Population;
use crate::sample::Sample;
use crate::sum::{Sum, scale_for};

/// What is known of a metric. Whatever is not finite is absent.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Estimate {
    pub(crate) value: Option<f64>,
    pub(crate) standard_error: Option<f64>,
    pub(crate) interval: Option<(IntervalMethod, f64, f64)>,
    pub(crate) p_value: Option<f64>,
}

impl From<Option<KsTest>> for Estimate {
    fn from(test: Option<KsTest>) -> Self {
        Self { value: test.map(|test| test.statistic), p_value: test.map(|test| test.p_value), ..Self::default() }
    }
}

/// What a judgment adds to a mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Term {
    /// Its score.
    Score,
    /// Its score, times the weight of its judge.
    Weighted,
    /// One if its score is at least this, else nothing.
    AtLeast(f64),
}

/// Factors that bring scores and weights near 1, or sums of large ones would overflow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    pub(crate) score: f64,
    pub(crate) weight: f64,
}

impl Term {
    /// The judgment's part in y and x of a [`Unit`].
    pub(crate) fn unit(self, weight: f64, score: f64, scale: Scale) -> (f64, f64) {
        match self {
            Self::Score => (score * scale.score, 1.0),
            Self::AtLeast(threshold) => (f64::from(u8::from(score >= threshold)), 1.0),
            Self::Weighted => {
                let weight = weight * scale.weight;
                (score * scale.score * weight, weight)
            }
        }
    }
}

/// A mean, a rate or a weighted mean.
pub(crate) fn ratio(sample: &Sample<'_>, term: Term, bootstrap: Option<&Bootstrap<'_>>) -> Estimate {
    let (mut largest, mut heaviest, mut is_binary) = (0.0_f64, 0.0_f64, true);
    sample.for_each(|scores, _| {
        for &((weight, score), _) in scores {
            largest = largest.max(score.get().abs());
            heaviest = heaviest.max(weight);
            is_binary &= score.get() == 0.0 || score.get() == 1.0;
        }
    });
    let is_rate = matches!(term, Term::AtLeast(_));
    let scale = Scale { score: if is_rate { 1.0 } else { scale_for(largest) }, weight: scale_for(heaviest) };

    let units = units(sample, term, scale);
    let Some(scaled) = units.estimate() else {
        return Estimate::default();
    };
    let value = scaled.value / scale.score;
    let standard_error = scaled.standard_error.map(|error| error / scale.score);
    let is_binary = is_binary || is_rate;
    let interval = match bootstrap {
        Some(bootstrap) => resampled_ratio(&units, scaled.standard_error, bootstrap)
            .map(|(low, high)| (IntervalMethod::Bootstrap, low / scale.score, high / scale.score)),
        None if is_binary && !sample.is_clustered() && term != Term::Weighted => {
            let (low, high) = wilson(value, units.count());
            Some((IntervalMethod::Wilson, low, high))
        }
        None => standard_error.and_then(|error| student_t(value, error, units.count() - 1)).map(|(low, high)| {
            // Shares lie in [0, 1] whatever the formula says.
            let (low, high) = if is_binary { (low.max(0.0), high.min(1.0)) } else { (low, high) };
            (IntervalMethod::StudentT, low, high)
        }),
    };
    Estimate {
        value: Some(value).filter(|value| value.is_finite()),
        standard_error: standard_error.filter(|error| error.is_finite()),
        interval: interval.filter(|(_, low, high)| low.is_finite() && high.is_finite()),
        p_value: None,
    }
}

fn units(sample: &Sample<'_>, term: Term, scale: Scale) -> RatioSample {
    let mut units = Vec::new();
    sample.for_each(|scores, alike| {
        let (mut total_y, mut total_x) = (Sum::default(), Sum::default());
        for &((weight, score), count) in scores {
            let (y, x) = term.unit(weight, score.get(), scale);
            total_y.add_times(y, count);
            total_x.add_times(x, count);
        }
        units.push((Unit { y: Ordered::new(total_y.get()), x: Ordered::new(total_x.get()) }, alike));
    });
    RatioSample::new(units)
}

/// The bootstrap interval of a ratio. `None` where there is no spread to resample.
pub(crate) fn resampled_ratio(
    units: &RatioSample,
    standard_error: Option<f64>,
    bootstrap: &Bootstrap<'_>,
) -> Option<(f64, f64)> {
    standard_error.filter(|&error| error > 0.0)?;
    let pairs = || units.units().iter().map(|&(unit, count)| ((unit.y.get(), unit.x.get()), count));
    let ((_, x), _) = pairs().next()?;
    if pairs().all(|((_, other), _)| other == x) {
        // All units have one weight: the denominator is the same in every resample.
        let population = Population::new(pairs().map(|((y, _), count)| (y, count)));
        let total_x = x * units.count() as f64;
        return bootstrap.interval(units.count(), |generator| population.total(generator) / total_x);
    }
    let population = Population::new(pairs());
    bootstrap.interval(units.count(), |generator| {
        let (y, x) = population.total(generator);
        y / x
    })
}

/// A median. Its interval is a bootstrap's or none.
pub(crate) fn median(scores: &[Run<Ordered>], sample: &Sample<'_>, bootstrap: Option<&Bootstrap<'_>>) -> Estimate {
    // Scores that are all equal have no spread to resample.
    let interval = bootstrap.filter(|_| scores.len() > 1).and_then(|bootstrap| {
        if !sample.is_clustered() {
            let population = Population::new(scores.iter().map(|&(score, count)| (score.get(), count)));
            let statistic = |generator: &mut _| median::resampled(&population, generator);
            return bootstrap.interval(population.size(), statistic);
        }
        let mut clusters = Vec::new();
        sample.for_each(|scores, _| {
            let mut scores = scores.iter().map(|&((_, score), count)| (score, count)).collect();
            add_up(&mut scores);
            clusters.push(scores);
        });
        let clusters = ClusteredScores::new(clusters.into_iter());
        let statistic = |generator: &mut _| clusters.resampled(generator);
        (clusters.clusters() > 1).then(|| bootstrap.interval(clusters.work(), statistic))?
    });
    Estimate {
        value: median::median(scores),
        interval: interval.map(|(low, high)| (IntervalMethod::Bootstrap, low, high)),
        ..Estimate::default()
    }
}
