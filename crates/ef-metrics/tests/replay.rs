//! A run beside its replay, held against what a look at each pair of judgments says.

mod records;

use ef_metrics::ks_two_sample;
use ef_metrics::replay::{ReplayComparison, ReplayDrift};
use ef_model::{Determinism, JudgeIdentity, TaskRecord};
use proptest::prelude::*;
use records::{Call, Task, record};

fn any_call() -> impl Strategy<Value = Call> {
    prop_oneof![
        6 => (0_u8..3).prop_map(|score| Call::number(f64::from(score))),
        1 => Just(Call::Error),
        1 => Just(Call::Unscored),
    ]
}

fn any_task() -> impl Strategy<Value = Task> {
    prop_oneof![8 => any_call().prop_map(|call| Task::Judged(vec![call])), 1 => Just(Task::Timeout), 1 => Just(Task::Skipped)]
}

fn compared(pairs: &[(Task, Task)], determinism: Determinism, listed: usize) -> ReplayDrift {
    let pairs: Vec<(TaskRecord, TaskRecord)> =
        (1..).zip(pairs).map(|(row, (before, after))| (record(row, before), record(row, after))).collect();
    let identity = records::record(1, &Task::Judged(vec![Call::Unscored])).judgments[0].judge.clone();
    let mut comparison = ReplayComparison::new([&JudgeIdentity { determinism, ..(*identity).clone() }], listed);
    pairs.iter().for_each(|(before, after)| comparison.observe(before, after));
    comparison.finish()
}

/// The calls of pairs in which both sides were judged.
fn judged(pairs: &[(Task, Task)]) -> Vec<(&Call, &Call)> {
    pairs
        .iter()
        .filter_map(|pair| match pair {
            (Task::Judged(before), Task::Judged(after)) => Some((&before[0], &after[0])),
            _ => None,
        })
        .collect()
}

fn number(call: &Call) -> Option<f64> {
    match call {
        Call::Score(score) => score.as_number(None),
        _ => None,
    }
}

proptest! {
    #[test]
    fn every_judgment_is_compared_or_told_why_not(pairs in prop::collection::vec((any_task(), any_task()), 0..60)) {
        let drift = compared(&pairs, Determinism::Deterministic, 3);
        let judge = &drift.judges[0];
        let both = judged(&pairs);
        let is_error = |call: &Call| matches!(call, Call::Error);
        let sound: Vec<_> = both.iter().filter(|(a, b)| !is_error(a) && !is_error(b)).collect();
        let drifted = sound.iter().filter(|(a, b)| number(a) != number(b)).count();
        prop_assert_eq!((judge.compared, judge.drifted), (sound.len() as u64, drifted as u64));
        prop_assert_eq!(drift.items.len(), drifted.min(3));
        prop_assert_eq!(drift.is_broken(), drifted > 0);

        let apart = &judge.not_compared;
        let errors = |a: bool, b: bool| both.iter().filter(|(x, y)| (is_error(x), is_error(y)) == (a, b)).count() as u64;
        prop_assert_eq!(apart.error_in_source, errors(true, false));
        prop_assert_eq!(apart.error_in_replay, errors(false, true));
        prop_assert_eq!(apart.error_in_both, errors(true, true));
        let one_sided = pairs.iter().filter(|(a, b)| matches!(a, Task::Judged(_)) != matches!(b, Task::Judged(_)));
        prop_assert_eq!(apart.other_output, one_sided.count() as u64);
    }

    #[test]
    fn a_run_does_not_drift_from_itself(tasks in prop::collection::vec(any_task(), 0..60)) {
        let pairs: Vec<_> = tasks.into_iter().map(|task| (task.clone(), task)).collect();
        for determinism in [Determinism::Deterministic, Determinism::SamplingDeterministic, Determinism::Stochastic] {
            let drift = compared(&pairs, determinism, 10);
            prop_assert_eq!((drift.judges[0].drifted, drift.items.len(), drift.is_broken()), (0, 0, false));
            prop_assert!(drift.judges[0].ks_statistic.is_none_or(|statistic| statistic == 0.0));
        }
    }

    #[test]
    fn a_stochastic_judges_numbers_are_compared_as_the_test_for_two_samples_says(
        pairs in prop::collection::vec((any_task(), any_task()), 0..60),
    ) {
        let both = judged(&pairs);
        let sound = both.iter().filter(|(a, b)| !matches!(a, Call::Error) && !matches!(b, Call::Error));
        let (before, after): (Vec<_>, Vec<_>) = sound.map(|(a, b)| (number(a), number(b))).unzip();
        let [before, after] = [before, after].map(|side| side.into_iter().flatten().collect::<Vec<_>>());
        let expected = ks_two_sample(&before, &after);
        let judge = &compared(&pairs, Determinism::Stochastic, 10).judges[0];
        prop_assert_eq!(judge.ks_statistic.zip(judge.ks_p_value), expected.map(|test| (test.statistic, test.p_value)));
    }
}
