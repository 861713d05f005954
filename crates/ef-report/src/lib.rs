#![doc = include_str!("../README.md")]
//!
//! # What is shown
//!
//! Every function is pure and returns a text that ends with a newline. Nothing is printed, nothing is read from the
//! environment, and there is no colour unless [`Style::color`] asks for it. Whatever came from outside (ids, labels,
//! error codes, messages, payloads) passes through [`visible`], so that it cannot move a terminal's cursor.

mod grid;
mod json;
mod metric;
mod number;
mod record;
mod runs;
mod style;
mod summary;
mod text;
mod traces;

pub use json::json;
pub use metric::metric_detail;
pub use record::record_detail;
pub use runs::runs_table;
pub use style::Style;
pub use summary::{summary, unfinished};
pub use text::visible;
pub use traces::{TraceLines, traces_table};
