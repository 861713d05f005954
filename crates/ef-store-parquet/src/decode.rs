//! From columns to records. Columns come from files, which anyone may have written: nothing is taken for granted.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, BooleanArray, FixedSizeBinaryArray, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use ef_model::{
    ComponentId, Determinism, Digest, ErrorKind, ErrorRecord, Finite, Identity, ItemId, JudgeIdentity, Judgment,
    JudgmentResult, RecordKey, RowFault, RowFaultKind, RunId, Scalar, Score, StoredRecord, TaskRecord, Trace,
    TraceOutcome, TraceStatus, Usage,
};
use serde_json::value::RawValue;

/// What is wrong, in words for a person. It names columns, never values.
pub(crate) type Fault = String;

fn column<'b, T: 'static>(batch: &'b RecordBatch, name: &str) -> Result<&'b T, Fault> {
    let column = batch.column_by_name(name).ok_or_else(|| format!("the column {name} is missing"))?;
    column.as_any().downcast_ref().ok_or_else(|| format!("the column {name} is of another type"))
}

fn bad(column: &str) -> Fault {
    format!("an unexpected value in column {column}")
}

/// Integers.
pub(crate) struct Ints<'b>(&'b Int64Array, &'static str);

impl<'b> Ints<'b> {
    pub(crate) fn of(batch: &'b RecordBatch, name: &'static str) -> Result<Self, Fault> {
        Ok(Self(column(batch, name)?, name))
    }

    fn get(&self, row: usize) -> Option<i64> {
        self.0.is_valid(row).then(|| self.0.value(row))
    }

    /// A number of 64 bits, which is negative where it is beyond 2^63.
    fn maybe_u64(&self, row: usize) -> Option<u64> {
        self.get(row).map(i64::cast_unsigned)
    }

    pub(crate) fn u64(&self, row: usize) -> Result<u64, Fault> {
        self.maybe_u64(row).ok_or_else(|| bad(self.1))
    }

    fn u32(&self, row: usize) -> Result<u32, Fault> {
        self.get(row).and_then(|value| u32::try_from(value).ok()).ok_or_else(|| bad(self.1))
    }
}

struct Texts<'b>(&'b StringArray, &'static str);

impl<'b> Texts<'b> {
    fn of(batch: &'b RecordBatch, name: &'static str) -> Result<Self, Fault> {
        Ok(Self(column(batch, name)?, name))
    }

    fn maybe(&self, row: usize) -> Option<&'b str> {
        self.0.is_valid(row).then(|| self.0.value(row))
    }

    fn get(&self, row: usize) -> Result<&'b str, Fault> {
        self.maybe(row).ok_or_else(|| bad(self.1))
    }
}

/// Digests.
pub(crate) struct Digests<'b>(&'b FixedSizeBinaryArray, &'static str);

impl<'b> Digests<'b> {
    pub(crate) fn of(batch: &'b RecordBatch, name: &'static str) -> Result<Self, Fault> {
        Ok(Self(column(batch, name)?, name))
    }

    /// The digest, `None` where there is none.
    pub(crate) fn maybe(&self, row: usize) -> Result<Option<Digest>, Fault> {
        if self.0.is_null(row) {
            return Ok(None);
        }
        let bytes: [u8; 32] = self.0.value(row).try_into().map_err(|_| bad(self.1))?;
        Ok(Some(Digest::from_bytes(bytes)))
    }

    pub(crate) fn get(&self, row: usize) -> Result<Digest, Fault> {
        self.maybe(row)?.ok_or_else(|| bad(self.1))
    }
}

/// The keys of a table's rows.
pub(crate) struct Keys<'b> {
    row: Ints<'b>,
    repeat: Ints<'b>,
    revision: Ints<'b>,
}

impl<'b> Keys<'b> {
    pub(crate) fn of(batch: &'b RecordBatch) -> Result<Self, Fault> {
        let ints = |name| Ints::of(batch, name);
        Ok(Self { row: ints("row")?, repeat: ints("repeat")?, revision: ints("revision")? })
    }

    pub(crate) fn get(&self, row: usize) -> Result<RecordKey, Fault> {
        Ok(RecordKey { row: self.row.u64(row)?, repeat: self.repeat.u32(row)?, revision: self.revision.u32(row)? })
    }
}

/// The columns that traces and judgments have both.
struct Call<'b> {
    attempts: Ints<'b>,
    started_at: &'b TimestampMicrosecondArray,
    duration_us: Ints<'b>,
    cost_usd: &'b Float64Array,
    input_tokens: Ints<'b>,
    output_tokens: Ints<'b>,
    error_kind: Texts<'b>,
    error_code: Texts<'b>,
    error_message: Texts<'b>,
    error_detail: Digests<'b>,
}

