//! One output judged several times: how much a judge varies.

use ef_model::{Determinism, ItemId, JudgmentResult};
use serde::Serialize;

use super::contract::{self, ContractVerdict, rate};

/// What came of a trial.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrialReport {
    /// The judge's name.
    pub judge: String,
    /// How often each output was judged.
    pub times: u32,
    /// Rows of the dataset.
    pub rows: u64,
    /// Rows that could not be used.
    pub skipped: u64,
    /// Items for which the evaluator made no output.
    pub without_output: u64,
    /// How much the judge varies.
    #[serde(flatten)]
    pub variance: JudgeVariance,
    /// The first items whose judgments vary, up to ten.
    pub varied_items: Vec<ItemId>,
}

/// How much a judge varies on the same outputs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JudgeVariance {
    /// What it declares.
    pub determinism: Determinism,
    /// Items with two or more judgments that are not errors: those that were compared.
    pub compared: u64,
    /// Those of them whose judgments are not all the same in what the determinism promises.
    pub varied: u64,
    /// `varied / compared`.
    pub rate: Option<f64>,
    /// The rate that breaks no promise; absent for a stochastic judge.
    pub tolerance: Option<f64>,
    /// The within-item standard deviation of numbers: √(Σ sᵢ² / k) over the k items with two or more numbers, where sᵢ² is
    /// the unbiased variance of an item's numbers, each item counting alike.
    pub within_item_sd: Option<f64>,
    /// The items with two or more numbers.
    pub with_numbers: u64,
    /// Calls of the judge.
    pub calls: u64,
    /// Those of them that failed.
    pub errors: u64,
    /// What it comes to.
    pub verdict: ContractVerdict,
}

/// Collects the judgments of a trial, in constant memory. What comes out may differ in its last digits with the order of
/// items.
#[derive(Debug)]
pub struct JudgeTrial {
    determinism: Determinism,
    compared: u64,
    varied: u64,
    variances: f64,
    with_numbers: u64,
    calls: u64,
    errors: u64,
}

impl JudgeTrial {
    /// A trial of a judge that declares this.
    #[must_use]
    pub const fn new(determinism: Determinism) -> Self {
        Self { determinism, compared: 0, varied: 0, variances: 0.0, with_numbers: 0, calls: 0, errors: 0 }
    }

    /// Adds all judgments of one output. Returns whether they vary; `None` where fewer than two of them are no errors.
    pub fn observe(&mut self, judgments: &[JudgmentResult]) -> Option<bool> {
        let made: Vec<_> = judgments
            .iter()
            .filter(|judgment| !matches!(judgment, JudgmentResult::Pending | JudgmentResult::Error { .. }))
            .collect();
        self.calls += judgments.len() as u64;
        self.errors += (judgments.len() - made.len()) as u64;
        let (first, others) = made.split_first()?;
        if others.is_empty() {
            return None;
        }
        let varies = others.iter().any(|other| contract::agree(self.determinism, first, other) == Some(false));
        self.compared += 1;
        self.varied += u64::from(varies);
        let numbers: Vec<_> = made.iter().filter_map(|judgment| number(judgment)).collect();
        if let Some(variance) = variance(&numbers) {
            self.variances += variance;
            self.with_numbers += 1;
        }
        Some(varies)
    }

    /// What it comes to.
    #[must_use]
    pub fn finish(self) -> JudgeVariance {
        let sd = (self.with_numbers > 0).then(|| (self.variances / self.with_numbers as f64).sqrt());
        JudgeVariance {
            determinism: self.determinism,
            compared: self.compared,
            varied: self.varied,
            rate: rate(self.compared, self.varied),
            tolerance: contract::tolerance(self.determinism),
            within_item_sd: sd.filter(|sd| sd.is_finite()),
            with_numbers: self.with_numbers,
            calls: self.calls,
            errors: self.errors,
            verdict: ContractVerdict::of(self.determinism, self.compared, self.varied),
        }
    }
}

fn number(judgment: &JudgmentResult) -> Option<f64> {
    match judgment {
        JudgmentResult::Scored { score, .. } => score.as_number(None),
        _ => None,
    }
}

/// The unbiased variance; exactly 0 where all numbers are the same, which rounding of their mean would hide.
fn variance(numbers: &[f64]) -> Option<f64> {
    let [first, others @ ..] = numbers else { return None };
    if others.is_empty() {
        return None;
    }
    let n = numbers.len() as f64;
    let mean = first + others.iter().map(|number| number - first).sum::<f64>() / n;
    Some(numbers.iter().map(|number| (number - mean) * (number - mean)).sum::<f64>() / (n - 1.0))
}

#[cfg(test)]
mod tests {
    use ef_model::{Payload, Score};

    use super::*;

    fn scored(number: f64, why: &str) -> JudgmentResult {
        let rationale = Some(Payload::from_text(why).digest());
        JudgmentResult::Scored { score: Score::number(number).expect("finite"), rationale }
    }

    fn error() -> JudgmentResult {
        JudgmentResult::Error { error: (&ef_model::CallError::permanent("planted", "told to fail")).into() }
    }

    #[test]
    fn a_trial_counts_what_varies_and_how_much() {
        let mut trial = JudgeTrial::new(Determinism::SamplingDeterministic);
        assert_eq!(trial.observe(&[scored(0.1, "a"), scored(0.1, "b"), error()]), Some(false));
        assert_eq!(trial.observe(&[scored(1.0, "a"), scored(3.0, "a"), scored(2.0, "a")]), Some(true));
        assert_eq!(trial.observe(&[scored(1.0, "a"), error(), error()]), None);
        let found = trial.finish();
        assert_eq!((found.compared, found.varied, found.calls, found.errors), (2, 1, 9, 3));
        // Variances 0 and 1 of two items.
        assert_eq!(found.within_item_sd, Some(0.5_f64.sqrt()));
        assert_eq!((found.rate, found.verdict), (Some(0.5), ContractVerdict::Broken));
    }

    #[test]
    fn another_rationale_breaks_a_deterministic_judges_promise_alone() {
        for (determinism, verdict) in [
            (Determinism::Deterministic, ContractVerdict::Broken),
            (Determinism::SamplingDeterministic, ContractVerdict::Kept),
            (Determinism::Stochastic, ContractVerdict::NoContract),
        ] {
            let mut trial = JudgeTrial::new(determinism);
            trial.observe(&[scored(0.1, "a"), scored(0.1, "b")]);
            assert_eq!(trial.finish().verdict, verdict);
        }
        assert_eq!(JudgeTrial::new(Determinism::Deterministic).finish().verdict, ContractVerdict::NothingCompared);
    }
}
