//! A [`TraceStore`](ef_model::TraceStore) in one SQLite file.
#![doc = include_str!("../README.md")]

mod admin;
mod cut;
mod fault;
mod insert;
mod judgment_keys;
mod key_filter;
mod keys;
mod known;
mod migrate;
mod open;
mod packed_record;
mod payloads;
mod read;
mod run_lock;
mod schema;
mod store;
mod stored_judgment;
mod tail;
mod trace_row;
mod uri;
mod write;
mod writer;

pub use admin::SqliteAdmin;
pub use schema::SCHEMA_VERSION;
pub use store::SqliteStore;
pub use uri::path_of;
