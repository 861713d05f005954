//! Judgments that need not be made again: a costly judge that keeps its promise would say the same.

use std::sync::Arc;

use ef_model::{
    Determinism, Digest, EvalItem, EvaluatorOutput, FoundJudgment, JudgeIdentity, Judgment, JudgmentResult, Payload,
    TaskRecord, TraceOutcome, TraceStore, Usage, canonical,
};
use ef_spec::JudgeSpec;
use serde_json::{Map, Value, json};

use crate::{RunJudge, seed};

/// Looks up judgments of costly judges in the store that a run is written to.
pub(crate) struct Cache {
    store: Arc<dyn TraceStore>,
    run_seed: u64,
}

/// What a look-up says of one judge's judgment.
#[derive(Debug)]
pub(crate) enum Lookup {
    /// It is to be made, and not to be found again.
    Make,
    /// It is to be made, and to be found again by this key.
    MakeAs(Digest),
    /// It has been made.
    Made(Judgment),
}

impl Cache {
    pub(crate) fn new(store: Arc<dyn TraceStore>, run_seed: u64) -> Self {
        Self { store, run_seed }
    }

    /// Looks for the judgments of an output, one of each judge. A store that cannot be read now has none.
    pub(crate) async fn look_up<'j>(
        &self,
        judges: impl Iterator<Item = (&'j RunJudge, bool)>,
        item: &EvalItem,
        output: &EvaluatorOutput,
        repeat: u32,
    ) -> Vec<Lookup> {
        let subject = Subject { item, output, repeat };
        let key = |(judge, is_cached): (&'j RunJudge, bool)| {
            is_cached.then(|| {
                let name = &judge.identity.name;
                let seed = seed::of_call(self.run_seed, repeat, name, &item.item_id);
                (judge, subject.key(&judge.identity, seed, judge.judge.model()))
            })
        };
        let keys: Vec<_> = judges.map(key).collect();
        let wanted: Vec<_> = keys.iter().flatten().map(|(_, key)| *key).collect();
        let found =
            if wanted.is_empty() { Vec::new() } else { self.store.judgments(&wanted).await.unwrap_or_default() };
        let mut found = found.into_iter();
        let judged = |wanted: Option<(&RunJudge, Digest)>| {
            let Some((judge, key)) = wanted else { return Lookup::Make };
            let found = found.next().flatten().and_then(|found| subject.reuse(&judge.identity, found));
            found.map_or(Lookup::MakeAs(key), Lookup::Made)
        };
        keys.into_iter().map(judged).collect()
    }
}

/// Whether a judge's judgments may be reused: it says that they are costly, it promises to say the same again, and all
/// that it depends on is known. Of a config with a `${VAR}` it is not.
pub(crate) fn is_cached(judge: &RunJudge, spec: Option<&JudgeSpec>) -> bool {
    judge.judge.is_costly()
        && judge.identity.determinism != Determinism::Stochastic
        && spec.is_some_and(|spec| !any_variable(&spec.config))
}

fn any_variable(config: &Map<String, Value>) -> bool {
    fn names_one(value: &Value) -> bool {
        match value {
            Value::String(text) => text.contains("${"),
            Value::Array(values) => values.iter().any(names_one),
            Value::Object(values) => any_variable(values),
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }
    config.iter().any(|(key, value)| key.contains("${") || names_one(value))
}

/// What is judged.
struct Subject<'a> {
    item: &'a EvalItem,
    output: &'a EvaluatorOutput,
    repeat: u32,
}

