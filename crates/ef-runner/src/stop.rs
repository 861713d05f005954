//! Ending a run before its dataset ends.

use std::fmt;
use std::sync::Arc;

use ef_model::ItemId;
use tokio::sync::watch;

/// Why a run ends early.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum StopCause {
    /// Somebody asked for it.
    Interrupted,
    /// A task failed, and the spec says `on_failure: abort`.
    TaskFailed {
        /// The item.
        item_id: ItemId,
        /// Its row.
        row: u64,
    },
    /// The evaluator or a judge has no quota left.
    QuotaExhausted {
        /// The judge's name, or `None` for the evaluator.
        judge: Option<String>,
    },
    /// The next call could carry the cost of the run across `runtime.max_cost_usd`, or it has been crossed by calls that
    /// cost more than was known before.
    BudgetSpent {
        /// `runtime.max_cost_usd`.
        cap_usd: f64,
        /// What calls have cost, in US dollars. Of a call without an answer it is what it can have cost.
        spent_usd: f64,
        /// What the next call could cost; infinite where that is not known.
        next_usd: f64,
    },
    /// `runtime.max_cost_usd` is set, and nobody knows what a call of the evaluator or a judge can cost.
    Unpriced {
        /// The judge's name, or `None` for the evaluator.
        judge: Option<String>,
        /// What is missing, and where to say it.
        missing: String,
    },
    /// The dataset cannot be read on.
    Dataset(
        /// What went wrong, and where; without content.
        String,
    ),
    /// The run that is replayed cannot be, or is not as it was recorded.
    Source(
        /// Which record, and what of it; without content.
        String,
    ),
    /// The store failed.
    Store,
}

impl StopCause {
    /// The cause as a code, for spans and log lines.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::Interrupted => "interrupted",
            Self::TaskFailed { .. } => "task_failed",
            Self::QuotaExhausted { .. } => "quota_exhausted",
            Self::BudgetSpent { .. } => "budget_spent",
            Self::Unpriced { .. } => "unpriced",
            Self::Dataset(_) => "dataset",
            Self::Source(_) => "source",
            Self::Store => "store",
        }
    }
}

impl fmt::Display for StopCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interrupted => f.write_str("interrupted"),
            Self::TaskFailed { item_id, row } => {
                write!(f, "item {item_id} (row {row}) failed, and the spec says on_failure: abort")
            }
            Self::QuotaExhausted { judge } => write!(f, "the quota of {} is exhausted", Whose(judge.as_deref())),
            Self::BudgetSpent { cap_usd, spent_usd, next_usd } => {
                let (cap, spent) = (Dollars(*cap_usd), Dollars(*spent_usd));
                write!(f, "the budget of {cap} is spent: calls have cost {spent}")?;
                if *next_usd > 0.0 { write!(f, ", and the next could cost {}", Dollars(*next_usd)) } else { Ok(()) }
            }
            Self::Unpriced { judge, missing } => {
                let whose = Whose(judge.as_deref());
                write!(f, "runtime.max_cost_usd is set, and the cost of {whose} is not bounded: {missing}")
            }
            Self::Dataset(message) => write!(f, "the dataset cannot be read on: {message}"),
            Self::Source(message) => write!(f, "the run cannot be replayed: {message}"),
            Self::Store => f.write_str("the trace store failed"),
        }
    }
}

/// Who is meant.
struct Whose<'a>(Option<&'a str>);

impl fmt::Display for Whose<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("the evaluator"),
            Some(judge) => write!(f, "judge {judge}"),
        }
    }
}

/// An amount to the cent, or as exactly as a millionth of a dollar where it has more digits.
struct Dollars(f64);

impl fmt::Display for Dollars {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.is_finite() {
            return f.write_str("any amount");
        }
        let text = format!("{:.6}", self.0);
        let cents = text.len() - "0000".len();
        write!(f, "${}{}", &text[..cents], text[cents..].trim_end_matches('0'))
    }
}

/// Ends a run gently: nothing new is started, calls in flight are finished or time out, and what they made is kept.
#[derive(Debug, Clone)]
pub struct Stopper(Arc<watch::Sender<Option<StopCause>>>);

impl Stopper {
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }

    /// Asks the run to stop.
    pub fn stop(&self) {
        self.stop_for(StopCause::Interrupted);
    }

    /// The first cause counts.
    pub(crate) fn stop_for(&self, cause: StopCause) {
        self.0.send_if_modified(|current| {
            let first = current.is_none();
            if first {
                *current = Some(cause);
            }
            first
        });
    }

    pub(crate) fn cause(&self) -> Option<StopCause> {
        self.0.borrow().clone()
    }

    /// Returns once the run is asked to stop.
    pub(crate) async fn stopped(&self) {
        let mut receiver = self.0.subscribe();
        // The sender is part of self, so it cannot be gone.
        let _ = receiver.wait_for(Option::is_some).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_told_to_the_cent_or_to_the_digit_that_matters() {
        let told = [0.0, 0.5, 12.0, 0.125, 0.000_001, 1234.56, f64::INFINITY].map(|usd| Dollars(usd).to_string());
        assert_eq!(told, ["$0.00", "$0.50", "$12.00", "$0.125", "$0.000001", "$1234.56", "any amount"]);
    }

    #[test]
    fn a_spent_budget_says_what_there_was_what_is_gone_and_what_was_to_come() {
        let spent = |spent_usd, next_usd| StopCause::BudgetSpent { cap_usd: 10.0, spent_usd, next_usd }.to_string();
        assert_eq!(
            [spent(9.875, 0.25), spent(10.5, 0.0)],
            [
                "the budget of $10.00 is spent: calls have cost $9.875, and the next could cost $0.25",
                "the budget of $10.00 is spent: calls have cost $10.50"
            ]
        );
    }
}
