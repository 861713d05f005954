//! Runs an evaluation: scheduling, retries, order of persistence, events.
#![doc = include_str!("../README.md")]

mod answer;
mod backlog;
mod budget;
mod cache;
mod call;
mod callee;
mod check;
mod clock;
mod done;
mod ending;
mod event;
mod export;
mod feed;
mod ledger;
mod log;
mod plan;
mod prove;
mod replay;
mod retries;
mod run;
mod run_error;
mod schedule;
mod seed;
mod spans;
mod stop;
mod takeover;
mod tally;
mod task;
mod trial;
mod verify;
mod writer;

pub use answer::{Answer, AnswerError, AnswerProblem, Answered, RefusedAnswer, answer};
pub use check::{DatasetChanged, RowChange};
pub use event::{Events, RunEvent, TaskNote};
pub use export::{ExportError, ExportProgress, ExportSide, Exported, export};
pub use feed::DATASET_THREAD;
pub use plan::{Plan, RunJudge};
pub use prove::{ProveError, prove};
pub use replay::{AbsentEvaluator, compare_replay};
pub use run::Runner;
pub use run_error::RunError;
pub use stop::{StopCause, Stopper};
pub use trial::{Trial, TrialError};
pub use verify::verify;
