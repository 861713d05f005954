//! Whatever a record holds comes back from the columns, in both formats that they are written in.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use bytes::Bytes;
use ef_model::{
    Determinism, Digest, ErrorKind, ErrorRecord, Finite, Identity, ItemId, JudgeIdentity, Judgment, JudgmentResult,
    RowFault, RowFaultKind, RunId, Scalar, Score, TaskCommit, TaskRecord, Trace, TraceOutcome, Usage,
};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

use crate::decode::{Identities, Judgments, Traces};
use crate::packed::Packed;
use crate::{encode, schema};

fn digests() -> impl Strategy<Value = Digest> {
    any::<[u8; 32]>().prop_map(Digest::from_bytes)
}

fn doubles() -> impl Strategy<Value = f64> {
    any::<f64>().prop_filter("finite", |value| value.is_finite())
}

fn usages() -> impl Strategy<Value = Usage> {
    (option::of(doubles()), option::of(any::<u64>()), option::of(any::<u64>()))
        .prop_map(|(cost_usd, input_tokens, output_tokens)| Usage { cost_usd, input_tokens, output_tokens })
}

fn identities() -> impl Strategy<Value = Identity> {
    (".*", ".*").prop_map(|(version, source)| Identity { source, ..Identity::builtin("test.part", &version, "p", "1") })
}

fn errors() -> impl Strategy<Value = ErrorRecord> {
    let kinds = [
        ErrorKind::Transient,
        ErrorKind::Timeout,
        ErrorKind::Permanent,
        ErrorKind::QuotaExhausted,
        ErrorKind::InvalidOutput,
    ];
    (proptest::sample::select(kinds.to_vec()), ".*", ".*", option::of(digests()))
        .prop_map(|(kind, code, message, detail)| ErrorRecord { kind, code, message, detail })
}

fn outcomes() -> impl Strategy<Value = TraceOutcome> {
    let kinds = [RowFaultKind::Malformed, RowFaultKind::Oversized];
    let faults = (proptest::sample::select(kinds.to_vec()), ".*", any::<u64>(), digests())
        .prop_map(|(kind, message, bytes, sha256)| RowFault { kind, message, bytes, sha256 });
    prop_oneof![
        (digests(), option::of(digests()))
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
            doubles().prop_filter_map("finite", Finite::new).prop_map(Scalar::Number),
            ".*".prop_map(Scalar::Label),
        ]
    };
    prop_oneof![scalars().prop_map(Score::Scalar), btree_map(".{0,3}|score", scalars(), 0..4).prop_map(Score::Object)]
}

fn judgments() -> impl Strategy<Value = Judgment> {
    let kinds = [Determinism::Deterministic, Determinism::SamplingDeterministic, Determinism::Stochastic];
    let judges = (".*", identities(), proptest::sample::select(kinds.to_vec()), digests()).prop_map(
        |(name, identity, determinism, config_digest)| {
            Arc::new(JudgeIdentity { name, identity, determinism, config_digest })
        },
    );
    let results = prop_oneof![
        (scores(), option::of(digests())).prop_map(|(score, rationale)| JudgmentResult::Scored { score, rationale }),
        option::of(digests()).prop_map(|rationale| JudgmentResult::Unscored { rationale }),
        Just(JudgmentResult::Pending),
        errors().prop_map(|error| JudgmentResult::Error { error }),
    ];
    let runs = option::of("[a-z0-9]{1,8}".prop_map(|id| RunId::new(id).expect("a run id")));
    (judges, any::<(u32, i64, u64)>(), runs, usages(), results).prop_map(
        |(judge, (attempts, started_at_us, duration_us), reused_from, usage, result)| Judgment {
            judge,
            attempts,
            started_at_us,
            duration_us,
            reused_from,
            usage,
            result,
        },
    )
}

fn records() -> impl Strategy<Value = TaskRecord> {
    let payloads = (option::of(digests()), option::of(digests()), option::of(digests()));
    let traces = (identities(), any::<(u32, i64, u64)>(), payloads, usages(), outcomes()).prop_map(
        |(evaluator, (attempts, started_at_us, duration_us), payloads, usage, outcome)| {
            let (input, reference_output, item_metadata) = payloads;
            let evaluator = Arc::new(evaluator);
            Trace {
                evaluator,
                attempts,
                started_at_us,
                duration_us,
                input,
                reference_output,
                item_metadata,
                usage,
                outcome,
            }
        },
    );
    ("[^\\pC]{1,20}", any::<(u64, u32, u32)>(), traces, vec(judgments(), 0..3)).prop_map(
        |(item_id, (row, repeat, revision), trace, judgments)| TaskRecord {
            item_id: ItemId::new(item_id).expect("no control characters"),
            row,
            repeat,
            revision,
            trace,
            judgments,
        },
    )
}

fn decoded(traces: &RecordBatch, judgments: &RecordBatch) -> Result<Vec<TaskRecord>, String> {
    let (traces_of, judgments_of) = (Traces::of(traces)?, Judgments::of(judgments)?);
    let (mut known, mut next, mut records) = (Identities::default(), 0, Vec::new());
    for row in 0..traces.num_rows() {
        let first = next;
        next += traces_of.judgments(row)?;
        let own =
            (first..next).map(|judgment| judgments_of.judgment(judgment, &mut known)).collect::<Result<_, _>>()?;
        records.push(traces_of.record(row, &mut known, own)?.record);
    }
    Ok(records)
}

fn through_parquet(batch: &RecordBatch) -> RecordBatch {
    let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), None).expect("a writer");
    writer.write(batch).expect("written");
    let bytes = Bytes::from(writer.into_inner().expect("whole"));
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes)
        .and_then(ParquetRecordBatchReaderBuilder::build)
        .expect("a reader");
    concat_batches(batch.schema_ref(), &reader.collect::<Result<Vec<_>, _>>().expect("rows")).expect("of one schema")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_record_survives_the_columns(records in vec(records(), 1..4)) {
        let commits: Vec<_> = records.iter().cloned().map(|record| TaskCommit::new(record, Vec::new())).collect();
        let commits: Vec<_> = commits.iter().collect();
        let (traces, judgments) = (encode::traces(&commits).to_bytes(), encode::judgments(&commits).to_bytes());
        let traces = Packed::read(traces, &schema::TRACES).expect("traces");
        let judgments = Packed::read(judgments, &schema::JUDGMENTS).expect("judgments");
        prop_assert_eq!(&decoded(&traces, &judgments).expect("columns"), &records);
        let again = decoded(&through_parquet(&traces), &through_parquet(&judgments)).expect("columns");
        for (again, record) in again.iter().zip(&records) {
            prop_assert_eq!(again.leaf(), record.leaf());
        }
        prop_assert_eq!(again, records);
    }
}
