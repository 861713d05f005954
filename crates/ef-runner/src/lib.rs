//! Runs an evaluation: scheduling, retries, order of persistence, events.
#![doc = include_str!("../README.md")]

mod backlog;
mod cache;
mod call;
mod check;
mod done;
mod event;
mod feed;
mod ledger;
mod plan;
mod prove;
mod replay;
mod run;
mod schedule;
mod seed;
mod stop;
mod takeover;
mod tally;
mod task;
mod trial;
mod verify;
mod writer;

pub use check::{DatasetChanged, RowChange};
pub use event::{Events, RunEvent, TaskNote};
pub use feed::DATASET_THREAD;
pub use plan::{Plan, RunJudge};
pub use prove::{ProveError, prove};
pub use replay::{AbsentEvaluator, compare_replay};
pub use run::{RunError, Runner};
pub use stop::{StopCause, Stopper};
pub use trial::{Trial, TrialError};
pub use verify::verify;
