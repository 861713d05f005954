//! A [`TraceStore`](ef_model::TraceStore) in one SQLite file.
#![doc = include_str!("../README.md")]

mod fault;
mod known_keys;
mod open;
mod packed_record;
mod payloads;
mod read;
mod schema;
mod statements;
mod store;
mod stored_judgment;
mod trace_row;
mod uri;
mod write;

pub use schema::SCHEMA_VERSION;
pub use store::SqliteStore;
pub use uri::path_of;
