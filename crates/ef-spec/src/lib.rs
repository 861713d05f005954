#![doc = include_str!("../README.md")]

mod load;
mod migrate;
mod model;
mod password;
mod problem;
mod rules;
pub mod schema;
mod shape;
mod source;
mod table;
mod tree;
mod yaml;

pub use load::{Draft, DraftComponent, LoadedSpec, MAX_BYTES, parse};
pub use migrate::{MigrateError, SCHEMA_VERSIONS, migrate};
pub use model::{Aggregator, DatasetSpec, EvalSpec, EvaluatorSpec, JudgeSpec, MetricSpec, OnFailure, Runtime, Scoring};
pub use password::without_password;
pub use problem::{SpecErrors, SpecProblem};
