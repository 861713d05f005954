#![doc = include_str!("../README.md")]
//!
//! # How it works
//!
//! A reader of one format finds where each row ends and hands on its bytes as JSON text; the mapping makes an
//! [`ef_model::EvalItem`] of them. Memory holds one row, which may not be longer than
//! [`DatasetOptions::max_item_bytes`], and one buffer: what is longer passes through a hash and is never kept.

mod array;
#[cfg(feature = "parquet")]
mod columnar;
mod columns;
mod dataset;
mod delimited;
#[cfg(feature = "parquet")]
mod footer;
mod format;
mod lines;
mod mapping;
mod row;
mod stored;
mod window;

pub use dataset::{Dataset, DatasetOptions, from_reader, open};
pub use format::{Compression, Format, UnknownFormat};
