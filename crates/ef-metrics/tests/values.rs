//! Values, errors and intervals against numbers known from elsewhere.

mod records;

use ef_model::{IntervalMethod, Metric};
use ef_spec::{Aggregator, MetricSpec};
use proptest::prelude::*;
use records::{Call, Task, bootstrapped, close, clustered, fed, from, judge, metric, over, scoring};

fn mean() -> MetricSpec {
    metric("m", Aggregator::Mean)
}

fn interval(metric: &Metric) -> (f64, f64) {
    (metric.ci_low.expect("it has an interval"), metric.ci_high.expect("it has an interval"))
}

#[test]
fn a_mean_has_students_interval() {
    // R: t.test(c(5.1, 4.9, 4.7, 4.6, 5.0)): mean 4.86, SE sd/√5, t(4) = 2.7764451052
    let metric = over(mean(), &[5.1, 4.9, 4.7, 4.6, 5.0], None);
    let standard_error = (0.172_f64 / 4.0).sqrt() / 5.0_f64.sqrt();
    assert_eq!(metric.value, Some(4.86));
    assert!(close(metric.standard_error, standard_error, 1e-14));
    assert_eq!(metric.ci_method, Some(IntervalMethod::StudentT));
    assert!(close(metric.ci_low, 4.86 - 2.776_445_105_2 * standard_error, 1e-10), "{metric:?}");
    assert!(close(metric.ci_high, 4.86 + 2.776_445_105_2 * standard_error, 1e-10), "{metric:?}");
}

#[test]
fn zeros_and_ones_have_wilsons_interval_and_the_ordinary_error() {
    let mut scores = vec![0.0; 182];
    scores.extend([1.0; 81]);
    let metric = over(mean(), &scores, None);
    assert_eq!(metric.ci_method, Some(IntervalMethod::Wilson));
    let (low, high) = interval(&metric);
    assert!((low - 0.2553).abs() < 5e-5 && (high - 0.3662).abs() < 5e-5);
    let p = 81.0 / 263.0;
    assert!(close(metric.standard_error, (p * (1.0 - p) / 262.0_f64).sqrt(), 1e-14));
}

#[test]
fn a_rate_counts_scores_at_the_threshold() {
    let rate = |threshold| MetricSpec { threshold, ..metric("m", Aggregator::RateAbove) };
    let scores = [0.2, 0.5, 0.7, 0.9, 1.0];
    let metric = over(rate(Some(0.7)), &scores, None);
    assert_eq!((metric.value, metric.n, metric.ci_method), (Some(0.6), 5, Some(IntervalMethod::Wilson)));
    assert!(close(metric.standard_error, (0.24_f64 / 4.0).sqrt(), 1e-14));
    assert_eq!(over(rate(None), &scores, None).value, Some(0.8));
    assert_eq!(over(rate(Some(2.0)), &scores, None).value, Some(0.0));
}

#[test]
fn clusters_make_the_error_larger_as_in_a_worked_example() {
    // Mean 3/6. Sums of residuals by cluster: x +1, y −1, z 0. SE = √(3/2 · (1 + 1 + 0)) / 6.
    let scores = [1.0, 1.0, 0.0, 0.0, 1.0, 0.0];
    let clusters = ["x", "x", "y", "y", "z", "z"];
    let metric = over(clustered(mean()), &scores, Some(&clusters));
    let standard_error = 3.0_f64.sqrt() / 6.0;
    assert_eq!(metric.value, Some(0.5));
    assert!(close(metric.standard_error, standard_error, 1e-15));
    assert_eq!(metric.ci_method, Some(IntervalMethod::StudentT), "scores in clusters are no independent trials");
    // t(2) · SE is more than one half; a share has no more room than [0, 1].
    assert_eq!(interval(&metric), (0.0, 1.0));
}

