//! What a call costs, where only the user knows.

use ef_model::{ConfigProblem, Pricing, Usage};

use crate::factory::problem;

/// What one call costs in US dollars, if the config says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CostPerCall(Option<f64>);

impl CostPerCall {
    /// Reads `cost_usd_per_call`.
    pub(crate) fn new(usd: Option<f64>) -> Result<Self, ConfigProblem> {
        match usd {
            Some(usd) if !(usd.is_finite() && usd >= 0.0) => {
                Err(problem("/cost_usd_per_call", "expected a number from 0", None))
            }
            usd => Ok(Self(usd)),
        }
    }

    pub(crate) fn pricing(self) -> Pricing {
        match self.0 {
            Some(_) => Pricing::Bounded,
            None => Pricing::Unbounded {
                missing: "`cost_usd_per_call` in the evaluator's config (0 where its calls are free)".to_owned(),
            },
        }
    }

    pub(crate) fn most_usd(self) -> f64 {
        self.0.unwrap_or_default()
    }

    /// What a call that was made used.
    pub(crate) fn usage(self) -> Usage {
        self.0.map_or(Usage::UNKNOWN, Usage::cost)
    }
}