impl<'b> Call<'b> {
    fn of(batch: &'b RecordBatch) -> Result<Self, Fault> {
        Ok(Self {
            attempts: Ints::of(batch, "attempts")?,
            started_at: column(batch, "started_at")?,
            duration_us: Ints::of(batch, "duration_us")?,
            cost_usd: column(batch, "cost_usd")?,
            input_tokens: Ints::of(batch, "input_tokens")?,
            output_tokens: Ints::of(batch, "output_tokens")?,
            error_kind: Texts::of(batch, "error_kind")?,
            error_code: Texts::of(batch, "error_code")?,
            error_message: Texts::of(batch, "error_message")?,
            error_detail: Digests::of(batch, "error_detail_sha256")?,
        })
    }

    fn started_at_us(&self, row: usize) -> Result<i64, Fault> {
        if self.started_at.is_valid(row) { Ok(self.started_at.value(row)) } else { Err(bad("started_at")) }
    }

    fn usage(&self, row: usize) -> Usage {
        Usage {
            cost_usd: self.cost_usd.is_valid(row).then(|| self.cost_usd.value(row)),
            input_tokens: self.input_tokens.maybe_u64(row),
            output_tokens: self.output_tokens.maybe_u64(row),
        }
    }

    fn error(&self, row: usize) -> Result<ErrorRecord, Fault> {
        let kind = self.error_kind.get(row)?;
        let kinds = [
            ErrorKind::Transient,
            ErrorKind::Timeout,
            ErrorKind::Permanent,
            ErrorKind::QuotaExhausted,
            ErrorKind::InvalidOutput,
        ];
        Ok(ErrorRecord {
            kind: kinds.into_iter().find(|known| known.as_str() == kind).ok_or_else(|| bad("error_kind"))?,
            code: self.error_code.get(row)?.to_owned(),
            message: self.error_message.get(row)?.to_owned(),
            detail: self.error_detail.maybe(row)?,
        })
    }
}

/// The columns of the traces.
pub(crate) struct Traces<'b> {
    pub(crate) keys: Keys<'b>,
    item_id: Texts<'b>,
    status: Texts<'b>,
    call: Call<'b>,
    input: Digests<'b>,
    reference_output: Digests<'b>,
    item_metadata: Digests<'b>,
    output: Digests<'b>,
    output_metadata: Digests<'b>,
    fault_kind: Texts<'b>,
    fault_message: Texts<'b>,
    fault_bytes: Ints<'b>,
    fault_sha256: Digests<'b>,
    evaluator: Component<'b>,
    judgments: Ints<'b>,
    leaf: Digests<'b>,
}

impl<'b> Traces<'b> {
    pub(crate) fn of(batch: &'b RecordBatch) -> Result<Self, Fault> {
        let (texts, digests) = (|name| Texts::of(batch, name), |name| Digests::of(batch, name));
        Ok(Self {
            keys: Keys::of(batch)?,
            item_id: texts("item_id")?,
            status: texts("status")?,
            call: Call::of(batch)?,
            input: digests("input_sha256")?,
            reference_output: digests("reference_output_sha256")?,
            item_metadata: digests("item_metadata_sha256")?,
            output: digests("output_sha256")?,
            output_metadata: digests("output_metadata_sha256")?,
            fault_kind: texts("fault_kind")?,
            fault_message: texts("fault_message")?,
            fault_bytes: Ints::of(batch, "fault_bytes")?,
            fault_sha256: digests("fault_sha256")?,
            evaluator: Component {
                id: texts("evaluator_id")?,
                version: texts("evaluator_version")?,
                source: texts("evaluator_source")?,
                digest: digests("evaluator_sha256")?,
            },
            judgments: Ints::of(batch, "judgments")?,
            leaf: digests("leaf_sha256")?,
        })
    }

