//! A [`TraceStore`](ef_model::TraceStore) in a Postgres database.
#![doc = include_str!("../README.md")]

mod admin;
mod append;
mod fault;
mod identities;
mod judgment_keys;
mod keys;
mod migrate;
mod new_payloads;
mod password_file;
mod patience;
mod payloads;
mod read;
mod runs;
mod schema;
mod session;
mod store;
mod stored_judgment;
mod target;
mod trace_columns;
mod trace_row;
mod uri;
mod writer;

pub use admin::PostgresAdmin;
pub use schema::SCHEMA_VERSION;
pub use store::PostgresStore;
pub use target::DEFAULT_SCHEMA;
pub use uri::SCHEMES;
