//! Inclusion proofs: that records are part of a completed run, checked without its other records and without a store.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{
    AuditPath, Digest, Identity, JsonFault, JudgeIdentity, MerkleRoot, RunHead, RunId, TaskRecord, canonical,
    check_strict,
};

/// What a run's root digest binds together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunBinding {
    /// The run's id.
    pub run_id: RunId,
    /// SHA-256 of the RFC 8785 form of its spec.
    pub spec: Digest,
    /// SHA-256 over its dataset's bytes, where all of them were read.
    pub dataset: Option<Digest>,
    /// Its evaluator.
    pub evaluator: Arc<Identity>,
    /// Its judges, in the order of the spec.
    pub judges: Vec<Arc<JudgeIdentity>>,
    /// How many records it has, all revisions.
    pub records: u64,
    /// RFC 6962 root over the records' leaves.
    pub records_root: Digest,
}

impl RunBinding {
    /// What the root digest of a run binds: its head, its dataset's digest, and the root over so many records.
    #[must_use]
    pub fn new(head: &RunHead, dataset: Option<Digest>, records: u64, records_root: Digest) -> Self {
        Self {
            run_id: head.run_id.clone(),
            spec: head.spec_digest,
            dataset,
            evaluator: Arc::clone(&head.evaluator),
            judges: head.judges.clone(),
            records,
            records_root,
        }
    }

    /// The root digest: SHA-256 of the RFC 8785 form.
    #[must_use]
    pub fn digest(&self) -> Digest {
        canonical::digest(self)
    }
}

/// A proof that records are part of a completed run. It holds the records and no other, digests of payloads and no
/// payload.
///
/// What was hashed stands in it as the text that was hashed, so that checking it takes SHA-256 and no canonical JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InclusionProof {
    /// The version of this format.
    pub format_version: u32,
    /// The root digest of the run: the proof is worth as much as the way on which its reader learnt this digest.
    pub root_digest: Digest,
    /// The RFC 8785 form of the run's [`RunBinding`]. Its SHA-256 is `root_digest`.
    pub run: String,
    /// The records, each with its way to the `records_root` of `run`.
    pub records: Vec<ProvenRecord>,
}

/// A record with its way to the root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProvenRecord {
    /// The RFC 8785 form of a [`TaskRecord`]. SHA-256 over a zero byte and this text is its leaf.
    pub record: String,
    /// The way from the leaf to the root.
    pub audit_path: AuditPath,
}

/// What a proof shows, once it holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Proven {
    /// The run.
    pub run: RunBinding,
    /// The records.
    pub records: Vec<TaskRecord>,
}

/// Why a text is not a proof, or a proof does not hold. No message holds content of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// It is not JSON.
    #[error("it is not a proof: {0}")]
    NotJson(JsonFault),
    /// It is JSON of another kind.
    #[error("it is not a proof: it lacks what a proof has, or has more")]
    NotAProof,
    /// It has another version.
    #[error("the proof has format version {0}, and this ef reads version {version}", version = InclusionProof::FORMAT_VERSION)]
    Version(u64),
    /// Of no record.
    #[error("the proof has no record")]
    Empty,
    /// What is said of the run is not what the root digest was made of.
    #[error("what the proof says of the run does not have the root digest")]
    Run,
    /// A record's way does not lead to the root.
    #[error("record {0} of the proof does not lead to the root over the run's records")]
    Record(
        /// Which of the proof's records, from 1.
        usize,
    ),
    /// The digests are right, and what they are of is not a run's.
    #[error("the proof's digests agree with one another, but they are not those of a run's records")]
    Foreign,
}

impl ProofError {
    /// Whether there is a proof, and it does not hold; otherwise there is none that could.
    #[must_use]
    pub const fn is_refutation(&self) -> bool {
        matches!(self, Self::Empty | Self::Run | Self::Record(_) | Self::Foreign)
    }
}

impl InclusionProof {
    /// The version of the format that this build writes and reads.
    pub const FORMAT_VERSION: u32 = 1;

