//! Plugins that are programs: long-lived processes that speak JSON-RPC 2.0, a message a line, over their standard input and
//! output. `docs/plugins.md` is the reference of the protocol, [`PROTOCOL_SCHEMA`] its JSON Schema.
//!
//! [`ExternalPlugin`] starts a plugin when it is first needed and gives factories for the [`crate::Registry`]. All of it
//! needs a tokio runtime with time and I/O.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use ef_plugin::Registry;
//! use ef_plugin::process::{ExternalPlugin, PluginCommand, command_digest};
//!
//! let program = std::path::Path::new("/opt/acme/judges");
//! let digest = command_digest(program, &[], None)?;
//! let plugin = ExternalPlugin::new(PluginCommand::new("acme", program, "ef.toml", digest));
//! let mut registry = Registry::new();
//! plugin.factories().await?.register(&mut registry)?;
//! // … a run …
//! plugin.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod answer;
mod command;
mod component;
mod connection;
mod failure;
mod group;
mod handshake;
mod host;
mod lines;
mod pending;
mod plugin;
mod slot;
mod stderr;
mod wire;

pub(crate) use command::content_digest;
pub(crate) use command::is_always_given;
pub use command::{Measure, PluginCommand, allowed_environment, command_digest};
pub use component::UNKNOWN_VERSION;
pub use failure::PluginError;
pub use handshake::{Description, Provided, ProvidedPricing};
pub use plugin::{Declared, DeclaredComponent, ExternalPlugin, Factories};

/// The version of the protocol that this host speaks.
pub const PROTOCOL_VERSION: u64 = 1;

/// The JSON Schema (2020-12) of the protocol's messages, by name under `$defs`.
pub const PROTOCOL_SCHEMA: &str = include_str!("process/protocol.schema.json");
