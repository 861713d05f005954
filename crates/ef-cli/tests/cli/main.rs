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
mod live;
mod network;
mod pipes;
mod projects;
mod replay;
mod resume;
mod retention;
mod signals;
mod stores;
mod texts;
mod verify;