    /// A proof of these records with their ways to the root of the run.
    #[must_use]
    pub fn new(run: &RunBinding, records: impl IntoIterator<Item = (TaskRecord, AuditPath)>) -> Self {
        let proven = |(record, audit_path)| ProvenRecord { record: text(&record), audit_path };
        Self {
            format_version: Self::FORMAT_VERSION,
            root_digest: run.digest(),
            run: text(run),
            records: records.into_iter().map(proven).collect(),
        }
    }

    /// Reads a proof.
    ///
    /// # Errors
    ///
    /// When the text is not a proof of this version. Whether it holds is for [`InclusionProof::check`].
    pub fn parse(json: &str) -> Result<Self, ProofError> {
        check_strict(json).map_err(ProofError::NotJson)?;
        let value: serde_json::Value = serde_json::from_str(json).map_err(|_| ProofError::NotAProof)?;
        match value["format_version"].as_u64() {
            None => Err(ProofError::NotAProof),
            Some(version) if version != u64::from(Self::FORMAT_VERSION) => Err(ProofError::Version(version)),
            Some(_) => serde_json::from_value(value).map_err(|_| ProofError::NotAProof),
        }
    }

    /// Follows every record's way to the root, and the root's to the root digest.
    ///
    /// # Errors
    ///
    /// The first step that does not hold.
    pub fn check(&self) -> Result<Proven, ProofError> {
        if Digest::of(self.run.as_bytes()) != self.root_digest {
            return Err(ProofError::Run);
        }
        let run: RunBinding = read(&self.run)?;
        if self.records.is_empty() {
            return Err(ProofError::Empty);
        }
        for (index, ProvenRecord { record, audit_path }) in self.records.iter().enumerate() {
            let leaf = MerkleRoot::leaf(record.as_bytes());
            if audit_path.root(leaf, run.records) != Some(run.records_root) {
                return Err(ProofError::Record(index + 1));
            }
        }
        let records = self.records.iter().map(|proven| read(&proven.record)).collect::<Result<_, _>>()?;
        Ok(Proven { run, records })
    }
}

/// What was hashed, as it was hashed.
fn text<T: Serialize>(value: &T) -> String {
    String::from_utf8(canonical::to_bytes(value)).expect("JSON is UTF-8")
}

