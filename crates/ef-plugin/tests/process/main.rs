//! The host of external plugins, with real processes.
#![cfg(unix)]

#[cfg(feature = "contract")]
mod contract;
mod driver;
mod hostile;
mod life;
mod log;
mod node;
mod talk;
