//! Conformance suites, fakes and fault injection for eval-fabric: a dev-dependency of the other crates and of anyone who
//! writes a store, an evaluator or a judge.
#![doc = include_str!("../README.md")]

#[cfg(any(feature = "otlp-server", feature = "postgres-server"))]
mod certificates;
mod components;
pub mod conformance;
#[cfg(any(feature = "model-server", feature = "otlp-server"))]
mod loopback;
mod memory;
#[cfg(feature = "model-server")]
pub mod model_server;
#[cfg(feature = "otlp-server")]
pub mod otlp_server;
#[cfg(feature = "postgres-server")]
pub mod postgres_server;
mod public_data;
mod python;
#[cfg(feature = "recorder")]
pub mod recorder;
#[cfg(feature = "s3-server")]
pub mod s3_server;
mod samples;
pub mod simulation;
mod source;

#[cfg(feature = "contract")]
pub use ef_plugin::contract;

pub use components::{ScriptedEvaluator, ScriptedJudge};
pub use memory::MemoryStore;
pub use public_data::public_data;
pub use python::python_with;
pub use samples::{commit, context, evaluator_identity, head, item, judge_identity, record, result};
pub use source::ListSource;

#[doc(hidden)]
pub use tokio;
