//! A run waits for people, and is completed by what they say.

use std::sync::Arc;

use ef_model::{
    CallError, EvaluatorOutput, ItemId, Judge, JudgmentResult, Payload, RunHead, RunId, RunPurpose, RunResult,
    RunSource, RunStatus, StoreError, TraceStore, Usage, Verdict, VerificationOutcome,
};
use ef_runner::{Answer, AnswerError, AnswerProblem, Plan, RunError, RunJudge, Runner, StopCause, answer, verify};
use ef_testkit::{ListSource, MemoryStore, ScriptedEvaluator, ScriptedJudge, item, judge_identity};

use crate::plans::{Setup, records, run_id};
use crate::tampered::Tampered;

const ITEMS: u64 = 20;

/// A judge that leaves every third item to people.
fn asking() -> Arc<dyn Judge> {
    ScriptedJudge::new(|item, _, _| async move {
        Ok(if is_asked(item.row) { Verdict::pending() } else { Verdict::scored(item.row % 2 == 0) })
    })
}

/// The same, with the people there.
fn answered_at_once() -> Arc<dyn Judge> {
    ScriptedJudge::new(|item, _, _| async move {
        Ok(if is_asked(item.row) { said(item.row) } else { Verdict::scored(item.row % 2 == 0) })
    })
}

const fn is_asked(row: u64) -> bool {
    row.is_multiple_of(3)
}

fn said(row: u64) -> Verdict {
    let rationale = Some(Payload::from_text(&format!("row {row} is what I wanted")));
    Verdict { rationale, ..Verdict::scored(row % 2 == 1) }
}

fn answer_to(row: u64) -> Answer {
    Answer { row, repeat: 0, item_id: item(row).item_id, judge: "judge".to_owned(), verdict: said(row) }
}

fn answers() -> Vec<Answer> {
    (1..=ITEMS).filter(|row| is_asked(*row)).map(answer_to).collect()
}

async fn awaiting(store: &MemoryStore) -> RunResult {
    let setup = Setup { judge: asking(), ..Setup::new(&store.reopened()) };
    setup.run(ListSource::of_items(ITEMS)).await.expect("waiting for people is no error")
}

async fn status(store: &MemoryStore) -> RunStatus {
    store.run(&run_id()).await.expect("readable").expect("there").status
}

fn refused(ended: Result<ef_runner::Answered, AnswerError>) -> Vec<(usize, AnswerProblem)> {
    match ended {
        Err(AnswerError::Refused(refused)) => {
            refused.into_iter().map(|refused| (refused.answer, refused.problem)).collect()
        }
        other => panic!("some answers cannot be taken: {other:?}"),
    }
}

#[tokio::test]
async fn a_run_that_waits_for_people_has_counts_and_no_metrics() {
    let store = MemoryStore::new();
    let result = awaiting(&store).await;
    assert_eq!((result.status, result.counts.pending, result.counts.ok), (RunStatus::Awaiting, 6, ITEMS));
    assert!(result.metrics.is_empty() && result.records_root.is_none() && result.root_digest.is_none());
    assert!(result.dataset_digest.is_some(), "it is not read again");
    let stored = store.run(&run_id()).await.expect("readable").expect("there");
    assert_eq!((stored.status, stored.result), (RunStatus::Awaiting, Some(result)));
    let verified = verify(&store, &run_id()).await.expect("readable");
    assert_eq!(verified.outcome(), VerificationOutcome::Unfinished);
}

#[tokio::test]
async fn invariant_2_a_run_that_was_answered_is_what_it_would_have_been_with_people_there() {
    let undisturbed = MemoryStore::new();
    let setup = Setup { judge: answered_at_once(), ..Setup::new(&undisturbed) };
    let expected = setup.run(ListSource::of_items(ITEMS)).await.expect("a result");

    let store = MemoryStore::new();
    awaiting(&store).await;
    let again = store.reopened();
    let (first, rest) = (&answers()[..2], &answers()[2..]);
    let answered = answer(&again, &run_id(), first).await.expect("taken");
    assert_eq!((answered.given, answered.pending, answered.status), (2, 4, RunStatus::Awaiting));
    let answered = answer(&again, &run_id(), rest).await.expect("taken");
    assert_eq!((answered.given, answered.pending, answered.status), (4, 0, RunStatus::Completed));
    let result = answered.result.expect("it is completed");
    assert_eq!((result.counts, &result.metrics), (expected.counts, &expected.metrics));
    assert_eq!(result.dataset_digest, expected.dataset_digest);
    let verified = verify(&store, &run_id()).await.expect("readable");
    assert_eq!(verified.outcome(), VerificationOutcome::Verified, "{verified:?}");

    let stored = records(&store).await;
    assert_eq!(stored.len() as u64, ITEMS + 6, "what waited is kept");
    for row in (1..=ITEMS).filter(|row| is_asked(*row)) {
        let latest = stored.iter().rfind(|stored| stored.record.row == row).expect("there");
        assert_eq!(latest.record.revision, 1);
        let JudgmentResult::Scored { score, rationale } = &latest.record.judgments[0].result else {
            panic!("row {row} was answered")
        };
        assert_eq!((Some(score), *rationale), (said(row).score.as_ref(), said(row).rationale.map(|why| why.digest())));
        let kept = store.payloads(&[rationale.expect("there")]).await.expect("readable");
        assert_eq!(kept, [said(row).rationale]);
    }
}

