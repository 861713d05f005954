//! The log lines of a run as a whole, and at DEBUG those of tasks that failed. Messages are fixed; what differs is in fields.

use ef_model::telemetry::code;
use ef_model::{Counts, JudgmentResult, RunResult, TaskRecord, TraceOutcome};
use tracing::{Level, debug, enabled, error, info};

use crate::{Answered, Plan, RunError, StopCause};

/// A run is in the store, and its work begins.
pub(crate) fn started(plan: &Plan) {
    let Plan { head, spec, judges, .. } = plan;
    info!(
        spec_id = head.spec_id,
        spec_version = head.spec_version,
        evaluator_id = head.evaluator.id.as_str(),
        judges = judges.len(),
        max_concurrent = spec.runtime.max_concurrent,
        "run started"
    );
}

/// A run goes on of which so many tasks are done.
pub(crate) fn resumed(plan: &Plan, done: u64) {
    let Plan { head, spec, judges, .. } = plan;
    info!(
        spec_id = head.spec_id,
        spec_version = head.spec_version,
        evaluator_id = head.evaluator.id.as_str(),
        judges = judges.len(),
        max_concurrent = spec.runtime.max_concurrent,
        done,
        "run resumed"
    );
}

/// Nothing new is started any more.
pub(crate) fn stopping(cause: &StopCause) {
    info!(cause = cause.code(), "run stopping");
}

/// All tasks are done.
pub(crate) fn finishing() {
    info!("run finishing");
}

/// How a run ended.
pub(crate) fn ended(ended: &Result<RunResult, RunError>) {
    match ended {
        Ok(RunResult { status, counts, .. }) => {
            let Counts { ok, timeout, error, skipped, scored, unscored, judge_error, pending, reused } = *counts;
            info!(
                status = status.as_str(),
                ok, timeout, error, skipped, scored, unscored, judge_error, pending, reused, "run finished"
            );
        }
        Err(RunError::Unfinished { cause, result, .. }) => {
            let Counts { ok, timeout, error, skipped, scored, unscored, judge_error, pending, reused } = result.counts;
            let cause_code = cause.code();
            if let StopCause::Interrupted = cause {
                info!(
                    cause = cause_code,
                    ok, timeout, error, skipped, scored, unscored, judge_error, pending, reused, "run ended early"
                );
            } else {
                error!(
                    cause = cause_code,
                    reason = %cause,
                    ok,
                    timeout,
                    error,
                    skipped,
                    scored,
                    unscored,
                    judge_error,
                    pending,
                    reused,
                    "run ended early"
                );
            }
        }
        Err(RunError::NotBegun { cause: StopCause::Interrupted, .. }) => {
            info!(cause = "interrupted", "run did not begin");
        }
        Err(RunError::NotBegun { cause, .. }) => error!(cause = cause.code(), reason = %cause, "run did not begin"),
        Err(RunError::DatasetChanged(changed)) => {
            error!(cause = "dataset_changed", reason = %changed, "run did not begin");
        }
        Err(RunError::Store { error, .. }) => error!(reason = %error, "trace store failed"),
    }
}

/// People's verdicts were added to a run.
pub(crate) fn answered(answered: &Answered) {
    let Answered { given, known, pending, status, .. } = answered;
    info!(given, known, pending, status = status.as_str(), "verdicts of people added");
}

/// What failed in a task, each at DEBUG.
pub(crate) fn failures(record: &TaskRecord) {
    if !enabled!(Level::DEBUG) {
        return;
    }
    let TaskRecord { item_id, repeat, trace, judgments, .. } = record;
    if let TraceOutcome::Timeout { error } | TraceOutcome::Error { error } = &trace.outcome {
        debug!(
            item_id = item_id.as_str(),
            repeat,
            evaluator_id = trace.evaluator.id.as_str(),
            status = trace.status().as_str(),
            kind = error.kind.as_str(),
            code = code(&error.code),
            attempts = trace.attempts,
            "evaluator failed"
        );
    }
    for judgment in judgments {
        if let JudgmentResult::Error { error } = &judgment.result {
            debug!(
                item_id = item_id.as_str(),
                repeat,
                judge_id = judgment.judge.identity.id.as_str(),
                judge_name = judgment.judge.name.as_str(),
                kind = error.kind.as_str(),
                code = code(&error.code),
                attempts = judgment.attempts,
                "judge failed"
            );
        }
    }
}