    pub(crate) fn item_id(&self, row: usize) -> Result<&'b str, Fault> {
        self.item_id.get(row)
    }

    pub(crate) fn status(&self, row: usize) -> Result<TraceStatus, Fault> {
        let status = self.status.get(row)?;
        TraceStatus::ALL.into_iter().find(|known| known.as_str() == status).ok_or_else(|| bad("status"))
    }

    /// How many judgments the record has.
    pub(crate) fn judgments(&self, row: usize) -> Result<usize, Fault> {
        usize::try_from(self.judgments.u32(row)?).map_err(|_| bad("judgments"))
    }

    pub(crate) fn leaf(&self, row: usize) -> Result<Digest, Fault> {
        self.leaf.get(row)
    }

    /// The payloads that the trace names.
    pub(crate) fn payloads(&self, row: usize) -> impl Iterator<Item = Result<Option<Digest>, Fault>> {
        let columns = [
            &self.input,
            &self.reference_output,
            &self.item_metadata,
            &self.output,
            &self.output_metadata,
            &self.call.error_detail,
        ];
        columns.into_iter().map(move |column| column.maybe(row))
    }

    /// The record, with its judgments, which the caller reads from their own table.
    pub(crate) fn record(
        &self,
        row: usize,
        known: &mut Identities,
        judgments: Vec<Judgment>,
    ) -> Result<StoredRecord, Fault> {
        let key = self.keys.get(row)?;
        let outcome = match self.status(row)? {
            TraceStatus::Ok => {
                TraceOutcome::Ok { output: self.output.get(row)?, output_metadata: self.output_metadata.maybe(row)? }
            }
            TraceStatus::Timeout => TraceOutcome::Timeout { error: self.call.error(row)? },
            TraceStatus::Error => TraceOutcome::Error { error: self.call.error(row)? },
            TraceStatus::Skipped => TraceOutcome::Skipped { fault: self.fault(row)? },
        };
        let trace = Trace {
            evaluator: known.evaluator(&self.evaluator, row)?,
            attempts: self.call.attempts.u32(row)?,
            started_at_us: self.call.started_at_us(row)?,
            duration_us: self.call.duration_us.u64(row)?,
            input: self.input.maybe(row)?,
            reference_output: self.reference_output.maybe(row)?,
            item_metadata: self.item_metadata.maybe(row)?,
            usage: self.call.usage(row),
            outcome,
        };
        let RecordKey { row: place, repeat, revision } = key;
        let item_id = ItemId::new(self.item_id.get(row)?).map_err(|_| bad("item_id"))?;
        let record = TaskRecord { item_id, row: place, repeat, revision, trace, judgments };
        Ok(StoredRecord { record, leaf: self.leaf.get(row)? })
    }

    fn fault(&self, row: usize) -> Result<RowFault, Fault> {
        let kind = self.fault_kind.get(row)?;
        let kinds = [RowFaultKind::Malformed, RowFaultKind::Oversized];
        Ok(RowFault {
            kind: kinds.into_iter().find(|known| known.as_str() == kind).ok_or_else(|| bad("fault_kind"))?,
            message: self.fault_message.get(row)?.to_owned(),
            bytes: self.fault_bytes.u64(row)?,
            sha256: self.fault_sha256.get(row)?,
        })
    }
}

/// The columns of the judgments.
pub(crate) struct Judgments<'b> {
    pub(crate) keys: Keys<'b>,
    judge: Texts<'b>,
    status: Texts<'b>,
    call: Call<'b>,
    score: &'b Float64Array,
    score_bool: &'b BooleanArray,
    score_label: Texts<'b>,
    score_object: Texts<'b>,
    rationale: Digests<'b>,
    reused_from: Texts<'b>,
    component: Component<'b>,
    config: Digests<'b>,
    determinism: Texts<'b>,
}

impl<'b> Judgments<'b> {
    pub(crate) fn of(batch: &'b RecordBatch) -> Result<Self, Fault> {
        let (texts, digests) = (|name| Texts::of(batch, name), |name| Digests::of(batch, name));
        Ok(Self {
            keys: Keys::of(batch)?,
            judge: texts("judge")?,
            status: texts("status")?,
            call: Call::of(batch)?,
            score: column(batch, "score")?,
            score_bool: column(batch, "score_bool")?,
            score_label: texts("score_label")?,
            score_object: texts("score_object")?,
            rationale: digests("rationale_sha256")?,
            reused_from: texts("reused_from")?,
            component: Component {
                id: texts("judge_id")?,
                version: texts("judge_version")?,
                source: texts("judge_source")?,
                digest: digests("judge_sha256")?,
            },
            config: digests("judge_config_sha256")?,
            determinism: texts("determinism")?,
        })
    }

    /// The payloads that the judgment names.
    pub(crate) fn payloads(&self, row: usize) -> impl Iterator<Item = Result<Option<Digest>, Fault>> {
        [&self.rationale, &self.call.error_detail].into_iter().map(move |column| column.maybe(row))
    }

