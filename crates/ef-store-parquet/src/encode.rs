//! From records to columns: a pass or two for each column.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, FixedSizeBinaryArray, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray,
};
use arrow::buffer::{Buffer, NullBuffer};
use ef_model::{
    Digest, ErrorRecord, Judgment, JudgmentResult, RowFault, RunId, Scalar, Score, TaskCommit, TaskRecord, TraceOutcome,
};

use crate::packed::{Column, Packed};
use crate::schema;

/// The rows of the traces.
pub(crate) fn traces(commits: &[&TaskCommit]) -> Packed {
    let records = || commits.iter().map(|commit| commit.record());
    let traces = || records().map(|record| &record.trace);
    let errors = || traces().map(|trace| trace_error(&trace.outcome));
    let faults = || traces().map(|trace| fault(&trace.outcome));
    let mut columns = keys(records());
    columns.extend([
        texts(records().map(|record| record.item_id.as_str())),
        texts(traces().map(|trace| trace.status().as_str())),
        ints(traces().map(|trace| i64::from(trace.attempts))),
        times(traces().map(|trace| trace.started_at_us)),
        ints(traces().map(|trace| trace.duration_us.cast_signed())),
        maybe_doubles(traces().map(|trace| trace.usage.cost_usd)),
        maybe_ints(traces().map(|trace| trace.usage.input_tokens)),
        maybe_ints(traces().map(|trace| trace.usage.output_tokens)),
        maybe_digests(traces().map(|trace| trace.input)),
        maybe_digests(traces().map(|trace| trace.reference_output)),
        maybe_digests(traces().map(|trace| trace.item_metadata)),
        maybe_digests(traces().map(|trace| output(&trace.outcome).0)),
        maybe_digests(traces().map(|trace| output(&trace.outcome).1)),
    ]);
    columns.extend(error_columns(errors));
    columns.extend([
        maybe_texts(faults().map(|fault| fault.map(|fault| fault.kind.as_str()))),
        maybe_texts(faults().map(|fault| fault.map(|fault| fault.message.as_str()))),
        maybe_ints(faults().map(|fault| fault.map(|fault| fault.bytes))),
        maybe_digests(faults().map(|fault| fault.map(|fault| fault.sha256))),
        texts(traces().map(|trace| trace.evaluator.id.as_str())),
        texts(traces().map(|trace| trace.evaluator.version.as_str())),
        texts(traces().map(|trace| trace.evaluator.source.as_str())),
        digests(traces().map(|trace| trace.evaluator.digest)),
        ints(records().map(|record| count(record.judgments.len()))),
        digests(commits.iter().map(|commit| commit.leaf())),
    ]);
    Packed::new(&schema::TRACES, columns)
}

/// The rows of the judgments, in the order of their records and of the judges.
pub(crate) fn judgments(commits: &[&TaskCommit]) -> Packed {
    let records =
        || commits.iter().flat_map(|commit| std::iter::repeat_n(commit.record(), commit.record().judgments.len()));
    let places = || commits.iter().flat_map(|commit| 0..commit.record().judgments.len());
    let judgments = || commits.iter().flat_map(|commit| &commit.record().judgments);
    let scores = || judgments().map(score);
    let errors = || judgments().map(|judgment| judgment_error(&judgment.result));
    let identities = || judgments().map(|judgment| &judgment.judge.identity);
    let mut columns = keys(records());
    columns.extend([
        ints(places().map(count)),
        texts(records().map(|record| record.item_id.as_str())),
        texts(judgments().map(|judgment| judgment.judge.name.as_str())),
        texts(judgments().map(|judgment| judgment.result.status())),
        maybe_doubles(scores().map(|score| score.and_then(|score| score.as_number(None)))),
        maybe_bools(scores().map(|score| match score {
            Some(Score::Scalar(Scalar::Bool(value))) => Some(*value),
            _ => None,
        })),
        maybe_texts(scores().map(|score| match score {
            Some(Score::Scalar(Scalar::Label(label))) => Some(label.as_str()),
            _ => None,
        })),
        maybe_texts(scores().map(|score| match score {
            Some(score @ Score::Object(_)) => {
                Some(serde_json::to_string(score).expect("a map from strings to scalars has a JSON form"))
            }
            _ => None,
        })),
        maybe_digests(judgments().map(|judgment| match judgment.result {
            JudgmentResult::Scored { rationale, .. } | JudgmentResult::Unscored { rationale } => rationale,
            JudgmentResult::Pending | JudgmentResult::Error { .. } => None,
        })),
    ]);
    columns.extend(error_columns(errors));
    columns.extend([
        ints(judgments().map(|judgment| i64::from(judgment.attempts))),
        times(judgments().map(|judgment| judgment.started_at_us)),
        ints(judgments().map(|judgment| judgment.duration_us.cast_signed())),
        maybe_doubles(judgments().map(|judgment| judgment.usage.cost_usd)),
        maybe_ints(judgments().map(|judgment| judgment.usage.input_tokens)),
        maybe_ints(judgments().map(|judgment| judgment.usage.output_tokens)),
        maybe_texts(judgments().map(|judgment| judgment.reused_from.as_ref().map(RunId::as_str))),
        texts(identities().map(|identity| identity.id.as_str())),
        texts(identities().map(|identity| identity.version.as_str())),
        texts(identities().map(|identity| identity.source.as_str())),
        digests(identities().map(|identity| identity.digest)),
        digests(judgments().map(|judgment| judgment.judge.config_digest)),
        texts(judgments().map(|judgment| judgment.judge.determinism.as_str())),
    ]);
    Packed::new(&schema::JUDGMENTS, columns)
}

