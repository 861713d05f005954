//! The trial of a judge: how often it is called, with which seeds, and what is told of it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use ef_metrics::replay::{ContractVerdict, TrialReport};
use ef_model::{CallError, DatasetRow, Determinism, ErrorKind, EvaluatorOutput, JudgeIdentity, Score, Verdict};
use ef_runner::{Plan, RunJudge, Trial, TrialError};
use ef_testkit::{ListSource, MemoryStore, ScriptedEvaluator, ScriptedJudge, judge_identity};

use crate::plans::{Setup, faulty, good};

fn trial(determinism: Determinism, judge: Arc<ScriptedJudge>) -> Trial {
    let Plan { spec, .. } = Setup::new(&MemoryStore::new()).plan();
    let evaluator = ScriptedEvaluator::new(|item, _| async move {
        match item.row {
            2 => Err(CallError::permanent("planted", "told to fail")),
            _ => Ok(EvaluatorOutput::new(item.input)),
        }
    });
    let identity = Arc::new(JudgeIdentity { determinism, ..(*judge_identity("judge")).clone() });
    Trial { spec, evaluator, judge: RunJudge { identity, judge }, times: 5 }
}

async fn tried(determinism: Determinism, judge: Arc<ScriptedJudge>) -> Result<TrialReport, TrialError> {
    let rows = (1..=10).map(|row| if row == 3 { faulty(3) } else { good(row) }).collect::<Vec<DatasetRow>>();
    trial(determinism, judge).run(Box::new(ListSource::new(rows))).await
}

#[tokio::test]
async fn a_judge_is_called_with_one_seed_an_item_unless_it_is_stochastic() {
    let determinisms = [Determinism::Deterministic, Determinism::SamplingDeterministic, Determinism::Stochastic];
    for (determinism, seeds) in determinisms.into_iter().zip([8, 8, 40]) {
        let seen = Arc::new(Mutex::new((0, BTreeSet::new())));
        let noting = Arc::clone(&seen);
        let judge = ScriptedJudge::new(move |_, _, context| {
            let mut seen = noting.lock().unwrap_or_else(PoisonError::into_inner);
            seen.0 += 1;
            seen.1.insert(context.seed);
            async { Ok(Verdict::scored(true)) }
        });
        let report = tried(determinism, judge).await.expect("a report");
        let seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
        assert_eq!((seen.0, seen.1.len()), (40, seeds), "{determinism:?}");
        assert_eq!((report.rows, report.skipped, report.without_output), (10, 1, 1));
        assert_eq!((report.variance.compared, report.variance.varied, report.variance.calls), (8, 0, 40));
    }
}

#[tokio::test]
async fn a_judge_that_varies_though_it_declares_otherwise_is_found_out() {
    let varying = || {
        let calls = AtomicU64::new(0);
        ScriptedJudge::new(move |item, _, _| {
            let call = calls.fetch_add(1, Ordering::Relaxed);
            let score = if item.row == 7 { (call % 2) as f64 } else { 1.0 };
            async move { Ok(Verdict { score: Score::number(score), ..Verdict::unscored() }) }
        })
    };
    for (determinism, verdict) in [
        (Determinism::Deterministic, ContractVerdict::Broken),
        (Determinism::SamplingDeterministic, ContractVerdict::Broken),
        (Determinism::Stochastic, ContractVerdict::NoContract),
    ] {
        let report = tried(determinism, varying()).await.expect("a report");
        assert_eq!((report.variance.varied, report.variance.verdict), (1, verdict), "{determinism:?}");
        assert_eq!(report.varied_items.iter().map(ef_model::ItemId::as_str).collect::<Vec<_>>(), ["item-7"]);
        assert!(report.variance.within_item_sd.expect("there are numbers") > 0.0);
    }
}

#[tokio::test]
async fn a_judge_that_only_fails_concludes_nothing_and_a_spent_quota_ends_the_trial() {
    let failing =
        |kind| ScriptedJudge::new(move |_, _, _| async move { Err(CallError::new(kind, "planted", "told to fail")) });
    let report = tried(Determinism::Deterministic, failing(ErrorKind::Permanent)).await.expect("a report");
    assert_eq!((report.variance.errors, report.variance.compared), (40, 0));
    assert_eq!(report.variance.verdict, ContractVerdict::NothingCompared);
    let ended = tried(Determinism::Deterministic, failing(ErrorKind::QuotaExhausted)).await;
    assert!(matches!(&ended, Err(TrialError::QuotaExhausted(whose)) if whose == "judge"), "{ended:?}");
}
