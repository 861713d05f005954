//! Runs an evaluation: scheduling, retries, order of persistence, events.
#![doc = include_str!("../README.md")]

mod backlog;
mod call;
mod event;
mod feed;
mod ledger;
mod plan;
mod run;
mod schedule;
mod seed;
mod stop;
mod tally;
mod task;
mod writer;

pub use event::{Events, RunEvent, TaskNote};
pub use feed::DATASET_THREAD;
pub use plan::{Plan, RunJudge};
pub use run::{RunError, Runner};
pub use stop::{StopCause, Stopper};
