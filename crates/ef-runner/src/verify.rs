//! Verifying: whether a stored run is what was recorded.

mod pass;

use ef_metrics::MetricSet;
use ef_model::{
    Check, CheckResult, CheckSubject, Metric, RecordPlace, RunHead, RunId, RunResult, RunStatus, RunSummary, RunUsage,
    StoreError, TraceStore, Verification, canonical, first_difference,
};
use ef_spec::EvalSpec;
use serde_json::{Value, json};

use crate::tally;
use pass::Pass;
pub(crate) use pass::payloads_of;

/// Verifies a run in one pass over its stored records, in constant memory: each record against its leaf, each payload
/// against its digest, all of them against the root digest, and the numbers of the result against the records. Of a run
/// that is not completed, what is there is checked.
///
/// What is damaged in the run is a failed check and no error.
///
/// # Errors
///
/// When there is no such run, or the store cannot be read at all.
pub async fn verify(store: &dyn TraceStore, run: &RunId) -> Result<Verification, StoreError> {
    let summary = store.run(run).await?.ok_or_else(|| StoreError::RunNotFound(run.clone()))?;
    let spec: Option<EvalSpec> = serde_json::from_value(summary.head.spec.clone()).ok();
    let mut pass = Pass::over(store, run, &summary.head, spec.as_ref()).await?;

    let mut checks = vec![run_check(run, &summary), spec_check(&summary.head)];
    checks.extend(pass.checks());
    let bound = match &summary.result {
        Some(result) if summary.status == RunStatus::Completed => Ok(result),
        _ => Err(format!("the run is {}, and this is fixed when it is completed", summary.status)),
    };
    // What could not be read to its end has no root and no numbers.
    let whole = bound.and_then(|result| match pass.is_whole() {
        true => Ok(result),
        false => Err("the records cannot be read to their end".to_owned()),
    });
    checks.extend(result_checks(store, &summary.head, spec.as_ref(), &mut pass, whole).await?);
    checks.push(dataset_check(&summary));

    let (records, root) = (pass.tree.count(), pass.tree.root());
    let dataset = summary.result.as_ref().and_then(|result| result.dataset_digest);
    Ok(Verification {
        run_id: run.clone(),
        status: summary.status,
        records,
        records_root: pass.is_whole().then_some(root),
        root_digest: (pass.is_whole() && summary.status == RunStatus::Completed)
            .then(|| RunResult::bind(&summary.head, dataset, records, root)),
        checks,
    })
}

fn passed(subject: CheckSubject, message: impl Into<String>) -> Check {
    Check { subject, result: CheckResult::Passed, message: message.into(), record: None }
}

fn failed(subject: CheckSubject, message: impl Into<String>) -> Check {
    Check { subject, result: CheckResult::Failed, message: message.into(), record: None }
}

fn failed_at(subject: CheckSubject, record: RecordPlace, message: impl Into<String>) -> Check {
    Check { record: Some(record), ..failed(subject, message) }
}

fn not_checked(subject: CheckSubject, why: impl Into<String>) -> Check {
    Check { subject, result: CheckResult::NotChecked, message: why.into(), record: None }
}

/// What the store says of the run, at its begin and at its end.
fn run_check(run: &RunId, summary: &RunSummary) -> Check {
    let wrong = |message: String| failed(CheckSubject::Run, message);
    let RunSummary { head, status, result } = summary;
    if head.run_id != *run {
        return wrong(format!("what is stored under its id is of the run {}", head.run_id));
    }
    let Some(result) = result else {
        return match status {
            RunStatus::Completed => wrong("it is completed, and its result is missing".to_owned()),
            _ => passed(CheckSubject::Run, format!("it is {status}, and has no result yet")),
        };
    };
    // A run that goes on after it was aborted has the result of the end that was none.
    if (*status == RunStatus::Completed) != (result.status == RunStatus::Completed) {
        return wrong(format!("it is {status}, and its result says {}", result.status));
    }
    if *status == RunStatus::Completed && (result.records_root.is_none() || result.root_digest.is_none()) {
        return wrong("it is completed, and its result has no root digest".to_owned());
    }
    let json = |head: &RunHead| serde_json::to_value(head).expect("a head has a JSON form");
    match first_difference(&json(head), &json(&result.head)) {
        Some(pointer) => wrong(format!("{pointer} is not the same in what began and in its result")),
        None => passed(CheckSubject::Run, "what began and its result agree"),
    }
}

fn spec_check(head: &RunHead) -> Check {
    let says = |key: &str, known: &str| head.spec.get(key).and_then(|value| value.as_str()) == Some(known);
    if canonical::digest(&head.spec) != head.spec_digest {
        failed(CheckSubject::Spec, "the spec's snapshot does not have the digest that the run names")
    } else if !says("id", &head.spec_id) || !says("version", &head.spec_version) {
        failed(CheckSubject::Spec, "the run names its spec by another id or version than the spec's snapshot has")
    } else {
        passed(CheckSubject::Spec, "the snapshot has the digest that the run names")
    }
}

/// The checks of what a run's end fixed. `whole` says why they cannot be made, where they cannot.
async fn result_checks(
    store: &dyn TraceStore,
    head: &RunHead,
    spec: Option<&EvalSpec>,
    pass: &mut Pass<'_>,
    whole: Result<&RunResult, String>,
) -> Result<[Check; 3], StoreError> {
    let result = match whole {
        Ok(result) => result,
        Err(why) => {
            let subjects = [CheckSubject::Root, CheckSubject::Counts, CheckSubject::Metrics];
            return Ok(subjects.map(|subject| not_checked(subject, why.clone())));
        }
    };
    let (root, counts) = (root_check(head, pass, result), counts_check(result, pass));
    let metrics = match spec {
        None => not_checked(CheckSubject::Metrics, "the spec's snapshot is not one that this ef understands"),
        Some(spec) => metrics_check(store, head, spec, pass, &result.metrics).await?,
    };
    Ok([root, counts, metrics])
}

