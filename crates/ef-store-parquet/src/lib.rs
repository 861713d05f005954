//! A [`TraceStore`](ef_model::TraceStore) of Parquet files, in a folder or in object storage.
#![doc = include_str!("../README.md")]

mod admin;
mod blobs;
mod connect;
mod connector;
mod decode;
mod encode;
mod index;
mod layout;
mod lease;
mod local;
mod lookup;
mod manifest;
mod marker;
mod merge;
mod packed;
mod properties;
mod publish;
mod read;
mod remote;
mod schema;
mod segment;
mod shards;
mod store;
mod table;
mod tail;
mod uri;
mod writer;

#[cfg(test)]
mod round_trip;

pub use admin::ParquetAdmin;
pub use schema::SCHEMA_VERSION;
pub use store::ParquetStore;
pub use uri::Location;
