//! What a run says of what happened.

use std::sync::{Arc, Mutex};

use ef_model::{ErrorKind, TraceOutcome};
use ef_testkit::{ListSource, MemoryStore, ScriptedEvaluator};

use crate::plans::{Setup, echo, records};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_in_a_component_is_an_error_of_its_task_and_the_run_goes_on() {
    let store = MemoryStore::new();
    let setup = Setup {
        evaluator: ScriptedEvaluator::new(|item, _| async move {
            assert!(item.row != 2, "a defect that this test plants");
            Ok(echo(item))
        }),
        ..Setup::new(&store)
    };
    let result = setup.run(ListSource::of_items(3)).await.expect("a result");
    assert_eq!((result.counts.ok, result.counts.error), (2, 1));
    let stored = records(&store).await;
    let TraceOutcome::Error { error } = &stored[1].record.trace.outcome else { panic!("{:?}", stored[1]) };
    assert_eq!((error.kind, error.code.as_str()), (ErrorKind::Permanent, "panic"));
    assert!(!error.message.contains("plants"), "a panic's message may hold anything");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_dataset_is_a_completed_run_without_data() {
    let store = MemoryStore::new();
    let result = Setup::new(&store).run(ListSource::default()).await.expect("a result");
    assert_eq!((result.counts.tasks(), result.metrics[0].value, result.metrics[0].n), (0, None, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_repeat_is_a_record_with_a_seed_of_its_own_that_is_the_same_in_every_run() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let store = MemoryStore::new();
        let seeds = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&seeds);
        let setup = Setup {
            runtime: serde_json::json!({"repeats": 3}),
            evaluator: ScriptedEvaluator::new(move |item, context| {
                seen.lock().expect("no panic").push((item.row, context.repeat, context.seed));
                async { Ok(echo(item)) }
            }),
            ..Setup::new(&store)
        };
        let result = setup.run(ListSource::of_items(4)).await.expect("a result");
        assert_eq!((result.counts.ok, result.metrics[0].n), (12, 12));
        let keys: Vec<_> = records(&store).await.iter().map(|s| (s.record.row, s.record.repeat)).collect();
        let expected: Vec<_> = (1..=4).flat_map(|row| (0..3).map(move |repeat| (row, repeat))).collect();
        assert_eq!(keys, expected);
        let mut seeds = seeds.lock().expect("no panic").clone();
        seeds.sort_unstable();
        runs.push(seeds);
    }
    assert_eq!(runs[0], runs[1]);
    let distinct: std::collections::HashSet<_> = runs[0].iter().map(|(_, _, seed)| seed).collect();
    assert_eq!(distinct.len(), 12);
}
