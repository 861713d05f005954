//! The promises of the program `ef`, kept by the program itself: each test runs it as a person would, in a folder of
//! its own.
#![allow(clippy::print_stderr, reason = "a test says what it skipped")]

mod confidentiality;
mod diff;
mod fixtures;
mod folder;
mod forgeries;
mod formats;
mod full_disk;
mod gate;
mod hostile_datasets;
mod hostile_specs;
mod judge;
mod kill;
mod kills;
mod litellm;
mod live;
mod log_docs;
mod log_lines;
mod models;
mod network;
mod otel_init;
mod people;
mod pipes;
mod plugins;
mod plugins_lock;
mod plugins_sandbox;
mod projects;
mod prometheus;
mod replay;
mod resume;
mod retention;
mod shared_stores;
mod shared_stores_kills;
mod signals;
mod slo;
mod stores;
mod telemetry_docs;
mod texts;
mod tracestore;
mod verify;
