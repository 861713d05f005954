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
mod context;
mod dataset;
mod difference;
mod digest;
mod error;
mod evaluator;
mod id;
mod identity;
mod inclusion;
mod item;
mod json;
mod judge;
mod merkle;
mod payload;
mod proof;
mod record;
mod record_bytes;
mod result;
mod run;
mod score;
mod secret;
mod store;
mod store_admin;
pub mod telemetry;
mod usage;
mod verification;

pub use config::{ConfigProblem, CreateError, Environment};
pub use context::{AttemptClock, CallContext, PausedClock, Propagator, TraceContext};
pub use dataset::{DatasetRow, ItemSource, RowFault, RowFaultKind, SourceError};
pub use difference::first_difference;
pub use digest::{Digest, DigestParseError};
pub use error::{CallError, ErrorKind};
pub use evaluator::{Evaluator, EvaluatorFactory};
pub use id::{ComponentId, IdError, ItemId, RunId};
pub use identity::{Determinism, Identity, JudgeIdentity};
pub use inclusion::{AuditPath, AuditPaths};
pub use item::{EvalItem, EvaluatorOutput, ItemField};
pub use json::{JsonFault, JsonFaultKind, check_strict};
pub use judge::{Inquiry, Judge, JudgeFactory, Verdict};
pub use merkle::MerkleRoot;
pub use payload::{Payload, Redacted};
pub use proof::{InclusionProof, ProofError, Proven, ProvenRecord, RunBinding};
pub use record::{ErrorRecord, Judgment, JudgmentResult, TaskCommit, TaskRecord, Trace, TraceOutcome, TraceStatus};
pub use result::{Counts, IntervalMethod, Metric, RunResult};
pub use run::{DatasetRef, RunHead, RunPurpose, RunSource, RunStatus};
pub use score::{Finite, Scalar, Score};
pub use secret::Secret;
pub use store::{FoundJudgment, RecordFilter, RecordKey, RunSummary, StoreError, StoredRecord, TraceStore};
pub use store_admin::{StoreAdmin, StoreContent, StoreInfo};
pub use usage::{Pricing, RunUsage, Usage};
pub use verification::{Check, CheckResult, CheckSubject, RecordPlace, Verification, VerificationOutcome};

pub use futures_core::future::BoxFuture;
pub use futures_core::stream::BoxStream;
