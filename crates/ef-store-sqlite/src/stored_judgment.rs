//! A judgment as its record's row holds it: JSON, with the judge's identity by its row id.

use std::collections::HashMap;
use std::sync::Arc;

use ef_model::{Digest, ErrorRecord, JudgeIdentity, Judgment, JudgmentResult, RunId, Score, TaskRecord, Usage};
use serde::{Deserialize, Serialize};

/// One element of the column `judgments`. What does not apply is left out.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StoredJudgment {
    judge: i64,
    status: Status,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    score: Option<Score>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rationale: Option<Digest>,
    #[serde(default, skip_serializing_if = "Usage::is_unknown")]
    usage: Usage,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<ErrorRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reused_from: Option<RunId>,
    attempts: u32,
    started_at_us: i64,
    duration_us: u64,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Scored,
    Unscored,
    Pending,
    Error,
}

/// The column's text for a record.
pub(crate) fn column(record: &TaskRecord, id: impl Fn(&Arc<JudgeIdentity>) -> i64) -> String {
    let stored: Vec<_> =
        record.judgments.iter().map(|judgment| StoredJudgment::new(judgment, id(&judgment.judge))).collect();
    serde_json::to_string(&stored).expect("judgments have a JSON form")
}

impl StoredJudgment {
    fn new(judgment: &Judgment, judge: i64) -> Self {
        let (status, score, rationale, error) = match &judgment.result {
            JudgmentResult::Scored { score, rationale } => (Status::Scored, Some(score.clone()), *rationale, None),
            JudgmentResult::Unscored { rationale } => (Status::Unscored, None, *rationale, None),
            JudgmentResult::Pending => (Status::Pending, None, None, None),
            JudgmentResult::Error { error } => (Status::Error, None, None, Some(error.clone())),
        };
        Self {
            judge,
            status,
            score,
            rationale,
            usage: judgment.usage,
            error,
            reused_from: judgment.reused_from.clone(),
            attempts: judgment.attempts,
            started_at_us: judgment.started_at_us,
            duration_us: judgment.duration_us,
        }
    }

    /// The judge's row id.
    pub(crate) const fn judge(&self) -> i64 {
        self.judge
    }

    /// The judgment, unless it is of a judge that is not there or lacks what its status needs.
    pub(crate) fn unpack(self, judges: &HashMap<i64, Arc<JudgeIdentity>>) -> Option<Judgment> {
        let Self { rationale, .. } = self;
        let result = match self.status {
            Status::Scored => JudgmentResult::Scored { score: self.score?, rationale },
            Status::Unscored => JudgmentResult::Unscored { rationale },
            Status::Pending => JudgmentResult::Pending,
            Status::Error => JudgmentResult::Error { error: self.error? },
        };
        Some(Judgment {
            judge: Arc::clone(judges.get(&self.judge)?),
            attempts: self.attempts,
            started_at_us: self.started_at_us,
            duration_us: self.duration_us,
            reused_from: self.reused_from,
            usage: self.usage,
            result,
        })
    }
}
