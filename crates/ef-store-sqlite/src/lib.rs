//! A [`TraceStore`](ef_model::TraceStore) in one SQLite file.
#![doc = include_str!("../README.md")]

mod fault;
mod open;
mod packed_record;
mod read;
mod record_rows;
mod schema;
mod store;
mod uri;
mod write;

pub use schema::SCHEMA_VERSION;
pub use store::SqliteStore;
pub use uri::path_of;
