//! What a run promises, kept against scripted evaluators, judges, stores and datasets.

mod budget;
mod cache;
mod clocks;
mod durability;
mod endings;
mod export;
mod limits;
mod outcomes;
mod people;
mod plans;
mod replay;
mod resume;
mod retries;
mod tampered;
mod telling;
mod trial;
mod verify;