#[tokio::test]
async fn answering_twice_is_answering_once() {
    let store = MemoryStore::new();
    awaiting(&store).await;
    let mut twice = answers();
    twice.extend(answers());
    let answered = answer(&store.reopened(), &run_id(), &twice).await.expect("the same twice in one list");
    assert_eq!((answered.given, answered.known, answered.status), (6, 0, RunStatus::Completed));
    let before = (records(&store).await, store.run(&run_id()).await.expect("readable"));
    let again = answer(&store.reopened(), &run_id(), &answers()).await.expect("nothing new");
    assert_eq!((again.given, again.known, again.pending), (0, 6, 0));
    assert_eq!((again.status, again.result), (answered.status, answered.result));
    assert_eq!((records(&store).await, store.run(&run_id()).await.expect("readable")), before);
}

#[tokio::test]
async fn nothing_is_taken_where_one_answer_is_wrong_and_every_wrong_one_is_named() {
    let store = MemoryStore::new();
    awaiting(&store).await;
    let before = records(&store).await;
    let with = |change: fn(&mut Answer)| {
        let mut answer = answer_to(6);
        change(&mut answer);
        answer
    };
    let wrong = vec![
        answer_to(3),
        with(|answer| answer.row = 1000),
        with(|answer| answer.repeat = 1),
        with(|answer| answer.item_id = ItemId::new("another").expect("an id")),
        with(|answer| answer.judge = "nobody".to_owned()),
        with(|answer| answer.verdict = Verdict::pending()),
        answer_to(1),
        with(|answer| answer.verdict = Verdict::unscored()),
        answer_to(6),
    ];
    let refused = refused(answer(&store.reopened(), &run_id(), &wrong).await);
    assert_eq!(
        refused,
        [
            (1, AnswerProblem::NoRecord),
            (2, AnswerProblem::NoRecord),
            (3, AnswerProblem::OtherItem { item_id: item(6).item_id }),
            (4, AnswerProblem::NoJudgment),
            (5, AnswerProblem::NoVerdict),
            (6, AnswerProblem::NotAsked { status: "scored" }),
            (8, AnswerProblem::SaidTwice),
        ]
    );
    assert_eq!((records(&store).await, status(&store).await), (before, RunStatus::Awaiting));
}

#[tokio::test]
async fn a_verdict_stays_as_it_was_given() {
    let store = MemoryStore::new();
    awaiting(&store).await;
    answer(&store.reopened(), &run_id(), &[answer_to(3)]).await.expect("taken");
    let otherwise = Answer { verdict: Verdict::scored(false), ..answer_to(3) };
    let ended = answer(&store.reopened(), &run_id(), &[answer_to(6), otherwise.clone()]).await;
    assert_eq!(refused(ended), [(1, AnswerProblem::SaidOtherwise)]);
    // Also once the run is completed, which then has nothing to be answered.
    answer(&store.reopened(), &run_id(), &answers()).await.expect("taken");
    let ended = answer(&store.reopened(), &run_id(), &[otherwise]).await;
    assert_eq!(refused(ended), [(0, AnswerProblem::SaidOtherwise)]);
}

#[tokio::test]
async fn what_was_tampered_with_gets_no_new_revision() {
    let store = MemoryStore::new();
    awaiting(&store).await;
    let tampered = Tampered::new(&store.reopened()).await.record(2, |record| record.trace.duration_us += 1);
    let ended = answer(&tampered, &run_id(), &[answer_to(3)]).await;
    assert_eq!(refused(ended), [(0, AnswerProblem::NotAsRecorded)]);
}

#[tokio::test]
async fn a_run_that_waits_goes_on_waiting_when_it_is_resumed() {
    let store = MemoryStore::new();
    let first = awaiting(&store).await;
    for retry_errors in [false, true] {
        let (runner, _) = Runner::new(Setup { judge: asking(), ..Setup::new(&store.reopened()) }.plan());
        let source = || Box::new(ListSource::of_items(ITEMS));
        let again = runner.resume(source(), source(), retry_errors).await.expect("still waiting");
        assert_eq!((again.status, again.counts), (RunStatus::Awaiting, first.counts));
        assert_eq!(again.dataset_digest, first.dataset_digest);
    }
    assert_eq!(records(&store).await.len() as u64, ITEMS, "what waits for people is not asked for again");
    let answered = answer(&store.reopened(), &run_id(), &answers()).await.expect("taken");
    assert_eq!(answered.status, RunStatus::Completed);
}