fn read<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, ProofError> {
    check_strict(text).map_err(|_| ProofError::Foreign)?;
    serde_json::from_str(text).map_err(|_| ProofError::Foreign)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::{
        AuditPaths, DatasetRef, Determinism, ItemId, Judgment, JudgmentResult, RunResult, Score, Trace, TraceOutcome,
    };

    fn head() -> RunHead {
        let identity = Identity::builtin("test.component", "1", "test", "1");
        let spec = json!({"id": "test"});
        RunHead {
            run_id: RunId::new("run").expect("an id"),
            started_at_us: 1,
            ef_version: "0.1.0".to_owned(),
            spec_id: "test".to_owned(),
            spec_version: "1.0.0".to_owned(),
            spec_digest: canonical::digest(&spec),
            spec,
            dataset: DatasetRef { path: "-".to_owned(), format: "jsonl".to_owned(), fields: BTreeMap::new() },
            evaluator: Arc::new(identity.clone()),
            source: None,
            judges: vec![Arc::new(JudgeIdentity {
                name: "judge".to_owned(),
                identity,
                determinism: Determinism::Deterministic,
                config_digest: Digest::of(b"{}"),
            })],
        }
    }

    fn record(row: u64) -> TaskRecord {
        let RunHead { evaluator, judges, .. } = head();
        let output = Digest::of(&row.to_be_bytes());
        TaskRecord {
            item_id: ItemId::new(format!("é-{row}")).expect("an id"),
            row,
            repeat: 0,
            revision: 0,
            trace: Trace {
                evaluator,
                attempts: 1,
                started_at_us: 2,
                duration_us: 3,
                input: Some(output),
                reference_output: None,
                item_metadata: None,
                usage: crate::Usage::UNKNOWN,
                outcome: TraceOutcome::Ok { output, output_metadata: None },
            },
            judgments: vec![Judgment {
                judge: Arc::clone(&judges[0]),
                attempts: 1,
                started_at_us: 4,
                duration_us: 5,
                reused_from: None,
                usage: crate::Usage::cost(0.1 + 0.2),
                result: JudgmentResult::Scored { score: Score::number(1e-7).expect("finite"), rationale: None },
            }],
        }
    }

    /// A proof of these rows of a run of so many.
    fn proof(rows: &[u64], count: u64) -> InclusionProof {
        let mut paths = AuditPaths::new();
        (1..=count).for_each(|row| paths.push(record(row).leaf(), rows.contains(&row)));
        let (root, paths) = paths.finish();
        let run = RunBinding::new(&head(), None, count, root);
        InclusionProof::new(&run, rows.iter().map(|&row| record(row)).zip(paths))
    }

    #[test]
    fn the_root_digest_is_over_what_its_definition_names() {
        let (head, root) = (head(), Digest::of(b"root"));
        let defined = canonical::digest(&json!({
            "run_id": head.run_id,
            "spec": head.spec_digest,
            "dataset": null,
            "evaluator": head.evaluator,
            "judges": head.judges,
            "records": 7,
            "records_root": root,
        }));
        assert_eq!(RunResult::bind(&head, None, 7, root), defined);
    }

    #[test]
    fn a_proof_survives_json_and_shows_its_records() {
        let proof = proof(&[3, 4], 9);
        let text = serde_json::to_string_pretty(&proof).expect("JSON");
        let read = InclusionProof::parse(&text).expect("a proof");
        assert_eq!(read, proof);
        let Proven { run, records } = read.check().expect("it holds");
        assert_eq!((run.records, run.digest()), (9, proof.root_digest));
        assert_eq!(records, [record(3), record(4)]);
    }

    #[test]
    fn a_proof_of_the_only_record_has_no_way_to_go() {
        let proof = proof(&[1], 1);
        assert_eq!(proof.records[0].audit_path.path, []);
        assert_eq!(proof.check().expect("it holds").records, [record(1)]);
    }

    #[test]
    fn what_does_not_hold_is_told_by_its_step() {
        let good = proof(&[2, 5], 6);
        let mut other_run = good.clone();
        other_run.run = other_run.run.replace("\"run\"", "\"nur\"");
        assert_eq!(other_run.check(), Err(ProofError::Run));
        let mut other_record = good.clone();
        other_record.records[1].record = text(&record(4));
        assert_eq!(other_record.check(), Err(ProofError::Record(2)));
        let none = InclusionProof { records: Vec::new(), ..good.clone() };
        assert_eq!(none.check(), Err(ProofError::Empty));
        let foreign = InclusionProof { run: "{}".to_owned(), root_digest: Digest::of(b"{}"), ..good };
        assert_eq!(foreign.check(), Err(ProofError::Foreign));
    }

    #[test]
    fn what_is_no_proof_is_told_from_one_that_does_not_hold() {
        let text = |value: serde_json::Value| InclusionProof::parse(&value.to_string()).expect_err("no proof");
        assert_eq!(text(json!({"format_version": 2})), ProofError::Version(2));
        for value in [json!({}), json!([]), json!(null), json!({"format_version": "1"}), json!({"format_version": 1})] {
            assert_eq!(text(value), ProofError::NotAProof);
        }
        let mut more = serde_json::to_value(proof(&[1], 2)).expect("JSON");
        more["note"] = json!("x");
        assert_eq!(text(more), ProofError::NotAProof);
        for broken in ["", "{", "{\"a\": 1, \"a\": 1}", "proof"] {
            let error = InclusionProof::parse(broken).expect_err("no proof");
            assert!(matches!(error, ProofError::NotJson(_)) && !error.is_refutation(), "{broken}: {error}");
        }
    }

    proptest! {
        #[test]
        fn a_proof_with_any_byte_changed_shows_nothing(place in any::<prop::sample::Index>()) {
            let mut bytes = serde_json::to_vec(&proof(&[2], 5)).expect("JSON");
            let place = place.index(bytes.len());
            bytes[place] ^= 1;
            let held = std::str::from_utf8(&bytes).ok().and_then(|text| InclusionProof::parse(text).ok()?.check().ok());
            prop_assert_eq!(held, None, "byte {}", place);
        }
    }
}
