//! A record's RFC 8785 form, written in one go.
//!
//! [`crate::canonical`] makes the same bytes from any value by sorting each object's keys, which takes several times as
//! long as everything else that is done for a task. Here the keys are written in their order to begin with; a property
//! test holds the two equal.

use std::collections::BTreeMap;

use crate::{
    Digest, ErrorRecord, Identity, Judgment, JudgmentResult, RowFault, Scalar, Score, TaskRecord, Trace, TraceOutcome,
    Usage,
};

/// The RFC 8785 form of a record.
pub(crate) fn of_record(record: &TaskRecord) -> Vec<u8> {
    let mut text = Text(Vec::with_capacity(1024 + 512 * record.judgments.len()));
    text.raw("{\"item_id\":").string(record.item_id.as_str());
    text.raw(",\"judgments\":[");
    for (index, judgment) in record.judgments.iter().enumerate() {
        text.raw(if index == 0 { "" } else { "," }).judgment(judgment);
    }
    text.raw("],\"repeat\":").integer(record.repeat);
    text.raw(",\"revision\":").integer(record.revision);
    text.raw(",\"row\":").integer(record.row);
    text.raw(",\"trace\":").trace(&record.trace);
    text.raw("}");
    text.0
}

/// JSON text in the making. Object keys are the caller's care.
struct Text(Vec<u8>);

impl Text {
    fn raw(&mut self, text: &str) -> &mut Self {
        self.0.extend_from_slice(text.as_bytes());
        self
    }

    /// serde_json escapes strings as RFC 8785 asks for.
    fn string(&mut self, text: &str) -> &mut Self {
        serde_json::to_writer(&mut self.0, text).expect("a string has a JSON form");
        self
    }

    fn integer(&mut self, value: impl serde::Serialize) -> &mut Self {
        serde_json::to_writer(&mut self.0, &value).expect("an integer has a JSON form");
        self
    }

    /// RFC 8785 writes numbers as ECMAScript does.
    fn number(&mut self, value: f64) -> &mut Self {
        let mut buffer = ryu_js::Buffer::new();
        self.raw(buffer.format_finite(value))
    }

    fn digest(&mut self, digest: Digest) -> &mut Self {
        self.raw("\"").raw(digest.write_hex(&mut [0; 64])).raw("\"")
    }

    fn maybe_digest(&mut self, digest: Option<Digest>) -> &mut Self {
        match digest {
            Some(digest) => self.digest(digest),
            None => self.raw("null"),
        }
    }

    fn trace(&mut self, trace: &Trace) -> &mut Self {
        self.raw("{\"attempts\":").integer(trace.attempts);
        self.raw(",\"duration_us\":").integer(trace.duration_us);
        if let TraceOutcome::Timeout { error } | TraceOutcome::Error { error } = &trace.outcome {
            self.raw(",\"error\":").error(error);
        }
        self.raw(",\"evaluator\":{").identity(&trace.evaluator).raw("}");
        if let TraceOutcome::Skipped { fault } = &trace.outcome {
            self.raw(",\"fault\":").fault(fault);
        }
        self.raw(",\"input\":").maybe_digest(trace.input);
        self.raw(",\"item_metadata\":").maybe_digest(trace.item_metadata);
        if let TraceOutcome::Ok { output, output_metadata } = &trace.outcome {
            self.raw(",\"output\":").digest(*output);
            self.raw(",\"output_metadata\":").maybe_digest(*output_metadata);
        }
        self.raw(",\"reference_output\":").maybe_digest(trace.reference_output);
        self.raw(",\"started_at_us\":").integer(trace.started_at_us);
        self.raw(",\"status\":\"").raw(trace.status().as_str()).raw("\"");
        self.usage(trace.usage).raw("}")
    }

    /// The last key of a trace or a judgment, where anything is known.
    fn usage(&mut self, usage: Usage) -> &mut Self {
        if usage.is_unknown() {
            return self;
        }
        let Usage { cost_usd, input_tokens, output_tokens } = usage;
        let mut separator = ",\"usage\":{";
        if let Some(cost) = cost_usd {
            self.raw(separator).raw("\"cost_usd\":").number(cost);
            separator = ",";
        }
        if let Some(tokens) = input_tokens {
            self.raw(separator).raw("\"input_tokens\":").integer(tokens);
            separator = ",";
        }
        if let Some(tokens) = output_tokens {
            self.raw(separator).raw("\"output_tokens\":").integer(tokens);
        }
        self.raw("}")
    }

    /// The keys of an identity, without the braces.
    fn identity(&mut self, identity: &Identity) -> &mut Self {
        self.raw("\"digest\":").digest(identity.digest);
        self.raw(",\"id\":").string(identity.id.as_str());
        self.raw(",\"source\":").string(&identity.source);
        self.raw(",\"version\":").string(&identity.version)
    }

