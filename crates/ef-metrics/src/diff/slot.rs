//! What one judge left on one side of a pair, small enough to keep a million of.

use std::collections::HashMap;
use std::sync::Arc;

use ef_model::{Finite, JudgmentResult, Scalar, Score, TaskRecord, TraceOutcome};

use super::Outcome;
use crate::column::Source;
use crate::multiset::Ordered;

/// What a judge left, or one value of its object score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Slot {
    /// The evaluator or the judge failed.
    Error,
    /// The row was skipped, or there is no score, or an object score without the value.
    Unscored,
    Bool(bool),
    Number(Ordered),
    /// A label, by its place among [`Labels`].
    Label(u32),
}

impl Slot {
    /// What the source left in a record.
    pub(super) fn of(record: &TaskRecord, source: &Source, labels: &mut Labels) -> Self {
        match record.trace.outcome {
            TraceOutcome::Ok { .. } => {}
            TraceOutcome::Skipped { .. } => return Self::Unscored,
            TraceOutcome::Timeout { .. } | TraceOutcome::Error { .. } => return Self::Error,
        }
        let judgment = record.judgments.iter().find(|judgment| judgment.judge.name == source.judge);
        let score = match judgment.map(|judgment| &judgment.result) {
            Some(JudgmentResult::Scored { score, .. }) => score,
            Some(JudgmentResult::Unscored { .. } | JudgmentResult::Pending) | None => return Self::Unscored,
            Some(JudgmentResult::Error { .. }) => return Self::Error,
        };
        let scalar = match (score, &source.key) {
            (Score::Scalar(scalar), None) => Some(scalar),
            (Score::Scalar(_), Some(_)) => None,
            (Score::Object(values), key) => values.get(key.as_deref().unwrap_or(Score::DEFAULT_KEY)),
        };
        match scalar {
            None => Self::Unscored,
            Some(Scalar::Bool(truth)) => Self::Bool(*truth),
            Some(Scalar::Number(number)) => Self::Number(Ordered::new(number.get())),
            Some(Scalar::Label(label)) => Self::Label(labels.place(label)),
        }
    }

    /// The number that metrics take it for.
    pub(super) fn number(self) -> Option<Ordered> {
        match self {
            Self::Number(number) => Some(number),
            Self::Bool(truth) => Some(Ordered::new(f64::from(u8::from(truth)))),
            Self::Error | Self::Unscored | Self::Label(_) => None,
        }
    }

    /// The same in full.
    pub(super) fn outcome(self, labels: &Labels) -> Outcome {
        let score = match self {
            Self::Error => return Outcome::Error,
            Self::Unscored => return Outcome::Unscored,
            Self::Bool(truth) => Scalar::Bool(truth),
            Self::Number(number) => match Finite::new(number.get()) {
                Some(number) => Scalar::Number(number),
                None => return Outcome::Unscored,
            },
            Self::Label(place) => Scalar::Label(labels.text(place).to_owned()),
        };
        Outcome::Scored { score }
    }
}

/// Each label once.
#[derive(Debug, Default)]
pub(super) struct Labels {
    places: HashMap<Arc<str>, u32>,
    texts: Vec<Arc<str>>,
}

impl Labels {
    fn place(&mut self, label: &str) -> u32 {
        if let Some(&place) = self.places.get(label) {
            return place;
        }
        let place = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        let label: Arc<str> = label.into();
        self.texts.push(Arc::clone(&label));
        self.places.insert(label, place);
        place
    }

    fn text(&self, place: u32) -> &str {
        self.texts.get(place as usize).map_or("", |text| text)
    }
}