#[test]
fn the_clustered_error_is_that_of_statsmodels() {
    // statsmodels: OLS(y, ones).fit(cov_type="cluster", cov_kwds={"groups": g}, use_t=True)
    let scores = [0.9, 0.4, 0.7, 0.2, 0.1, 0.8, 0.6, 0.5, 1.0, 0.3];
    let clusters = ["0", "0", "0", "1", "1", "2", "3", "3", "3", "3"];
    let metric = over(clustered(mean()), &scores, Some(&clusters));
    assert_eq!(metric.value, Some(0.55));
    assert!(close(metric.standard_error, 0.107_393_357_957_246_7, 1e-14), "{metric:?}");
    assert!(close(metric.ci_low, 0.208_226_4, 1e-7) && close(metric.ci_high, 0.891_773_6, 1e-7), "{metric:?}");
}

#[test]
fn a_weighted_mean_and_its_linearised_error_as_in_a_worked_example() {
    // Judge a weighs 1, b 3. R = (1·1 + 1·0 + 3·0.5 + 3·1) / 8 = 5.5/8; residuals w(s − R).
    let tasks = [[1.0, 0.5], [0.0, 1.0]].map(|scores| Task::Judged(scores.map(Call::number).to_vec()));
    let judges = [judge("a", 1.0), judge("b", 3.0)];
    let rows = || tasks.iter().map(|task| (1, task, None));
    let metric = fed(&scoring(vec![metric("m", Aggregator::WeightedMean)]), &judges, rows()).finish(None).remove(0);
    let ratio = 5.5 / 8.0;
    let squares: f64 = [(1.0_f64, 1.0_f64), (1.0, 0.0), (3.0, 0.5), (3.0, 1.0)]
        .iter()
        .map(|(weight, score)| (weight * (score - ratio)).powi(2))
        .sum();
    assert_eq!((metric.value, metric.n), (Some(ratio), 4));
    assert!(close(metric.standard_error, (4.0 / 3.0 * squares).sqrt() / 8.0, 1e-14));

    let weightless = [judge("a", 0.0), judge("b", 0.0)];
    let spec = bootstrapped(records::metric("m", Aggregator::WeightedMean));
    let metric = fed(&scoring(vec![spec]), &weightless, rows()).finish(None).remove(0);
    assert_eq!((metric.value, metric.standard_error, metric.ci_method, metric.n), (None, None, None, 4));
}

#[test]
fn a_median_has_an_interval_only_from_a_bootstrap() {
    let scores: Vec<_> = (0..101).map(f64::from).collect();
    let plain = over(metric("m", Aggregator::Median), &scores, None);
    assert_eq!((plain.value, plain.standard_error, plain.ci_method), (Some(50.0), None, None));
    // The distribution-free interval by order statistics is [40, 60] (ranks 41 and 61, 95.4 %).
    let spec = bootstrapped(metric("m", Aggregator::Median));
    let by_score = over(spec.clone(), &scores, None);
    let clusters: Vec<_> = scores.iter().map(f64::to_string).collect();
    let clusters: Vec<_> = clusters.iter().map(String::as_str).collect();
    let by_cluster = over(clustered(spec), &scores, Some(&clusters));
    for metric in [by_score, by_cluster] {
        assert_eq!((metric.value, metric.ci_method), (Some(50.0), Some(IntervalMethod::Bootstrap)));
        let (low, high) = interval(&metric);
        assert!((low - 40.0).abs() <= 2.0 && (high - 60.0).abs() <= 2.0, "{low} {high}");
    }
}

#[test]
fn a_sample_without_variation_claims_no_interval_but_wilsons() {
    for spec in [mean(), bootstrapped(mean()), bootstrapped(metric("m", Aggregator::Median))] {
        let metric = over(spec, &[0.7; 9], None);
        assert_eq!((metric.value, metric.ci_method), (Some(0.7), None));
    }
    let perfect = over(mean(), &[1.0; 10], None);
    assert_eq!((perfect.value, perfect.standard_error, perfect.ci_high), (Some(1.0), Some(0.0), Some(1.0)));
    assert!(close(perfect.ci_low, 0.7225, 1e-4), "{perfect:?}");
    let perfect = over(clustered(mean()), &[1.0; 3], Some(&["x", "x", "y"]));
    assert_eq!((perfect.value, perfect.standard_error, perfect.ci_method), (Some(1.0), Some(0.0), None));
}

