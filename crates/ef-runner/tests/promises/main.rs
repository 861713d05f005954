//! What a run promises, kept against scripted evaluators, judges, stores and datasets.

mod durability;
mod endings;
mod limits;
mod outcomes;
mod plans;
mod retries;
