//! Invariant 5: the same judgments and scoring give byte-identical metrics, in any order of arrival.

mod records;

use ef_spec::{Aggregator, MetricSpec, Scoring};
use proptest::prelude::*;
use records::{Call, Task, bootstrapped, clustered, fed, from, judge, metric, scoring};

/// Every aggregator in every shape.
fn every_metric() -> Scoring {
    let mut specs = Vec::new();
    for aggregator in [
        Aggregator::Mean,
        Aggregator::Median,
        Aggregator::Count,
        Aggregator::RateAbove,
        Aggregator::WeightedMean,
        Aggregator::KsTest,
    ] {
        let spec = MetricSpec { bootstrap_samples: 20, ..metric("m", aggregator) };
        specs.extend([
            spec.clone(),
            from(spec.clone(), "b"),
            bootstrapped(spec.clone()),
            clustered(spec.clone()),
            bootstrapped(clustered(spec)),
        ]);
    }
    scoring(specs)
}

fn any_task() -> impl Strategy<Value = (Task, Option<u8>)> {
    let call = prop_oneof![
        3 => (-1e3..1e3_f64).prop_map(Call::number),
        2 => (0_u8..2).prop_map(|score| Call::number(f64::from(score))),
        1 => Just(Call::Error),
        1 => Just(Call::Unscored),
    ];
    let task = prop_oneof![8 => prop::collection::vec(call, 2).prop_map(Task::Judged), 1 => Just(Task::Timeout)];
    (task, prop::option::weighted(0.8, 0_u8..6))
}

fn json(tasks: &[(u64, (Task, Option<u8>))], baseline: &[(u64, (Task, Option<u8>))]) -> String {
    let scoring = every_metric();
    let set = |tasks: &[(u64, (Task, Option<u8>))]| {
        let clusters: Vec<_> =
            tasks.iter().map(|(_, (_, cluster))| cluster.map(|cluster| cluster.to_string())).collect();
        let rows = tasks.iter().zip(&clusters).map(|((row, (task, _)), cluster)| (*row, task, cluster.as_deref()));
        fed(&scoring, &[judge("a", 0.3), judge("b", 1.7)], rows)
    };
    let baseline = set(baseline);
    serde_json::to_string(&set(tasks).finish(Some(&baseline))).expect("metrics are JSON")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn invariant_5_metrics_are_byte_identical_in_any_order_of_arrival(
        (tasks, shuffled) in prop::collection::vec(any_task(), 0..40).prop_flat_map(|tasks| {
            let tasks: Vec<_> = (1_u64..).zip(tasks).collect();
            (Just(tasks.clone()), Just(tasks).prop_shuffle())
        }),
    ) {
        prop_assert_eq!(json(&tasks, &shuffled), json(&shuffled, &tasks));
    }
}

#[test]
fn invariant_5_holds_for_more_scores_than_one_block() {
    let score = |row: u64| {
        let score = (row.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11) as f64 / 1e12;
        (row, (Task::Judged(vec![Call::number(score), Call::number(score.floor())]), None))
    };
    let forwards: Vec<_> = (0..10_000).map(score).collect();
    let backwards: Vec<_> = (0..10_000).rev().map(score).collect();
    assert!(json(&forwards, &[]) == json(&backwards, &[]), "metrics depend on the order of arrival");
}