#[test]
fn ks_test_is_against_the_baseline_or_the_uniform_distribution() {
    let spec = metric("m", Aggregator::KsTest);
    let scores: Vec<_> = (0..100).map(|index| (f64::from(index) + 0.5) / 100.0).collect();
    let uniform = over(spec.clone(), &scores, None);
    assert!(close(uniform.value, 0.005, 1e-12) && close(uniform.p_value, 1.0, 1e-12));
    assert_eq!((uniform.standard_error, uniform.ci_method), (None, None));

    let scoring = scoring(vec![spec]);
    let set = |scores: &[f64]| {
        let tasks: Vec<_> = scores.iter().map(|&score| Task::Judged(vec![Call::number(score)])).collect();
        fed(&scoring, &[judge("a", 1.0)], (1..).zip(&tasks).map(|(row, task)| (row, task, None)))
    };
    let [before, after] = [0, 20].map(|first| (first..first + 100).map(f64::from).collect::<Vec<_>>());
    let metric = set(&after).finish(Some(&set(&before))).remove(0);
    // D = 0.2, n_eff = 50: Q(√2) = 2(e^-4 − e^-16 + …)
    assert!(close(metric.value, 0.2, 1e-12) && close(metric.p_value, 0.036_631_052_707_119_35, 1e-12), "{metric:?}");
    // A baseline without scores is nothing to compare with.
    let metric = set(&scores).finish(Some(&set(&[]))).remove(0);
    assert_eq!((metric.value, metric.p_value, metric.n), (None, None, 100));
}

#[test]
fn scores_at_the_ends_of_what_a_double_holds_do_no_harm() {
    let largest = f64::MAX;
    let huge = over(bootstrapped(mean()), &[largest, largest, -largest], None);
    assert!(close(huge.value.map(|value| value / largest), 1.0 / 3.0, 1e-15), "{huge:?}");
    assert!(close(huge.standard_error.map(|error| error / largest), 2.0 / 3.0, 1e-12), "{huge:?}");
    assert!(huge.ci_low.is_some_and(f64::is_finite));
    // Student's interval reaches beyond what a double holds: there is none.
    let beyond = over(mean(), &[largest, largest, -largest], None);
    assert_eq!((beyond.ci_low, beyond.ci_high, beyond.ci_method), (None, None, None));

    let tiny = over(mean(), &[1e-300, 3e-300], None);
    assert_eq!(tiny.value, Some(2e-300));
    assert!(close(tiny.standard_error.map(|error| error * 1e300), 1.0, 1e-12), "{tiny:?}");
}

#[test]
fn metrics_of_different_sources_do_not_mix() {
    let tasks = [Task::Judged(vec![Call::number(1.0), Call::number(5.0)])];
    let specs = vec![from(mean(), "a"), from(mean(), "b"), mean(), from(clustered(mean()), "b")];
    let judges = [judge("a", 1.0), judge("b", 1.0)];
    let metrics = fed(&scoring(specs), &judges, tasks.iter().map(|task| (1, task, None))).finish(None);
    assert_eq!(metrics.iter().map(|metric| metric.value).collect::<Vec<_>>(), [1.0, 5.0, 3.0, 5.0].map(Some));
}

/// A thousand scores without a pattern that matters.
fn thousand() -> Vec<f64> {
    (0..1000_u32).map(|index| f64::from(index.wrapping_mul(2_654_435_761) >> 8) / f64::from(1 << 24)).collect()
}

