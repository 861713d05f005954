//! What counts as what: numbers, errors and unscored, and where scores are taken from.

mod records;

use ef_metrics::{MetricSet, missing_share};
use ef_model::{IntervalMethod, Metric};
use ef_spec::{Aggregator, MetricSpec};
use proptest::prelude::*;
use records::{Call, Task, bootstrapped, clustered, fed, from, judge, metric, over, record, scoring};

fn mixed_tasks() -> Vec<Task> {
    vec![
        Task::Judged(vec![Call::json("true"), Call::json(r#"{"score":0.5,"tone":"kind","depth":3}"#)]),
        Task::Judged(vec![Call::json("0"), Call::json(r#"{"tone":"rude","depth":1}"#)]),
        Task::Judged(vec![Call::json(r#""good""#), Call::Unscored]),
        Task::Judged(vec![Call::Error, Call::Missing]),
        Task::Timeout,
        Task::Error,
        Task::Skipped,
    ]
}

fn of_mixed_tasks(spec: MetricSpec) -> Metric {
    let tasks = mixed_tasks();
    let set = fed(
        &scoring(vec![spec]),
        &[judge("a", 1.0), judge("b", 3.0)],
        (1..).zip(&tasks).map(|(row, task)| (row, task, None)),
    );
    set.finish(None).remove(0)
}

fn counts(metric: &Metric) -> (Option<f64>, u64, u64, u64) {
    (metric.value, metric.n, metric.n_error, metric.n_unscored)
}

#[test]
fn errors_and_unscored_are_counted_apart_and_never_averaged_in() {
    let mean = |source| counts(&of_mixed_tasks(from(metric("m", Aggregator::Mean), source)));
    assert_eq!(mean("a"), (Some(0.5), 2, 3, 2));
    assert_eq!(mean("b"), (Some(0.5), 1, 2, 4));
    assert_eq!(counts(&of_mixed_tasks(metric("m", Aggregator::Mean))), (Some(0.5), 3, 5, 6));
}

#[test]
fn a_named_value_of_an_object_score_is_a_source() {
    let mean = |source| counts(&of_mixed_tasks(from(metric("m", Aggregator::Mean), source)));
    assert_eq!(mean("b.depth"), (Some(2.0), 2, 2, 3));
    assert_eq!(mean("b.tone"), (None, 0, 2, 5));
    assert_eq!(mean("a.depth"), (None, 0, 3, 4));
}

#[test]
fn count_counts_every_scored_judgment_numeric_or_not() {
    let count = |source| counts(&of_mixed_tasks(from(metric("m", Aggregator::Count), source)));
    assert_eq!(count("a"), (Some(3.0), 3, 3, 1));
    assert_eq!(count("b"), (Some(2.0), 2, 2, 3));
    assert_eq!(count("b.tone"), (Some(2.0), 2, 2, 3));
    assert_eq!(count("b.absent"), (Some(0.0), 0, 2, 5));
    assert_eq!(counts(&of_mixed_tasks(metric("m", Aggregator::Count))), (Some(5.0), 5, 5, 4));
}

#[test]
fn a_judge_that_is_not_there_scores_nothing() {
    assert_eq!(counts(&of_mixed_tasks(from(metric("m", Aggregator::Mean), "ghost"))), (None, 0, 2, 5));
}

#[test]
fn a_spec_without_metrics_has_one_mean_a_judge() {
    let mut unnamed = judge("b", 1.0);
    unnamed.name = String::new();
    let tasks = mixed_tasks();
    let set = fed(&scoring(vec![]), &[judge("a", 1.0), unnamed], tasks.iter().map(|task| (1, task, None)));
    let metrics = set.finish(None);
    let shown: Vec<_> =
        metrics.iter().map(|m| (m.name.as_str(), m.from.as_deref(), m.aggregator.as_str(), m.n)).collect();
    assert_eq!(shown, [("a", Some("a"), "mean", 2), ("b", Some("b"), "mean", 1)]);
}

#[test]
fn without_data_there_is_no_value_and_no_interval() {
    for aggregator in
        [Aggregator::Mean, Aggregator::Median, Aggregator::RateAbove, Aggregator::WeightedMean, Aggregator::KsTest]
    {
        for spec in [metric("m", aggregator), bootstrapped(clustered(metric("m", aggregator)))] {
            let metric = over(spec, &[], None);
            assert_eq!(counts(&metric), (None, 0, 0, 0), "{aggregator:?}");
            assert_eq!(
                (metric.standard_error, metric.ci_low, metric.ci_method, metric.p_value),
                (None, None, None, None)
            );
        }
    }
    assert_eq!(over(metric("m", Aggregator::Count), &[], None).value, Some(0.0));
}

#[test]
fn one_score_has_no_standard_error_and_only_wilsons_interval() {
    let one = over(metric("m", Aggregator::Mean), &[0.3], None);
    assert_eq!((one.value, one.standard_error, one.ci_method), (Some(0.3), None, None));
    let one = over(bootstrapped(metric("m", Aggregator::Mean)), &[0.3], None);
    assert_eq!((one.value, one.standard_error, one.ci_method), (Some(0.3), None, None));
    let one = over(metric("m", Aggregator::Mean), &[1.0], None);
    assert_eq!((one.standard_error, one.ci_method), (None, Some(IntervalMethod::Wilson)));
    // One cluster is one unit, however many scores it has.
    let one = over(clustered(metric("m", Aggregator::Mean)), &[1.0, 0.0], Some(&["x", "x"]));
    assert_eq!((one.value, one.standard_error, one.ci_method), (Some(0.5), None, None));
}

#[test]
fn metadata_is_needed_only_where_it_is_used() {
    let needs = |spec| MetricSet::new(&scoring(vec![spec]), &[judge("a", 1.0)], 0).needs_metadata();
    assert!(needs(clustered(metric("m", Aggregator::Mean))));
    assert!(needs(clustered(bootstrapped(metric("m", Aggregator::Median)))));
    assert!(!needs(metric("m", Aggregator::Mean)));
    assert!(!needs(clustered(metric("m", Aggregator::Count))));
}

#[test]
fn the_missing_share_is_of_all_judgments() {
    let metric = of_mixed_tasks(from(metric("m", Aggregator::Mean), "a"));
    assert!((missing_share(&metric) - 5.0 / 7.0).abs() < 1e-15);
}

fn any_call() -> impl Strategy<Value = Call> {
    prop_oneof![
        4 => (-3_i8..4).prop_map(|value| Call::number(f64::from(value))),
        1 => any::<bool>().prop_map(|value| Call::Score(value.into())),
        1 => Just(Call::json(r#"{"score":1,"k":"label"}"#)),
        1 => Just(Call::json(r#""label""#)),
        1 => Just(Call::Unscored),
        1 => Just(Call::Error),
        1 => Just(Call::Missing),
    ]
}

fn any_task() -> impl Strategy<Value = Task> {
    prop_oneof![
        6 => prop::collection::vec(any_call(), 3).prop_map(Task::Judged),
        1 => Just(Task::Timeout),
        1 => Just(Task::Error),
        1 => Just(Task::Skipped),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_slot_is_counted_once(tasks in prop::collection::vec(any_task(), 0..40)) {
        let aggregators = [
            Aggregator::Mean, Aggregator::Median, Aggregator::Count, Aggregator::RateAbove,
            Aggregator::WeightedMean, Aggregator::KsTest,
        ];
        let sources = [(None, 3), (Some("a"), 1), (Some("b.k"), 1), (Some("ghost"), 1)];
        let mut specs = Vec::new();
        for aggregator in aggregators {
            for (source, _) in sources {
                specs.push(MetricSpec { from: source.map(str::to_owned), ..metric("m", aggregator) });
            }
        }
        let mut set = MetricSet::new(&scoring(specs), &["a", "b", "c"].map(|name| judge(name, 1.0)), 1);
        let (mut errors, mut scored) = (0, 0);
        for (row, task) in (1..).zip(&tasks) {
            set.observe(&record(row, task), None);
            match task {
                Task::Timeout | Task::Error => errors += 3,
                Task::Skipped => {}
                Task::Judged(calls) => for call in calls {
                    errors += u64::from(matches!(call, Call::Error));
                    scored += u64::from(matches!(call, Call::Score(_)));
                },
            }
        }
        let slots = |metric: &Metric| metric.n + metric.n_error + metric.n_unscored;
        for (index, metric) in set.finish(None).iter().enumerate() {
            prop_assert_eq!(slots(metric), tasks.len() as u64 * sources[index % 4].1, "{:?}", metric);
            if metric.from.is_none() {
                prop_assert_eq!(metric.n_error, errors);
                if metric.aggregator == "count" {
                    prop_assert_eq!(metric.n, scored);
                }
            }
        }
    }
}
