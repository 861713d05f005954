//! Columns: one judge's scores, or one value of its object scores, over all tasks.

use std::borrow::Cow;

use ef_model::{Judgment, JudgmentResult, Score, TraceOutcome};
use ef_spec::JudgeSpec;

use crate::multiset::{Multiset, Ordered, Run};

/// Where scores are taken from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    /// The judge's name in the spec.
    pub(crate) judge: String,
    /// Which value of an object score; the default one where it is absent.
    pub(crate) key: Option<String>,
}

impl Source {
    /// What `from` selects: all judges where it is absent, else `judge` or `judge.key`.
    pub(crate) fn select(from: Option<&str>, judges: &[JudgeSpec]) -> Vec<Self> {
        let names = judges.iter().map(judge_name);
        let Some(from) = from else {
            return names.map(|name| Self { judge: name.to_owned(), key: None }).collect();
        };
        let is_judge = { names }.any(|name| name == from);
        let (judge, key) = match from.split_once('.') {
            Some((judge, key)) if !is_judge => (judge, Some(key.to_owned())),
            _ => (from, None),
        };
        vec![Self { judge: judge.to_owned(), key }]
    }
}

/// A judge's name in the spec: by default the last part of its id.
pub(crate) fn judge_name(judge: &JudgeSpec) -> &str {
    match judge.name.as_str() {
        "" => judge.id.as_str().rsplit('.').next().unwrap_or_default(),
        name => name,
    }
}

/// The scores of one source. Each task fills one slot: a number, a score without one, an error, or nothing.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) source: Source,
    /// Slots with a score, numeric or not.
    pub(crate) scored: u64,
    /// Slots with a number.
    pub(crate) numbers: u64,
    /// Slots that are empty because the evaluator or the judge failed.
    pub(crate) errors: u64,
    /// The numbers, where some metric takes them outside of clusters.
    pub(crate) scores: Option<Multiset<Ordered>>,
}

impl Column {
    pub(crate) const fn new(source: Source) -> Self {
        Self { source, scored: 0, numbers: 0, errors: 0, scores: None }
    }

    /// Adds a task; its number, if it has one. A judgment that is missing is unscored.
    pub(crate) fn observe(&mut self, outcome: &TraceOutcome, judgments: &[Judgment]) -> Option<f64> {
        match outcome {
            TraceOutcome::Ok { .. } => {}
            TraceOutcome::Skipped { .. } => return None,
            TraceOutcome::Timeout { .. } | TraceOutcome::Error { .. } => {
                self.errors += 1;
                return None;
            }
        }
        let judgment = judgments.iter().find(|judgment| judgment.judge.name == self.source.judge)?;
        let score = match &judgment.result {
            JudgmentResult::Scored { score, .. } => score,
            JudgmentResult::Unscored { .. } | JudgmentResult::Pending => return None,
            JudgmentResult::Error { .. } => {
                self.errors += 1;
                return None;
            }
        };
        let key = self.source.key.as_deref();
        self.scored += u64::from(has_value(score, key));
        let number = score.as_number(key)?;
        self.numbers += 1;
        if let Some(scores) = &mut self.scores {
            scores.insert(Ordered::new(number));
        }
        Some(number)
    }

    /// The numbers, sorted and counted; none where no metric takes them.
    pub(crate) fn runs(&self) -> Cow<'_, [Run<Ordered>]> {
        self.scores.as_ref().map(Multiset::runs).unwrap_or_default()
    }
}

/// Whether a score has the named value, whatever its kind; without a name, every score has one.
fn has_value(score: &Score, key: Option<&str>) -> bool {
    match (score, key) {
        (_, None) => true,
        (Score::Object(values), Some(key)) => values.contains_key(key),
        (Score::Scalar(_), Some(_)) => false,
    }
}
