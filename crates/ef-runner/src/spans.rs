//! The spans of a run and what they say: their names and attributes are those of [`ef_model::telemetry::SPANS`].
//!
//! Numbers are recorded as `i64`: `tracing` knows no other integers that a tracing backend gets as numbers.

use ef_model::telemetry::{Instruments, SPAN_TARGET, code, label};
use ef_model::{
    CallError, ErrorRecord, Identity, ItemId, JudgeIdentity, Judgment, JudgmentResult, RunHead, RunId, Scalar, Score,
    Trace, TraceOutcome,
};
use tracing::field::Empty;
use tracing::{Span, info, info_span, record_all};

/// The span of a task, and that of a judgment before it gets the judge's id.
const TASK: &str = "eval.task";
const JUDGE: &str = "eval.judge";

/// Where the parts of a run tell of it.
#[derive(Debug, Clone)]
pub(crate) struct Telling {
    /// The run's span.
    pub(crate) run: Span,
    /// Who keeps its numbers, and who knows the current span.
    pub(crate) instruments: Instruments,
}

/// The span of a run: what one process does for it.
pub(crate) fn of_run(run_id: &RunId) -> Span {
    info_span!(
        target: SPAN_TARGET,
        "eval.run",
        "run_id" = run_id.as_str(),
        "spec_id" = Empty,
        "spec_version" = Empty,
        "dataset_size" = Empty,
        "status" = Empty,
        "error.type" = Empty,
        "otel.status_code" = Empty,
    )
}

/// Which spec a run is of.
pub(crate) fn begun(run: &Span, head: &RunHead) {
    if !run.is_disabled() {
        record_all!(run, "spec_id" = head.spec_id.as_str(), "spec_version" = head.spec_version.as_str());
    }
}

/// How many rows the dataset has, once it was read to its end.
pub(crate) fn dataset_read(run: &Span, rows: u64) {
    if !run.is_disabled() {
        run.record("dataset_size", i64::try_from(rows).unwrap_or(i64::MAX));
    }
}

/// How a run ended: its status, and the code of the error where that is one.
pub(crate) fn ended(run: &Span, status: &str, error: Option<&str>) {
    if !run.is_disabled() {
        record_all!(
            run,
            "status" = status,
            "error.type" = error,
            "otel.status_code" = error.filter(|error| *error != "interrupted").map(|_| "ERROR")
        );
    }
}

/// The span of a task, within the run's: tasks are spawned, so that the run's is not the current one.
pub(crate) fn of_task(run: &Span, evaluator: &Identity, item_id: &ItemId, repeat: u32) -> Span {
    info_span!(
        target: SPAN_TARGET,
        parent: run,
        TASK,
        "item_id" = item_id.as_str(),
        "repeat" = i64::from(repeat),
        "evaluator_id" = evaluator.id.as_str(),
        "evaluator_version" = evaluator.version.as_str(),
        "evaluator_source" = evaluator.source.as_str(),
        "evaluator_digest" = %evaluator.digest,
        "attempt" = Empty,
        "status" = Empty,
        "error.type" = Empty,
        "otel.status_code" = Empty,
    )
}

/// What came of a task's call; `attempts` are those that were made here, none of a trace that was taken over.
pub(crate) fn traced(task: &Span, trace: &Trace, attempts: u32) {
    if task.is_disabled() {
        return;
    }
    let error = match &trace.outcome {
        TraceOutcome::Timeout { error } | TraceOutcome::Error { error } => Some(error_type(error)),
        TraceOutcome::Ok { .. } | TraceOutcome::Skipped { .. } => None,
    };
    record_all!(
        task,
        "attempt" = i64::from(attempts),
        "status" = trace.status().as_str(),
        "error.type" = error,
        "otel.status_code" = error.map(|_| "ERROR")
    );
}

/// Nothing came of a task or a judgment: the run stops, and there will be no record.
pub(crate) fn abandoned(span: &Span) {
    span.record("status", "abandoned");
}

