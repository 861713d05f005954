//! What a comparison of two runs promises.

mod records;

use std::collections::BTreeMap;

use ef_metrics::diff::{BaselineScores, DeltaMethod, FlipKind, JudgeCounts, MetricDelta, Outcome, Pairing, Scores};
use ef_model::{Digest, ItemId, Scalar, TaskRecord, TraceOutcome};
use ef_spec::{Aggregator, EvalSpec, MetricSpec};
use proptest::prelude::*;
use records::{Call, Task, bootstrapped, close, clustered, doc, fed, from, judge, metric, record, scoring};

fn spec(judges: &[&str], metrics: Vec<MetricSpec>, repeats: u32) -> EvalSpec {
    let mut spec: EvalSpec = serde_json::from_value(serde_json::json!({
        "schema_version": "1", "id": "test", "version": "1.0.0",
        "evaluator": {"id": "test.evaluator"}, "judges": [], "runtime": {"repeats": repeats},
    }))
    .expect("a spec");
    spec.judges = judges.iter().map(|name| judge(name, 1.0)).collect();
    spec.scoring = scoring(metrics);
    spec
}

/// One judge `a` and a mean of it, or another metric.
fn one(metric: MetricSpec) -> EvalSpec {
    spec(&["a"], vec![metric], 1)
}

fn mean() -> MetricSpec {
    metric("m", Aggregator::Mean)
}

fn number(score: f64) -> Task {
    Task::Judged(vec![Call::number(score)])
}

fn json(score: &str) -> Task {
    Task::Judged(vec![Call::json(score)])
}

/// An item of this id in this row.
fn item(id: &str, row: u64, task: &Task) -> TaskRecord {
    TaskRecord { item_id: ItemId::new(id).expect("an id"), ..record(row, task) }
}

fn repeated(id: &str, row: u64, tasks: &[Task]) -> Vec<TaskRecord> {
    (0..).zip(tasks).map(|(repeat, task)| TaskRecord { repeat, ..item(id, row, task) }).collect()
}

/// Items `0`, `1`, … in rows from 1.
fn items(tasks: &[Task]) -> Vec<TaskRecord> {
    (0_u64..).zip(tasks).map(|(index, task)| item(&index.to_string(), index + 1, task)).collect()
}

fn numbers(scores: &[f64]) -> Vec<TaskRecord> {
    items(&scores.iter().map(|&score| number(score)).collect::<Vec<_>>())
}

fn compared_by(specs: (&EvalSpec, &EvalSpec), run: &[TaskRecord], baseline: &[TaskRecord]) -> Scores {
    let mut before = BaselineScores::new(specs.0, specs.1);
    baseline.iter().for_each(|record| before.observe(record));
    let mut comparison = before.against_run(Some(1000));
    run.iter().for_each(|record| comparison.observe(record, None));
    comparison.finish(&[], &[])
}

fn compared(spec: &EvalSpec, run: &[TaskRecord], baseline: &[TaskRecord]) -> Scores {
    compared_by((spec, spec), run, baseline)
}

/// The one metric of pairs (run, baseline), with clusters where they are given.
fn moved(metric: MetricSpec, pairs: &[(f64, f64)], clusters: Option<&[&str]>) -> MetricDelta {
    let spec = one(metric);
    let mut before = BaselineScores::new(&spec, &spec);
    numbers(&pairs.iter().map(|pair| pair.1).collect::<Vec<_>>()).iter().for_each(|record| before.observe(record));
    let mut comparison = before.against_run(None);
    assert_eq!(comparison.needs_metadata(), clusters.is_some());
    for (index, record) in numbers(&pairs.iter().map(|pair| pair.0).collect::<Vec<_>>()).iter().enumerate() {
        comparison.observe(record, clusters.map(|clusters| doc(clusters[index])).as_ref());
    }
    comparison.finish(&[], &[]).metrics.remove(0)
}

