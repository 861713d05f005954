//! The promises of the program `ef`, kept by the program itself: each test runs it as a person would, in a folder of
//! its own.
#![allow(clippy::print_stderr, reason = "a test says what it skipped")]

mod confidentiality;
mod fixtures;
mod folder;
mod formats;
mod gate;
mod hostile_datasets;
mod hostile_specs;
mod kill;
mod live;
mod network;
mod pipes;
mod projects;
mod signals;
mod stores;
mod texts;
