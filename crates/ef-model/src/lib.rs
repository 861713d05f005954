#![doc = include_str!("../README.md")]
//!
//! # The types
//!
//! * An [`EvalItem`] is one row of a dataset, delivered by an [`ItemSource`].
//! * An [`Evaluator`] turns it into an [`EvaluatorOutput`]; a [`Judge`] scores that as a [`Verdict`].
//! * A [`TaskRecord`] says what happened, in numbers, ids and digests; its [`Payload`]s are kept apart.
//! * A [`TraceStore`] keeps [`TaskCommit`]s durably; a finished run is described by its [`RunResult`].

pub mod canonical;
mod config;
mod dataset;
mod digest;
mod error;
mod evaluator;
mod id;
mod identity;
mod item;
mod json;
mod judge;
mod merkle;
mod payload;
mod record;
mod record_bytes;
mod result;
mod run;
mod score;
mod store;

pub use config::{ConfigProblem, CreateError, Environment, Secret};
pub use dataset::{DatasetRow, ItemSource, RowFault, RowFaultKind, SourceError};
pub use digest::{Digest, DigestParseError};
pub use error::{CallError, ErrorKind};
pub use evaluator::{CallContext, Evaluator, EvaluatorFactory};
pub use id::{ComponentId, IdError, ItemId, RunId};
pub use identity::{Determinism, Identity, JudgeIdentity};
pub use item::{EvalItem, EvaluatorOutput, ItemField};
pub use json::{JsonFault, JsonFaultKind, check_strict};
pub use judge::{Judge, JudgeFactory, Verdict};
pub use merkle::MerkleRoot;
pub use payload::{Payload, Redacted};
pub use record::{ErrorRecord, Judgment, JudgmentResult, TaskCommit, TaskRecord, Trace, TraceOutcome, TraceStatus};
pub use result::{Counts, IntervalMethod, Metric, RunResult};
pub use run::{DatasetRef, RunHead, RunStatus};
pub use score::{Finite, Scalar, Score};
pub use store::{RecordFilter, RunSummary, StoreError, StoredRecord, TraceStore};

pub use futures_core::future::BoxFuture;
pub use futures_core::stream::BoxStream;