fn counts(scores: &Scores) -> &JudgeCounts {
    scores.judges.first().expect("there is a judge")
}

#[test]
fn every_pair_is_counted_once_and_an_error_is_neither_a_fail_nor_unscored() {
    let unscored = || Task::Judged(vec![Call::Unscored]);
    let broken = || Task::Judged(vec![Call::Error]);
    let both = [
        (number(1.0), number(0.0)),
        (number(0.25), number(0.5)),
        (json("true"), number(1.0)),
        (json("\"good\""), json("\"good\"")),
        (json("\"good\""), json("\"bad\"")),
        (json("\"good\""), number(1.0)),
        (Task::Error, number(1.0)),
        (number(0.0), Task::Timeout),
        (broken(), broken()),
        (broken(), unscored()),
        (unscored(), number(0.0)),
        (number(0.0), Task::Skipped),
        (unscored(), Task::Judged(vec![Call::Missing])),
    ];
    let (run, baseline): (Vec<_>, Vec<_>) = both.into_iter().unzip();
    let scores = compared(&one(mean()), &items(&run), &items(&baseline));
    let counts = counts(&scores);
    assert_eq!((counts.improved, counts.worsened, counts.changed, counts.unchanged), (1, 1, 2, 2));
    assert_eq!((counts.error.run, counts.error.baseline, counts.error.both), (2, 1, 1));
    assert_eq!((counts.unscored.run, counts.unscored.baseline, counts.unscored.both), (1, 1, 1));
    assert_eq!(counts.moved_with_same_output, 4);
    assert_eq!(scores.pairs.paired, 13);
    assert_eq!(scores.metrics[0].n, Some(3), "only numbers on both sides enter the delta");
}

#[test]
fn items_are_paired_by_their_ids_whatever_their_rows() {
    let baseline = [item("x", 1, &number(1.0)), item("gone", 2, &number(0.0)), item("y", 3, &number(0.0))];
    let run = [item("y", 1, &number(0.0)), item("new", 2, &number(0.0)), item("x", 9, &number(0.5))];
    let scores = compared(&one(mean()), &run, &baseline);
    assert_eq!((scores.pairs.paired, scores.pairs.appeared, scores.pairs.vanished), (2, 1, 1));
    assert_eq!(scores.pairing, Pairing::Item);
    let flips = scores.flips.expect("they were asked for");
    assert_eq!(flips.len(), 1);
    assert_eq!((flips[0].item_id.as_str(), flips[0].row, flips[0].kind), ("x", 9, FlipKind::Worsened));
    let score = |value| Outcome::Scored { score: serde_json::from_str::<Scalar>(value).expect("a score") };
    assert_eq!((&flips[0].baseline, &flips[0].run), (&score("1.0"), &score("0.5")));
}

#[test]
fn an_item_that_is_another_than_before_and_an_output_that_is_the_same_are_told() {
    let with = |input: &str, output: &str, score: f64| {
        let mut record = item("x", 1, &number(score));
        record.trace.input = Some(Digest::of(input.as_bytes()));
        record.trace.outcome = TraceOutcome::Ok { output: Digest::of(output.as_bytes()), output_metadata: None };
        [record]
    };
    let found = |run: &[TaskRecord]| {
        let scores = compared(&one(mean()), run, &with("input", "output", 1.0));
        (scores.pairs.other_content, counts(&scores).moved_with_same_output)
    };
    assert_eq!(found(&with("input", "output", 0.0)), (0, 1));
    assert_eq!(found(&with("input", "other", 0.0)), (0, 0));
    assert_eq!(found(&with("other", "output", 1.0)), (1, 0));
    let mut reference = with("input", "output", 0.0);
    reference[0].trace.reference_output = Some(Digest::of(b"reference"));
    assert_eq!(found(&reference), (1, 1));
}

