//! A run stops before its calls can cross its budget.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use ef_model::{
    BoxFuture, CallContext, CallError, Determinism, ErrorKind, EvalItem, Evaluator, EvaluatorOutput, Identity, Judge,
    Pricing, RunStatus, TraceStore, Usage, Verdict,
};
use ef_runner::{RunError, RunEvent, Runner, StopCause, Trial, TrialError};
use ef_testkit::{ListSource, MemoryStore, ScriptedEvaluator, ScriptedJudge, evaluator_identity};

use crate::plans::{Setup, echo, records, run_id};

/// What an attempt does.
type Attempt = dyn Fn(&EvalItem, &CallContext) -> Result<Usage, CallError> + Send + Sync;

/// A component of which each attempt can cost so much, takes a second, and does what it is told to.
struct Priced {
    identity: Arc<Identity>,
    most_usd: f64,
    pricing: Pricing,
    attempt: Box<Attempt>,
    calls: AtomicUsize,
}

impl Priced {
    fn new(
        most_usd: f64,
        attempt: impl Fn(&EvalItem, &CallContext) -> Result<Usage, CallError> + Send + Sync + 'static,
    ) -> Arc<Self> {
        let (identity, pricing) = (evaluator_identity(), Pricing::Bounded);
        Arc::new(Self { identity, most_usd, pricing, attempt: Box::new(attempt), calls: AtomicUsize::new(0) })
    }

    /// Each attempt costs as much as it can.
    fn at(usd: f64) -> Arc<Self> {
        Self::new(usd, move |_, _| Ok(Usage::cost(usd)))
    }

    fn unbounded(missing: &str) -> Arc<Self> {
        let pricing = Pricing::Unbounded { missing: missing.to_owned() };
        let attempt: Box<Attempt> = Box::new(|_, _| Ok(Usage::UNKNOWN));
        Arc::new(Self { identity: evaluator_identity(), most_usd: 0.0, pricing, attempt, calls: AtomicUsize::new(0) })
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    async fn call(&self, item: &EvalItem, context: &CallContext) -> Result<Usage, CallError> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_secs(1)).await;
        (self.attempt)(item, context)
    }
}

impl Evaluator for Priced {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn pricing(&self) -> Pricing {
        self.pricing.clone()
    }

    fn most_usd(&self, _: &EvalItem) -> f64 {
        self.most_usd
    }

    fn evaluate<'a>(
        &'a self,
        item: &'a EvalItem,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<EvaluatorOutput, CallError>> {
        Box::pin(async move { Ok(EvaluatorOutput { usage: self.call(item, context).await?, ..echo(item.clone()) }) })
    }
}

impl Judge for Priced {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn determinism(&self) -> Determinism {
        Determinism::Stochastic
    }

    fn pricing(&self) -> Pricing {
        self.pricing.clone()
    }

    fn most_usd(&self, _: &EvalItem, _: &EvaluatorOutput) -> f64 {
        self.most_usd
    }

    fn judge<'a>(
        &'a self,
        item: &'a EvalItem,
        _: &'a EvaluatorOutput,
        context: &'a CallContext,
    ) -> BoxFuture<'a, Result<Verdict, CallError>> {
        Box::pin(async move { Ok(Verdict { usage: self.call(item, context).await?, ..Verdict::scored(true) }) })
    }
}

fn setup(store: &MemoryStore, cap: f64, evaluator: Arc<dyn Evaluator>, judge: Arc<dyn Judge>) -> Setup {
    let runtime = serde_json::json!({"max_cost_usd": cap, "max_concurrent": 8, "max_retries": 3});
    Setup { runtime, evaluator, judge, ..Setup::new(store) }
}

