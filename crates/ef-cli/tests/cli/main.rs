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
mod models;
mod network;
mod people;
mod pipes;
mod plugins;
mod plugins_lock;
mod plugins_sandbox;
mod projects;
mod replay;
mod resume;
mod retention;
mod shared_stores;
mod shared_stores_kills;
mod signals;
mod stores;
mod texts;
mod tracestore;
mod verify;