    fn judgment(&mut self, judgment: &Judgment) -> &mut Self {
        self.raw("{\"attempts\":").integer(judgment.attempts);
        self.raw(",\"duration_us\":").integer(judgment.duration_us);
        if let JudgmentResult::Error { error } = &judgment.result {
            self.raw(",\"error\":").error(error);
        }
        let judge = &judgment.judge;
        let identity = &judge.identity;
        self.raw(",\"judge\":{\"config_digest\":").digest(judge.config_digest);
        self.raw(",\"determinism\":\"").raw(judge.determinism.as_str());
        self.raw("\",\"digest\":").digest(identity.digest);
        self.raw(",\"id\":").string(identity.id.as_str());
        self.raw(",\"name\":").string(&judge.name);
        self.raw(",\"source\":").string(&identity.source);
        self.raw(",\"version\":").string(&identity.version).raw("}");
        match &judgment.result {
            JudgmentResult::Scored { rationale, .. } | JudgmentResult::Unscored { rationale, .. } => {
                self.raw(",\"rationale\":").maybe_digest(*rationale);
            }
            JudgmentResult::Pending | JudgmentResult::Error { .. } => {}
        }
        if let Some(run) = &judgment.reused_from {
            self.raw(",\"reused_from\":").string(run.as_str());
        }
        if let JudgmentResult::Scored { score, .. } = &judgment.result {
            self.raw(",\"score\":").score(score);
        }
        self.raw(",\"started_at_us\":").integer(judgment.started_at_us);
        self.raw(",\"status\":\"").raw(judgment.result.status()).raw("\"");
        self.usage(judgment.usage).raw("}")
    }

    fn error(&mut self, error: &ErrorRecord) -> &mut Self {
        self.raw("{\"code\":").string(&error.code);
        self.raw(",\"detail\":").maybe_digest(error.detail);
        self.raw(",\"kind\":\"").raw(error.kind.as_str());
        self.raw("\",\"message\":").string(&error.message).raw("}")
    }

    fn fault(&mut self, fault: &RowFault) -> &mut Self {
        self.raw("{\"bytes\":").integer(fault.bytes);
        self.raw(",\"kind\":\"").raw(fault.kind.as_str());
        self.raw("\",\"message\":").string(&fault.message);
        self.raw(",\"sha256\":").digest(fault.sha256).raw("}")
    }

    fn score(&mut self, score: &Score) -> &mut Self {
        match score {
            Score::Scalar(value) => self.scalar(value),
            Score::Object(values) => self.scalars(values),
        }
    }

    fn scalar(&mut self, value: &Scalar) -> &mut Self {
        match value {
            Scalar::Bool(true) => self.raw("true"),
            Scalar::Bool(false) => self.raw("false"),
            Scalar::Number(value) => self.number(value.get()),
            Scalar::Label(label) => self.string(label),
        }
    }

