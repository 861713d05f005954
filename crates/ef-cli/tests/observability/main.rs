//! What `ef` tells of itself while it runs: the program itself, against a real receiver of traces, metrics and logs.
#![allow(clippy::print_stderr, reason = "a test says what it skipped")]

#[path = "../cli/folder.rs"]
#[allow(dead_code, reason = "the tests of the command line use more of it")]
mod folder;

mod collector_trouble;
mod invariant_6;
mod kill;
mod lines;
mod measured;
mod nesting;
mod off;
mod process;
mod records;
mod rotel;
mod settings;
mod slow;
mod world;
