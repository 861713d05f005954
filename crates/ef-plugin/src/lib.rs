//! The registry of evaluators and judges: which ids there are, what made them, and how a config becomes a component.
#![doc = ""]
#![doc = include_str!("../README.md")]

#[cfg(feature = "contract")]
pub mod contract;
mod lookup;
mod masked;
mod masking;
mod nearest;
mod problem;
#[cfg(all(feature = "process", unix))]
pub mod process;
#[cfg(all(feature = "process", unix))]
pub mod python;
mod registry;
mod schema;
pub mod templates;
pub mod variables;

pub use lookup::{ComponentKind, LookupError};
pub use registry::{Registry, RegistryError};