#[test]
fn repeats_are_paired_one_by_one_where_both_runs_have_as_many() {
    let spec = spec(&["a"], vec![mean()], 2);
    let both = |tasks: [[f64; 2]; 3]| -> Vec<TaskRecord> {
        let rows = (1..).zip(tasks);
        rows.flat_map(|(row, scores)| repeated(&row.to_string(), row, &scores.map(number))).collect()
    };
    let scores =
        compared(&spec, &both([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]]), &both([[0.0, 1.0], [0.0, 0.0], [0.0, 0.0]]));
    assert_eq!(scores.pairing, Pairing::ItemAndRepeat);
    assert_eq!((counts(&scores).improved, counts(&scores).worsened, counts(&scores).unchanged), (3, 1, 2));
    let metric = &scores.metrics[0];
    assert_eq!((metric.n, metric.units), (Some(6), Some(3)));
    assert_eq!(metric.p_value, None, "repeats of an item are not independent");
    // Sums of differences by item: 0, 2, 0; their mean over 6 pairs 1/3. SE = √(3/2 · (4/9 + 16/9 + 4/9)) / 6.
    assert!(close(metric.delta, 1.0 / 3.0, 1e-15));
    assert!(close(metric.standard_error, 2.0 / 6.0, 1e-15), "{metric:?}");
}

#[test]
fn means_of_repeats_are_paired_where_one_run_has_more() {
    let (three, one) = (spec(&["a"], vec![mean()], 3), one(mean()));
    let run: Vec<_> = [
        repeated("x", 1, &[number(1.0), number(0.0), Task::Error]),
        repeated("y", 2, &[json("true"), json("true"), json("true")]),
        repeated("label", 3, &[json("\"a\""), json("\"a\""), json("\"a\"")]),
        repeated("labels", 4, &[json("\"a\""), json("\"b\""), json("\"a\"")]),
        repeated("lost", 5, &[Task::Error, Task::Timeout, Task::Error]),
        repeated("new", 6, &[number(1.0)]),
    ]
    .concat();
    let baseline = [
        item("x", 1, &number(1.0)),
        item("y", 2, &json("true")),
        item("label", 3, &json("\"a\"")),
        item("labels", 4, &json("\"a\"")),
        item("lost", 5, &number(1.0)),
        item("gone", 6, &number(1.0)),
    ];
    let scores = compared_by((&three, &one), &run, &baseline);
    assert_eq!(scores.pairing, Pairing::ItemMean);
    assert_eq!((scores.pairs.paired, scores.pairs.appeared, scores.pairs.vanished), (5, 1, 1));
    let found = counts(&scores);
    assert_eq!((found.worsened, found.unchanged, found.error.run, found.unscored.run), (1, 2, 1, 1), "{found:?}");
    assert_eq!((scores.metrics[0].run, scores.metrics[0].baseline), (Some(0.75), Some(1.0)));
    let turned = compared_by((&one, &three), &baseline, &run);
    assert_eq!((counts(&turned).improved, counts(&turned).error.baseline), (1, 1));
}

#[test]
fn object_scores_are_compared_by_the_values_that_metrics_take() {
    let by = |froms: &[&str]| {
        let metrics = froms.iter().map(|path| from(metric(path, Aggregator::Mean), path)).collect();
        let spec = spec(&["a", "b"], metrics, 1);
        let task = |x: f64| {
            items(&[Task::Judged(vec![Call::json(&format!("{{\"x\": {x}, \"tone\": \"kind\"}}")), Call::number(1.0)])])
        };
        let scores = compared(&spec, &task(0.5), &task(0.25));
        let told = scores.judges.iter().map(|counts| {
            let key = counts.key.as_deref().unwrap_or("-");
            format!("{}.{key} +{} ={} ?{}", counts.judge, counts.improved, counts.unchanged, counts.unscored.any())
        });
        told.collect::<Vec<_>>()
    };
    assert_eq!(by(&["a.x", "a.tone"]), ["a.x +1 =0 ?0", "a.tone +0 =1 ?0", "b.- +0 =1 ?0"]);
    assert_eq!(by(&["a", "a.x"]), ["a.- +0 =0 ?1", "a.x +1 =0 ?0", "b.- +0 =1 ?0"]);
}