    /// RFC 8785 sorts keys by their UTF-16 code units, which is not the order of a map of strings.
    fn scalars(&mut self, values: &BTreeMap<String, Scalar>) -> &mut Self {
        let mut sorted: Vec<_> = values.iter().collect();
        sorted.sort_by(|(one, _), (other, _)| one.encode_utf16().cmp(other.encode_utf16()));
        self.raw("{");
        for (index, (key, value)) in sorted.into_iter().enumerate() {
            self.raw(if index == 0 { "" } else { "," }).string(key).raw(":").scalar(value);
        }
        self.raw("}")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::{Determinism, ErrorKind, Finite, ItemId, JudgeIdentity, RowFaultKind, RunId, canonical};

    fn digests() -> impl Strategy<Value = Digest> {
        any::<[u8; 32]>().prop_map(Digest::from_bytes)
    }

    fn maybe_digests() -> impl Strategy<Value = Option<Digest>> {
        proptest::option::of(digests())
    }

    /// The integers that a record may hold.
    fn counts() -> impl Strategy<Value = u64> {
        0..(1_u64 << 53)
    }

    fn usages() -> impl Strategy<Value = Usage> {
        let costs = proptest::option::of(any::<f64>().prop_filter("finite", |cost| cost.is_finite()));
        (costs, proptest::option::of(counts()), proptest::option::of(counts()))
            .prop_map(|(cost_usd, input_tokens, output_tokens)| Usage { cost_usd, input_tokens, output_tokens })
    }

    fn identities() -> impl Strategy<Value = Identity> {
        (".*", ".*").prop_map(|(version, source)| {
            let identity = Identity::builtin("test.component", &version, "package", "1");
            Identity { source, ..identity }
        })
    }

    fn errors() -> impl Strategy<Value = ErrorRecord> {
        let kinds = [ErrorKind::Transient, ErrorKind::Timeout, ErrorKind::Permanent, ErrorKind::InvalidOutput];
        (proptest::sample::select(kinds.to_vec()), ".*", ".*", maybe_digests())
            .prop_map(|(kind, code, message, detail)| ErrorRecord { kind, code, message, detail })
    }

    fn outcomes() -> impl Strategy<Value = TraceOutcome> {
        let kinds = [RowFaultKind::Malformed, RowFaultKind::Oversized];
        let faults = (proptest::sample::select(kinds.to_vec()), ".*", counts(), digests())
            .prop_map(|(kind, message, bytes, sha256)| RowFault { kind, message, bytes, sha256 });
        prop_oneof![
            (digests(), maybe_digests())
                .prop_map(|(output, output_metadata)| TraceOutcome::Ok { output, output_metadata }),
            errors().prop_map(|error| TraceOutcome::Timeout { error }),
            errors().prop_map(|error| TraceOutcome::Error { error }),
            faults.prop_map(|fault| TraceOutcome::Skipped { fault }),
        ]
    }

    fn scores() -> impl Strategy<Value = Score> {
        let scalars = || {
            prop_oneof![
                any::<bool>().prop_map(Scalar::Bool),
                any::<f64>().prop_filter_map("finite", Finite::new).prop_map(Scalar::Number),
                ".*".prop_map(Scalar::Label),
            ]
        };
        prop_oneof![
            scalars().prop_map(Score::Scalar),
            proptest::collection::btree_map("[a-c\u{e000}-\u{ffff}\u{10000}-\u{10ffff}]{0,3}", scalars(), 0..6)
                .prop_map(Score::Object),
        ]
    }

    fn results() -> impl Strategy<Value = JudgmentResult> {
        prop_oneof![
            (scores(), maybe_digests()).prop_map(|(score, rationale)| JudgmentResult::Scored { score, rationale }),
            maybe_digests().prop_map(|rationale| JudgmentResult::Unscored { rationale }),
            Just(JudgmentResult::Pending),
            errors().prop_map(|error| JudgmentResult::Error { error }),
        ]
    }

    fn judgments() -> impl Strategy<Value = Judgment> {
        let kinds = [Determinism::Deterministic, Determinism::SamplingDeterministic, Determinism::Stochastic];
        let judges = (".*", identities(), proptest::sample::select(kinds.to_vec()), digests()).prop_map(
            |(name, identity, determinism, config_digest)| {
                Arc::new(JudgeIdentity { name, identity, determinism, config_digest })
            },
        );
        let runs = proptest::option::of("[a-z0-9][a-z0-9._-]{0,10}".prop_map(|id| RunId::new(id).expect("a run id")));
        (judges, any::<u32>(), counts(), counts(), runs, usages(), results()).prop_map(
            |(judge, attempts, started, duration_us, reused_from, usage, result)| Judgment {
                judge,
                attempts,
                started_at_us: started.cast_signed(),
                duration_us,
                reused_from,
                usage,
                result,
            },
        )
    }

    fn records() -> impl Strategy<Value = TaskRecord> {
        let traces = (
            identities(),
            any::<u32>(),
            [counts(), counts()],
            proptest::array::uniform3(maybe_digests()),
            usages(),
            outcomes(),
        )
            .prop_map(|(evaluator, attempts, [started, duration_us], payloads, usage, outcome)| {
                let [input, reference_output, item_metadata] = payloads;
                Trace {
                    evaluator: Arc::new(evaluator),
                    attempts,
                    started_at_us: started.cast_signed(),
                    duration_us,
                    input,
                    reference_output,
                    item_metadata,
                    usage,
                    outcome,
                }
            });
        ("[^\\pC]{1,40}", counts(), any::<[u32; 2]>(), traces, proptest::collection::vec(judgments(), 0..3)).prop_map(
            |(item_id, row, [repeat, revision], trace, judgments)| TaskRecord {
                item_id: ItemId::new(item_id).expect("no control characters"),
                row,
                repeat,
                revision,
                trace,
                judgments,
            },
        )
    }

    proptest! {
        #[test]
        fn a_records_bytes_are_its_rfc_8785_form(record in records()) {
            let written = String::from_utf8(of_record(&record)).expect("UTF-8");
            let defined = String::from_utf8(canonical::to_bytes(&record)).expect("UTF-8");
            prop_assert_eq!(written, defined);
        }

        #[test]
        fn a_record_survives_json(record in records()) {
            let text = serde_json::to_string(&record).expect("JSON");
            prop_assert_eq!(serde_json::from_str::<TaskRecord>(&text).expect("a record"), record);
        }
    }
}
