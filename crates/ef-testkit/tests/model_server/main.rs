//! The scripted model server is what it says: to a client that reads bytes, and to one that knows HTTP.

mod checks;
mod connections;
mod misbehaviour;
mod protocols;
mod raw;
mod streams;