#[test]
fn a_judge_that_only_one_run_has_is_left_out() {
    let all = metric("all", Aggregator::Mean);
    let (run, baseline) = (spec(&["new", "a"], vec![all, from(mean(), "new")], 1), spec(&["a", "old"], vec![], 1));
    let mut record = item("x", 1, &Task::Judged(vec![Call::number(1.0)]));
    let scores = compared_by((&run, &baseline), std::slice::from_ref(&record), std::slice::from_ref(&record));
    assert_eq!(scores.judges.iter().map(|counts| counts.judge.as_str()).collect::<Vec<_>>(), ["a"]);
    assert_eq!((scores.metrics[0].n, scores.metrics[0].run), (Some(1), Some(1.0)));
    assert_eq!((scores.metrics[1].n, scores.metrics[1].run, scores.metrics[1].delta), (Some(0), None, None));
    record.judgments.clear();
    let nothing = spec(&["other"], vec![], 1);
    assert!(compared_by((&run, &nothing), &[record], &[]).judges.is_empty());
}

#[test]
fn shares_have_newcombes_interval_and_mcnemars_test() {
    // 1 on both sides 59 times, only before 16 times, only after 6 times, never 80 times.
    let kinds = [((1.0, 1.0), 59), ((0.0, 1.0), 16), ((1.0, 0.0), 6), ((0.0, 0.0), 80)];
    let pairs: Vec<_> = kinds.iter().flat_map(|&(pair, count)| std::iter::repeat_n(pair, count)).collect();
    let delta = moved(mean(), &pairs, None);
    assert!(close(delta.delta, -10.0 / 161.0, 1e-15));
    assert_eq!(delta.ci_method, Some(DeltaMethod::Newcombe));
    assert!(close(delta.p_value, 0.052_478_790_283_203_125, 1e-14), "{delta:?}");
    // The paired difference as any other: s/√n of −1, 0 and 1.
    let variance = (22.0 - 100.0 / 161.0) / 160.0;
    assert!(close(delta.standard_error, (variance / 161.0_f64).sqrt(), 1e-14));
    assert_eq!((delta.n, delta.units), (Some(161), Some(161)));

    let rate = MetricSpec { threshold: Some(0.9), ..metric("m", Aggregator::RateAbove) };
    let halves: Vec<_> = pairs.iter().map(|&(run, baseline)| (run, 0.9 + baseline / 10.0)).collect();
    let delta = moved(rate, &halves, None);
    assert_eq!((delta.baseline, delta.p_value.is_some()), (Some(1.0), true));
}

#[test]
fn numbers_have_the_interval_of_the_paired_t_test() {
    // R: t.test(c(1.1, 2.3, 2.9, 4.4, 5.2), c(1, 2, 3, 4, 5), paired = TRUE): mean 0.18, t(4) = 2.7764451052
    let pairs = [(1.1, 1.0), (2.3, 2.0), (2.9, 3.0), (4.4, 4.0), (5.2, 5.0)];
    let delta = moved(mean(), &pairs, None);
    let squares: f64 = [0.1, 0.3, -0.1, 0.4, 0.2].iter().map(|d: &f64| (d - 0.18).powi(2)).sum();
    let standard_error = (squares / 4.0 / 5.0).sqrt();
    assert!(close(delta.delta, 0.18, 1e-14) && close(delta.standard_error, standard_error, 1e-13), "{delta:?}");
    assert_eq!(delta.ci_method, Some(DeltaMethod::StudentT));
    assert!(close(delta.ci_low, 0.18 - 2.776_445_105_2 * standard_error, 1e-10), "{delta:?}");
    assert!(close(delta.ci_high, 0.18 + 2.776_445_105_2 * standard_error, 1e-10), "{delta:?}");
    assert_eq!(delta.p_value, None);
}

