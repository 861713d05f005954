#![doc = include_str!("../README.md")]
//!
//! # What is shown
//!
//! Every function is pure and returns a text that ends with a newline. Nothing is printed, nothing is read from the
//! environment, and there is no colour unless [`Style::color`] asks for it. Whatever came from outside (ids, labels,
//! error codes, messages, payloads) passes through [`visible`], so that it cannot move a terminal's cursor.

mod diff;
mod grid;
mod json;
mod metric;
mod number;
mod record;
mod replay;
mod runs;
mod style;
mod summary;
mod text;
mod traces;
mod verification;

pub use diff::{diff, diff_json};
pub use json::json;
pub use metric::metric_detail;
pub use number::counted;
pub use record::record_detail;
pub use replay::{judge_trial, judge_trial_json, replay, replay_json};
pub use runs::runs_table;
pub use style::Style;
pub use summary::{summary, unfinished};
pub use text::visible;
pub use traces::TraceLines;
pub use verification::{proof_json, proven, proven_json, verification, verification_json};
