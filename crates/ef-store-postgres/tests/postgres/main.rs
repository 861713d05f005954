//! The store on a real server, which is started for the tests.

mod conformance;
mod content;
mod ownership;
mod place;
mod refusals;
mod restarts;
mod schema;
mod tls;
