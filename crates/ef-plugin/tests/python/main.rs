//! Plugins in Python, with real interpreters.
#![cfg(all(feature = "process", unix))]

mod bridge;
mod discovery;
mod driver;
mod semantic;
mod templates;