fn spent(error: RunError) -> (f64, f64, ef_model::RunResult) {
    match error {
        RunError::Unfinished { cause: StopCause::BudgetSpent { spent_usd, next_usd, .. }, result, .. } => {
            (spent_usd, next_usd, *result)
        }
        other => panic!("the budget is spent: {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn the_run_stops_before_the_next_call_could_cross_the_budget() {
    let store = MemoryStore::new();
    let evaluator = Priced::at(0.25);
    let setup = setup(&store, 2.6, evaluator.clone(), ScriptedJudge::approving());
    let (spent_usd, next_usd, result) = spent(setup.run(ListSource::of_items(100)).await.expect_err("too dear"));
    assert_eq!((evaluator.calls(), spent_usd, next_usd), (10, 2.5, 0.25));
    assert_eq!((result.status, result.counts.ok), (RunStatus::Aborted, 10), "all that was paid for is kept");
    assert_eq!(result.usage.evaluator.cost_usd, Some(2.5));
    assert_eq!(
        result.abort_reason.as_deref(),
        Some("the budget of $2.60 is spent: calls have cost $2.50, and the next could cost $0.25")
    );
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_is_enough_to_the_cent_stops_nothing() {
    let store = MemoryStore::new();
    let setup = setup(&store, 3.0, Priced::at(0.1), Priced::at(0.2));
    let result = setup.run(ListSource::of_items(10)).await.expect("ten times thirty cents");
    assert_eq!(result.usage.total().cost_usd, Some(3.0));
    assert_eq!(result.usage.judges["judge"].cost_usd, Some(2.0));
}

#[tokio::test(start_paused = true)]
async fn calls_that_could_cost_more_than_they_do_wait_for_one_another_and_all_are_made() {
    let store = MemoryStore::new();
    let evaluator = Priced::new(1.0, |_, _| Ok(Usage::cost(0.01)));
    let (runner, mut events) = Runner::new(setup(&store, 1.5, evaluator, ScriptedJudge::approving()).plan());
    let run = tokio::spawn(runner.run(Box::new(ListSource::of_items(30))));
    let (mut most_waiting, mut last_spent) = (0, None);
    while let Some(event) = events.next().await {
        if let RunEvent::Committed { waiting_for_budget, spent_usd, .. } = event {
            most_waiting = most_waiting.max(waiting_for_budget);
            last_spent = spent_usd;
        }
    }
    let result = run.await.expect("no panic").expect("0.30 of 1.50 is spent");
    assert_eq!(result.counts.ok, 30);
    assert!((1..=8).contains(&most_waiting), "{most_waiting} waited for the one that was in flight");
    assert_eq!(last_spent, Some(0.3));
}

#[tokio::test(start_paused = true)]
async fn waiting_for_the_budget_is_no_part_of_an_attempts_time() {
    let store = MemoryStore::new();
    let setup = Setup {
        runtime: serde_json::json!({"max_cost_usd": 1.0, "max_concurrent": 8, "task_timeout_seconds": 1.5}),
        ..setup(&store, 1.0, Priced::new(1.0, |_, _| Ok(Usage::cost(0.0))), ScriptedJudge::approving())
    };
    let result = setup.run(ListSource::of_items(8)).await.expect("a result");
    assert_eq!(result.counts.ok, 8, "the last one waited for seven seconds");
}

#[tokio::test(start_paused = true)]
async fn an_attempt_without_an_answer_counts_at_its_worst_and_is_not_recorded_so() {
    for silent in ["timeout", "panic", "broken off", "no cost told"] {
        let store = MemoryStore::new();
        let evaluator = Arc::new(Silent { identity: evaluator_identity(), why: silent });
        let (spent_usd, _, result) = spent(
            setup(&store, 1.0, evaluator, ScriptedJudge::approving())
                .run(ListSource::of_items(20))
                .await
                .expect_err(silent),
        );
        assert!((0.8..=1.0).contains(&spent_usd), "{silent}: {spent_usd}");
        assert!(result.usage.is_unknown(), "{silent}: nobody told what it cost: {:?}", result.usage);
    }
}

/// An evaluator whose attempts can cost 20 cents and never say what they cost.
struct Silent {
    identity: Arc<Identity>,
    why: &'static str,
}

impl Evaluator for Silent {
    fn identity(&self) -> &Identity {
        &self.identity
    }

    fn pricing(&self) -> Pricing {
        Pricing::Bounded
    }

    fn most_usd(&self, _: &EvalItem) -> f64 {
        0.2
    }

    fn evaluate<'a>(
        &'a self,
        item: &'a EvalItem,
        _: &'a CallContext,
    ) -> BoxFuture<'a, Result<EvaluatorOutput, CallError>> {
        Box::pin(async move {
            match self.why {
                "timeout" => std::future::pending().await,
                "panic" => std::panic::resume_unwind(Box::new("planted")),
                "broken off" => Err(CallError::new(ErrorKind::Transient, "connection", "the connection broke")),
                _ => Ok(echo(item.clone())),
            }
        })
    }
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_was_turned_away_or_says_what_it_cost_counts_as_that() {
    type Failure = fn() -> CallError;
    let failures: [(Failure, f64); 3] = [
        (|| CallError::new(ErrorKind::Transient, "http_429", "later").with_retry_after(Duration::from_secs(1)), 0.0),
        (|| CallError::new(ErrorKind::Transient, "http_500", "broken").with_usage(Usage::cost(0.01)), 0.01),
        (|| CallError::new(ErrorKind::Transient, "http_500", "broken").with_usage(Usage::cost(0.0)), 0.0),
    ];
    for (failure, cost) in failures {
        let store = MemoryStore::new();
        let evaluator = Priced::new(0.5, move |_, context| match context.attempt {
            1..=3 => Err(failure()),
            _ => Ok(Usage::cost(0.1)),
        });
        let setup = setup(&store, 1.0, evaluator, ScriptedJudge::approving());
        let result = setup.run(ListSource::of_items(4)).await.expect("0.52 at most");
        let used: f64 = 4.0 * (0.1 + 3.0 * cost);
        assert!((result.usage.evaluator.cost_usd.expect("told") - used).abs() < 1e-12);
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_spent_on_a_task_that_was_cut_off_is_told_and_counts_when_the_run_goes_on() {
    let store = MemoryStore::new();
    // The judge's price is beyond what the evaluators leave.
    let (evaluator, judge) = (Priced::at(0.25), Priced::at(0.9));
    let ended = setup(&store, 1.0, evaluator, judge).run(ListSource::of_items(3)).await;
    let (spent_usd, _, result) = spent(ended.expect_err("too dear"));
    assert_eq!((result.counts.tasks(), result.usage.unrecorded_usd), (0, Some(spent_usd)));
    assert_eq!(records(&store).await, [], "a task is recorded whole or not at all");

    let again = store.reopened();
    let evaluator = Priced::at(0.25);
    let setup_again = setup(&again, 0.8, evaluator.clone(), Priced::at(0.1));
    let (runner, _) = Runner::new(setup_again.plan());
    let source = || Box::new(ListSource::of_items(3));
    let (spent_again, ..) = spent(runner.resume(source(), source(), false).await.expect_err("it is spent"));
    assert_eq!((evaluator.calls(), spent_again), (0, spent_usd), "what is gone is gone");

    // With more money it ends, and all of it is told.
    let (runner, _) = Runner::new(setup(&store.reopened(), 3.0, Priced::at(0.25), Priced::at(0.1)).plan());
    let result = runner.resume(source(), source(), false).await.expect("enough");
    assert_eq!(result.usage.unrecorded_usd, Some(spent_usd));
    assert_eq!(result.usage.total().cost_usd.map(|usd| (usd * 100.0).round()), Some(105.0));
}

#[tokio::test(start_paused = true)]
async fn a_resumed_run_has_spent_what_its_records_say() {
    let store = MemoryStore::new();
    let ended = setup(&store, 1.0, Priced::at(0.25), ScriptedJudge::approving()).run(ListSource::of_items(10)).await;
    spent(ended.expect_err("too dear"));
    let evaluator = Priced::at(0.25);
    let (runner, _) = Runner::new(setup(&store.reopened(), 1.5, evaluator.clone(), ScriptedJudge::approving()).plan());
    let source = || Box::new(ListSource::of_items(10));
    let (spent_usd, _, result) = spent(runner.resume(source(), source(), false).await.expect_err("too dear"));
    assert_eq!((evaluator.calls(), spent_usd, result.counts.ok), (2, 1.5, 6));
}

#[tokio::test(start_paused = true)]
async fn under_a_budget_nothing_begins_whose_cost_nobody_knows() {
    let missing = "no price for the model: give price in its config";
    let evaluator_setup =
        |store: &MemoryStore| setup(store, 1.0, Priced::unbounded(missing), ScriptedJudge::approving());
    let judge_setup = |store: &MemoryStore| setup(store, 1.0, ScriptedEvaluator::echo(), Priced::unbounded(missing));
    for (whose, setup) in
        [("the evaluator", &evaluator_setup as &dyn Fn(&MemoryStore) -> Setup), ("judge judge", &judge_setup)]
    {
        let store = MemoryStore::new();
        let ended = setup(&store).run(ListSource::of_items(3)).await;
        let Err(RunError::NotBegun { cause: cause @ StopCause::Unpriced { .. }, .. }) = ended else {
            panic!("{whose} has no price: {ended:?}")
        };
        let expected = format!("runtime.max_cost_usd is set, and the cost of {whose} is not bounded: {missing}");
        assert_eq!(cause.to_string(), expected);
        assert!(store.run(&run_id()).await.expect("readable").is_none(), "nothing is left behind");
        // Without a budget nobody asks.
        let unlimited = Setup { runtime: serde_json::json!({}), ..setup(&store) };
        unlimited.run(ListSource::of_items(3)).await.expect("a result");
    }
}

#[tokio::test(start_paused = true)]
async fn a_component_that_costs_more_than_it_said_stops_the_run() {
    let store = MemoryStore::new();
    let judge = Priced::new(0.01, |_, _| Ok(Usage::cost(0.4)));
    let (spent_usd, _, result) = spent(
        setup(&store, 1.0, ScriptedEvaluator::echo(), judge).run(ListSource::of_items(100)).await.expect_err("lies"),
    );
    assert!((1.0..=8.0 * 0.4).contains(&spent_usd), "no more than what was in flight: {spent_usd}");
    assert!(result.counts.ok <= 16, "{} were under way", result.counts.ok);
}

#[tokio::test(start_paused = true)]
async fn a_price_that_is_no_number_never_fits() {
    for most_usd in [f64::NAN, f64::INFINITY, -1.0] {
        let store = MemoryStore::new();
        let evaluator = Priced::new(most_usd, |_, _| Ok(Usage::cost(0.0)));
        let setup = setup(&store, 1e9, evaluator.clone(), ScriptedJudge::approving());
        spent(setup.run(ListSource::of_items(3)).await.expect_err("no amount"));
        assert_eq!(evaluator.calls(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_trial_of_a_judge_keeps_to_the_budget() {
    let store = MemoryStore::new();
    let trial = |judge: Arc<Priced>| {
        let mut plan = setup(&store, 1.0, ScriptedEvaluator::echo(), judge).plan();
        let judge = plan.judges.pop().expect("one judge");
        Trial { spec: plan.spec, evaluator: plan.evaluator, judge, times: 3 }
    };
    let judge = Priced::at(0.3);
    let ended = trial(judge.clone()).run(Box::new(ListSource::of_items(100))).await;
    assert!(matches!(ended, Err(TrialError::Stopped(StopCause::BudgetSpent { .. }))), "{ended:?}");
    assert_eq!(judge.calls(), 3);
    let ended = trial(Priced::unbounded("a price")).run(Box::new(ListSource::of_items(1))).await;
    assert!(matches!(ended, Err(TrialError::Stopped(StopCause::Unpriced { .. }))), "{ended:?}");
}
