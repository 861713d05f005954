//! Runs an evaluation: scheduling, retries, order of persistence, events.