fn root_check(head: &RunHead, pass: &Pass<'_>, result: &RunResult) -> Check {
    let (records, root) = (pass.tree.count(), pass.tree.root());
    let is_root = result.records_root == Some(root);
    let is_bound = result.root_digest == Some(RunResult::bind(head, result.dataset_digest, records, root));
    let wrong = |message: String| failed(CheckSubject::Root, message);
    match (is_root, is_bound) {
        (true, true) => {
            let dataset = if result.dataset_digest.is_some() { ", the dataset's digest" } else { "" };
            let bound = format!("all records, the spec's digest{dataset} and the identities have the root digest");
            passed(CheckSubject::Root, bound)
        }
        (false, true) => wrong("the records have the root digest, and the result names another root over them".to_owned()),
        (true, false) => wrong(
            "the records are whole, and the root digest is not: it, or the run's id, the spec's or dataset's digest, the \
             evaluator or the judges are not those of the run's end"
                .to_owned(),
        ),
        (false, false) => match pass.set_changed(result.counts.tasks()) {
            Some((message, Some(place))) => failed_at(CheckSubject::Root, place, message),
            Some((message, None)) => wrong(message),
            None => wrong("follows from the records that are not as they were".to_owned()),
        },
    }
}

fn counts_check(result: &RunResult, pass: &Pass<'_>) -> Check {
    // What was spent on calls that left no record cannot be checked by records.
    let usage = RunUsage { unrecorded_usd: None, ..result.usage.clone() };
    let found = pass.usage.get();
    if result.counts != pass.counts {
        failed(CheckSubject::Counts, difference(&json!(result.counts), &json!(pass.counts)))
    } else if usage != found {
        failed(CheckSubject::Counts, difference(&json!({"usage": usage}), &json!({"usage": found})))
    } else {
        passed(CheckSubject::Counts, "the result counts what the records are")
    }
}

/// The first number that a result tells otherwise than the records.
fn difference(told: &Value, found: &Value) -> String {
    let name = first_difference(found, told).unwrap_or_default();
    let of = |numbers: &Value| numbers.pointer(&name).map_or_else(|| "nothing".to_owned(), ToString::to_string);
    let (told, found) = (of(told), of(found));
    format!("{} is {told} in the result, and the records come to {found}", name.trim_start_matches('/'))
}

async fn metrics_check(
    store: &dyn TraceStore,
    head: &RunHead,
    spec: &EvalSpec,
    pass: &mut Pass<'_>,
    stored: &[Metric],
) -> Result<Check, StoreError> {
    let Some(set) = pass.metrics() else {
        return Ok(not_checked(CheckSubject::Metrics, "the metadata that they need cannot be read"));
    };
    let (baseline, without_baseline) = match tally::baseline(store, spec).await {
        Ok(baseline) => (baseline, None),
        Err(StoreError::RunNotFound(run)) => (None, Some(format!("its baseline run {run} is not in this store"))),
        Err(StoreError::Damaged { .. }) => (None, Some("its baseline run is damaged".to_owned())),
        Err(error) => return Err(error),
    };
    let computed = compute(set, baseline).await;
    if stored.len() != computed.len() {
        let message = format!("the result has {} and the spec {}", stored.len(), computed.len());
        return Ok(failed(CheckSubject::Metrics, message));
    }
    let mut unknown = Vec::new();
    for (stored, computed) in stored.iter().zip(&computed) {
        if without_baseline.is_some() && computed.aggregator == ef_spec::Aggregator::KsTest.as_str() {
            unknown.push(computed.name.as_str());
        } else if let Some(field) = first_difference(&as_stored(computed), &as_stored(stored)) {
            let field = field.trim_start_matches('/');
            let mut message = format!("{field} of {} is not what the records give", computed.name);
            if head.ef_version != env!("CARGO_PKG_VERSION") {
                message +=
                    &format!(". ef {} made the run, and this is ef {}", head.ef_version, env!("CARGO_PKG_VERSION"));
            }
            return Ok(failed(CheckSubject::Metrics, message));
        }
    }
    Ok(match (without_baseline, unknown.is_empty()) {
        (Some(why), false) if unknown.len() == computed.len() => not_checked(CheckSubject::Metrics, why),
        (Some(why), false) => {
            passed(CheckSubject::Metrics, format!("the records give them, but for {}: {why}", unknown.join(", ")))
        }
        _ => passed(CheckSubject::Metrics, "the records give them"),
    })
}

/// A bootstrap takes a while: not on a thread that drives others.
async fn compute(set: MetricSet, baseline: Option<MetricSet>) -> Vec<Metric> {
    tokio::task::spawn_blocking(move || set.finish(baseline.as_ref())).await.expect("computing metrics does not panic")
}

/// A metric as JSON, where what is not a number is absent.
fn as_stored(metric: &Metric) -> serde_json::Value {
    serde_json::to_value(metric).expect("a metric has a JSON form")
}

/// A store holds no dataset: all that there is to say is which one it was.
fn dataset_check(summary: &RunSummary) -> Check {
    let digest = summary.result.as_ref().and_then(|result| result.dataset_digest);
    not_checked(
        CheckSubject::Dataset,
        match digest {
            Some(digest) => format!("it is not in the store: compare its SHA-256 with {digest}"),
            None => "the run names no digest: it was not read to its end".to_owned(),
        },
    )
}
