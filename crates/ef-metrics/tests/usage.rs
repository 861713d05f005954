//! Invariant 5 for what calls used: the same records give the same sums, in any order of arrival.

mod records;

use std::collections::BTreeMap;

use ef_metrics::UsageSum;
use ef_model::{RunUsage, TaskRecord, Usage};
use proptest::prelude::*;
use records::{Call, Task, record};

/// A record whose evaluator and two judges used this.
fn using(row: u64, evaluator: Usage, judges: [Usage; 2]) -> TaskRecord {
    let mut record = record(row, &Task::Judged(vec![Call::number(1.0), Call::Error]));
    record.trace.usage = evaluator;
    for (judgment, usage) in record.judgments.iter_mut().zip(judges) {
        judgment.usage = usage;
    }
    record
}

fn summed<'r>(records: impl IntoIterator<Item = &'r TaskRecord>) -> RunUsage {
    let mut sum = UsageSum::default();
    records.into_iter().for_each(|record| sum.observe(record, None));
    sum.get()
}

fn any_usage() -> impl Strategy<Value = Usage> {
    let (cost, tokens) = (prop::option::of(0.0..1e3_f64), prop::option::of(0..1_u64 << 40));
    (cost, tokens.clone(), tokens).prop_map(|(cost_usd, input_tokens, output_tokens)| Usage {
        cost_usd,
        input_tokens,
        output_tokens,
    })
}

proptest! {
    #[test]
    fn invariant_5_usage_is_byte_identical_in_any_order_of_arrival(
        (records, shuffled) in prop::collection::vec((any_usage(), [any_usage(), any_usage()]), 0..40)
            .prop_map(|drawn| {
                let records = (1..).zip(drawn).map(|(row, (evaluator, judges))| using(row, evaluator, judges));
                records.collect::<Vec<_>>()
            })
            .prop_flat_map(|records| (Just(records.clone()), Just(records).prop_shuffle())),
    ) {
        let json = |usage: &RunUsage| serde_json::to_string(usage).expect("usage is JSON");
        prop_assert_eq!(json(&summed(&records)), json(&summed(&shuffled)));
    }
}

#[test]
fn evaluator_and_judges_are_told_apart_and_what_is_unknown_is_absent() {
    let tokens = Usage { input_tokens: Some(7), ..Usage::UNKNOWN };
    let records = [
        using(1, Usage::cost(0.1), [Usage::UNKNOWN, tokens]),
        using(2, Usage::cost(0.2), [Usage::UNKNOWN, Usage { cost_usd: Some(0.5), ..tokens }]),
        using(3, Usage::UNKNOWN, [Usage::UNKNOWN; 2]),
    ];
    let second = Usage { cost_usd: Some(0.5), input_tokens: Some(14), output_tokens: None };
    let expected = RunUsage {
        evaluator: Usage::cost(0.1 + 0.2),
        judges: BTreeMap::from([("b".to_owned(), second)]),
        unrecorded_usd: None,
    };
    assert_eq!(summed(&records), expected);
    assert!(summed([]).is_unknown());
}

#[test]
fn a_call_that_a_revision_takes_over_was_made_once() {
    let first = using(1, Usage::cost(1.0), [Usage::cost(0.25), Usage::UNKNOWN]);
    let mut answered = TaskRecord { revision: 1, ..first.clone() };
    answered.judgments[1].usage = Usage::cost(4.0);
    let mut again = TaskRecord { revision: 2, ..answered.clone() };
    again.trace.started_at_us += 1;
    again.judgments.iter_mut().for_each(|judgment| judgment.started_at_us += 1);
    let mut sum = UsageSum::default();
    sum.observe(&first, None);
    sum.observe(&answered, Some(&first));
    assert_eq!(sum.cost_usd(), Some(5.25), "the evaluator and the first judge were called once");
    sum.observe(&again, Some(&answered));
    assert_eq!(sum.cost_usd(), Some(10.5), "a task that is done again is paid for again");
}

#[test]
fn a_store_that_was_tampered_with_cannot_break_a_sum() {
    let absurd = Usage { cost_usd: Some(-5.0), input_tokens: Some(u64::MAX), output_tokens: Some(1) };
    let much = Usage { cost_usd: Some(f64::MAX), input_tokens: Some((1 << 53) - 1), output_tokens: Some(2) };
    let usage = summed(&[using(1, absurd, [much; 2]), using(2, Usage::cost(1.0), [much; 2])]);
    assert_eq!(usage.evaluator, Usage { cost_usd: Some(1.0), input_tokens: None, output_tokens: Some(1) });
    let a = usage.judges["a"];
    assert_eq!((a.cost_usd, a.input_tokens, a.output_tokens), (None, None, Some(4)), "more than a result can say");
}