#[test]
fn clusters_and_judges_of_one_item_are_one_unit() {
    let pairs = [(1.0, 0.0), (1.0, 0.0), (0.0, 0.0), (0.0, 1.0), (1.0, 1.0), (0.0, 0.0)];
    let delta = moved(clustered(mean()), &pairs, Some(&["x", "x", "y", "y", "z", "z"]));
    // Sums of differences 2, −1, 0; less their share of the mean 1/6: 5/3, −4/3, −1/3. SE = √(3/2 · 42/9) / 6.
    assert!(close(delta.delta, 1.0 / 6.0, 1e-15) && close(delta.standard_error, 7.0_f64.sqrt() / 6.0, 1e-14));
    assert_eq!((delta.units, delta.p_value, delta.ci_method), (Some(3), None, Some(DeltaMethod::StudentT)));
    assert_eq!((delta.ci_low, delta.ci_high), (Some(-1.0), Some(1.0)), "shares are at most 1 apart");

    let two = spec(&["a", "b"], vec![metric("all", Aggregator::Mean)], 1);
    let both = |scores: &[f64]| {
        items(&scores.iter().map(|&x| Task::Judged(vec![Call::number(x), Call::number(x)])).collect::<Vec<_>>())
    };
    let scores = compared(&two, &both(&[1.0, 0.0, 1.0]), &both(&[0.0, 0.0, 1.0]));
    assert_eq!((scores.metrics[0].n, scores.metrics[0].units, scores.metrics[0].p_value), (Some(6), Some(3), None));
}

#[test]
fn pairs_that_all_move_alike_have_no_interval_but_a_share() {
    let shifted: Vec<_> = (0..20).map(|step| (f64::from(step) * 0.1 + 0.1, f64::from(step) * 0.1)).collect();
    for metric in [mean(), bootstrapped(mean())] {
        let delta = moved(metric, &shifted, None);
        assert!(close(delta.delta, 0.1, 1e-14));
        assert_eq!((delta.standard_error, delta.ci_low, delta.ci_method), (Some(0.0), None, None), "{delta:?}");
    }
    let delta = moved(mean(), &[(1.0, 1.0); 30], None);
    assert!(delta.ci_low.is_some_and(|low| low < -0.05) && delta.ci_high.is_some_and(|high| high > 0.05), "{delta:?}");
    let none = moved(mean(), &[], None);
    assert_eq!((none.n, none.run, none.delta, none.ci_low, none.p_value), (Some(0), None, None, None, None));
    let single = moved(mean(), &[(3.0, 1.0)], None);
    assert_eq!((single.delta, single.standard_error, single.ci_low), (Some(2.0), None, None));
}

#[test]
fn scores_of_any_size_give_finite_numbers_or_none() {
    let delta = moved(mean(), &[(f64::MAX, f64::MIN), (f64::MAX, f64::MIN), (0.0, 1.0)], None);
    assert_eq!((delta.delta, delta.ci_low), (None, None), "the difference is no double");
    let delta = moved(mean(), &[(f64::MAX, 0.0), (f64::MAX, 0.0)], None);
    assert_eq!((delta.delta, delta.run), (Some(f64::MAX), Some(f64::MAX)));
    let delta = moved(bootstrapped(mean()), &[(1e-300, 0.0), (0.0, 1e-300), (3e-300, 0.0)], None);
    assert!(close(delta.delta.map(|delta| delta * 1e300), 1.0, 1e-14) && delta.ci_low.is_some(), "{delta:?}");
}

