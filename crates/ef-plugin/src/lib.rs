//! The registry of evaluators and judges: which ids there are, what made them, and how a config becomes a component.
#![doc = ""]
#![doc = include_str!("../README.md")]

mod lookup;
mod nearest;
mod problem;
mod registry;
mod schema;
pub mod variables;

pub use lookup::{ComponentKind, LookupError};
pub use registry::{Registry, RegistryError};