fn keys<'r>(records: impl Iterator<Item = &'r TaskRecord> + Clone) -> Vec<Column> {
    vec![
        // Beyond 2^63 a number turns negative, and comes back as it was.
        Column::Each(Arc::new(Int64Array::from_iter_values(records.clone().map(|record| record.row.cast_signed())))),
        ints(records.clone().map(|record| i64::from(record.repeat))),
        ints(records.map(|record| i64::from(record.revision))),
    ]
}

fn error_columns<'r, I: Iterator<Item = Option<&'r ErrorRecord>> + Clone>(errors: impl Fn() -> I) -> [Column; 4] {
    [
        maybe_texts(errors().map(|error| error.map(|error| error.kind.as_str()))),
        maybe_texts(errors().map(|error| error.map(|error| error.code.as_str()))),
        maybe_texts(errors().map(|error| error.map(|error| error.message.as_str()))),
        maybe_digests(errors().map(|error| error.and_then(|error| error.detail))),
    ]
}

fn trace_error(outcome: &TraceOutcome) -> Option<&ErrorRecord> {
    match outcome {
        TraceOutcome::Timeout { error } | TraceOutcome::Error { error } => Some(error),
        TraceOutcome::Ok { .. } | TraceOutcome::Skipped { .. } => None,
    }
}

fn judgment_error(result: &JudgmentResult) -> Option<&ErrorRecord> {
    match result {
        JudgmentResult::Error { error } => Some(error),
        _ => None,
    }
}

fn fault(outcome: &TraceOutcome) -> Option<&RowFault> {
    match outcome {
        TraceOutcome::Skipped { fault } => Some(fault),
        _ => None,
    }
}

fn output(outcome: &TraceOutcome) -> (Option<Digest>, Option<Digest>) {
    match outcome {
        TraceOutcome::Ok { output, output_metadata } => (Some(*output), *output_metadata),
        _ => (None, None),
    }
}

fn score(judgment: &Judgment) -> Option<&Score> {
    match &judgment.result {
        JudgmentResult::Scored { score, .. } => Some(score),
        _ => None,
    }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).expect("nothing in memory has 2^63 elements")
}

fn ints(values: impl Iterator<Item = i64> + Clone) -> Column {
    Column::of(values, |values| Arc::new(Int64Array::from_iter_values(values)))
}

fn maybe_ints(values: impl Iterator<Item = Option<u64>> + Clone) -> Column {
    Column::of(values, |values| Arc::new(Int64Array::from_iter(values.map(|value| value.map(u64::cast_signed)))))
}

fn maybe_doubles(values: impl Iterator<Item = Option<f64>> + Clone) -> Column {
    // By their bits: 0 and -0 are not the same.
    let bits = values.map(|value| value.map(f64::to_bits));
    Column::of(bits, |bits| Arc::new(Float64Array::from_iter(bits.map(|bits| bits.map(f64::from_bits)))))
}

fn maybe_bools(values: impl Iterator<Item = Option<bool>> + Clone) -> Column {
    Column::of(values, |values| Arc::new(BooleanArray::from_iter(values)))
}

fn times(values: impl Iterator<Item = i64> + Clone) -> Column {
    Column::of(values, |values| Arc::new(TimestampMicrosecondArray::from_iter_values(values).with_timezone("UTC")))
}

fn texts<'r>(values: impl Iterator<Item = &'r str> + Clone) -> Column {
    Column::of(values, |values| Arc::new(StringArray::from_iter_values(values)))
}

fn maybe_texts<T: AsRef<str> + PartialEq>(values: impl Iterator<Item = Option<T>> + Clone) -> Column {
    Column::of(values, |values| Arc::new(StringArray::from_iter(values)))
}

fn digests(values: impl Iterator<Item = Digest> + Clone) -> Column {
    Column::of(values, |values| {
        let mut bytes = Vec::with_capacity(32 * values.size_hint().0);
        values.for_each(|digest| bytes.extend_from_slice(digest.as_bytes()));
        digest_array(bytes, None)
    })
}

fn maybe_digests(values: impl Iterator<Item = Option<Digest>> + Clone) -> Column {
    Column::of(values, |values| {
        let mut bytes = Vec::with_capacity(32 * values.size_hint().0);
        let mut valid = Vec::with_capacity(values.size_hint().0);
        for digest in values {
            valid.push(digest.is_some());
            bytes.extend_from_slice(digest.map_or([0; 32], |digest| *digest.as_bytes()).as_slice());
        }
        digest_array(bytes, Some(valid.into()))
    })
}

/// Digests as a column, 32 bytes each.
pub(crate) fn digest_array(bytes: Vec<u8>, valid: Option<NullBuffer>) -> ArrayRef {
    let array = FixedSizeBinaryArray::try_new(32, Buffer::from_vec(bytes), valid);
    Arc::new(array.expect("there are 32 bytes for each digest"))
}
