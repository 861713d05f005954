//! What a run's calls used, added up from its records.

use ef_model::{RunUsage, TaskRecord, Usage};

use crate::exact::ExactSum;

/// Adds up what the records of a run say that calls used.
///
/// All revisions count, as all were paid for; what comes out does not depend on their order. A call that a revision takes
/// over from the one before it, as the one that only adds a person's verdict does, was made once and counts once.
#[derive(Debug, Clone, Default)]
pub struct UsageSum {
    evaluator: Part,
    /// By the judge's name, in the order in which they were met.
    judges: Vec<(String, Part)>,
}

/// One component's part.
#[derive(Debug, Clone, Default)]
struct Part {
    cost_usd: Option<Box<ExactSum>>,
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
}

impl UsageSum {
    /// Adds a record. `previous` is the record before it in the run's order: where that is an earlier revision of the
    /// same, what is equal in both is no new call.
    pub fn observe(&mut self, record: &TaskRecord, previous: Option<&TaskRecord>) {
        let previous = previous.filter(|previous| (previous.row, previous.repeat) == (record.row, record.repeat));
        if previous.is_none_or(|previous| previous.trace != record.trace) {
            self.evaluator.add(record.trace.usage);
        }
        for judgment in record.judgments.iter().filter(|judgment| !judgment.usage.is_unknown()) {
            if previous.is_none_or(|previous| !previous.judgments.contains(judgment)) {
                self.judge(&judgment.judge.name).add(judgment.usage);
            }
        }
    }

    /// What it comes to. A sum that no record could hold is unknown.
    #[must_use]
    pub fn get(&self) -> RunUsage {
        RunUsage {
            evaluator: self.evaluator.get(),
            judges: self.judges.iter().map(|(name, part)| (name.clone(), part.get())).collect(),
            unrecorded_usd: None,
        }
    }

    /// What all of it cost in US dollars, where any cost is known.
    #[must_use]
    pub fn cost_usd(&self) -> Option<f64> {
        self.get().total().cost_usd
    }

    fn judge(&mut self, name: &str) -> &mut Part {
        let at = self.judges.iter().position(|(known, _)| known == name).unwrap_or_else(|| {
            self.judges.push((name.to_owned(), Part::default()));
            self.judges.len() - 1
        });
        &mut self.judges[at].1
    }
}

impl Part {
    fn add(&mut self, usage: Usage) {
        if usage.is_unknown() {
            return;
        }
        // A store may have been tampered with.
        let Usage { cost_usd, input_tokens, output_tokens } = usage.in_range();
        if let Some(cost) = cost_usd {
            self.cost_usd.get_or_insert_default().add(cost);
        }
        for (sum, tokens) in [(&mut self.input_tokens, input_tokens), (&mut self.output_tokens, output_tokens)] {
            if let Some(tokens) = tokens {
                *sum = Some(sum.unwrap_or(0).saturating_add(tokens));
            }
        }
    }

    fn get(&self) -> Usage {
        let cost_usd = self.cost_usd.as_ref().map(|sum| sum.get());
        Usage { cost_usd, input_tokens: self.input_tokens, output_tokens: self.output_tokens }.in_range()
    }
}
