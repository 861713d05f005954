//! What a judge's declared determinism promises, and what counts as breaking it.

use ef_model::{Determinism, JudgmentResult};
use serde::Serialize;

/// A p-value below this is worth telling: of two samples of one distribution fewer than one pair in a hundred differs so
/// much.
pub const UNLIKELY: f64 = 0.01;

/// The share of judgments, 0 to 1, that may differ when a judge judges the same output again with the same seed.
///
/// A deterministic judge promises each score, each missing score and each rationale: nothing may differ. One that samples
/// with a seed promises its scores, as far as its model keeps the seed's promise, which no provider guarantees: one in a
/// hundred may differ. A stochastic judge promises nothing.
#[must_use]
pub const fn tolerance(determinism: Determinism) -> Option<f64> {
    match determinism {
        Determinism::Deterministic => Some(0.0),
        Determinism::SamplingDeterministic => Some(0.01),
        Determinism::Stochastic => None,
    }
}

/// Whether a judge does what it declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ContractVerdict {
    /// It does, within its tolerance.
    Kept,
    /// It does not.
    Broken,
    /// It declares nothing that could be broken.
    NoContract,
    /// There was nothing to compare.
    NothingCompared,
}

impl ContractVerdict {
    /// The verdict on so many differences.
    pub(super) fn of(determinism: Determinism, compared: u64, differing: u64) -> Self {
        match tolerance(determinism) {
            _ if compared == 0 => Self::NothingCompared,
            None => Self::NoContract,
            Some(tolerance) if rate(compared, differing) <= Some(tolerance) => Self::Kept,
            Some(_) => Self::Broken,
        }
    }

    /// The verdict for a person.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Broken => "BROKEN",
            Self::NoContract => "no contract",
            Self::NothingCompared => "nothing compared",
        }
    }
}

/// A share, where there is a whole.
pub(super) fn rate(of: u64, part: u64) -> Option<f64> {
    (of > 0).then(|| part as f64 / of as f64)
}

/// Whether two judgments agree in what the class promises; `None` where one of them is an error or still to come. Times, attempts and
/// costs are no part of it.
pub(super) fn agree(determinism: Determinism, one: &JudgmentResult, other: &JudgmentResult) -> Option<bool> {
    use JudgmentResult::{Error, Pending, Scored, Unscored};
    let (same_score, rationales) = match (one, other) {
        (Error { .. } | Pending, _) | (_, Error { .. } | Pending) => return None,
        (Scored { score: a, rationale: ra, .. }, Scored { score: b, rationale: rb, .. }) => (a == b, (ra, rb)),
        (Unscored { rationale: ra, .. }, Unscored { rationale: rb, .. }) => (true, (ra, rb)),
        (Scored { rationale: ra, .. }, Unscored { rationale: rb, .. })
        | (Unscored { rationale: ra, .. }, Scored { rationale: rb, .. }) => (false, (ra, rb)),
    };
    let same_rationale = determinism != Determinism::Deterministic || rationales.0 == rationales.1;
    Some(same_score && same_rationale)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deterministic_judge_may_never_differ_and_a_seeded_one_once_in_a_hundred() {
        use ContractVerdict::{Broken, Kept, NoContract, NothingCompared};
        let verdicts = [(Determinism::Deterministic, [Kept, Broken, Broken, NothingCompared])];
        let verdicts = verdicts.into_iter().chain([
            (Determinism::SamplingDeterministic, [Kept, Kept, Broken, NothingCompared]),
            (Determinism::Stochastic, [NoContract, NoContract, NoContract, NothingCompared]),
        ]);
        for (determinism, expected) in verdicts {
            let found = [(1000, 0), (1000, 10), (1000, 11), (0, 0)]
                .map(|(compared, differing)| ContractVerdict::of(determinism, compared, differing));
            assert_eq!(found, expected, "{determinism:?}");
        }
    }
}