/// The span of a judgment, within the current one, which is the task's.
pub(crate) fn of_judge(judge: &JudgeIdentity) -> Span {
    let JudgeIdentity { name, identity, determinism, .. } = judge;
    info_span!(
        target: SPAN_TARGET,
        JUDGE,
        "otel.name" = %format_args!("eval.judge.{}", identity.id),
        "judge_id" = identity.id.as_str(),
        "judge_name" = name.as_str(),
        "judge_version" = identity.version.as_str(),
        "judge_source" = identity.source.as_str(),
        "judge_digest" = %identity.digest,
        "determinism" = determinism.as_str(),
        "attempt" = Empty,
        "status" = Empty,
        "cost_usd" = Empty,
        "reused_from" = Empty,
        "error.type" = Empty,
        "otel.status_code" = Empty,
    )
}

/// What came of a judgment, and the event of its result. One that waits for a person has no result yet.
pub(crate) fn judged(span: &Span, judgment: &Judgment) {
    if span.is_disabled() {
        return;
    }
    let error = match &judgment.result {
        JudgmentResult::Error { error } => Some(error_type(error)),
        JudgmentResult::Scored { .. } | JudgmentResult::Unscored { .. } | JudgmentResult::Pending => None,
    };
    record_all!(
        span,
        "attempt" = i64::from(judgment.attempts),
        "status" = judgment.result.status(),
        "cost_usd" = judgment.usage.cost_usd,
        "reused_from" = judgment.reused_from.as_ref().map(RunId::as_str),
        "error.type" = error,
        "otel.status_code" = error.map(|_| "ERROR")
    );
    if judgment.result == JudgmentResult::Pending {
        return;
    }
    let (value, label) = match &judgment.result {
        JudgmentResult::Scored { score, .. } => value_and_label(score),
        _ => (None, None),
    };
    info!(
        target: SPAN_TARGET,
        parent: span,
        {
            "gen_ai.evaluation.name" = judgment.judge.name.as_str(),
            "gen_ai.evaluation.score.value" = value,
            "gen_ai.evaluation.score.label" = label,
            "error.type" = error,
        },
        "gen_ai.evaluation.result"
    );
}

/// An attempt of the current task or judgment failed, and is made again. Where it has no span, the current one is another's.
pub(crate) fn retried(is_judge: bool, attempt: u32, error: &CallError, wait_ms: i64) {
    let own = if is_judge { JUDGE } else { TASK };
    if Span::current().metadata().is_none_or(|current| current.name() != own) {
        return;
    }
    info!(
        target: SPAN_TARGET,
        {
            "attempt" = i64::from(attempt),
            "error.kind" = error.kind.as_str(),
            "error.code" = code(&error.code),
            "wait_ms" = wait_ms,
        },
        "retry"
    );
}

fn error_type(error: &ErrorRecord) -> &str {
    code(&error.code)
}

/// The number and the label that a score is told as. A label that does not look like one may be a sentence, or data.
fn value_and_label(score: &Score) -> (Option<f64>, Option<&str>) {
    let scalar = match score {
        Score::Scalar(scalar) => Some(scalar),
        Score::Object(values) => values.get(Score::DEFAULT_KEY),
    };
    match scalar {
        Some(Scalar::Bool(passed)) => (Some(f64::from(u8::from(*passed))), Some(if *passed { "pass" } else { "fail" })),
        Some(Scalar::Number(number)) => (Some(number.get()), None),
        Some(Scalar::Label(text)) => (None, Some(label(text))),
        None => (None, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ef_model::Finite;

    #[test]
    fn a_score_is_told_as_the_number_and_the_label_that_it_has() {
        let number = Scalar::Number(Finite::new(0.25).expect("finite"));
        let object = |key: &str, value: Scalar| Score::Object([(key.to_owned(), value)].into());
        let told = [
            (Score::Scalar(number.clone()), (Some(0.25), None)),
            (true.into(), (Some(1.0), Some("pass"))),
            (false.into(), (Some(0.0), Some("fail"))),
            (Score::Scalar(Scalar::Label("partly_correct".to_owned())), (None, Some("partly_correct"))),
            (Score::Scalar(Scalar::Label("Alice wrote it".to_owned())), (None, Some("_OTHER"))),
            (object("score", number.clone()), (Some(0.25), None)),
            (object("score", Scalar::Label("good".to_owned())), (None, Some("good"))),
            (object("tone", number), (None, None)),
        ];
        for (score, expected) in told {
            assert_eq!(value_and_label(&score), expected, "{score:?}");
        }
    }
}
