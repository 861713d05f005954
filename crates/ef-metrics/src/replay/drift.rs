//! A run beside its replay: what each judge says of the same outputs again.

use ef_model::{Determinism, Digest, ItemId, JudgeIdentity, Judgment, JudgmentResult, Score, TaskRecord, TraceOutcome};
use serde::Serialize;

use super::contract::{self, ContractVerdict, rate};
use crate::ks::{self, KsTest};
use crate::multiset::{Multiset, Ordered};

/// What became of a run's judgments when they were made again.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ReplayDrift {
    /// What became of the outputs.
    pub outputs: OutputDrift,
    /// The judges that were asked again, in the order of the spec.
    pub judges: Vec<JudgeDrift>,
    /// The judgments that drifted, in the order of the records, as far as they were to be listed.
    pub items: Vec<DriftedItem>,
}

impl ReplayDrift {
    /// Whether a judge broke what it declares.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.judges.iter().any(|judge| judge.verdict == ContractVerdict::Broken)
    }
}

/// What became of the outputs, in tasks. An evaluator promises nothing about them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct OutputDrift {
    /// The same output, byte for byte, with the same metadata.
    pub same: u64,
    /// Another output or other metadata.
    pub other: u64,
    /// An output in the source alone.
    pub only_source: u64,
    /// An output in the replay alone.
    pub only_replay: u64,
    /// No output in either.
    pub neither: u64,
}

/// What a judge said again.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JudgeDrift {
    /// The judge's name.
    pub judge: String,
    /// What it declared in the source.
    pub determinism: Determinism,
    /// Judgments that were compared: those of the same output, where neither is an error.
    pub compared: u64,
    /// Those of them that differ in what the determinism promises.
    pub drifted: u64,
    /// `drifted / compared`.
    pub rate: Option<f64>,
    /// The rate that breaks no promise; absent for a stochastic judge.
    pub tolerance: Option<f64>,
    /// Of a stochastic judge: the two-sample Kolmogorov–Smirnov statistic of its numbers.
    pub ks_statistic: Option<f64>,
    /// The p-value of that statistic.
    pub ks_p_value: Option<f64>,
    /// Judgments that could not be compared, and why.
    pub not_compared: NotCompared,
    /// What it comes to.
    pub verdict: ContractVerdict,
}

/// Judgments that could not be compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct NotCompared {
    /// The judge failed in the source alone.
    pub error_in_source: u64,
    /// It failed in the replay alone.
    pub error_in_replay: u64,
    /// It failed in both.
    pub error_in_both: u64,
    /// What was judged is another output, or there is none in one of the runs.
    pub other_output: u64,
}

/// A judgment that drifted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DriftedItem {
    /// The judge's name.
    pub judge: String,
    /// The item.
    pub item_id: ItemId,
    /// Its row, from 1.
    pub row: u64,
    /// Which repeat, from 0.
    pub repeat: u32,
    /// What the source has.
    pub source: Said,
    /// What the replay has.
    pub replay: Said,
    /// Whether the reasons given are the same.
    pub same_rationale: bool,
}

/// What a judge said of an output.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Said {
    /// A score.
    Scored {
        /// The score.
        score: Score,
    },
    /// That it gives no score.
    Unscored,
}

/// Compares the records of a run with those of its replay, in constant memory but for distinct scores of stochastic
/// judges.
#[derive(Debug)]
pub struct ReplayComparison {
    outputs: OutputDrift,
    judges: Vec<Judge>,
    items: Vec<DriftedItem>,
    listed: usize,
}

#[derive(Debug)]
struct Judge {
    name: String,
    determinism: Determinism,
    compared: u64,
    drifted: u64,
    not_compared: NotCompared,
    /// The numbers of a stochastic judge, in the source and in the replay.
    numbers: Option<[Multiset<Ordered>; 2]>,
}

