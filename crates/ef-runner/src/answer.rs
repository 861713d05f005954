//! Verdicts by people, which come after a run has done all that it can do by itself.

mod problem;

use std::collections::{BTreeMap, BTreeSet};

use ef_model::{
    ItemId, Judgment, JudgmentResult, Payload, RecordFilter, RunId, RunResult, RunStatus, RunSummary, StoreError,
    StoredRecord, TaskCommit, TaskRecord, TraceStore, Verdict,
};
use ef_spec::EvalSpec;
use futures_util::TryStreamExt;
use tracing::{Instrument as _, Span};

pub use problem::{AnswerError, AnswerProblem, RefusedAnswer};

use crate::call::now_us;
use crate::callee::judgment_result;
use crate::ending::Ending;
use crate::{log, spans, tally};

/// A person's verdict on one output.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// The dataset row of the item, from 1.
    pub row: u64,
    /// Which repeat of the item, from 0.
    pub repeat: u32,
    /// The item's id.
    pub item_id: ItemId,
    /// The name of the judge that asked.
    pub judge: String,
    /// What it makes of the answer: see [`ef_model::Inquiry::verdict`].
    pub verdict: Verdict,
}

/// What came of answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    /// Verdicts that were added.
    pub given: u64,
    /// Verdicts that the run had already.
    pub known: u64,
    /// Judgments of the run that still wait for people.
    pub pending: u64,
    /// Where the run stands: completed when nothing waits any more and all else was done. One that is aborted or running
    /// has to be resumed.
    pub status: RunStatus,
    /// What there is of the run's end; nothing of one that was killed.
    pub result: Option<RunResult>,
}

/// Adds people's verdicts to a run that waits for them, and completes it when nothing is pending any more. Each record
/// that they are about gets one more revision, in which nothing but the verdicts is new.
///
/// All of the answers are taken or none. Those that the run has already change nothing, so that doing this twice is as
/// good as doing it once. A run that was aborted or killed takes them too; it is completed by resuming it. The run must
/// not be written by anyone else, and stays held by this store as after [`TraceStore::resume`].
///
/// The run has a span here too, each of the new revisions one of its task in it, and each verdict that of its judgment.
///
/// # Errors
///
/// [`AnswerError::Refused`] names every answer that cannot be taken.
pub async fn answer(store: &dyn TraceStore, run: &RunId, answers: &[Answer]) -> Result<Answered, AnswerError> {
    let span = spans::of_run(run);
    let answered = give(store, run, answers, &span).instrument(span.clone()).await;
    match &answered {
        Ok(answered) => spans::ended(&span, answered.status.as_str(), None),
        Err(error) => spans::ended(&span, "failed", Some(error.code())),
    }
    answered
}

async fn give(store: &dyn TraceStore, run: &RunId, answers: &[Answer], span: &Span) -> Result<Answered, AnswerError> {
    let is_completed = |summary: &RunSummary| summary.status == RunStatus::Completed;
    let mut summary = summary(store, run).await?;
    if !is_completed(&summary) {
        store.resume(run).await?;
        // Whoever held the run may have ended it meanwhile.
        summary = self::summary(store, run).await?;
    }
    let RunSummary { head, status, result } = summary;
    spans::begun(span, &head);
    let spec: EvalSpec = serde_json::from_value(head.spec.clone()).map_err(|_| AnswerError::Spec(run.clone()))?;
    let asked = Asked::of(store, run, answers).await?;
    let Taken { commits, verdicts, known } = asked.take(answers)?;
    let given = verdicts.len() as u64;
    if given > 0 && status == RunStatus::Awaiting {
        // What stands in the way of completing it is said before anything is written.
        tally::baseline(store, &spec).await?;
    }
    if given > 0 {
        commits.iter().for_each(|commit| tell(span, commit.record(), &verdicts));
        store.append(run, commits.into()).await?;
    }
    let whole = tally::read(store, run, &spec).await?;
    let pending = whole.sums.counts.pending;
    let ended = match (status, result) {
        (RunStatus::Running, _) | (_, None) => None,
        (_, Some(result)) if given == 0 => Some(result),
        (RunStatus::Awaiting, Some(result)) => {
            let ending = Ending { store, head: &head, spec: &spec, unrecorded_usd: result.usage.unrecorded_usd };
            Some(ending.whole(result.dataset_digest, whole).await?)
        }
        (RunStatus::Aborted | RunStatus::Completed, Some(result)) => {
            let ending = Ending { store, head: &head, spec: &spec, unrecorded_usd: result.usage.unrecorded_usd };
            let reason = result.abort_reason.unwrap_or_default();
            Some(ending.early(reason, whole.sums.counts, whole.sums.usage.get()).await?)
        }
    };
    let status = ended.as_ref().map_or(status, |ended| ended.status);
    let answered = Answered { given, known, pending, status, result: ended };
    log::answered(&answered);
    Ok(answered)
}

/// The span of a revision, and those of the judgments that are new in it.
fn tell(run: &Span, record: &TaskRecord, verdicts: &BTreeSet<Place>) {
    let task = spans::of_task(run, &record.trace.evaluator, &record.item_id, record.repeat);
    // Its call was made before, and has its span.
    spans::traced(&task, &record.trace, 0);
    let _within = task.enter();
    for (place, judgment) in record.judgments.iter().enumerate() {
        if verdicts.contains(&(record.row, record.repeat, place)) {
            spans::judged(&spans::of_judge(&judgment.judge), judgment);
        }
    }
}

async fn summary(store: &dyn TraceStore, run: &RunId) -> Result<RunSummary, StoreError> {
    store.run(run).await?.ok_or_else(|| StoreError::RunNotFound(run.clone()))
}

/// The records that answers are about.
struct Asked(BTreeMap<(u64, u32), AskedRecord>);