    pub(crate) fn judgment(&self, row: usize, known: &mut Identities) -> Result<Judgment, Fault> {
        let rationale = self.rationale.maybe(row)?;
        let result = match self.status.get(row)? {
            "scored" => JudgmentResult::Scored { score: self.score(row)?, rationale },
            "unscored" => JudgmentResult::Unscored { rationale },
            "pending" => JudgmentResult::Pending,
            "error" => JudgmentResult::Error { error: self.call.error(row)? },
            _ => return Err(bad("status")),
        };
        let reused_from = self.reused_from.maybe(row).map(RunId::new).transpose().map_err(|_| bad("reused_from"))?;
        Ok(Judgment {
            judge: known.judge(self, row)?,
            attempts: self.call.attempts.u32(row)?,
            started_at_us: self.call.started_at_us(row)?,
            duration_us: self.call.duration_us.u64(row)?,
            reused_from,
            usage: self.call.usage(row),
            result,
        })
    }

    fn score(&self, row: usize) -> Result<Score, Fault> {
        if let Some(object) = self.score_object.maybe(row) {
            return object_score(object).ok_or_else(|| bad("score_object"));
        }
        let scalar = if let Some(label) = self.score_label.maybe(row) {
            Scalar::Label(label.to_owned())
        } else if self.score_bool.is_valid(row) {
            Scalar::Bool(self.score_bool.value(row))
        } else {
            let number = self.score.is_valid(row).then(|| self.score.value(row));
            Scalar::Number(number.and_then(Finite::new).ok_or_else(|| bad("score"))?)
        };
        Ok(Score::Scalar(scalar))
    }
}

/// A score of several values. Numbers are read to the last bit, which serde_json does not promise.
fn object_score(text: &str) -> Option<Score> {
    let values: BTreeMap<String, &RawValue> = serde_json::from_str(text).ok()?;
    let scalar = |raw: &RawValue| match raw.get() {
        "true" => Some(Scalar::Bool(true)),
        "false" => Some(Scalar::Bool(false)),
        text if text.starts_with('"') => serde_json::from_str(text).ok().map(Scalar::Label),
        text => text.parse().ok().and_then(Finite::new).map(Scalar::Number),
    };
    values.into_iter().map(|(key, raw)| Some((key, scalar(raw)?))).collect::<Option<_>>().map(Score::Object)
}

struct Component<'b> {
    id: Texts<'b>,
    version: Texts<'b>,
    source: Texts<'b>,
    digest: Digests<'b>,
}

impl Component<'_> {
    fn is(&self, row: usize, known: &Identity) -> Result<bool, Fault> {
        Ok(self.digest.get(row)? == known.digest
            && self.id.get(row)? == known.id.as_str()
            && self.version.get(row)? == known.version
            && self.source.get(row)? == known.source)
    }

    fn get(&self, row: usize) -> Result<Identity, Fault> {
        Ok(Identity {
            id: ComponentId::new(self.id.get(row)?).map_err(|_| bad(self.id.1))?,
            version: self.version.get(row)?.to_owned(),
            source: self.source.get(row)?.to_owned(),
            digest: self.digest.get(row)?,
        })
    }
}

/// The evaluators and judges met so far, shared by the records that name them. A run has few.
#[derive(Default)]
pub(crate) struct Identities {
    evaluators: Vec<Arc<Identity>>,
    judges: Vec<Arc<JudgeIdentity>>,
}

/// A run of more evaluators and judges than this is not remembered whole.
const FEW: usize = 256;

impl Identities {
    fn evaluator(&mut self, columns: &Component<'_>, row: usize) -> Result<Arc<Identity>, Fault> {
        for known in &self.evaluators {
            if columns.is(row, known)? {
                return Ok(Arc::clone(known));
            }
        }
        let new = Arc::new(columns.get(row)?);
        self.evaluators.truncate(FEW - 1);
        self.evaluators.push(Arc::clone(&new));
        Ok(new)
    }

    fn judge(&mut self, columns: &Judgments<'_>, row: usize) -> Result<Arc<JudgeIdentity>, Fault> {
        let (name, config_digest) = (columns.judge.get(row)?, columns.config.get(row)?);
        let determinism = columns.determinism.get(row)?;
        for known in &self.judges {
            if known.name == name
                && known.config_digest == config_digest
                && known.determinism.as_str() == determinism
                && columns.component.is(row, &known.identity)?
            {
                return Ok(Arc::clone(known));
            }
        }
        let kinds = [Determinism::Deterministic, Determinism::SamplingDeterministic, Determinism::Stochastic];
        let new = Arc::new(JudgeIdentity {
            name: name.to_owned(),
            identity: columns.component.get(row)?,
            determinism: kinds
                .into_iter()
                .find(|known| known.as_str() == determinism)
                .ok_or_else(|| bad("determinism"))?,
            config_digest,
        });
        self.judges.truncate(FEW - 1);
        self.judges.push(Arc::clone(&new));
        Ok(new)
    }
}
