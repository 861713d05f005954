//! A judgment as its record's row holds it: JSON, with the judge's identity by its row id.

use std::collections::HashMap;
use std::sync::Arc;

use ef_model::{Digest, ErrorRecord, JudgeIdentity, Judgment, JudgmentResult, RunId, Score, TaskRecord, Usage};
use serde::{Deserialize, Serialize};

/// One element of the column `judgments`. What does not apply is left out.
#[derive(Serialize, Deserialize)]
pub(crate) struct StoredJudgment {
    judge: i64,
    attempts: u32,
    started_at_us: i64,
    duration_us: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reused_from: Option<RunId>,
    #[serde(default, skip_serializing_if = "Usage::is_unknown")]
    usage: Usage,
    #[serde(flatten)]
    result: StoredResult,
}

/// What came of it, as [`JudgmentResult`] has it, with absent values left out.
#[derive(Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
enum StoredResult {
    Scored {
        score: Score,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rationale: Option<Digest>,
    },
    Unscored {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rationale: Option<Digest>,
    },
    Pending,
    Error {
        error: ErrorRecord,
    },
}

/// The column's text for a record.
pub(crate) fn column(record: &TaskRecord, id: impl Fn(&Arc<JudgeIdentity>) -> i64) -> String {
    let stored: Vec<_> =
        record.judgments.iter().map(|judgment| StoredJudgment::new(judgment, id(&judgment.judge))).collect();
    serde_json::to_string(&stored).expect("judgments have a JSON form")
}

impl StoredJudgment {
    fn new(judgment: &Judgment, judge: i64) -> Self {
        let result = match judgment.result.clone() {
            JudgmentResult::Scored { score, rationale } => StoredResult::Scored { score, rationale },
            JudgmentResult::Unscored { rationale } => StoredResult::Unscored { rationale },
            JudgmentResult::Pending => StoredResult::Pending,
            JudgmentResult::Error { error } => StoredResult::Error { error },
        };
        Self {
            judge,
            attempts: judgment.attempts,
            started_at_us: judgment.started_at_us,
            duration_us: judgment.duration_us,
            reused_from: judgment.reused_from.clone(),
            usage: judgment.usage,
            result,
        }
    }

    /// The judge's row id.
    pub(crate) const fn judge(&self) -> i64 {
        self.judge
    }

    /// The judgment, unless its judge is not there.
    pub(crate) fn unpack(self, judges: &HashMap<i64, Arc<JudgeIdentity>>) -> Option<Judgment> {
        let result = match self.result {
            StoredResult::Scored { score, rationale } => JudgmentResult::Scored { score, rationale },
            StoredResult::Unscored { rationale } => JudgmentResult::Unscored { rationale },
            StoredResult::Pending => JudgmentResult::Pending,
            StoredResult::Error { error } => JudgmentResult::Error { error },
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