/// A record that answers are about.
struct AskedRecord {
    /// Its latest revision.
    latest: TaskRecord,
    /// The names of the judges that waited for a person in any revision.
    waited: BTreeSet<String>,
    /// Whether each revision is as it was recorded.
    is_sound: bool,
}

/// The place of a judgment: row, repeat, and which of the record's judgments it is.
type Place = (u64, u32, usize);

/// Answers that can be taken.
struct Taken {
    commits: Vec<TaskCommit>,
    /// The judgments that they are the verdicts of.
    verdicts: BTreeSet<Place>,
    known: u64,
}

/// What becomes of an answer that can be taken.
enum Taking {
    /// It is the verdict on this judgment, by its place in the record.
    Given(usize),
    /// It is there already.
    Known,
}

impl Asked {
    async fn of(store: &dyn TraceStore, run: &RunId, answers: &[Answer]) -> Result<Self, StoreError> {
        let wanted: BTreeSet<(u64, u32)> = answers.iter().map(|answer| (answer.row, answer.repeat)).collect();
        let mut asked: BTreeMap<(u64, u32), AskedRecord> = BTreeMap::new();
        let filter = RecordFilter::default();
        let mut records = store.records(run, &filter);
        // In the order of revisions: the last one stays.
        while let Some(StoredRecord { record, leaf }) = records.try_next().await? {
            let task = (record.row, record.repeat);
            if !wanted.contains(&task) {
                continue;
            }
            let (mut waited, mut is_sound) = asked
                .remove(&task)
                .map_or_else(|| (BTreeSet::new(), true), |earlier| (earlier.waited, earlier.is_sound));
            let pending = record.judgments.iter().filter(|judgment| judgment.result == JudgmentResult::Pending);
            waited.extend(pending.map(|judgment| judgment.judge.name.clone()));
            is_sound &= record.leaf() == leaf;
            asked.insert(task, AskedRecord { latest: record, waited, is_sound });
        }
        Ok(Self(asked))
    }

    /// The revisions that the answers come to.
    fn take(self, answers: &[Answer]) -> Result<Taken, AnswerError> {
        let mut refused = Vec::new();
        let mut given: BTreeMap<Place, &Verdict> = BTreeMap::new();
        let mut known = 0;
        for (index, answer) in answers.iter().enumerate() {
            match self.taking(answer) {
                Ok(Taking::Known) => known += 1,
                Ok(Taking::Given(judgment)) => {
                    let said = *given.entry((answer.row, answer.repeat, judgment)).or_insert(&answer.verdict);
                    if !is_same(said, &answer.verdict) {
                        refused.push(RefusedAnswer { answer: index, problem: AnswerProblem::SaidTwice });
                    }
                }
                Err(problem) => refused.push(RefusedAnswer { answer: index, problem }),
            }
        }
        if !refused.is_empty() {
            return Err(AnswerError::Refused(refused));
        }
        let commits: Vec<_> = self.0.into_values().filter_map(|asked| asked.answered(&given)).collect();
        Ok(Taken { commits, verdicts: given.into_keys().collect(), known })
    }

    fn taking(&self, answer: &Answer) -> Result<Taking, AnswerProblem> {
        let asked = self.0.get(&(answer.row, answer.repeat)).ok_or(AnswerProblem::NoRecord)?;
        let AskedRecord { latest, waited, is_sound } = asked;
        if latest.item_id != answer.item_id {
            return Err(AnswerProblem::OtherItem { item_id: latest.item_id.clone() });
        }
        if !is_sound {
            return Err(AnswerProblem::NotAsRecorded);
        }
        if answer.verdict.is_pending {
            return Err(AnswerProblem::NoVerdict);
        }
        let judged = latest.judgments.iter().position(|judgment| judgment.judge.name == answer.judge);
        let judged = judged.ok_or(AnswerProblem::NoJudgment)?;
        let result = &latest.judgments[judged].result;
        match result {
            JudgmentResult::Pending => Ok(Taking::Given(judged)),
            result if *result == judgment_result(Ok(answer.verdict.clone())).0 => Ok(Taking::Known),
            _ if waited.contains(&answer.judge) => Err(AnswerProblem::SaidOtherwise),
            result => Err(AnswerProblem::NotAsked { status: result.status() }),
        }
    }
}

impl AskedRecord {
    /// The next revision, with these verdicts; nothing where there are none for it.
    fn answered(self, given: &BTreeMap<Place, &Verdict>) -> Option<TaskCommit> {
        let TaskRecord { row, repeat, revision, .. } = self.latest;
        let mut record = TaskRecord { revision: revision + 1, ..self.latest };
        let mut rationales: Vec<Payload> = Vec::new();
        let mut is_new = false;
        for (place, judgment) in record.judgments.iter_mut().enumerate() {
            let Some(&verdict) = given.get(&(row, repeat, place)) else { continue };
            is_new = true;
            let (result, rationale) = judgment_result(Ok(verdict.clone()));
            rationales.extend(rationale);
            let waited_us = u64::try_from(now_us().saturating_sub(judgment.started_at_us));
            *judgment = Judgment {
                // It took as long as it took the person to say; what a record can hold, whatever the clock says.
                duration_us: waited_us.unwrap_or(judgment.duration_us).min((1 << 53) - 1),
                usage: verdict.usage.in_range(),
                result,
                ..judgment.clone()
            };
        }
        is_new.then(|| TaskCommit::new(record, rationales))
    }
}

/// Whether two verdicts say the same, whatever they cost.
fn is_same(one: &Verdict, other: &Verdict) -> bool {
    let digest = |verdict: &Verdict| verdict.rationale.as_ref().map(Payload::digest);
    one.score == other.score && digest(one) == digest(other)
}