#[test]
fn a_median_moves_with_its_pairs_and_has_an_interval_on_request() {
    let median = metric("m", Aggregator::Median);
    let pairs: Vec<_> = (0..101).map(|step| (f64::from(step) + f64::from(step % 7), f64::from(step))).collect();
    let delta = moved(median.clone(), &pairs, None);
    assert_eq!((delta.baseline, delta.ci_low), (Some(50.0), None));
    assert_eq!(delta.delta, delta.run.zip(delta.baseline).map(|(run, baseline)| run - baseline));
    let delta = moved(bootstrapped(median.clone()), &pairs, None);
    // Medians of either side alone spread over some 20 points; what the sides share cancels in pairs.
    let (low, high) = delta.ci_low.zip(delta.ci_high).expect("there is spread");
    assert!(low <= 3.0 && 3.0 <= high && high - low < 8.0, "{low} to {high}");
    let clusters: Vec<_> = (0..101).map(|step| ["a", "b", "c", "d"][step % 4]).collect();
    let by_cluster = moved(bootstrapped(clustered(median)), &pairs, Some(&clusters));
    assert_eq!((by_cluster.delta, by_cluster.units), (delta.delta, Some(4)));
    assert!(by_cluster.ci_low.is_some());
}

#[test]
fn counts_and_distances_are_those_of_the_whole_runs() {
    let spec = one(metric("m", Aggregator::Count));
    let stored = |scores: &[f64]| {
        let tasks: Vec<_> = scores.iter().map(|&score| number(score)).collect();
        let rows = (1..).zip(&tasks).map(|(row, task)| (row, task, None));
        fed(&spec.scoring, &spec.judges, rows).finish(None)
    };
    let comparison = || BaselineScores::new(&spec, &spec).against_run(None);
    let delta = &comparison().finish(&stored(&[1.0, 1.0, 1.0]), &stored(&[1.0])).metrics[0];
    assert_eq!((delta.baseline, delta.run, delta.delta), (Some(1.0), Some(3.0), Some(2.0)));
    assert_eq!((delta.n, delta.ci_low, delta.standard_error), (None, None, None));
    let delta = &comparison().finish(&[], &stored(&[1.0])).metrics[0];
    assert_eq!((delta.run, delta.delta), (None, None), "an unfinished run has no count yet");
}