impl Subject<'_> {
    /// Everything that a judgment depends on, as one digest: SHA-256 over the RFC 8785 form. The seed is a text, as RFC
    /// 8785 knows no integers beyond 2^53.
    fn key(&self, judge: &JudgeIdentity, seed: u64, model: Option<&str>) -> Digest {
        let Self { item, output, repeat } = self;
        let digest = |payload: &Option<Payload>| payload.as_ref().map(Payload::digest);
        canonical::digest(&json!({
            "judge_id": judge.identity.id,
            "judge_version": judge.identity.version,
            "judge_digest": judge.identity.digest,
            "config": judge.config_digest,
            "input": item.input.digest(),
            "reference_output": digest(&item.reference_output),
            "item_metadata": digest(&item.metadata),
            "output": output.output.digest(),
            "output_metadata": digest(&output.metadata),
            "repeat": repeat,
            "seed": seed.to_string(),
            "model": model,
        }))
    }

    /// The judgment of this run that stands for one that was found; nothing where what was found is not what was looked
    /// for, or is not as it was recorded.
    fn reuse(&self, judge: &Arc<JudgeIdentity>, found: FoundJudgment) -> Option<Judgment> {
        let FoundJudgment { run_id, stored, judgment } = found;
        let earlier = stored.record.judgments.get(judgment)?;
        let is_same_judge = (&earlier.judge.identity.id, &earlier.judge.identity.version)
            == (&judge.identity.id, &judge.identity.version)
            && earlier.judge.identity.digest == judge.identity.digest
            && earlier.judge.config_digest == judge.config_digest
            && earlier.judge.determinism == judge.determinism;
        if !is_same_judge || !self.is_of(&stored.record) || stored.record.leaf() != stored.leaf {
            return None;
        }
        let result = match &earlier.result {
            JudgmentResult::Pending | JudgmentResult::Error { .. } => return None,
            given @ (JudgmentResult::Scored { .. } | JudgmentResult::Unscored { .. }) => given.clone(),
        };
        Some(Judgment {
            judge: Arc::clone(judge),
            attempts: 0,
            started_at_us: crate::call::now_us(),
            duration_us: 0,
            reused_from: Some(run_id),
            // It costs nothing in this run.
            usage: Usage::cost(0.0),
            result,
        })
    }

    fn is_of(&self, record: &TaskRecord) -> bool {
        let digest = |payload: &Option<Payload>| payload.as_ref().map(Payload::digest);
        let trace = &record.trace;
        let TraceOutcome::Ok { output, output_metadata } = trace.outcome else { return false };
        record.item_id == self.item.item_id
            && record.repeat == self.repeat
            && trace.input == Some(self.item.input.digest())
            && trace.reference_output == digest(&self.item.reference_output)
            && trace.item_metadata == digest(&self.item.metadata)
            && output == self.output.output.digest()
            && output_metadata == digest(&self.output.metadata)
    }
}

#[cfg(test)]
mod tests {
    use ef_model::{Identity, ItemId};
    use proptest::prelude::*;

    use super::*;

    /// All that a key is made of.
    #[derive(Debug, Clone, PartialEq)]
    struct Parts {
        /// Judge id, version, and what its code's and its config's digests are of.
        judge: [String; 4],
        /// Input, reference output, metadata, output, output metadata; only input and output are always there.
        payloads: [Option<String>; 5],
        repeat: u32,
        seed: u64,
        model: Option<String>,
    }

    impl Parts {
        fn key(&self) -> Digest {
            let [id, version, code, config] = &self.judge;
            let payload = |index: usize| self.payloads[index].as_deref().map(Payload::from_text);
            let judge = JudgeIdentity {
                name: "judge".to_owned(),
                identity: Identity {
                    digest: Digest::of(code.as_bytes()),
                    ..Identity::builtin(&format!("test.{id}"), version, "", "")
                },
                determinism: Determinism::Deterministic,
                config_digest: Digest::of(config.as_bytes()),
            };
            let item = EvalItem {
                item_id: ItemId::new("item").expect("an id"),
                row: 1,
                input: payload(0).unwrap_or_else(|| Payload::from_text("")),
                reference_output: payload(1),
                metadata: payload(2),
            };
            let output = payload(3).unwrap_or_else(|| Payload::from_text(""));
            let output = EvaluatorOutput { metadata: payload(4), ..EvaluatorOutput::new(output) };
            let subject = Subject { item: &item, output: &output, repeat: self.repeat };
            subject.key(&judge, self.seed, self.model.as_deref())
        }

        /// The same with one part from another.
        fn with(&self, part: usize, other: &Self) -> Self {
            let mut mixed = self.clone();
            match part {
                0..4 => mixed.judge[part].clone_from(&other.judge[part]),
                4..9 => mixed.payloads[part - 4].clone_from(&other.payloads[part - 4]),
                9 => mixed.repeat = other.repeat,
                10 => mixed.seed = other.seed,
                _ => mixed.model.clone_from(&other.model),
            }
            mixed
        }
    }

    fn parts() -> impl Strategy<Value = Parts> {
        // Few values, so that two draws often agree; seeds that differ only beyond 2^53.
        let texts = || "[ab]{1,2}";
        let maybe = || proptest::option::of("[ab]{1,2}");
        let payloads = (texts().prop_map(Some), maybe(), maybe(), texts().prop_map(Some), maybe());
        let payloads = payloads.prop_map(|(a, b, c, d, e)| [a, b, c, d, e]);
        let judge = [texts(), texts(), texts(), texts()];
        (judge, payloads, 0..3_u32, (u64::MAX - 3)..=u64::MAX, maybe())
            .prop_map(|(judge, payloads, repeat, seed, model)| Parts { judge, payloads, repeat, seed, model })
    }

    proptest! {
        #[test]
        fn a_key_changes_with_every_part_of_it_and_with_nothing_else(one in parts(), other in parts()) {
            prop_assert_eq!(one.key() == other.key(), one == other);
            for part in 0..12 {
                let mixed = one.with(part, &other);
                prop_assert_eq!(one.key() == mixed.key(), one == mixed, "part {}", part);
            }
        }
    }
}
