//! Judging again: what a judge promises of it, and whether it kept its promise.
//!
//! A judge declares its [`ef_model::Determinism`]. Of a run and its replay, [`ReplayComparison`] compares each judgment
//! with the one before; of one output that is judged several times, [`JudgeTrial`] compares all judgments with one
//! another. An error is no judgment: it is counted, and compared with nothing.

mod components;
mod contract;
mod drift;
mod trial;

pub use components::notes;
pub use contract::{ContractVerdict, UNLIKELY, tolerance};
pub use drift::{DriftedItem, JudgeDrift, NotCompared, OutputDrift, ReplayComparison, ReplayDrift, Said};
pub use trial::{JudgeTrial, JudgeVariance, TrialReport};
