//! An attempt's time limit counts its work, and not its waits.

use std::time::Duration;

use ef_model::Verdict;
use ef_testkit::{ListSource, MemoryStore, ScriptedEvaluator, ScriptedJudge};
use tokio::time::sleep;

use crate::plans::{Setup, echo};

#[tokio::test(start_paused = true)]
async fn time_that_a_call_waits_for_its_turn_is_not_counted() {
    let store = MemoryStore::new();
    let setup = Setup {
        runtime: serde_json::json!({"task_timeout_seconds": 2.0, "max_retries": 0}),
        evaluator: ScriptedEvaluator::new(|item, context| async move {
            let waits = context.pause_clock();
            sleep(Duration::from_secs(item.row * 10)).await;
            drop(waits);
            sleep(Duration::from_secs(1)).await;
            Ok(echo(item))
        }),
        // A person who takes an hour.
        judge: ScriptedJudge::new(|_, _, context| async move {
            let _waits = context.pause_clock();
            sleep(Duration::from_secs(3600)).await;
            Ok(Verdict::scored(true))
        }),
        ..Setup::new(&store)
    };
    let result = setup.run(ListSource::of_items(5)).await.expect("a result");
    assert_eq!((result.counts.ok, result.counts.scored), (5, 5));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_hangs_after_its_turn_has_come_times_out() {
    let store = MemoryStore::new();
    let setup = Setup {
        runtime: serde_json::json!({"task_timeout_seconds": 2.0, "max_retries": 1}),
        evaluator: ScriptedEvaluator::new(|_, context| async move {
            let waits = context.pause_clock();
            sleep(Duration::from_secs(60)).await;
            drop(waits);
            std::future::pending().await
        }),
        ..Setup::new(&store)
    };
    let began = tokio::time::Instant::now();
    let result = setup.run(ListSource::of_items(1)).await.expect("a result");
    assert_eq!(result.counts.timeout, 1);
    let took = began.elapsed().as_secs();
    assert!((124..126).contains(&took), "two attempts of sixty and two seconds each took {took}");
}
