//! Records: the bytes that are hashed are their RFC 8785 form, as another implementation makes it.

use ef_model::{MerkleRoot, TaskRecord, TraceOutcome, Usage};

/// Takes the bytes as a record in JSON.
pub(crate) fn check(bytes: &[u8]) -> bool {
    let Ok(record) = serde_json::from_slice::<TaskRecord>(bytes) else { return false };
    if !is_within_bounds(&record) {
        return false;
    }
    let canonical = serde_json_canonicalizer::to_vec(&record).expect("a record has a canonical form");
    assert_eq!(record.leaf(), MerkleRoot::leaf(&canonical), "the leaf is that of the RFC 8785 form");
    let again: TaskRecord = serde_json::from_slice(&canonical).expect("a record's canonical form is a record");
    assert_eq!(again.leaf(), record.leaf(), "a record survives its canonical form");
    true
}

/// Whether its integers are what a record may hold: below 2^53, so that a double holds them.
fn is_within_bounds(record: &TaskRecord) -> bool {
    const BOUND: u64 = 1 << 53;
    let usage = |usage: Usage| usage == usage.in_range();
    let times = |started: i64, duration: u64| started.unsigned_abs() < BOUND && duration < BOUND;
    let fault = match &record.trace.outcome {
        TraceOutcome::Skipped { fault } => fault.bytes,
        _ => 0,
    };
    record.row < BOUND
        && fault < BOUND
        && times(record.trace.started_at_us, record.trace.duration_us)
        && usage(record.trace.usage)
        && record
            .judgments
            .iter()
            .all(|judgment| usage(judgment.usage) && times(judgment.started_at_us, judgment.duration_us))
}
