//! The canary proof of invariant 8: no payload, rationale or secret is in anything that `ef` says, exports or leaves behind,
//! the store and what somebody asked for aside.
//!
//! Each test plants a random marker in every place where data of its kind comes in, runs the real program through success
//! and failure with OpenTelemetry on, and searches every byte of standard output, standard error, the files and all that
//! the collector got, at every level of the log. The store is asked whether the markers arrived, so that nothing passes because nothing was planted.
//!
//! [`coverage`] lists every field of everything that comes in, with the test that plants a marker in it. A new field, or a
//! new key of a config, fails until it is on the list.
#![allow(clippy::print_stderr, reason = "a test says what it skipped")]

mod bridge;
mod built_ins;
mod collector;
mod command;
mod configs;
mod coverage;
mod datasets;
mod http;
mod markers;
mod models;
mod people;
mod plugins;
mod stores;
mod way;
mod world;