#[test]
fn bootstrap_and_formula_agree_for_many_scores() {
    let names: Vec<_> = (0..1000).map(|index| (index / 5).to_string()).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let coarse: Vec<_> = thousand().iter().map(|score| (score * 4.0).floor()).collect();
    for spec in [mean(), metric("m", Aggregator::WeightedMean), clustered(mean())] {
        for scores in [thousand(), coarse.clone()] {
            let formula = over(spec.clone(), &scores, Some(&names));
            let resampled = MetricSpec { bootstrap_samples: 4000, ..bootstrapped(spec.clone()) };
            let resampled = over(resampled, &scores, Some(&names));
            assert_eq!(resampled.ci_method, Some(IntervalMethod::Bootstrap));
            assert_eq!((resampled.value, resampled.standard_error), (formula.value, formula.standard_error));
            let (formula, resampled) = (interval(&formula), interval(&resampled));
            let width = formula.1 - formula.0;
            assert!((formula.0 - resampled.0).abs() < 0.08 * width, "{spec:?}: {formula:?} {resampled:?}");
            assert!((formula.1 - resampled.1).abs() < 0.08 * width, "{spec:?}: {formula:?} {resampled:?}");
        }
    }
}

#[test]
fn clusters_of_unequal_size_bootstrap_as_a_ratio() {
    let names: Vec<_> = (0..1000_u32).map(|index| index.isqrt().to_string()).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let formula = over(clustered(mean()), &thousand(), Some(&names));
    let spec = MetricSpec { bootstrap_samples: 4000, ..bootstrapped(clustered(mean())) };
    let (formula, resampled) = (interval(&formula), interval(&over(spec, &thousand(), Some(&names))));
    let ratio = (resampled.1 - resampled.0) / (formula.1 - formula.0);
    assert!((0.8..1.1).contains(&ratio), "{formula:?} {resampled:?}");
}

#[test]
fn the_seed_decides_the_resamples() {
    let with = |seed| MetricSpec { seed, ..bootstrapped(mean()) };
    let default = over(with(None), &thousand(), None);
    assert_eq!(default, over(with(Some(42)), &thousand(), None), "the default seed is the run's");
    assert_ne!(interval(&default), interval(&over(with(Some(43)), &thousand(), None)));
}

/// What a bootstrap gave once, so that a change of the algorithm, or a platform that computes otherwise, shows.
#[test]
fn a_seed_means_the_same_for_ever() {
    let metrics = [mean(), metric("m", Aggregator::Median)].map(|spec| over(bootstrapped(spec), &thousand(), None));
    let shown = metrics.map(|metric| format!("{:?}", interval(&metric)));
    let known = ["(0.48199612714499235, 0.5184222747772932)", "(0.46938684582710266, 0.5323101833462714)"];
    assert_eq!(shown, known);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn an_interval_by_formula_contains_the_value(
        scores in prop::collection::vec(-1e6..1e6_f64, 2..50), binary in prop::collection::vec(any::<bool>(), 1..50),
    ) {
        let binary: Vec<_> = binary.iter().map(|&score| f64::from(u8::from(score))).collect();
        for scores in [scores, binary] {
            let metric = over(mean(), &scores, None);
            let value = metric.value.expect("there are scores");
            let (low, high) = interval(&metric);
            prop_assert!(low <= value && value <= high);
        }
    }

    #[test]
    fn clusters_of_one_are_no_clusters(scores in prop::collection::vec(-10.0..10.0_f64, 2..40)) {
        let plain = over(mean(), &scores, None);
        let alone = over(clustered(mean()), &scores, None);
        prop_assert_eq!(plain, alone);
    }

    #[test]
    fn a_weight_that_all_judges_share_changes_nothing(
        scores in prop::collection::vec(prop::array::uniform2(-10.0..10.0_f64), 2..20), weight in 0.1..10.0_f64,
    ) {
        let tasks: Vec<_> = scores.iter().map(|pair| Task::Judged(pair.map(Call::number).to_vec())).collect();
        let judges = [judge("a", weight), judge("b", weight)];
        let specs = vec![mean(), metric("m", Aggregator::WeightedMean)];
        let metrics = fed(&scoring(specs), &judges, (1..).zip(&tasks).map(|(row, task)| (row, task, None))).finish(None);
        let [mean, weighted] = metrics.as_slice() else { panic!("two metrics were asked for") };
        prop_assert!(close(weighted.value, mean.value.expect("there are scores"), 1e-12));
        prop_assert!(close(weighted.standard_error, mean.standard_error.expect("there are scores"), 1e-12));
    }
}