impl ReplayComparison {
    /// A comparison of these judges, as the source declares them. Drifted judgments are listed up to `listed`.
    #[must_use]
    pub fn new<'j>(judges: impl IntoIterator<Item = &'j JudgeIdentity>, listed: usize) -> Self {
        let judges = judges.into_iter().map(|judge| Judge {
            name: judge.name.clone(),
            determinism: judge.determinism,
            compared: 0,
            drifted: 0,
            not_compared: NotCompared::default(),
            numbers: (judge.determinism == Determinism::Stochastic).then(|| [Multiset::new(), Multiset::new()]),
        });
        Self { outputs: OutputDrift::default(), judges: judges.collect(), items: Vec::new(), listed }
    }

    /// Compares one task, the latest revision of each side.
    pub fn observe(&mut self, source: &TaskRecord, replay: &TaskRecord) {
        let same_output = self.outputs.observe(&source.trace.outcome, &replay.trace.outcome);
        for judge in &mut self.judges {
            let (before, after) = match (judgment(source, &judge.name), judgment(replay, &judge.name)) {
                (None, None) => continue,
                (Some(before), Some(after)) if same_output => (before, after),
                _ => {
                    judge.not_compared.other_output += 1;
                    continue;
                }
            };
            if judge.observe(before, after) && self.items.len() < self.listed {
                self.items.push(DriftedItem {
                    judge: judge.name.clone(),
                    item_id: source.item_id.clone(),
                    row: source.row,
                    repeat: source.repeat,
                    same_rationale: rationale(&before.result) == rationale(&after.result),
                    source: said(&before.result),
                    replay: said(&after.result),
                });
            }
        }
    }

    /// What it comes to.
    #[must_use]
    pub fn finish(self) -> ReplayDrift {
        let judges = self.judges.into_iter().map(Judge::finish).collect();
        ReplayDrift { outputs: self.outputs, judges, items: self.items }
    }
}

impl OutputDrift {
    /// Counts a task; whether both sides have the same output.
    fn observe(&mut self, source: &TraceOutcome, replay: &TraceOutcome) -> bool {
        use TraceOutcome::Ok;
        let count = match (source, replay) {
            (Ok { output: a, output_metadata: am }, Ok { output: b, output_metadata: bm }) if (a, am) == (b, bm) => {
                self.same += 1;
                return true;
            }
            (Ok { .. }, Ok { .. }) => &mut self.other,
            (Ok { .. }, _) => &mut self.only_source,
            (_, Ok { .. }) => &mut self.only_replay,
            _ => &mut self.neither,
        };
        *count += 1;
        false
    }
}

impl Judge {
    /// Compares two judgments of the same output; whether that is drift.
    fn observe(&mut self, source: &Judgment, replay: &Judgment) -> bool {
        let Some(agree) = contract::agree(self.determinism, &source.result, &replay.result) else {
            let is_error =
                |judgment: &Judgment| matches!(judgment.result, JudgmentResult::Pending | JudgmentResult::Error { .. });
            let errors = &mut self.not_compared;
            match (is_error(source), is_error(replay)) {
                (true, true) => errors.error_in_both += 1,
                (true, false) => errors.error_in_source += 1,
                _ => errors.error_in_replay += 1,
            }
            return false;
        };
        self.compared += 1;
        self.drifted += u64::from(!agree);
        if let Some(numbers) = &mut self.numbers {
            for (numbers, judgment) in numbers.iter_mut().zip([source, replay]) {
                if let JudgmentResult::Scored { score, .. } = &judgment.result
                    && let Some(number) = score.as_number(None)
                {
                    numbers.insert(Ordered::new(number));
                }
            }
        }
        !agree && self.determinism != Determinism::Stochastic
    }

    fn finish(self) -> JudgeDrift {
        let test = self
            .numbers
            .and_then(|[source, replay]| -> Option<KsTest> { ks::two_sample(&source.runs(), &replay.runs()) });
        JudgeDrift {
            judge: self.name,
            determinism: self.determinism,
            compared: self.compared,
            drifted: self.drifted,
            rate: rate(self.compared, self.drifted),
            tolerance: contract::tolerance(self.determinism),
            ks_statistic: test.map(|test| test.statistic),
            ks_p_value: test.map(|test| test.p_value),
            not_compared: self.not_compared,
            verdict: ContractVerdict::of(self.determinism, self.compared, self.drifted),
        }
    }
}

fn judgment<'r>(record: &'r TaskRecord, judge: &str) -> Option<&'r Judgment> {
    record.judgments.iter().find(|judgment| judgment.judge.name == judge)
}

fn said(result: &JudgmentResult) -> Said {
    match result {
        JudgmentResult::Scored { score, .. } => Said::Scored { score: score.clone() },
        // Of errors and of what is still to come nothing is compared.
        JudgmentResult::Unscored { .. } | JudgmentResult::Pending | JudgmentResult::Error { .. } => Said::Unscored,
    }
}

fn rationale(result: &JudgmentResult) -> Option<Digest> {
    match result {
        JudgmentResult::Scored { rationale, .. } | JudgmentResult::Unscored { rationale, .. } => *rationale,
        JudgmentResult::Pending | JudgmentResult::Error { .. } => None,
    }
}
