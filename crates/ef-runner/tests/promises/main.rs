//! What a run promises, kept against scripted evaluators, judges, stores and datasets.

mod cache;
mod durability;
mod endings;
mod limits;
mod outcomes;
mod plans;
mod replay;
mod resume;
mod retries;
mod tampered;
mod trial;
mod verify;