#[tokio::test]
async fn a_run_that_ended_early_takes_answers_and_is_completed_by_resuming_it() {
    let store = MemoryStore::new();
    let evaluator = ScriptedEvaluator::new(|item, _| async move {
        match item.row {
            15 => Err(CallError::new(ef_model::ErrorKind::QuotaExhausted, "planted", "told to end")),
            _ => Ok(EvaluatorOutput::new(item.input)),
        }
    });
    let runtime = serde_json::json!({"max_concurrent": 1});
    let setup = Setup { runtime, evaluator, judge: asking(), ..Setup::new(&store.reopened()) };
    let ended = setup.run(ListSource::of_items(ITEMS)).await;
    assert!(matches!(ended, Err(RunError::Unfinished { cause: StopCause::QuotaExhausted { .. }, .. })), "{ended:?}");
    let done = [3, 6, 9, 12].map(answer_to);
    let answered = answer(&store.reopened(), &run_id(), &done).await.expect("taken");
    assert_eq!((answered.given, answered.pending, answered.status), (4, 0, RunStatus::Aborted));
    assert_eq!(
        answered.result.and_then(|result| result.abort_reason).as_deref(),
        Some("the quota of the evaluator is exhausted")
    );
    let (runner, _) = Runner::new(Setup { judge: asking(), ..Setup::new(&store.reopened()) }.plan());
    let source = || Box::new(ListSource::of_items(ITEMS));
    let result = runner.resume(source(), source(), false).await.expect("waiting");
    assert_eq!((result.status, result.counts.pending), (RunStatus::Awaiting, 2));
    let answered = answer(&store.reopened(), &run_id(), &answers()).await.expect("taken");
    assert_eq!((answered.given, answered.known, answered.status), (2, 4, RunStatus::Completed));
}

#[tokio::test]
async fn a_run_that_somebody_writes_takes_no_answers() {
    let store = MemoryStore::new();
    awaiting(&store).await;
    let other = store.reopened();
    other.resume(&run_id()).await.expect("free");
    let ended = answer(&store.reopened(), &run_id(), &answers()).await;
    assert!(matches!(ended, Err(AnswerError::Store(StoreError::RunBusy(_)))), "{ended:?}");
}

#[tokio::test]
async fn waiting_for_people_is_no_failure() {
    let store = MemoryStore::new();
    let runtime = serde_json::json!({"on_failure": "abort"});
    let setup = Setup { runtime, judge: asking(), ..Setup::new(&store) };
    let result = setup.run(ListSource::of_items(ITEMS)).await.expect("nothing has failed");
    assert_eq!(result.status, RunStatus::Awaiting);
}

#[tokio::test]
async fn what_the_calls_of_an_answered_run_used_is_told_once() {
    let store = MemoryStore::new();
    let evaluator = ScriptedEvaluator::new(|item, _| async move {
        Ok(EvaluatorOutput { usage: Usage::cost(0.5), ..EvaluatorOutput::new(item.input) })
    });
    let setup = Setup { evaluator, judge: asking(), ..Setup::new(&store.reopened()) };
    setup.run(ListSource::of_items(ITEMS)).await.expect("waiting");
    let answered = answer(&store.reopened(), &run_id(), &answers()).await.expect("taken");
    let result = answered.result.expect("completed");
    assert_eq!(result.usage.evaluator.cost_usd, Some(10.0));
    let verified = verify(&store, &run_id()).await.expect("readable");
    assert_eq!(verified.outcome(), VerificationOutcome::Verified, "{verified:?}");
}

#[tokio::test]
async fn a_replay_of_everything_asks_people_again_and_one_of_other_judges_does_not() {
    let store = MemoryStore::new();
    awaiting(&store).await;
    answer(&store.reopened(), &run_id(), &answers()).await.expect("taken");
    let replayed = async |run: &str, purpose, judges: Vec<RunJudge>| {
        let source = Some(RunSource { run_id: run_id(), purpose });
        let plan = Setup::new(&store.reopened()).plan();
        let run_id = RunId::new(run).expect("an id");
        let plan = Plan { head: RunHead { run_id, source, ..plan.head }, judges, ..plan };
        Runner::new(plan).0.replay().await.expect("a result")
    };
    let people = || vec![RunJudge { identity: judge_identity("judge"), judge: asking() }];
    let again = replayed("all", RunPurpose::ReplayAll, people()).await;
    assert_eq!((again.status, again.counts.pending), (RunStatus::Awaiting, 6));
    let asked = replayed("judges", RunPurpose::ReplayJudges, people()).await;
    assert_eq!((asked.status, asked.counts.pending), (RunStatus::Awaiting, 6));
    let kept = replayed("others", RunPurpose::ReplayJudges, Vec::new()).await;
    assert_eq!((kept.status, kept.counts.pending), (RunStatus::Completed, 0), "their verdicts are taken over");
}
