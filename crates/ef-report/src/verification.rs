//! What came of verifying a run, or of checking a proof.

use ef_model::{
    CheckResult, InclusionProof, JudgmentResult, Proven, RecordPlace, TaskRecord, Verification, VerificationOutcome,
};
use serde_json::json;

use crate::grid;
use crate::number::count;
use crate::style::{Style, Tone};
use crate::text::visible;

/// What was checked of a run, a line each, and what it comes to. Shows digests, and no payload.
#[must_use]
pub fn verification(verification: &Verification, style: Style) -> String {
    let outcome = verification.outcome();
    let (tone, meaning) = match outcome {
        VerificationOutcome::Verified => (Tone::Good, "the run is what its root digest was made of"),
        VerificationOutcome::Failed => (Tone::Bad, "something is not as it was recorded"),
        VerificationOutcome::Unfinished => {
            (Tone::Uneasy, "what is there is as it was recorded; that nothing is missing cannot be told yet")
        }
    };
    let mut text = format!("run {}  {}\n\n", verification.run_id, verification.status);
    let mut lines: Vec<_> = verification
        .checks
        .iter()
        .map(|check| {
            let word = match check.result {
                CheckResult::Passed => style.paint("ok", Tone::Good),
                CheckResult::Failed => style.paint("FAILED", Tone::Bad),
                CheckResult::NotChecked => style.paint("not checked", Tone::Uneasy),
            };
            (check.subject.as_str(), format!("{word}: {}", visible(&check.message)))
        })
        .collect();
    // Of a run that is not what it was, it would be the digest of nothing that anybody knows.
    let root_digest = verification.root_digest.filter(|_| outcome == VerificationOutcome::Verified);
    lines.extend(root_digest.map(|digest| ("root digest", digest.to_string())));
    text += &grid::pairs(lines, style);
    text += &format!("\n{}: {meaning}\n", style.paint(outcome.as_str(), tone));
    text
}

/// The same as indented JSON, with a final newline.
#[must_use]
pub fn verification_json(verification: &Verification) -> String {
    let mut value = json!(verification);
    value["outcome"] = json!(verification.outcome());
    format!("{value:#}\n")
}

/// A proof as indented JSON, with a final newline.
#[must_use]
pub fn proof_json(proof: &InclusionProof) -> String {
    format!("{:#}\n", json!(proof))
}

/// What a proof that holds shows: which run, which root digest it has to be compared with, and which records.
#[must_use]
pub fn proven(proof: &InclusionProof, proven: &Proven, style: Style) -> String {
    let mut text = format!("run {}  {}\n\n", proven.run.run_id, style.paint("the proof holds", Tone::Good));
    let mut lines = Vec::new();
    for (kept, record) in proof.records.iter().zip(&proven.records) {
        let place = kept.audit_path.leaf_index.saturating_add(1);
        let place = format!("record {} of {}", count(place), count(proven.run.records));
        lines.push((
            "item",
            visible(&format!("{}, {place}: {}", RecordPlace::from(record), judged(record))).into_owned(),
        ));
    }
    lines.push(("root digest", proof.root_digest.to_string()));
    text += &grid::pairs(lines, style);
    text += "\nThe records are part of the run that has this root digest, if you know the digest from elsewhere than the proof.\n";
    text
}

/// The same as indented JSON, with a final newline.
#[must_use]
pub fn proven_json(proof: &InclusionProof, proven: &Proven) -> String {
    let value = json!({
        "outcome": "holds",
        "root_digest": proof.root_digest,
        "run": proven.run,
        "records": proven.records,
    });
    format!("{value:#}\n")
}

/// A record's status, and those of its judgments.
fn judged(record: &TaskRecord) -> String {
    let judgments = record.judgments.iter().map(|judgment| {
        let score = match &judgment.result {
            JudgmentResult::Scored { score, .. } => json!(score).to_string(),
            other => other.status().to_owned(),
        };
        format!(", {} {score}", judgment.judge.name)
    });
    judgments.fold(record.trace.status().to_string(), |text, judgment| text + &judgment)
}
