//! Limits hold.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ef_model::Verdict;
use ef_testkit::{ListSource, MemoryStore, ScriptedEvaluator, ScriptedJudge};

use crate::plans::{Setup, echo};

/// Counts who is inside, and the most that ever were.
#[derive(Default)]
struct Crowd {
    inside: AtomicUsize,
    most: AtomicUsize,
}

impl Crowd {
    async fn pass(&self) {
        let inside = self.inside.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(inside, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(1)).await;
        self.inside.fetch_sub(1, Ordering::SeqCst);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invariant_3_never_more_than_max_concurrent_tasks_are_in_flight() {
    let crowd = Arc::new(Crowd::default());
    let store = MemoryStore::new();
    let (evaluating, judging) = (Arc::clone(&crowd), Arc::clone(&crowd));
    let setup = Setup {
        runtime: serde_json::json!({"max_concurrent": 7}),
        evaluator: ScriptedEvaluator::new(move |item, _| {
            let crowd = Arc::clone(&evaluating);
            async move {
                crowd.pass().await;
                Ok(echo(item))
            }
        }),
        judge: ScriptedJudge::new(move |_, _, _| {
            let crowd = Arc::clone(&judging);
            async move {
                crowd.pass().await;
                Ok(Verdict::scored(true))
            }
        }),
        ..Setup::new(&store)
    };
    setup.run(ListSource::of_items(300)).await.expect("a result");
    assert_eq!(crowd.most.load(Ordering::SeqCst), 7, "the limit is kept, and used");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_components_own_limit_holds_within_the_runs() {
    let crowd = Arc::new(Crowd::default());
    let store = MemoryStore::new();
    let evaluating = Arc::clone(&crowd);
    let setup = Setup {
        evaluator: ScriptedEvaluator::new(move |item, _| {
            let crowd = Arc::clone(&evaluating);
            async move {
                crowd.pass().await;
                Ok(echo(item))
            }
        }),
        ..Setup::new(&store)
    };
    let mut plan = setup.plan();
    plan.spec.evaluator.max_concurrent = Some(3);
    let (runner, _) = ef_runner::Runner::new(plan);
    runner.run(Box::new(ListSource::of_items(100))).await.expect("a result");
    assert_eq!(crowd.most.load(Ordering::SeqCst), 3);
}