#[test]
fn the_worst_flips_come_first_and_no_more_than_were_asked_for() {
    let run = [number(0.0), number(0.4), Task::Error, json("\"b\""), number(1.0), number(0.5), number(0.5)];
    let before = [number(1.0), number(0.5), number(1.0), json("\"a\""), number(0.0), number(0.5), number(1.0)];
    let listed = |limit| {
        let spec = one(mean());
        let mut baseline = BaselineScores::new(&spec, &spec);
        items(&before).iter().for_each(|record| baseline.observe(record));
        let mut comparison = baseline.against_run(Some(limit));
        items(&run).iter().for_each(|record| comparison.observe(record, None));
        let flips = comparison.finish(&[], &[]).flips.expect("they were asked for");
        flips.iter().map(|flip| flip.item_id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(listed(100), ["0", "6", "1", "2", "3", "4"]);
    assert_eq!(listed(2), ["0", "6"]);
    assert!(listed(0).is_empty());
}

fn any_task() -> impl Strategy<Value = Task> {
    prop_oneof![
        4 => (0_u8..4).prop_map(|score| number(f64::from(score) / 3.0)),
        1 => any::<bool>().prop_map(|truth| json(if truth { "true" } else { "false" })),
        1 => (0_u8..2).prop_map(|label| json(if label == 0 { "\"x\"" } else { "\"y\"" })),
        1 => Just(Task::Error),
        1 => Just(Task::Judged(vec![Call::Unscored])),
    ]
}

/// A run: items by id, each in a row of its own.
fn any_run() -> impl Strategy<Value = Vec<TaskRecord>> {
    prop::collection::btree_map(0_u8..30, any_task(), 0..25).prop_map(BTreeMap::into_iter).prop_flat_map(|tasks| {
        Just(tasks.collect::<Vec<_>>())
            .prop_shuffle()
            .prop_map(|tasks| (1..).zip(tasks).map(|(row, (id, task))| item(&id.to_string(), row, &task)).collect())
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn the_other_way_round_everything_is_the_other_way_round(run in any_run(), baseline in any_run()) {
        let spec = one(mean());
        let (there, back) = (compared(&spec, &run, &baseline), compared(&spec, &baseline, &run));
        let (one, other) = (counts(&there), counts(&back));
        prop_assert_eq!((one.improved, one.worsened, one.changed, one.unchanged),
            (other.worsened, other.improved, other.changed, other.unchanged));
        prop_assert_eq!((one.error.run, one.error.baseline, one.error.both),
            (other.error.baseline, other.error.run, other.error.both));
        prop_assert_eq!((one.unscored.run, one.unscored.baseline, one.unscored.both),
            (other.unscored.baseline, other.unscored.run, other.unscored.both));
        prop_assert_eq!((there.pairs.appeared, there.pairs.vanished), (back.pairs.vanished, back.pairs.appeared));
        prop_assert_eq!(one.moved() + one.unchanged + one.error.any() + one.unscored.any(), there.pairs.paired);
        let flips = |scores: &Scores| scores.flips.as_ref().map_or(0, Vec::len) as u64;
        prop_assert_eq!(flips(&there), flips(&back));
        let (one, other) = (&there.metrics[0], &back.metrics[0]);
        prop_assert_eq!((one.run, one.baseline, one.n, one.p_value), (other.baseline, other.run, other.n, other.p_value));
        let turned = |one: Option<f64>, other: Option<f64>| match (one, other) {
            (Some(one), Some(other)) => (one + other).abs() < 1e-12,
            (one, other) => one.is_none() && other.is_none(),
        };
        prop_assert!(turned(one.delta, other.delta) && turned(one.ci_low, other.ci_high), "{one:?} {other:?}");
    }

    #[test]
    fn where_all_items_pair_the_delta_is_the_difference_of_the_metrics(
        pairs in prop::collection::vec((-1e3..1e3_f64, -1e3..1e3_f64), 1..40),
        aggregator in prop::sample::select(vec![Aggregator::Mean, Aggregator::Median, Aggregator::RateAbove]),
    ) {
        let spec = one(metric("m", aggregator));
        let side = |side: fn(&(f64, f64)) -> f64| pairs.iter().map(side).collect::<Vec<_>>();
        let whole = |scores: &[f64]| {
            let tasks: Vec<_> = scores.iter().map(|&score| number(score)).collect();
            fed(&spec.scoring, &spec.judges, (1..).zip(&tasks).map(|(row, task)| (row, task, None))).finish(None)[0].value
        };
        let delta = moved(metric("m", aggregator), &pairs, None);
        let (run, baseline) = (whole(&side(|pair| pair.0)), whole(&side(|pair| pair.1)));
        prop_assert!(close(delta.run, run.expect("there is data"), 1e-13));
        prop_assert!(close(delta.baseline, baseline.expect("there is data"), 1e-13));
        prop_assert!(close(delta.delta, run.unwrap_or(0.0) - baseline.unwrap_or(0.0), 1e-10), "{delta:?}");
    }

    #[test]
    fn the_order_of_the_baseline_changes_no_byte(run in any_run(), baseline in any_run(), seed in any::<u64>()) {
        let mut shuffled = baseline.clone();
        shuffled.sort_by_key(|record| (record.row.wrapping_mul(seed | 1), record.row));
        let spec = spec(&["a"], vec![mean(), bootstrapped(MetricSpec { bootstrap_samples: 20, ..metric("b", Aggregator::Mean) }),
            bootstrapped(MetricSpec { bootstrap_samples: 20, ..metric("c", Aggregator::Median) })], 1);
        let text = |baseline: &[TaskRecord]| serde_json::to_string(&compared(&spec, &run, baseline)).expect("JSON");
        prop_assert_eq!(text(&baseline), text(&shuffled));
    }
}
